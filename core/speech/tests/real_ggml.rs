//! whisper.cpp files hold the same model as the Hugging Face folder: written by the test kit, read by the ggml loader.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

mod support;

use std::path::PathBuf;

use sotto_runtime::{CancelToken, NoProgress, Threads};
use sotto_speech::{
    LoadOptions, ModelSource, Precision, SpeechRecognizer, TimestampTokens, Timestamps, TranscribeOptions,
};
use sotto_testkit::ggml::{GgmlType, tiny_en_ggml};
use sotto_testkit::long_tests;
use sotto_text::metrics::ErrorCounts;
use support::{clip, synthetic, tiny_en, word_errors};
use tempfile::TempDir;

/// The real tiny.en as a ggml file; the folder goes when it is dropped.
fn ggml(kind: GgmlType) -> Option<(TempDir, PathBuf)> {
    let bytes = tiny_en_ggml(kind)?;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ggml-tiny.en.bin");
    std::fs::write(&path, bytes).unwrap();
    Some((folder, path))
}

fn load(kind: GgmlType, precision: Precision) -> Option<SpeechRecognizer> {
    let (_folder, path) = ggml(kind)?;
    let options = LoadOptions { threads: Threads::ONE, precision: Some(precision), ..LoadOptions::default() };
    Some(SpeechRecognizer::load(&ModelSource::Path(path), &options, &NoProgress, &CancelToken::new()).unwrap())
}

/// With timestamps, words and sampled temperatures: everything that the two files could say differently.
fn settings() -> TranscribeOptions {
    TranscribeOptions {
        timestamps: Timestamps::Word,
        timestamp_tokens: TimestampTokens::Always,
        ..TranscribeOptions::default()
    }
}

/// The vocabulary of the header folder and of `tokenizer.json` name the same tokens; f32 and f16 hold the same values.
#[test]
fn float_files_give_the_same_transcripts_as_safetensors() {
    let Some(original) = tiny_en() else { return };
    for kind in [GgmlType::F32, GgmlType::F16] {
        let recognizer = load(kind, Precision::F32).unwrap();
        assert_eq!(recognizer.model().unwrap().dimensions(), original.model().unwrap().dimensions());
        assert_eq!(recognizer.model().unwrap().alignment_heads(), original.model().unwrap().alignment_heads());
        for name in ["synthetic/003.flac", "synthetic/042.flac"] {
            let transcribe = |recognizer: &SpeechRecognizer| {
                recognizer.transcribe(&clip(name), &settings(), &NoProgress, &CancelToken::new()).unwrap()
            };
            let [mut ours, mut expected] = [transcribe(&recognizer), transcribe(original)].map(|text| text.segments);
            // The folder lists the symbols that are never written, for a ggml file they follow from the vocabulary: one
            // or two differ, and with them the sum that probabilities are shares of.
            for (ours, expected) in ours.iter_mut().zip(&mut expected) {
                assert!((ours.avg_logprob - expected.avg_logprob).abs() < 1e-4, "{name}: {ours:?} {expected:?}");
                ours.avg_logprob = expected.avg_logprob;
                for (ours, expected) in ours.words.iter_mut().zip(&expected.words) {
                    assert!((ours.probability - expected.probability).abs() < 1e-4, "{name}: {ours:?} {expected:?}");
                    ours.probability = expected.probability;
                }
            }
            assert_eq!(ours, expected, "{name}");
        }
    }
}

/// The kinds in use, and the percentage of wrong words that they may make. The quick run takes three: q4_1 and q5_0
/// differ from the others in one field, and the test kit and the loader are held against the gguf package on all.
const KINDS: [(GgmlType, f64, bool); 5] = [
    (GgmlType::Q8_0, 10.0, true),
    (GgmlType::Q5_1, 15.0, true),
    (GgmlType::Q4_0, 30.0, true),
    (GgmlType::Q5_0, 15.0, false),
    (GgmlType::Q4_1, 30.0, false),
];

/// Errors on every `step`th clip, by the default settings.
fn errors(kind: GgmlType, precision: Precision, step: usize) -> ErrorCounts {
    let recognizer = load(kind, precision).unwrap();
    let counts = synthetic().iter().step_by(step).fold(ErrorCounts::default(), |mut sum, spoken| {
        let audio = clip(&spoken.file);
        let options = TranscribeOptions::default();
        let transcript = recognizer.transcribe(&audio, &options, &NoProgress, &CancelToken::new()).unwrap();
        sum += word_errors(&spoken.text, &transcript.text);
        sum
    });
    println!("{kind:?} in {precision:?}: {:.2} % {counts:?}", counts.rate() * 100.0);
    counts
}

/// Restored exactly, then quantized anew: int8 must not be worse than what the file says. 20 clips have 157 words, all
/// 100 have 804.
#[test]
fn quantized_files_transcribe_and_int8_is_as_good_as_the_file() {
    if tiny_en().is_none() {
        return;
    }
    let (step, tolerance) = if long_tests() { (1, 1.0) } else { (5, 4.0) };
    for (kind, limit, quick) in KINDS {
        if quick || long_tests() {
            let [exact, int8] = [Precision::F32, Precision::Int8].map(|precision| errors(kind, precision, step));
            println!("{kind:?}: {exact:?}, in int8 {int8:?}");
            assert!(100.0 * exact.rate().max(int8.rate()) <= limit, "{kind:?}: {exact:?}, in int8 {int8:?}");
            assert!(100.0 * int8.rate() <= 100.0 * exact.rate() + tolerance, "{kind:?}: {exact:?}, in int8 {int8:?}");
        }
    }
}
