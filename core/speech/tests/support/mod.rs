//! What the tests on real weights share.
#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

pub mod formula;
pub mod joined;
pub mod live;
pub mod spliced;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;
use sotto_audio::{Pcm16k, decode_file};
use sotto_runtime::{CancelToken, NoProgress, Threads};
use sotto_speech::{LoadOptions, ModelSource, Precision, SpeechRecognizer, TranscribeOptions, Transcript};
use sotto_testkit::data_dir;
use sotto_text::metrics::{self, ErrorCounts};
use sotto_text::normalize::english;

/// A small network whose weights follow a formula, loaded once per test program: there on every machine.
pub fn small() -> &'static SpeechRecognizer {
    static MODEL: OnceLock<SpeechRecognizer> = OnceLock::new();
    MODEL.get_or_init(|| {
        let folder = formula::FormulaModel::small().write();
        let options = LoadOptions { threads: Threads::ONE, ..LoadOptions::default() };
        SpeechRecognizer::load(&folder.path().into(), &options, &NoProgress, &CancelToken::new()).unwrap()
    })
}

/// A tone of two frequencies.
pub fn tone(samples: usize) -> Vec<f32> {
    (0..samples).map(|i| (i as f32 * 0.05).sin() * 0.3 + (i as f32 * 0.31).sin() * 0.1).collect()
}

/// The real tiny.en in f32, loaded once per test program; `None` (with a message) without the data folder.
pub fn tiny_en() -> Option<&'static SpeechRecognizer> {
    static MODEL: OnceLock<Option<SpeechRecognizer>> = OnceLock::new();
    MODEL.get_or_init(|| load_tiny_en(Precision::F32)).as_ref()
}

/// As [`tiny_en`], in int8.
pub fn tiny_en_int8() -> Option<&'static SpeechRecognizer> {
    static MODEL: OnceLock<Option<SpeechRecognizer>> = OnceLock::new();
    MODEL.get_or_init(|| load_tiny_en(Precision::Int8)).as_ref()
}

fn load_tiny_en(precision: Precision) -> Option<SpeechRecognizer> {
    let source = ModelSource::Path(data_dir()?.join("openai-whisper-tiny.en"));
    // Tests run beside each other: one thread each.
    let options = LoadOptions { threads: Threads::ONE, precision: Some(precision), ..LoadOptions::default() };
    Some(SpeechRecognizer::load(&source, &options, &NoProgress, &CancelToken::new()).unwrap())
}

pub fn speech_dir() -> PathBuf {
    data_dir().unwrap().join("speech")
}

/// A clip by its name in the lists, `synthetic/000.flac`.
pub fn clip(name: &str) -> Pcm16k {
    decode_file(speech_dir().join(name)).unwrap()
}

/// A golden of `tests/goldens`, which must have been made with the weights that are tested.
pub fn golden(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens").join(format!("{name}.json"));
    serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap()
}

pub fn token_ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

pub fn transcribe(audio: &Pcm16k, options: &TranscribeOptions) -> Transcript {
    tiny_en().unwrap().transcribe(audio, options, &NoProgress, &CancelToken::new()).unwrap()
}

/// All tokens of a transcript in order.
pub fn tokens(transcript: &Transcript) -> Vec<u32> {
    transcript.segments.iter().flat_map(|segment| segment.tokens.iter().copied()).collect()
}

/// What of one window's tokens belongs to its segments: what follows the last pair of timestamps is heard again by the
/// next window, which a golden of single windows does not show.
pub fn kept(tokens: &[u32], timestamp_begin: u32) -> &[u32] {
    let timestamp = |index: usize| tokens[index] >= timestamp_begin;
    match (1..tokens.len()).rev().find(|&index| timestamp(index - 1) && timestamp(index)) {
        _ if timestamp(tokens.len() - 1) && !timestamp(tokens.len() - 2) => tokens,
        Some(pair) => &tokens[..pair],
        None => tokens,
    }
}

/// A clip of a list and its text.
#[derive(Debug, Clone)]
pub struct Spoken {
    pub file: String,
    pub text: String,
}

/// The 100 synthetic clips.
pub fn synthetic() -> Vec<Spoken> {
    listed("synthetic.tsv")
        .into_iter()
        .map(|columns| Spoken { file: columns[0].clone(), text: columns[5].clone() })
        .collect()
}

/// The 40 real English clips that fit one window.
pub fn real_english() -> Vec<Spoken> {
    let fits = |columns: &Vec<String>| columns[1] == "en" && columns[2].parse::<f64>().unwrap() <= 30.0;
    let rows = listed("manifest.tsv").into_iter().filter(fits);
    rows.map(|columns| Spoken { file: columns[0].clone(), text: columns[5].clone() }).collect()
}

/// The rows of a list of clips, without its head.
fn listed(name: &str) -> Vec<Vec<String>> {
    let list = std::fs::read_to_string(speech_dir().join(name)).unwrap();
    list.lines().skip(1).map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

/// Word errors after Whisper's English normaliser.
pub fn word_errors(reference: &str, hypothesis: &str) -> ErrorCounts {
    metrics::word_errors(&english(reference), &english(hypothesis))
}
