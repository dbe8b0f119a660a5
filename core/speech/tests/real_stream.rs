//! Live text of long recordings: the same words as offline, however the audio arrives.
//!
//! The beginning of the first by default; `SOTTO_LONG=1 cargo test --release -p sotto-speech --test real_stream -- --nocapture` hears
//! all recordings of scripts/goldens/joined.json to their end.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

mod support;

use std::sync::Arc;

use sotto_audio::{Pcm16k, SAMPLE_RATE};
use sotto_runtime::CancelToken;
use sotto_speech::stream::{StreamEvent, StreamOptions, StreamTranscriber};
use sotto_speech::vad::{SileroVad, VadOptions};
use sotto_speech::{TranscribeOptions, Vad};
use sotto_testkit::data_dir;
use support::joined::{Joined, joined};
use support::{tiny_en, transcribe, word_errors};

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
    let mut transcriber = StreamTranscriber::new(tiny_en().unwrap(), &options, SAMPLE_RATE, 1, &cancel).unwrap();
    let (mut left, mut events) = (audio.samples(), Vec::new());
    while !left.is_empty() {
        let (now, later) = left.split_at(cuts.next().clamp(1, left.len()));
        transcriber.push(now, &mut events).unwrap();
        left = later;
    }
    transcriber.finish(&mut events).unwrap();
    let text = |event| match event {
        StreamEvent::Final { text, .. } => Some(text.text),
        _ => None,
    };
    events.into_iter().filter_map(text).collect()
}

/// The recordings of this run; none without the data folder. Each second is decoded about as long as it lasts, so short
/// runs hear the clips in the first `seconds` of the first one.
fn recordings(seconds: usize) -> Vec<(&'static str, Joined)> {
    let long = std::env::var_os("SOTTO_LONG").is_some_and(|value| value == "1");
    let names: &[&str] = match (tiny_en(), long) {
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
        let offline = transcribe(&recording.audio, &options()).text;
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
