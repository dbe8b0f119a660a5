//! The small models that ship with Sotto: everything works offline before any model is fetched.

use sotto_speech::{ModelBytes, ModelSource};

pub use sotto_starter::{LARGER_SPEECH_MODEL, SPEECH_DESCRIPTION};

/// The starter recognizer: spoken digits and command words in English, and nothing else. For everything else load a
/// full Whisper model (docs/MODELS.md).
#[must_use]
pub fn speech() -> ModelSource {
    let starter = sotto_starter::speech();
    ModelSource::Bytes(ModelBytes {
        name: "starter recognizer",
        config: starter.config_json,
        generation_config: starter.generation_config_json,
        tokenizer: starter.tokenizer_json,
        weights: starter.model_safetensors,
    })
}

/// A synthetic recording that the starter recognizer understands, as the bytes of an audio file.
#[must_use]
pub fn demo_clip() -> &'static [u8] {
    sotto_starter::demo_clip()
}
