//! Long recordings: sequential decoding of the real tiny.en equals the references', and nothing is lost on the way.
//!
//! Goldens: `long_form.json` (scripts/goldens/long_form.py) and `reference_decoding.json`, section `long_form`; the
//! recordings are those of scripts/goldens/joined.json.
//!
//! The 5- and 20-minute recordings take minutes: `SOTTO_LONG=1 cargo test --release -p sotto-speech --test
//! real_long_form -- --nocapture` runs them too and prints word error rates.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

mod support;

use std::sync::Arc;

use serde_json::Value;
use sotto_audio::{AudioFile, Pcm16k};
use sotto_runtime::{CancelToken, NoProgress};
use sotto_speech::vad::{SileroVad, VadOptions};
use sotto_speech::{
    AudioContext, LoadOptions, ModelSource, Normalization, Precision, SpeechRecognizer, Thresholds, TimestampTokens,
    Timestamps, TranscribeOptions, Transcript, Vad,
};
use sotto_testkit::{data_dir, long_tests};
use sotto_text::metrics::ErrorCounts;
use support::joined::{Joined, joined};
use support::{clip, golden, speech_dir, synthetic, tiny_en, token_ids, transcribe, word_errors};

const TIMESTAMPS: u32 = 50_363;

/// Sequential decoding of the references: greedy, windows of features normalised over the whole recording.
fn sequential(max_tokens: usize) -> TranscribeOptions {
    TranscribeOptions {
        timestamps: Timestamps::Segment,
        timestamp_tokens: TimestampTokens::Always,
        normalization: Normalization::Recording,
        max_tokens: Some(max_tokens),
        ..TranscribeOptions::greedy()
    }
}

fn with_vad(options: TranscribeOptions) -> TranscribeOptions {
    let weights = data_dir().unwrap().join("vad/silero_vad_16k.safetensors");
    let vad = Vad { model: Arc::new(SileroVad::load(&weights).unwrap()), options: VadOptions::default() };
    TranscribeOptions { vad: Some(vad), ..options }
}

/// Tokens of segments that hold text; transformers keeps both timestamps of a pair at a window's end, we keep the
/// first.
fn texts(segments: impl Iterator<Item = Vec<u32>>) -> Vec<Vec<u32>> {
    let single_end = |mut tokens: Vec<u32>| {
        if let [.., end, next] = tokens[..]
            && end >= TIMESTAMPS
            && next >= TIMESTAMPS
        {
            tokens.pop();
        }
        tokens
    };
    segments.map(single_end).filter(|tokens| tokens.iter().any(|&token| token < TIMESTAMPS)).collect()
}

fn expected(segments: &Value) -> Vec<Vec<u32>> {
    texts(segments.as_array().unwrap().iter().map(|segment| token_ids(&segment["tokens"])))
}

fn found(transcript: &Transcript) -> Vec<Vec<u32>> {
    texts(transcript.segments.iter().map(|segment| segment.tokens.clone()))
}

/// Says where two recordings part; a loop would fill the screen.
#[track_caller]
fn assert_same(found: &[Vec<u32>], expected: &[Vec<u32>]) {
    let parted = found.iter().zip(expected).position(|(found, expected)| found != expected);
    if let Some(segment) = parted {
        let (found, expected) = (&found[segment], &expected[segment]);
        let token = found.iter().zip(expected).take_while(|(found, expected)| found == expected).count();
        panic!(
            "segment {segment} of {} tokens instead of {} differs from token {token} on",
            found.len(),
            expected.len()
        );
    }
    assert_eq!(found.len(), expected.len(), "segments");
}

fn percent(counts: ErrorCounts) -> f64 {
    counts.rate() * 100.0
}

#[test]
fn two_minutes_give_the_tokens_and_times_of_transformers() {
    if tiny_en().is_none() {
        return;
    }
    let recording = joined("two_minutes");
    let golden = &golden("long_form")["recordings"]["two_minutes"]["unconditioned"];
    let transcript = transcribe(&recording.audio, &sequential(447));
    assert_same(&found(&transcript), &expected(&golden["segments"]));
    for (segment, expected) in transcript.segments.iter().zip(golden["segments"].as_array().unwrap()) {
        let (start, end) = (expected["start"].as_f64().unwrap(), expected["end"].as_f64().unwrap());
        assert!((segment.start - start).abs() < 0.011 && (segment.end - end).abs() < 0.011, "{segment:?} {expected}");
    }
    let rate = percent(word_errors(&recording.text, &transcript.text));
    let theirs = golden["word_error_rate"]["percent"].as_f64().unwrap();
    assert!((rate - theirs).abs() <= 0.5, "{rate} % word errors, transformers {theirs} %");
}

/// Our prompt follows openai-whisper's rule: segments without text or length are left out of it.
#[test]
fn conditioning_on_previous_text_gives_the_tokens_of_the_reference() {
    if tiny_en().is_none() {
        return;
    }
    let recording = joined("two_minutes");
    let golden = golden("reference_decoding");
    let runs = golden["long_form"].as_array().unwrap();
    let conditioned = runs.iter().find(|run| run["condition_on_previous_text"] == true).unwrap();
    // The reference's rule for silent windows; without a second temperature the others change nothing.
    let thresholds = Thresholds { compression_ratio: None, ..Thresholds::default() };
    let options = TranscribeOptions { condition_on_previous: true, thresholds, ..sequential(224) };
    let transcript = transcribe(&recording.audio, &options);
    assert_same(&found(&transcript), &expected(&conditioned["segments"]));
}

#[test]
fn voice_activity_and_fallback_transcribe_two_minutes_without_loss() {
    if tiny_en().is_none() {
        return;
    }
    let recording = joined("two_minutes");
    let transcript = transcribe(&recording.audio, &with_vad(TranscribeOptions::default()));
    let counts = word_errors(&recording.text, &transcript.text);
    eprintln!("two_minutes, voice activity: {:.2} % {counts:?}", percent(counts));
    assert!(percent(counts) <= 7.0, "{counts:?}");
}

/// Decoding reaches the end of the recording, with segments in order and within the audio.
#[test]
fn five_minutes_of_opus_run_through() {
    let Some(data) = data_dir().filter(|_| tiny_en().is_some()) else { return };
    let source = ModelSource::Path(data.join("openai-whisper-tiny.en"));
    let options = LoadOptions { precision: Some(Precision::Int8), ..LoadOptions::default() };
    let recognizer = SpeechRecognizer::load(&source, &options, &NoProgress, &CancelToken::new()).unwrap();
    let mut file = AudioFile::open(speech_dir().join("formats/longform_en.ogg")).unwrap();
    let length = file.info().duration.unwrap().as_secs_f64();
    let options =
        with_vad(TranscribeOptions { audio_context: AudioContext::TrueLength, ..TranscribeOptions::greedy() });
    let mut segments = Vec::new();
    let transcript = recognizer
        .transcribe_source(&mut file, &options, &mut |s| segments.push(s.clone()), &NoProgress, &CancelToken::new())
        .unwrap();
    assert!((transcript.duration - length).abs() < 0.1, "{} s of {length}", transcript.duration);
    assert!(segments.windows(2).all(|pair| pair[0].start <= pair[1].start), "segments out of order");
    let last = segments.last().map_or(0.0, |segment| segment.end);
    assert!(last > length - 30.0 && last <= length + 0.01, "the last text ends at {last} s of {length}");
    assert_eq!(transcript.segments, segments);
}

fn long() -> bool {
    let asked = long_tests();
    if !asked {
        eprintln!("skipped: takes minutes; SOTTO_LONG=1 runs it");
    }
    asked && tiny_en().is_some()
}

#[test]
fn sequential_decoding_makes_the_word_errors_of_transformers() {
    if !long() {
        return;
    }
    for name in ["five_minutes", "twenty_minutes"] {
        let recording = joined(name);
        let golden = &golden("long_form")["recordings"][name]["unconditioned"]["word_error_rate"];
        let counts = word_errors(&recording.text, &transcribe(&recording.audio, &sequential(447)).text);
        let theirs = golden["percent"].as_f64().unwrap();
        println!("{name}, sequential: {:.2} % {counts:?}, transformers {theirs:.2} %", percent(counts));
        assert!((percent(counts) - theirs).abs() <= 0.5, "{name}: {counts:?}, transformers {theirs} %");
    }
}

/// Word errors over the 100 synthetic clips, each as a recording of its own.
fn single_clips(options: &TranscribeOptions) -> ErrorCounts {
    let clips = synthetic().into_iter();
    clips.fold(ErrorCounts::default(), |mut sum, spoken| {
        sum += word_errors(&spoken.text, &transcribe(&clip(&spoken.file), options).text);
        sum
    })
}

#[test]
fn single_clips_keep_their_word_error_rate() {
    if !long() {
        return;
    }
    for (name, options, limit) in [
        ("greedy", TranscribeOptions::greedy(), 7.9),
        ("defaults", TranscribeOptions::default(), 7.9),
        ("voice activity", with_vad(TranscribeOptions::default()), 8.7),
    ] {
        let counts = single_clips(&options);
        println!("100 clips, {name}: {:.2} % {counts:?}", percent(counts));
        assert!(percent(counts) <= limit, "{name}: {counts:?}");
    }
}

/// Word errors over the clips of a recording, each with the pause and the noise around it a recording of its own.
fn own_clips(recording: &Joined, options: &TranscribeOptions) -> ErrorCounts {
    let mut start = 0;
    recording.parts.iter().fold(ErrorCounts::default(), |mut sum, (end, text)| {
        let audio = Pcm16k::new(recording.audio.samples()[start..*end].to_vec()).unwrap();
        start = *end;
        sum += word_errors(text, &transcribe(&audio, options).text);
        sum
    })
}

#[test]
fn long_recordings_are_transcribed_without_loss() {
    if !long() {
        return;
    }
    for name in ["two_minutes", "five_minutes", "twenty_minutes"] {
        let recording = joined(name);
        let singly = own_clips(&recording, &TranscribeOptions::default());
        println!("{name}, its clips singly: {:.2} % {singly:?}", percent(singly));
        for (kind, options, limit) in [
            ("defaults", TranscribeOptions::default(), f64::INFINITY),
            ("voice activity", with_vad(TranscribeOptions::default()), percent(singly) + 1.0),
        ] {
            let transcript = transcribe(&recording.audio, &options);
            let counts = word_errors(&recording.text, &transcript.text);
            println!("{name}, {kind}: {:.2} % {counts:?} in {:?}", percent(counts), transcript.timing);
            assert!(percent(counts) <= limit, "{name}, {kind}: {counts:?}, singly {singly:?}");
        }
    }
}
