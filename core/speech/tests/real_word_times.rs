//! Word times against known ones, with the complete tiny.en: words of a recording that another recogniser timed, and
//! clips joined at known places, whose first and last words begin and end with the sound.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

mod support;

use std::sync::OnceLock;

use sotto_audio::{Pcm16k, SAMPLE_RATE};
use sotto_runtime::{CancelToken, NoProgress, Threads};
use sotto_speech::{
    LoadOptions, ModelSource, Precision, SpeechRecognizer, TimestampTokens, Timestamps, TranscribeOptions, Transcript,
    Word,
};
use sotto_testkit::data_dir;
use support::clip;

/// Starts in seconds of the words of `picovoice_test.flac`, from the test data of Picovoice's Leopard (Apache-2.0).
const PICOVOICE: [(&str, f64); 17] = [
    ("mr", 0.54),
    ("quilter", 0.86),
    ("is", 1.31),
    ("the", 1.44),
    ("apostle", 1.57),
    ("of", 2.18),
    ("the", 2.3),
    ("middle", 2.4),
    ("classes", 2.69),
    ("and", 3.33),
    ("we", 3.52),
    ("are", 3.65),
    ("glad", 3.71),
    ("to", 4.1),
    ("welcome", 4.26),
    ("his", 4.67),
    ("gospel", 4.93),
];

/// The complete tiny.en in int8; `None` (with a message) without the data folder.
fn model() -> Option<&'static SpeechRecognizer> {
    static MODEL: OnceLock<Option<SpeechRecognizer>> = OnceLock::new();
    let load = || {
        let source = ModelSource::Path(data_dir()?.join("openai-whisper-tiny.en"));
        let options = LoadOptions { threads: Threads::ONE, precision: Some(Precision::Int8), ..LoadOptions::default() };
        Some(SpeechRecognizer::load(&source, &options, &NoProgress, &CancelToken::new()).unwrap())
    };
    MODEL.get_or_init(load).as_ref()
}

fn transcribe(audio: &Pcm16k, options: &TranscribeOptions) -> Transcript {
    model().unwrap().transcribe(audio, options, &NoProgress, &CancelToken::new()).unwrap()
}

fn with_words() -> TranscribeOptions {
    TranscribeOptions { timestamps: Timestamps::Word, ..TranscribeOptions::greedy() }
}

fn words(transcript: &Transcript) -> Vec<&Word> {
    transcript.segments.iter().flat_map(|segment| &segment.words).collect()
}

fn letters(word: &str) -> String {
    word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Where sound begins and ends in a clip, in seconds: the first and last 10 ms within 32 dB of the loud ones.
fn sound(samples: &[f32]) -> (f64, f64) {
    let hop = SAMPLE_RATE as usize / 100;
    let levels: Vec<f32> =
        samples.chunks(hop).map(|chunk| chunk.iter().map(|x| x * x).sum::<f32>() / chunk.len() as f32).collect();
    let mut sorted = levels.clone();
    sorted.sort_by(f32::total_cmp);
    let limit = (sorted[levels.len() * 95 / 100] * 10f32.powf(-3.2)).max(sorted[levels.len() / 50] * 6.0);
    let first = levels.iter().position(|&level| level > limit).unwrap();
    let last = levels.iter().rposition(|&level| level > limit).unwrap();
    (first as f64 / 100.0, (last + 1) as f64 / 100.0)
}

#[track_caller]
fn assert_words_are_sound(name: &str, transcript: &Transcript) {
    let mut last = 0.0;
    for segment in &transcript.segments {
        let joined: String = segment.words.iter().map(|word| word.text.as_str()).collect();
        assert_eq!(joined, segment.text, "{name}");
        for word in &segment.words {
            assert!(word.end - word.start > 0.015, "{name}: {word:?} has no length");
            assert!(
                last <= word.start + 1e-9 && word.end <= transcript.duration + 1e-9,
                "{name}: {word:?} after {last}"
            );
            assert!(segment.start <= word.start + 1e-9 && word.end <= segment.end + 1e-9, "{name}: {word:?}");
            last = word.end;
        }
    }
}

#[test]
fn words_begin_where_another_recogniser_heard_them() {
    if model().is_none() {
        return;
    }
    for tokens in [TimestampTokens::LongForm, TimestampTokens::Always] {
        let options = TranscribeOptions { timestamp_tokens: tokens, ..with_words() };
        let transcript = transcribe(&clip("clips/picovoice_test.flac"), &options);
        assert_words_are_sound("picovoice", &transcript);
        let found = words(&transcript);
        let errors: Vec<f64> = PICOVOICE
            .iter()
            .filter_map(|&(text, start)| {
                let near =
                    found.iter().filter(|word| letters(&word.text) == text).map(|word| (word.start - start).abs());
                near.min_by(f64::total_cmp)
            })
            .collect();
        assert!(errors.len() >= 15, "{transcript:?}");
        let median = median(errors.clone());
        eprintln!("picovoice: median error {median:.3} s of {errors:.2?}");
        assert!(median <= 0.08, "{errors:.2?}");
    }
}

#[test]
fn a_comma_takes_no_sound_from_its_word() {
    if model().is_none() {
        return;
    }
    let transcript = transcribe(&clip("clips/LJ001-0001.flac"), &with_words());
    assert_words_are_sound("LJ001-0001", &transcript);
    let found = words(&transcript);
    let differs = found.iter().find(|word| letters(&word.text) == "differs").unwrap();
    assert!((differs.start - 4.40).abs() < 0.1 && (differs.end - 4.97).abs() < 0.2, "{differs:?}");
}

/// Clips joined at known times: speech begins and ends where it does in the clip.
#[test]
fn words_of_joined_clips_begin_and_end_with_the_sound() {
    if model().is_none() {
        return;
    }
    let names =
        ["LJ001-0002", "LJ001-0008", "lhotse_LJ002-0020", "LJ001-0013", "pyroomacoustics_cmu_arctic_us_axb_a0005"];
    let clips: Vec<Vec<f32>> = names.iter().map(|name| clip(&format!("clips/{name}.flac")).into_samples()).collect();
    let (mut starts, mut ends) = (Vec::new(), Vec::new());
    for pair in clips.windows(2) {
        for pause in [0.5, 1.5, 3.0] {
            let mut samples = vec![0.0; SAMPLE_RATE as usize];
            let mut expected = Vec::new();
            for clip in pair {
                let at = samples.len() as f64 / f64::from(SAMPLE_RATE);
                let (first, last) = sound(clip);
                expected.push((at + first, at + last));
                samples.extend_from_slice(clip);
                samples.resize(samples.len() + (pause * f64::from(SAMPLE_RATE)) as usize, 0.0);
            }
            // Quiet noise, as any microphone has.
            let mut seed = 9u32;
            for sample in &mut samples {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *sample += ((seed >> 8) as f32 / (1 << 23) as f32 - 1.0) * 2e-4;
            }
            let transcript = transcribe(&Pcm16k::new(samples).unwrap(), &with_words());
            assert_words_are_sound("joined", &transcript);
            let found = words(&transcript);
            for (start, end) in expected {
                let inside = found.iter().filter(|word| word.start < end && word.end > start);
                let (mut first, mut last) = (f64::INFINITY, 0.0f64);
                inside.for_each(|word| (first, last) = (first.min(word.start), last.max(word.end)));
                // Clips that were not heard are another test's business.
                if last > 0.0 {
                    starts.push((first - start).abs());
                    ends.push((last - end).abs());
                }
            }
        }
    }
    eprintln!("joined: starts {starts:.2?}, ends {ends:.2?}");
    assert!(starts.len() >= 14, "{}", starts.len());
    assert!(median(starts.clone()) <= 0.08 && median(ends.clone()) <= 0.1, "{starts:.2?} {ends:.2?}");
    let far = |errors: &[f64]| errors.iter().filter(|&&error| error > 0.3).count() * 10 > errors.len();
    assert!(!far(&starts) && !far(&ends), "{starts:.2?} {ends:.2?}");
}
