//! What the tests on real weights share.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;
use sotto_audio::{Pcm16k, decode_file};
use sotto_runtime::{CancelToken, NoProgress, Threads};
use sotto_speech::{LoadOptions, ModelSource, SpeechRecognizer, TranscribeOptions, Transcript};
use sotto_testkit::data_dir;

/// The real tiny.en, loaded once per test program; `None` (with a message) without the data folder.
pub fn tiny_en() -> Option<&'static SpeechRecognizer> {
    static MODEL: OnceLock<Option<SpeechRecognizer>> = OnceLock::new();
    MODEL
        .get_or_init(|| {
            let source = ModelSource::Path(data_dir()?.join("whisper-tiny.en"));
            // Tests run beside each other: one thread each.
            let options = LoadOptions { threads: Threads::ONE, ..LoadOptions::default() };
            Some(SpeechRecognizer::load(&source, &options, &NoProgress, &CancelToken::new()).unwrap())
        })
        .as_ref()
}

pub fn speech_dir() -> PathBuf {
    data_dir().unwrap().join("speech")
}

/// A clip by its name in the lists, `synthetic/000.flac`.
pub fn clip(name: &str) -> Pcm16k {
    decode_file(&speech_dir().join(name)).unwrap()
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
