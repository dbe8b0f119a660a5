//! Languages, tasks and 128 mel bins, on networks whose weights follow a formula.
//!
//! Golden: `random_multilingual.json` (scripts/goldens/random_multilingual.py, transformers; revisions inside).
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

mod support;

use std::path::Path;

use serde_json::Value;
use sotto_audio::{Pcm16k, log_mel_spectrogram};
use sotto_runtime::{CancelToken, NoProgress, Threads};
use sotto_speech::{
    Language, LoadOptions, Precision, Samples, SpeechError, SpeechRecognizer, Task, TimestampTokens, Timestamps,
    TranscribeOptions,
};
use sotto_testkit::{Tolerance, assert_close};
use support::formula::FormulaModel;
use support::{golden, kept, token_ids};

// Sums of 16 to 384 f32 products in another order.
const CLOSE: Tolerance = Tolerance { abs: 2e-4, rel: 1e-4 };

fn load(name: &str) -> SpeechRecognizer {
    let folder = FormulaModel::of_golden(name).write();
    // The goldens are transformers' in f32.
    let options = LoadOptions { threads: Threads::ONE, precision: Some(Precision::F32), ..LoadOptions::default() };
    SpeechRecognizer::load(&folder.path().into(), &options, &NoProgress, &CancelToken::new()).unwrap()
}

/// Five seconds of rising tone, as in the golden's script.
fn chirp() -> Pcm16k {
    let sample = |index: u32| {
        let t = f64::from(index) / 16_000.0;
        (0.5 * (2.0 * std::f64::consts::PI * (200.0 * t + 100.0 * t * t)).sin()) as f32
    };
    Pcm16k::new((0..80_000).map(sample).collect()).unwrap()
}

fn floats(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap() as f32).collect()
}

fn check_network(recognizer: &SpeechRecognizer, outputs: &Value) {
    let (model, cancel) = (recognizer.model().unwrap(), CancelToken::new());
    let mels = model.dimensions().mels;
    let audio = chirp();
    let mut features = log_mel_spectrogram(audio.samples(), mels, 480_000 - 80_000).unwrap().values;
    features.truncate(3000 * mels);
    assert_close(&features[100 * mels..101 * mels], &floats(&outputs["mel_frame_100"]), Tolerance::abs(1e-4));
    let states = model.encode(&features, Threads::ONE, &cancel).unwrap();
    for (frame, expected) in outputs["encoder_frames"].as_object().unwrap() {
        let at = frame.parse::<usize>().unwrap() * 16;
        assert_close(&states[at..at + 16], &floats(expected), CLOSE);
    }
    let sot = model.tokenizer().special().sot;
    let logits = model.logits(&states, &[sot], Threads::ONE, &cancel).unwrap();
    assert_close(&logits[..8], &floats(&outputs["first_logits"]), CLOSE);
    let languages = token_ids(&outputs["language_logits"]["ids"]);
    let scores: Vec<f32> = languages.iter().map(|&id| logits[id as usize]).collect();
    assert_close(&scores, &floats(&outputs["language_logits"]["values"]), CLOSE);
}

fn check_detection(recognizer: &SpeechRecognizer, outputs: &Value) {
    let audio = chirp();
    let detected = recognizer.detect_language(&mut Samples::from(&audio), &CancelToken::new()).unwrap();
    let model = recognizer.model().unwrap();
    let tokenizer = model.tokenizer();
    assert_eq!(tokenizer.language_token(detected.code).map(u64::from), outputs["detected"].as_u64());
    assert_close(&[detected.probability], &floats(&outputs["language_probabilities"])[..1], Tolerance::abs(1e-4));
}

fn check_runs(recognizer: &SpeechRecognizer, outputs: &Value) {
    let begin = recognizer.model().unwrap().tokenizer().special().timestamp_begin.unwrap();
    for (name, run) in outputs["runs"].as_object().unwrap() {
        // transformers starts without a task token here; Sotto transcribes by default.
        if name == "neither" {
            continue;
        }
        let timestamps = run["timestamps"].as_bool().unwrap();
        let options = TranscribeOptions {
            language: run["language"].as_str().map_or(Language::Auto, |code| Language::Fixed(code.into())),
            task: if run["task"] == "translate" { Task::Translate } else { Task::Transcribe },
            timestamps: if timestamps { Timestamps::Segment } else { Timestamps::None },
            timestamp_tokens: if timestamps { TimestampTokens::Always } else { TimestampTokens::LongForm },
            max_tokens: Some(16),
            ..TranscribeOptions::greedy()
        };
        let transcript = recognizer.transcribe(&chirp(), &options, &NoProgress, &CancelToken::new()).unwrap();
        let ours = support::tokens(&transcript);
        let expected = token_ids(&run["tokens"]);
        let expected = if timestamps { kept(&expected, begin) } else { &expected };
        // After a pair of timestamps the rest is heard again, which the golden's single window does not show.
        assert_eq!(ours.get(..expected.len()), Some(expected), "{name}");
        let language = run["start_ids"][1].as_u64();
        let model = recognizer.model().unwrap();
        let tokenizer = model.tokenizer();
        assert_eq!(tokenizer.language_token(&transcript.language).map(u64::from), language, "{name}");
    }
}

#[test]
fn a_multilingual_network_detects_transcribes_and_translates_as_transformers() {
    let recognizer = load("multilingual");
    let outputs = &golden("random_multilingual")["models"]["multilingual"]["outputs"];
    check_network(&recognizer, outputs);
    check_detection(&recognizer, outputs);
    check_runs(&recognizer, outputs);
}

#[test]
fn a_network_of_128_mels_and_100_languages_does_so_too() {
    let recognizer = load("large_v3");
    let outputs = &golden("random_multilingual")["models"]["large_v3"]["outputs"];
    assert_eq!(recognizer.model().unwrap().dimensions().mels, 128);
    assert!(recognizer.model().unwrap().tokenizer().language_token("yue").is_some());
    check_network(&recognizer, outputs);
    check_detection(&recognizer, outputs);
    check_runs(&recognizer, outputs);
}

#[test]
fn a_network_whose_decoder_differs_from_its_encoder_does_so_too() {
    let recognizer = load("distilled");
    let outputs = &golden("random_multilingual")["models"]["distilled"]["outputs"];
    let model = recognizer.model().unwrap();
    let dimensions = model.dimensions();
    assert_eq!((dimensions.encoder_layers, dimensions.decoder_layers), (3, 1));
    assert_eq!((dimensions.encoder_heads, dimensions.decoder_heads), (4, 2));
    assert_eq!((dimensions.encoder_ffn, dimensions.decoder_ffn), (48, 80));
    check_network(&recognizer, outputs);
    check_detection(&recognizer, outputs);
    check_runs(&recognizer, outputs);
}

#[test]
fn a_model_in_shards_says_what_it_says_in_one_file() {
    let model = FormulaModel::of_golden("distilled");
    let (whole, sharded) = (model.write(), model.write());
    model.write_shards(sharded.path(), 3);
    let text = |folder: &Path| {
        let options = LoadOptions { threads: Threads::ONE, ..LoadOptions::default() };
        let recognizer = SpeechRecognizer::load(&folder.into(), &options, &NoProgress, &CancelToken::new()).unwrap();
        recognizer
            .transcribe(&chirp(), &TranscribeOptions::greedy(), &NoProgress, &CancelToken::new())
            .unwrap()
            .segments
    };
    assert_eq!(text(sharded.path()), text(whole.path()));
    std::fs::remove_file(sharded.path().join("model-00002-of-00003.safetensors")).unwrap();
    let options = LoadOptions::default();
    let error = SpeechRecognizer::load(&sharded.path().into(), &options, &NoProgress, &CancelToken::new());
    assert!(error.unwrap_err().to_string().contains("model-00002-of-00003.safetensors"));
}

#[test]
fn a_language_that_the_model_does_not_know_is_refused() {
    let recognizer = load("multilingual");
    for language in ["yue", "klingon", ""] {
        let options = TranscribeOptions { language: Language::Fixed(language.into()), ..TranscribeOptions::greedy() };
        let error = recognizer.transcribe(&chirp(), &options, &NoProgress, &CancelToken::new()).unwrap_err();
        assert!(matches!(error, SpeechError::Option { option: "language", .. }), "{error}");
    }
}

/// A window of noise or of a tone. The network takes them for different languages, and finds silence in the tone fifty
/// times as likely.
fn window_of(noise: bool) -> Vec<f32> {
    let mut state = 12345u32;
    let sample = |index: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if noise { ((state >> 8) as f32 / 8_388_608.0 - 1.0) * 0.1 } else { (index as f32 * 0.28).sin() * 0.3 }
    };
    (0..480_000).map(sample).collect()
}

#[test]
fn a_silent_window_does_not_decide_the_language() {
    let recognizer = load("multilingual");
    let mut options = TranscribeOptions { max_tokens: Some(6), ..TranscribeOptions::greedy() };
    let language = |windows: &[bool], options: &TranscribeOptions| {
        let audio = Pcm16k::new(windows.iter().flat_map(|&noise| window_of(noise)).collect()).unwrap();
        recognizer.transcribe(&audio, options, &NoProgress, &CancelToken::new()).unwrap().language
    };
    let (noise, tone) = (language(&[true], &options), language(&[false], &options));
    assert_ne!(noise, tone);
    assert_eq!(language(&[false, true], &options), tone);
    options.thresholds.no_speech = Some(1e-6);
    assert_eq!(language(&[false, true], &options), noise);
    assert_eq!(language(&[true, false], &options), noise);
}
