//! Bad models: a typed error that names the file and the cause, within 100 ms and 50 MB.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

mod support;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde_json::json;
use sotto_runtime::{Bytes, CancelToken, MemoryBudget, NoProgress, Progress, ProgressSink, Stage};
use sotto_speech::{LoadError, LoadOptions, ModelSource, Precision, SpeechRecognizer};
use sotto_testkit::data_dir;
use sotto_testkit::heap::assert_soon;
use sotto_text::Tokenizer;
use support::formula::FormulaModel;
use tempfile::TempDir;

fn load(path: &Path) -> Result<SpeechRecognizer, LoadError> {
    let source = ModelSource::Path(path.to_owned());
    SpeechRecognizer::load(&source, &LoadOptions::default(), &NoProgress, &CancelToken::new())
}

/// The error of loading `path`, whose message must name `file` and say `cause`.
#[track_caller]
fn refused(path: &Path, file: &str, cause: &str) -> LoadError {
    let error = assert_soon(|| load(path).map(|_| ())).unwrap_err();
    let message = error.to_string();
    assert!(message.contains(file) && message.contains(cause), "`{file}` and `{cause}` expected in: {message}");
    assert!(message.len() < 1000, "{message}");
    error
}

/// A valid small model with one file changed.
struct Damaged {
    folder: TempDir,
}

impl Damaged {
    fn new() -> Self {
        Self { folder: FormulaModel::small().write() }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    fn without(self, name: &str) -> Self {
        std::fs::remove_file(self.file(name)).unwrap();
        self
    }

    fn with(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        std::fs::write(self.file(name), content).unwrap();
        self
    }

    fn cut(self, name: &str, keep: impl Fn(usize) -> usize) -> Self {
        let content = std::fs::read(self.file(name)).unwrap();
        let kept = content[..keep(content.len())].to_vec();
        self.with(name, kept)
    }

    fn config(self, field: &str, value: serde_json::Value) -> Self {
        let mut config = FormulaModel::small().config;
        config[field] = value;
        self.with("config.json", config.to_string())
    }

    fn generation(self, value: serde_json::Value) -> Self {
        self.with("generation_config.json", value.to_string())
    }

    fn tensors(self, change: impl Fn(&str, &mut Vec<f32>)) -> Self {
        FormulaModel::small().write_tensors(&self.file("model.safetensors"), change);
        self
    }
}

#[test]
fn a_sound_model_loads_with_and_without_generation_config() {
    load(Damaged::new().path()).unwrap();
    load(Damaged::new().without("generation_config.json").path()).unwrap();
}

#[test]
fn a_vocabulary_with_merges_stands_in_for_a_tokenizer_file() {
    let json = FormulaModel::small().vocabulary.json();
    let added = json["added_tokens"].as_array().unwrap().iter();
    let added = added.map(|token| (token["content"].as_str().unwrap().to_owned(), token["id"].clone()));
    let added = serde_json::Value::Object(added.collect()).to_string();
    let whole = load(Damaged::new().path()).unwrap();
    let parts = Damaged::new()
        .without("tokenizer.json")
        .with("vocab.json", json["model"]["vocab"].to_string())
        .with("merges.txt", "#version: 0.2\n")
        .with("added_tokens.json", &added);
    let loaded = load(parts.path()).unwrap();
    let (whole, loaded) = (whole.model().unwrap(), loaded.model().unwrap());
    let (expected, found) = (whole.tokenizer(), loaded.tokenizer());
    assert_eq!(found.special(), expected.special());
    let all: Vec<u32> = (0..expected.vocab_size() as u32).collect();
    assert_eq!(found.decode(&all), expected.decode(&all));
    refused(parts.with("merges.txt", "a b c").path(), "merges.txt", "line 1");
}

#[test]
fn missing_files_are_named() {
    refused(Path::new("/no/such/model"), "/no/such/model", "nothing");
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(refused(empty.path(), "", "config.json"), LoadError::NotAModel { .. }));
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        let model = Damaged::new().without(name);
        assert!(matches!(refused(model.path(), name, "the folder has n"), LoadError::NotAModel { .. }), "{name}");
    }
}

#[test]
fn empty_files_are_refused() {
    for name in ["config.json", "generation_config.json", "tokenizer.json", "model.safetensors"] {
        refused(Damaged::new().with(name, "").path(), name, "");
    }
}

#[test]
fn files_that_were_cut_off_are_refused_wherever_that_was() {
    for name in ["config.json", "generation_config.json", "tokenizer.json"] {
        for part in [1, 2, 3] {
            refused(Damaged::new().cut(name, |length| length * part / 4).path(), name, "");
        }
    }
    for keep in [7, 8, 9, 100, 20_000] {
        refused(Damaged::new().cut("model.safetensors", |_| keep).path(), "model.safetensors", "");
    }
    refused(Damaged::new().cut("model.safetensors", |length| length - 1).path(), "model.safetensors", "");
}

#[test]
fn text_in_place_of_a_file_is_refused() {
    let text = "<!DOCTYPE html><html><title>Sign in</title></html>".repeat(30);
    for name in ["config.json", "generation_config.json", "tokenizer.json", "model.safetensors"] {
        refused(Damaged::new().with(name, &text).path(), name, "");
    }
    refused(Damaged::new().with("tokenizer.json", [0xFF, 0xFE, b'{']).path(), "tokenizer.json", "");
    let model = Damaged::new().with("ggml-tiny.bin", &text);
    refused(&model.file("ggml-tiny.bin"), "ggml-tiny.bin", "ggml");
}

#[test]
fn models_of_another_family_are_refused_by_name() {
    refused(Damaged::new().config("model_type", json!("wav2vec2")).path(), "", "wav2vec2");
    let bert = json!({ "model_type": "bert", "vocab_size": 30522 }).to_string();
    refused(Damaged::new().with("config.json", bert).path(), "config.json", "");
    let sentence_piece = json!({ "model": { "type": "Unigram", "vocab": {}, "merges": [] } }).to_string();
    refused(Damaged::new().with("tokenizer.json", sentence_piece).path(), "tokenizer.json", "Unigram");
}

#[test]
fn sizes_that_no_network_has_are_refused_with_the_field() {
    for (field, values) in [
        ("d_model", vec![json!(0), json!(1u64 << 40), json!(4097)]),
        ("encoder_layers", vec![json!(0), json!(100_000)]),
        ("decoder_attention_heads", vec![json!(0), json!(3), json!(1 << 20)]),
        ("max_target_positions", vec![json!(0), json!(1), json!(15), json!(1u64 << 33)]),
        ("max_source_positions", vec![json!(0), json!(1u64 << 50)]),
        ("encoder_ffn_dim", vec![json!(0), json!(1u64 << 50)]),
        ("vocab_size", vec![json!(0), json!(1u64 << 30)]),
        ("num_mel_bins", vec![json!(0), json!(40), json!(512)]),
    ] {
        for value in values {
            refused(Damaged::new().config(field, value).path(), "", field);
        }
    }
    for value in [json!(-1), json!(1e30), json!("many"), json!(null)] {
        refused(Damaged::new().config("d_model", value).path(), "config.json", "");
    }
}

#[test]
fn sizes_of_another_model_are_refused_with_the_tensor() {
    for (field, value, cause) in [
        ("d_model", json!(32), "conv1"),
        ("d_model", json!(4096), "conv1"),
        ("num_mel_bins", json!(128), "conv1"),
        ("encoder_layers", json!(3), "layers.2"),
        ("encoder_layers", json!(128), "layers.2"),
        ("decoder_ffn_dim", json!(32_768), "fc1"),
        ("max_source_positions", json!(1500), "embed_positions"),
        ("max_target_positions", json!(16_384), "embed_positions"),
        ("vocab_size", json!(1 << 20), "embed_tokens"),
    ] {
        let error = refused(Damaged::new().config(field, value).path(), "model.safetensors", cause);
        assert!(matches!(error, LoadError::Weights(_)), "{error}");
    }
    refused(Damaged::new().config("vocab_size", json!(100)).path(), "model.safetensors", "embed_tokens");
}

#[test]
fn tensors_that_are_missing_misshapen_or_not_finite_are_named() {
    let mut model = FormulaModel::small();
    model.tensors.retain(|tensor| !tensor.name.ends_with("decoder.layers.1.fc2.bias"));
    refused(model.write().path(), "model.safetensors", "decoder.layers.1.fc2.bias");
    let mut model = FormulaModel::small();
    let weight = model.tensors.iter_mut().find(|tensor| tensor.name == "model.encoder.layers.0.fc1.weight").unwrap();
    weight.shape.reverse();
    refused(model.write().path(), "model.safetensors", "encoder.layers.0.fc1.weight");
    for value in [f32::NAN, f32::INFINITY] {
        let model = Damaged::new().tensors(|name, values| {
            if name == "model.decoder.layer_norm.weight" {
                values[3] = value;
            }
        });
        refused(model.path(), "model.safetensors", "decoder.layer_norm.weight");
    }
}

/// The last tensor that is loaded decides, and nothing was converted before it was missed.
#[test]
fn a_real_model_without_its_last_tensor_is_refused_before_any_is_converted() {
    let Some(data) = data_dir() else { return };
    let original = data.join("openai-whisper-tiny.en");
    let folder = tempfile::tempdir().unwrap();
    for name in ["config.json", "tokenizer.json"] {
        std::fs::copy(original.join(name), folder.path().join(name)).unwrap();
    }
    let image = std::fs::read(original.join("model.safetensors")).unwrap();
    let (_, metadata) = SafeTensors::read_metadata(&image).unwrap();
    let mut tensors: Vec<_> = metadata.tensors().into_iter().collect();
    tensors.sort_by_key(|(_, info)| info.data_offsets);
    tensors.retain(|(name, _)| name != "model.decoder.layer_norm.bias");
    let mut offset = 0;
    let entries = tensors.iter().map(|(name, info)| {
        let (begin, end) = (offset, offset + info.data_offsets.1 - info.data_offsets.0);
        offset = end;
        (name.clone(), json!({ "dtype": info.dtype, "shape": info.shape, "data_offsets": [begin, end] }))
    });
    let header = serde_json::Value::Object(entries.collect()).to_string();
    drop(image);
    let path = folder.path().join("model.safetensors");
    std::fs::write(&path, [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat()).unwrap();
    // A sparse file: the hole takes no room on the disk.
    std::fs::File::options().write(true).open(&path).unwrap().set_len((8 + header.len() + offset) as u64).unwrap();
    refused(folder.path(), "model.safetensors", "no tensor `model.decoder.layer_norm.bias`");
}

#[test]
fn alignment_heads_and_tokens_beyond_the_network_do_not_crash() {
    let heads = Damaged::new().generation(json!({ "alignment_heads": [[0, 0], [7, 1]] }));
    refused(heads.path(), "", "layer 7");
    let tokens = [-1i64, 5, 1 << 40, i64::MAX];
    let tokens = Damaged::new().generation(json!({ "suppress_tokens": tokens, "begin_suppress_tokens": tokens }));
    load(tokens.path()).unwrap();
    refused(Damaged::new().generation(json!({ "suppress_tokens": "all" })).path(), "generation_config.json", "");
    refused(Damaged::new().generation(json!("none")).path(), "generation_config.json", "");
}

#[test]
fn a_vocabulary_without_the_control_tokens_is_refused() {
    let mut tokenizer = FormulaModel::small().vocabulary.json();
    let added = tokenizer["added_tokens"].as_array_mut().unwrap();
    added.retain(|token| token["content"] != "<|startoftranscript|>");
    let model = Damaged::new().with("tokenizer.json", tokenizer.to_string());
    assert!(matches!(refused(model.path(), "tokenizer.json", "<|startoftranscript|>"), LoadError::Vocabulary(_)));
}

#[test]
fn a_budget_refuses_before_a_weight_is_read() {
    // Broken weights that would be found if they were read.
    let model = Damaged::new().tensors(|_, values| values.fill(f32::NAN));
    let source = ModelSource::Path(model.path().to_owned());
    let needed = SpeechRecognizer::estimate(&source, &LoadOptions::default()).unwrap().peak();
    let budget = MemoryBudget::limited(Bytes(needed.0 - 1));
    let options = LoadOptions { budget: budget.clone(), ..LoadOptions::default() };
    let error = SpeechRecognizer::load(&source, &options, &NoProgress, &CancelToken::new()).unwrap_err();
    assert!(matches!(error, LoadError::OutOfBudget { .. }), "{error}");
    assert_eq!(budget.used(), Bytes(0));
}

#[test]
fn a_model_holds_its_reservation_as_long_as_it_lives() {
    let model = Damaged::new();
    let source = ModelSource::Path(model.path().to_owned());
    let budget = MemoryBudget::limited(SpeechRecognizer::estimate(&source, &LoadOptions::default()).unwrap().peak());
    let options = LoadOptions { budget: budget.clone(), ..LoadOptions::default() };
    let load = || SpeechRecognizer::load(&source, &options, &NoProgress, &CancelToken::new());
    let first = load().unwrap();
    let clone = first.clone();
    drop(first);
    assert!(matches!(load(), Err(LoadError::OutOfBudget { .. })));
    drop(clone);
    assert_eq!(budget.used(), Bytes(0));
    load().unwrap();
}

fn elements(tensor: &TensorView<'_>) -> u64 {
    tensor.shape().iter().product::<usize>() as u64
}

/// Counted in tensors, not in time: after the token is set, not one more is read.
#[test]
fn a_load_that_is_cancelled_ends_before_the_next_tensor() {
    struct CancelAt {
        weights: u64,
        cancel: CancelToken,
        reports: AtomicU64,
        last: AtomicU64,
    }
    impl ProgressSink for CancelAt {
        fn report(&self, progress: &Progress<'_>) {
            assert!(matches!(progress.stage, Stage::Load));
            self.reports.fetch_add(1, Ordering::Relaxed);
            assert!(progress.total.is_some_and(|total| progress.done <= total), "{progress:?}");
            self.last.store(progress.done, Ordering::Relaxed);
            if progress.done >= self.weights {
                self.cancel.cancel();
            }
        }
    }
    let model = Damaged::new();
    let image = std::fs::read(model.file("model.safetensors")).unwrap();
    let weights: u64 =
        SafeTensors::deserialize(&image).unwrap().tensors().iter().map(|(_, tensor)| elements(tensor)).sum();
    let source = ModelSource::Path(model.path().to_owned());
    for precision in [Precision::F32, Precision::Int8] {
        let options = LoadOptions { precision: Some(precision), ..LoadOptions::default() };
        let load = |weights| {
            let cancel = CancelToken::new();
            let sink =
                CancelAt { weights, cancel: cancel.clone(), reports: AtomicU64::new(0), last: AtomicU64::new(0) };
            let result = SpeechRecognizer::load(&source, &options, &sink, &cancel);
            (result.map(|_| ()), sink.reports.into_inner(), sink.last.into_inner())
        };
        let (whole, reports, total) = load(u64::MAX);
        whole.unwrap();
        assert_eq!(total, weights, "{precision:?}");
        for tenth in 1..10 {
            let (result, some, last) = load(total * tenth / 10);
            assert!(matches!(result, Err(LoadError::Cancelled(_))), "{precision:?}");
            assert!(some < reports && last < total, "{precision:?}: {some} of {reports} reports, {last} of {total}");
        }
    }
}

#[test]
fn a_cancelled_load_returns_nothing() {
    let model = Damaged::new();
    let cancel = CancelToken::new();
    cancel.cancel();
    let source = ModelSource::Path(model.path().to_owned());
    let result = SpeechRecognizer::load(&source, &LoadOptions::default(), &NoProgress, &cancel);
    assert!(matches!(result, Err(LoadError::Cancelled(_))));
}

#[test]
fn ggml_headers_without_tensors_are_refused() {
    let Some(data) = data_dir() else { return };
    for name in ["for-tests-ggml-base.en.bin", "for-tests-ggml-tiny.bin", "for-tests-ggml-tiny.en.bin"] {
        let path = data.join("whisper-ggml-headers").join(name);
        assert!(matches!(refused(&path, name, "encoder"), LoadError::Weights(_)));
        let header = std::fs::read(&path).unwrap();
        let model = Damaged::new();
        for keep in [0, 3, 4, 20, 47, 48, 1000, header.len() / 2] {
            let cut = model.file(name);
            std::fs::write(&cut, &header[..keep]).unwrap();
            refused(&cut, name, "");
        }
        // Sizes of every field beyond all bounds.
        for field in 1..12 {
            let mut hostile = header.clone();
            hostile[4 * field..4 * field + 4].copy_from_slice(&0x7FFF_FFFFi32.to_le_bytes());
            let path = model.file(name);
            std::fs::write(&path, hostile).unwrap();
            refused(&path, name, "");
        }
    }
}
