//! Hugging Face folders as people really have them: old vocabularies, other prefixes, output layers of their own, and
//! files that are of two models.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use serde_json::{Value, json};
use sotto_audio::{AudioError, Pcm16k};
use sotto_runtime::{CancelToken, NoProgress, Threads};
use sotto_speech::{
    ConfigError, Language, LoadError, LoadOptions, ModelSource, Precision, QuantizeOptions, SampleSource, Samples,
    SpeechRecognizer, TimestampTokens, TranscribeOptions, WeightType, quantize,
};
use sotto_testkit::{Tolerance, assert_close, data_dir};
use sotto_text::Tokenizer;
use support::formula::FormulaModel;
use support::tone;
use tempfile::TempDir;

const EMBEDDING: &str = "model.decoder.embed_tokens.weight";

fn load_in(path: &Path, precision: Option<Precision>) -> Result<SpeechRecognizer, LoadError> {
    let options = LoadOptions { precision, threads: Threads::ONE, ..LoadOptions::default() };
    SpeechRecognizer::load(&ModelSource::Path(path.to_owned()), &options, &NoProgress, &CancelToken::new())
}

fn load(path: &Path) -> Result<SpeechRecognizer, LoadError> {
    load_in(path, None)
}

fn edit(folder: &TempDir, file: &str, change: impl FnOnce(&mut Value)) {
    let path = folder.path().join(file);
    let mut value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut value);
    std::fs::write(path, value.to_string()).unwrap();
}

fn pack(folder: &TempDir, weights: WeightType) -> PathBuf {
    let path = folder.path().join(format!("{}.sotto", weights.name()));
    let options = QuantizeOptions { weights: weights.into(), replace: true, ..QuantizeOptions::default() };
    let source = ModelSource::Path(folder.path().to_owned());
    quantize(&source, &path, &options, &NoProgress, &CancelToken::new()).unwrap();
    path
}

type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// Changes names, shapes and values of the weights of a folder.
fn retensor(folder: &TempDir, change: impl FnOnce(&mut Tensors)) {
    let path = folder.path().join("model.safetensors");
    let image = std::fs::read(&path).unwrap();
    let mut tensors: Tensors = SafeTensors::deserialize(&image)
        .unwrap()
        .tensors()
        .into_iter()
        .map(|(name, view)| {
            let floats = view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            (name, (view.shape().to_vec(), floats))
        })
        .collect();
    change(&mut tensors);
    let bytes: Vec<Vec<u8>> =
        tensors.values().map(|(_, values)| values.iter().flat_map(|value| value.to_le_bytes()).collect()).collect();
    let views = tensors
        .iter()
        .zip(&bytes)
        .map(|((name, (shape, _)), bytes)| (name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    serialize_to_file(views, None, &path).unwrap();
}

/// Logits after a few tokens.
fn logits(recognizer: &SpeechRecognizer) -> Vec<f32> {
    let (model, cancel) = (recognizer.model().unwrap(), CancelToken::new());
    let features: Vec<f32> = (0..100 * model.dimensions().mels).map(|i| (i as f32 * 0.37).sin()).collect();
    let states = model.encode(&features, Threads::ONE, &cancel).unwrap();
    model.logits(&states, &[300, 301, 17, 40, 5], Threads::ONE, &cancel).unwrap()
}

fn text(recognizer: &SpeechRecognizer) -> Vec<u32> {
    let options = TranscribeOptions { timestamp_tokens: TimestampTokens::Always, ..TranscribeOptions::greedy() };
    let audio = Pcm16k::new(tone(40_000)).unwrap();
    support::tokens(&recognizer.transcribe(&audio, &options, &NoProgress, &CancelToken::new()).unwrap())
}

/// Leaves the timestamps out, as early revisions do.
fn without_timestamps(tokenizer: &mut Value) {
    let is_timestamp = |token: &Value| token["content"].as_str().unwrap().as_bytes()[2].is_ascii_digit();
    tokenizer["added_tokens"].as_array_mut().unwrap().retain(|token| !is_timestamp(token));
}

#[test]
fn timestamps_that_a_tokenizer_leaves_out_are_there() {
    let whole = FormulaModel::small().write();
    let expected = load(whole.path()).unwrap();
    let early = FormulaModel::small().write();
    edit(&early, "tokenizer.json", without_timestamps);
    for path in [early.path().to_owned(), pack(&early, WeightType::Int8)] {
        let found = load(&path).unwrap();
        let (found, expected) = (found.model().unwrap(), expected.model().unwrap());
        let (found, expected) = (found.tokenizer(), expected.tokenizer());
        assert_eq!(found.special(), expected.special());
        assert_eq!((found.vocab_size(), found.is_multilingual()), (expected.vocab_size(), true));
        let all: Vec<u32> = (0..expected.vocab_size() as u32).collect();
        assert_eq!(found.decode_with_controls(&all), expected.decode_with_controls(&all));
    }
    let begin = expected.model().unwrap().tokenizer().special().timestamp_begin.unwrap();
    let tokens = text(&load(early.path()).unwrap());
    assert_eq!(tokens, text(&expected));
    assert!(tokens.iter().any(|&token| token >= begin), "{tokens:?}");
}

#[test]
fn a_network_with_rows_to_spare_or_none_for_timestamps_keeps_its_vocabulary() {
    let listed = load(FormulaModel::small().write().path()).unwrap().model().unwrap().tokenizer().vocab_size();
    for (rows, begins) in [(listed + 7, true), (listed - 1, false), (listed - 101, false)] {
        let folder = FormulaModel::small().write();
        edit(&folder, "tokenizer.json", without_timestamps);
        edit(&folder, "config.json", |config| config["vocab_size"] = json!(rows));
        retensor(&folder, |tensors| {
            let (shape, values) = tensors.get_mut(EMBEDDING).unwrap();
            let width = shape[1];
            shape[0] = rows;
            values.resize(rows * width, -1.0);
        });
        let recognizer = load(folder.path()).unwrap();
        let special = *recognizer.model().unwrap().tokenizer().special();
        assert_eq!(special.timestamp_begin.is_some(), begins, "{rows} rows");
        if begins {
            assert_eq!(special.timestamp_begin, special.no_timestamps.map(|token| token + 1));
        }
        // A model without timestamp tokens transcribes without timestamps.
        text(&recognizer);
    }
}

#[test]
fn whether_languages_stand_in_the_prompt_is_what_the_settings_say() {
    for (said, expected) in [(json!(null), true), (json!(true), true), (json!(false), false)] {
        let folder = FormulaModel::small().write();
        edit(&folder, "generation_config.json", |generation| generation["is_multilingual"] = said.clone());
        for path in [folder.path().to_owned(), pack(&folder, WeightType::Int8)] {
            let recognizer = load(&path).unwrap();
            assert_eq!(recognizer.model().unwrap().tokenizer().is_multilingual(), expected, "{said}");
            let german = TranscribeOptions { language: Language::Fixed("de".into()), ..TranscribeOptions::greedy() };
            let audio = Pcm16k::new(tone(16_000)).unwrap();
            let result = recognizer.transcribe(&audio, &german, &NoProgress, &CancelToken::new());
            assert_eq!(result.is_ok(), expected, "{said}");
        }
    }
}

#[test]
fn settings_that_contradict_the_vocabulary_are_refused_with_the_field() {
    let sound = load(FormulaModel::small().write().path()).unwrap();
    let special = *sound.model().unwrap().tokenizer().special();
    let german = sound.model().unwrap().tokenizer().language_token("de").unwrap();
    for (file, field, right, wrong) in [
        ("config.json", "decoder_start_token_id", json!(special.sot), json!(special.sot + 1)),
        ("config.json", "eos_token_id", json!(special.eot), json!(special.eot + 1)),
        ("generation_config.json", "decoder_start_token_id", json!(special.sot), json!(special.eot)),
        ("generation_config.json", "eos_token_id", json!([5, special.eot]), json!([5, 6])),
        ("generation_config.json", "no_timestamps_token_id", json!(special.no_timestamps), json!(special.sot_prev)),
        ("generation_config.json", "prev_sot_token_id", json!(special.sot_prev), json!(special.no_timestamps)),
        ("generation_config.json", "task_to_id", json!({ "translate": special.translate }), json!({ "transcribe": 7 })),
        (
            "generation_config.json",
            "lang_to_id",
            json!({ "<|de|>": german, "<|xx|>": 3 }),
            json!({ "<|de|>": german + 1 }),
        ),
    ] {
        let folder = FormulaModel::small().write();
        edit(&folder, file, |settings| settings[field] = right);
        load(folder.path()).unwrap();
        edit(&folder, file, |settings| settings[field] = wrong.clone());
        let error = load(folder.path()).unwrap_err();
        let Some(ConfigError::ControlToken { field: found, .. }) = error.config_problem() else {
            panic!("{field}: {error}");
        };
        assert_eq!(*found, field, "{error}");
        assert!(error.to_string().contains(file) && error.to_string().contains(field), "{error}");
        // Values that cannot be token ids of this network are ignored.
        for nothing in [json!(null), json!("many"), json!(-1), json!(1 << 20), json!(1u64 << 40), json!([]), json!({})]
        {
            edit(&folder, file, |settings| settings[field] = nothing);
            load(folder.path()).unwrap();
        }
    }
}

#[test]
fn a_multilingual_model_needs_languages_in_its_vocabulary() {
    let folder = FormulaModel::small().write();
    edit(&folder, "generation_config.json", |generation| generation["is_multilingual"] = json!(true));
    edit(&folder, "tokenizer.json", |tokenizer| {
        for token in tokenizer["added_tokens"].as_array_mut().unwrap() {
            if ["<|en|>", "<|de|>"].contains(&token["content"].as_str().unwrap()) {
                token["content"] = json!(format!("<|x{}|>", token["id"]));
            }
        }
    });
    let error = load(folder.path()).unwrap_err();
    assert!(matches!(error.config_problem(), Some(ConfigError::NoLanguages)), "{error}");
    edit(&folder, "generation_config.json", |generation| generation["is_multilingual"] = json!(false));
    assert!(!load(folder.path()).unwrap().model().unwrap().tokenizer().is_multilingual());
}

#[test]
fn the_vocabulary_of_another_model_of_openai_is_refused() {
    for early in [false, true] {
        let folder = FormulaModel::of_golden("large_v3").write();
        for file in ["config.json", "generation_config.json"] {
            edit(&folder, file, |settings| {
                for field in ["decoder_start_token_id", "eos_token_id", "no_timestamps_token_id", "prev_sot_token_id"] {
                    settings.as_object_mut().unwrap().remove(field);
                }
                for field in ["lang_to_id", "task_to_id"] {
                    settings.as_object_mut().unwrap().remove(field);
                }
            });
        }
        let mut tokenizer = FormulaModel::of_golden("multilingual").vocabulary.json();
        if early {
            without_timestamps(&mut tokenizer);
        }
        std::fs::write(folder.path().join("tokenizer.json"), tokenizer.to_string()).unwrap();
        let error = load(folder.path()).unwrap_err();
        let problem = error.config_problem();
        let expected = matches!(problem, Some(ConfigError::OtherVocabulary { listed: 51_865, vocabulary: 51_866 }));
        assert!(expected, "{error}");
    }
}

#[test]
fn weights_are_found_behind_any_prefix() {
    let expected = logits(&load(FormulaModel::small().write().path()).unwrap());
    for prefix in ["", "model.", "_orig_mod.model.", "module."] {
        let folder = FormulaModel::small().write();
        retensor(&folder, |tensors| {
            let renamed = |name: &str| format!("{prefix}{}", name.strip_prefix("model.").unwrap());
            *tensors = std::mem::take(tensors).into_iter().map(|(name, tensor)| (renamed(&name), tensor)).collect();
        });
        assert!(logits(&load(folder.path()).unwrap()) == expected, "`{prefix}`");
        retensor(&folder, |tensors| {
            tensors.remove(&format!("{prefix}decoder.layer_norm.bias")).unwrap();
        });
        let error = load(folder.path()).unwrap_err();
        assert!(error.to_string().contains(&format!("`{prefix}decoder.layer_norm.bias`")), "{error}");
    }
}

/// How a folder stores its output layer.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Output {
    Absent,
    /// A copy of the token embedding.
    Same,
    /// The token embedding with its rows in reverse, so that logits come in reverse.
    Reversed,
}

fn with_output(output: Output, tied: Option<bool>, prefix: &str) -> TempDir {
    let folder = FormulaModel::small().write();
    edit(&folder, "config.json", |config| config["tie_word_embeddings"] = json!(tied));
    retensor(&folder, |tensors| {
        let (shape, values) = tensors[EMBEDDING].clone();
        let rows = values.chunks(shape[1]);
        let values = match output {
            Output::Absent => return,
            Output::Same => values,
            Output::Reversed => rows.rev().flatten().copied().collect(),
        };
        tensors.insert(format!("{prefix}proj_out.weight"), (shape, values));
    });
    folder
}

#[test]
fn an_output_layer_of_its_own_is_used_in_every_form() {
    type Form = fn(&TempDir) -> SpeechRecognizer;
    let forms: [(&str, Form); 5] = [
        ("f32", |folder| load_in(folder.path(), Some(Precision::F32)).unwrap()),
        ("int8", |folder| load_in(folder.path(), Some(Precision::Int8)).unwrap()),
        ("mixed", |folder| load_in(folder.path(), Some(Precision::Mixed)).unwrap()),
        ("packed", |folder| load(&pack(folder, WeightType::Int8)).unwrap()),
        ("packed int4", |folder| load(&pack(folder, WeightType::Int4)).unwrap()),
    ];
    for (form, load) in forms {
        check_outputs(form, load);
    }
}

#[cfg(feature = "candle")]
#[test]
fn an_output_layer_of_its_own_is_used_on_a_device() {
    use sotto_speech::ComputeDevice;
    check_outputs("device", |folder| {
        let options = LoadOptions { device: ComputeDevice::CandleCpu, threads: Threads::ONE, ..LoadOptions::default() };
        let source = ModelSource::Path(folder.path().to_owned());
        SpeechRecognizer::load(&source, &options, &NoProgress, &CancelToken::new()).unwrap()
    });
}

fn check_outputs(form: &str, load: fn(&TempDir) -> SpeechRecognizer) {
    // Sums in another order.
    const CLOSE: Tolerance = Tolerance { abs: 1e-4, rel: 1e-4 };
    let vocabulary = |recognizer: &SpeechRecognizer| recognizer.model().unwrap().dimensions().vocabulary;
    let tied = load(&with_output(Output::Absent, None, ""));
    let expected = logits(&tied);
    let reversed: Vec<f32> = expected.chunks(vocabulary(&tied)).flat_map(|row| row.iter().rev()).copied().collect();
    for (output, flag) in [
        (Output::Absent, Some(true)),
        (Output::Same, None),
        (Output::Same, Some(true)),
        (Output::Same, Some(false)),
        (Output::Reversed, None),
        (Output::Reversed, Some(true)),
        (Output::Reversed, Some(false)),
    ] {
        println!("{form} {output:?} {flag:?}");
        let recognizer = load(&with_output(output, flag, ""));
        let is_tied = output != Output::Reversed && flag != Some(false);
        assert_eq!(recognizer.model().unwrap().dimensions().tied_output, is_tied);
        assert_close(&logits(&recognizer), if output == Output::Reversed { &reversed } else { &expected }, CLOSE);
        assert_eq!(recognizer.model().unwrap().bytes_per_token(), tied.model().unwrap().bytes_per_token());
    }
}

#[test]
fn an_output_layer_that_is_promised_must_be_there_and_fit() {
    let missing = load(with_output(Output::Absent, Some(false), "").path()).unwrap_err();
    assert!(missing.to_string().contains("no tensor `proj_out.weight`"), "{missing}");
    // Its place is beside `model`, not inside.
    let inside = load(with_output(Output::Same, Some(false), "model.").path()).unwrap_err();
    assert!(inside.to_string().contains("no tensor `proj_out.weight`"), "{inside}");
    let folder = with_output(Output::Same, None, "");
    retensor(&folder, |tensors| {
        let (shape, values) = tensors.get_mut("proj_out.weight").unwrap();
        shape[0] -= 1;
        values.truncate(shape[0] * shape[1]);
    });
    let other = load(folder.path()).unwrap_err();
    assert!(other.to_string().contains("`proj_out.weight`") && other.to_string().contains("shape"), "{other}");
}

#[test]
fn the_early_tokenizer_of_tiny_en_is_english_with_timestamps() {
    let Some(data) = data_dir() else { return };
    let original = data.join("openai-whisper-tiny.en");
    if !original.join("tokenizer.early.json").is_file() {
        eprintln!("skipped: no tokenizer.early.json");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for name in ["config.json", "model.safetensors"] {
        std::os::unix::fs::symlink(original.join(name), folder.path().join(name)).unwrap();
    }
    // With the settings, and as early revisions were, without.
    for settings in [true, false] {
        let generation = folder.path().join("generation_config.json");
        if settings {
            std::fs::copy(original.join("generation_config.json"), &generation).unwrap();
        } else {
            std::fs::remove_file(&generation).unwrap();
        }
        let tokenizer = |name: &str| {
            std::fs::copy(original.join(name), folder.path().join("tokenizer.json")).unwrap();
            let recognizer = load_in(folder.path(), Some(Precision::Int8)).unwrap();
            recognizer.model().unwrap().tokenizer().clone()
        };
        let (early, late) = (tokenizer("tokenizer.early.json"), tokenizer("tokenizer.json"));
        assert_eq!((early.special(), early.vocab_size()), (late.special(), late.vocab_size()));
        assert!(!early.is_multilingual() && !late.is_multilingual());
        for token in 0..late.vocab_size() as u32 {
            assert_eq!(early.token_bytes(token), late.token_bytes(token));
            assert_eq!(early.is_text(token), late.is_text(token));
        }
    }
}

/// Counts the blocks that are read of audio without an end.
struct Endless(usize);

impl SampleSource for Endless {
    fn next_block(&mut self, out: &mut Vec<f32>) -> Result<bool, AudioError> {
        self.0 += 1;
        out.extend(std::iter::repeat_n(0.1, if self.0 == 1 { 0 } else { 160 }));
        Ok(true)
    }

    fn seconds(&self) -> Option<f64> {
        None
    }
}

#[test]
fn a_model_that_knows_english_only_listens_to_nothing_before_it_says_so() {
    let folder = FormulaModel::small().write();
    edit(&folder, "generation_config.json", |generation| generation["is_multilingual"] = json!(false));
    let recognizer = load(folder.path()).unwrap();
    let mut source = Endless(0);
    let detected = recognizer.detect_language(&mut source, &CancelToken::new()).unwrap();
    assert_eq!((detected.code, detected.probability, source.0), ("en", 1.0, 2));
    let nothing = Pcm16k::new(Vec::new()).unwrap();
    let error = recognizer.detect_language(&mut Samples::from(&nothing), &CancelToken::new()).unwrap_err();
    assert!(matches!(error, sotto_speech::SpeechError::EmptyAudio), "{error}");
    let cancelled = CancelToken::new();
    cancelled.cancel();
    assert!(recognizer.detect_language(&mut source, &cancelled).is_err());
}
