//! A small real recognizer (`sotto_testkit::commands`) and its clip, for tests that run on every machine.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::sync::OnceLock;

use sotto_audio::{AudioFile, Pcm16k};
use sotto_runtime::{CancelToken, NoProgress, Threads};
use sotto_speech::{LoadOptions, ModelBytes, ModelSource, SpeechRecognizer};

/// The recognizer, loaded once per test program: small, and there on every machine.
pub fn starter() -> &'static SpeechRecognizer {
    static MODEL: OnceLock<SpeechRecognizer> = OnceLock::new();
    MODEL.get_or_init(|| {
        let options = LoadOptions { threads: Threads::ONE, ..LoadOptions::default() };
        SpeechRecognizer::load(&starter_source(), &options, &NoProgress, &CancelToken::new()).unwrap()
    })
}

/// The files of the recognizer.
pub fn starter_source() -> ModelSource {
    let starter = sotto_testkit::commands::model();
    ModelSource::Bytes(ModelBytes {
        name: "starter",
        config: starter.config_json,
        generation_config: starter.generation_config_json,
        tokenizer: starter.tokenizer_json,
        weights: starter.model_safetensors,
    })
}

/// Its clip.
pub fn demo_audio() -> Pcm16k {
    let bytes = std::io::Cursor::new(sotto_testkit::commands::clip());
    let mut file = AudioFile::from_reader(bytes, "demo").unwrap();
    let mut samples = Vec::new();
    while file.next_block(&mut samples).unwrap() {}
    Pcm16k::new(samples).unwrap()
}
