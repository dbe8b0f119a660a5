//! Our network on the real tiny.en against candle-transformers' (cargo feature `reference`): states, logits and text.
//!
//! The time that both took is printed; for one thread each:
//! `RAYON_NUM_THREADS=1 cargo test --release -p sotto-speech --features reference --test real_candle -- --nocapture`
#![cfg(feature = "reference")]
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod support;

use std::sync::{Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use sotto_audio::log_mel_spectrogram;
use sotto_runtime::{CancelToken, Threads};
use sotto_speech::TranscribeOptions;
use sotto_speech::reference::{Device, ReferenceError, ReferenceModel};
use sotto_testkit::{Tolerance, assert_close, data_dir};

use support::formula::FormulaModel;
use support::{clip, tiny_en, tokens, transcribe};

const MELS: usize = 80;

/// The start of a transcript without timestamps, then words; any would do.
const TOKENS: [u32; 6] = [50_257, 50_362, 775, 6619, 546, 1524];

// Candle's GELU is the tanh approximation and its encoder positions are computed, not read from the f16 file: single
// states of this clip differ by up to 0.038, logits by up to 0.067 (they reach 20). torch with the same two changes is
// as far from itself without them: 0.0377 and 0.0666. real_tensors.rs holds both to transformers, fifty times closer.
const STATES: Tolerance = Tolerance { abs: 6e-2, rel: 2e-3 };
const LOGITS: Tolerance = Tolerance { abs: 1e-1, rel: 2e-3 };
/// Of all states and of all logits together, relative to their own root mean square; in torch 2.2e-3 and 6.6e-3.
const MEAN_STATES: f64 = 5e-3;
const MEAN_LOGITS: f64 = 1e-2;

/// Clips of different voices.
const CLIPS: [&str; 5] =
    ["synthetic/003.flac", "synthetic/020.flac", "synthetic/041.flac", "synthetic/062.flac", "synthetic/083.flac"];

/// Candle's tiny.en, loaded once; tests take turns.
fn candle() -> MutexGuard<'static, ReferenceModel> {
    static MODEL: OnceLock<Mutex<ReferenceModel>> = OnceLock::new();
    let load = || ReferenceModel::load(&data_dir().unwrap().join("openai-whisper-tiny.en"), &Device::Cpu).unwrap();
    MODEL.get_or_init(|| Mutex::new(load())).lock().unwrap()
}

/// Log-mel of the clip in a window of 30 s, `[3000, 80]`.
fn features(name: &str) -> Vec<f32> {
    let audio = clip(name);
    let mut frames = log_mel_spectrogram(audio.samples(), MELS, 480_000 - audio.samples().len()).unwrap().values;
    frames.truncate(3000 * MELS);
    frames
}

/// Compares value by value and on the whole, and says how far apart the two are.
fn compare(what: &str, ours: &[f32], candle: &[f32], tolerance: Tolerance, mean: f64) {
    let sum_of_squares = |values: &mut dyn Iterator<Item = f32>| values.map(|x| f64::from(x).powi(2)).sum::<f64>();
    let differences = || ours.iter().zip(candle).map(|(a, b)| a - b);
    let relative = (sum_of_squares(&mut differences()) / sum_of_squares(&mut candle.iter().copied())).sqrt();
    let largest = differences().map(f32::abs).fold(0.0, f32::max);
    println!("{what}: differ by {relative:.1e} of their root mean square, single values by up to {largest:.1e}");
    assert_close(ours, candle, tolerance);
    assert!(relative < mean, "{what}: {relative:e}");
}

#[test]
fn states_and_logits_are_those_of_candle() {
    let Some(recognizer) = tiny_en() else { return };
    let (model, cancel, features) = (recognizer.model().unwrap(), CancelToken::new(), features(CLIPS[0]));
    let states = model.encode(&features, Threads::ONE, &cancel).unwrap();
    let reference = candle().encode(&features).unwrap();
    compare("encoder states", &states, &reference, STATES, MEAN_STATES);
    let logits = model.logits(&reference, &TOKENS, Threads::ONE, &cancel).unwrap();
    let expected = candle().logits(&reference, &TOKENS).unwrap();
    compare("logits", &logits, &expected, LOGITS, MEAN_LOGITS);
}

#[test]
fn greedy_text_is_that_of_candle_token_by_token() {
    let Some(recognizer) = tiny_en() else { return };
    let model = recognizer.model().unwrap();
    let special = model.tokenizer().special();
    let prompt = [special.sot, special.no_timestamps.unwrap()];
    let (mut ours, mut theirs) = (Times::default(), Times::default());
    for name in CLIPS {
        let audio = clip(name);
        let transcript = transcribe(&audio, &TranscribeOptions::greedy());
        let features = features(name);
        let mut candle = candle();
        let start = Instant::now();
        let states = candle.encode(&features).unwrap();
        let encode = start.elapsed();
        let start = Instant::now();
        let text = candle.greedy(&model, &states, &prompt, 446, &CancelToken::new()).unwrap();
        // The end of the text is decided by a pass too.
        ours.add(transcript.timing.encode, transcript.timing.decode, text.len() + 1);
        theirs.add(encode, start.elapsed(), text.len() + 1);
        assert!(text.len() > 3, "{name}: only {} tokens", text.len());
        assert_eq!(tokens(&transcript), text, "{name}");
    }
    println!("ours: {ours}; candle: {theirs}");
}

/// What encoding and decoding took.
#[derive(Default)]
struct Times {
    encode: Vec<Duration>,
    decode: Duration,
    tokens: usize,
}

impl Times {
    fn add(&mut self, encode: Duration, decode: Duration, tokens: usize) {
        self.encode.push(encode);
        self.decode += decode;
        self.tokens += tokens;
    }
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let encode = self.encode.iter().min().copied().unwrap_or_default();
        let token = self.decode / self.tokens.max(1) as u32;
        write!(f, "{encode:.2?} per window at best, {token:.1?} per token ({} of them)", self.tokens)
    }
}

#[test]
fn inputs_without_a_place_in_the_network_are_refused() {
    let folder = FormulaModel::small().write();
    let mut model = ReferenceModel::load(folder.path(), &Device::Cpu).unwrap();
    let (mels, width) = (model.dimensions().mels, model.dimensions().width);
    let window = model.dimensions().window_frames();
    for length in [0, mels, mels * 3, mels * 2 + 1, mels * (window + 2)] {
        let error = model.encode(&vec![0.0; length]).unwrap_err();
        assert!(matches!(error, ReferenceError::Input { input: "features", .. }), "{length}: {error}");
    }
    let states = model.encode(&vec![0.0; mels * 8]).unwrap();
    assert_eq!(states.len(), 4 * width);
    for (states, tokens, named) in [
        (&states[..0], vec![0], "encoder states"),
        (&states[1..], vec![0], "encoder states"),
        (&states[..], vec![], "tokens"),
        (&states[..], vec![0; 65], "tokens"),
        (&states[..], vec![0, u32::MAX], "token"),
    ] {
        let error = model.logits(states, &tokens).unwrap_err();
        assert!(matches!(error, ReferenceError::Input { input, .. } if input == named), "{named}: {error}");
    }
    assert_eq!(model.logits(&states, &[0; 64]).unwrap().len(), 64 * model.dimensions().vocabulary);
}

#[test]
fn folders_that_are_no_model_are_refused_with_the_file() {
    let load = |folder: &std::path::Path| ReferenceModel::load(folder, &Device::Cpu).unwrap_err();
    let empty = tempfile::tempdir().unwrap();
    let error = load(empty.path());
    assert!(matches!(error, ReferenceError::Load(_)) && error.to_string().contains("config.json"), "{error}");

    for (damage, sizes) in [
        ("a longer window than the file has", ("max_source_positions", 16_000)),
        ("one more block", ("decoder_layers", 99)),
    ] {
        let mut model = FormulaModel::small();
        model.config[sizes.0] = sizes.1.into();
        let error = load(model.write().path());
        assert!(matches!(error, ReferenceError::Weights { .. }), "{damage}: {error}");
        assert!(error.to_string().contains("model.safetensors"), "{damage}: {error}");
    }

    let cut = FormulaModel::small().write();
    let path = cut.path().join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert!(matches!(load(cut.path()), ReferenceError::Weights { .. }));
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(load(cut.path()), ReferenceError::Load(_)));
}
