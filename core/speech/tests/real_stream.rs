//! Live text of long recordings: the same words as offline, however the audio arrives. In int8, as apps run it.
//!
//! The beginning of the first by default; with `SOTTO_LONG=1` (`scripts/test.sh long`) all recordings of
//! scripts/goldens/joined.json to their end.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

mod support;

use std::sync::Arc;

use sotto_audio::{Pcm16k, SAMPLE_RATE};
use sotto_runtime::{CancelToken, NoProgress};
use sotto_speech::stream::{StreamEvent, StreamOptions, StreamTranscriber};
use sotto_speech::vad::{SileroVad, VadOptions, speech_segments};
use sotto_speech::{TranscribeOptions, Vad};
use sotto_testkit::{data_dir, long_tests};
use support::joined::{Joined, joined};
use support::{clip, tiny_en_int8, word_errors};

/// How live audio is cut into pieces.
enum Cuts {
    /// As a microphone does, 100 ms at a time.
    Microphone,
    /// From one sample to ten seconds, log-uniform.
    Random(u64),
}

impl Cuts {
    fn next(&mut self) -> usize {
        match self {
            Self::Microphone => SAMPLE_RATE as usize / 10,
            Self::Random(state) => {
                *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let share = (*state >> 40) as f64 / (1u64 << 24) as f64;
                (10.0 * f64::from(SAMPLE_RATE)).powf(share) as usize
            }
        }
    }
}

fn options() -> TranscribeOptions {
    let weights = data_dir().unwrap().join("vad/silero_vad_16k.safetensors");
    let vad = Vad { model: Arc::new(SileroVad::load(&weights).unwrap()), options: VadOptions::default() };
    TranscribeOptions { vad: Some(vad), ..TranscribeOptions::default() }
}

fn final_text(audio: &Pcm16k, mut cuts: Cuts) -> String {
    let options = StreamOptions { transcribe: options(), ..StreamOptions::default() };
    let cancel = CancelToken::new();
    let mut transcriber = StreamTranscriber::new(tiny_en_int8().unwrap(), &options, SAMPLE_RATE, 1, &cancel).unwrap();
    let (mut left, mut events) = (audio.samples(), Vec::new());
    while !left.is_empty() {
        let (now, later) = left.split_at(cuts.next().clamp(1, left.len()));
        transcriber.push(now, &mut events).unwrap();
        left = later;
    }
    transcriber.finish(&mut events).unwrap();
    support::live::final_text(&events)
}

fn offline_text(audio: &Pcm16k) -> String {
    tiny_en_int8().unwrap().transcribe(audio, &options(), &NoProgress, &CancelToken::new()).unwrap().text
}

/// The recordings of this run; none without the data folder. Each second is decoded about as long as it lasts, so short
/// runs hear the clips in the first `seconds` of the first one.
fn recordings(seconds: usize) -> Vec<(&'static str, Joined)> {
    let long = long_tests();
    let names: &[&str] = match (tiny_en_int8(), long) {
        (None, _) => &[],
        (_, true) => &["two_minutes", "five_minutes", "twenty_minutes"],
        (_, false) => &["two_minutes"],
    };
    let begun = |recording: Joined| if long { recording } else { recording.beginning(seconds) };
    names.iter().map(|&name| (name, begun(joined(name)))).collect()
}

#[test]
fn final_text_is_the_offline_text_within_two_points() {
    for (name, recording) in recordings(40) {
        let live = final_text(&recording.audio, Cuts::Microphone);
        let offline = offline_text(&recording.audio);
        let (live, offline) = (word_errors(&recording.text, &live), word_errors(&recording.text, &offline));
        println!("{name}: {:.2} % live, {:.2} % offline", 100.0 * live.rate(), 100.0 * offline.rate());
        assert!(live.hits > 0 && (live.rate() - offline.rate()).abs() <= 0.02, "{name}: {live:?} {offline:?}");
    }
}

#[test]
fn final_text_does_not_depend_on_how_the_input_is_cut() {
    for (name, recording) in recordings(20) {
        let expected = final_text(&recording.audio, Cuts::Microphone);
        for seed in [1, 2] {
            assert_eq!(final_text(&recording.audio, Cuts::Random(seed)), expected, "{name}, cuts of seed {seed}");
        }
    }
}

/// 600 ms of silence end an utterance: the detector needs 500 ms of them, its steps and padding the rest.
#[test]
fn text_is_final_as_soon_as_the_detector_hears_the_end() {
    let Some(recognizer) = tiny_en_int8() else { return };
    let options = StreamOptions { transcribe: options(), ..StreamOptions::default() };
    let cancel = CancelToken::new();
    let mut transcriber = StreamTranscriber::new(recognizer, &options, SAMPLE_RATE, 1, &cancel).unwrap();
    let spoken = clip("synthetic/001.flac");
    let mut events = Vec::new();
    transcriber.push(spoken.samples(), &mut events).unwrap();
    let vad = options.transcribe.vad.as_ref().unwrap();
    let speech = speech_segments(&vad.model, spoken.samples(), &vad.options, &cancel).unwrap();
    let end = speech.last().unwrap().end as f64 / f64::from(SAMPLE_RATE);
    events.clear();
    // Silence in blocks of 20 ms until the text is final.
    let mut at = None;
    for _ in 0..100 {
        transcriber.push(&[0.0; SAMPLE_RATE as usize / 50], &mut events).unwrap();
        at = events.iter().find_map(|event| match event {
            StreamEvent::Final { at, .. } => Some(*at),
            _ => None,
        });
        if at.is_some() {
            break;
        }
    }
    let at = at.expect("the end of speech makes its text final");
    assert!(at <= end + 0.6, "speech ended at {end} s, its text was final at {at} s");
}

#[test]
fn nothing_is_said_while_nobody_speaks() {
    let Some(recognizer) = tiny_en_int8() else { return };
    let options = StreamOptions { transcribe: options(), ..StreamOptions::default() };
    let noise = clip("noise/noise1.flac");
    let silence = vec![0.0; 20 * SAMPLE_RATE as usize];
    for samples in [&silence[..], &noise.samples()[..20 * SAMPLE_RATE as usize]] {
        let cancel = CancelToken::new();
        let mut transcriber = StreamTranscriber::new(recognizer, &options, SAMPLE_RATE, 1, &cancel).unwrap();
        let mut events = Vec::new();
        for block in samples.chunks(SAMPLE_RATE as usize / 10) {
            transcriber.push(block, &mut events).unwrap();
        }
        transcriber.finish(&mut events).unwrap();
        let said = events.iter().any(|event| match event {
            StreamEvent::Final { text, .. } | StreamEvent::Volatile { text, .. } => !text.words.is_empty(),
            _ => false,
        });
        assert!(!said, "{events:?}");
    }
}
