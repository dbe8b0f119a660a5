//! The small models that ship with Sotto, so that everything works before any model is downloaded.

use sotto_speech::ModelSource;

pub use sotto_starter::{LARGER_SPEECH_MODEL, SPEECH_DESCRIPTION};

/// The starter recognizer: a small Whisper for English. For other languages and fewer errors load a larger Whisper
/// model (docs/MODELS.md).
#[must_use]
pub fn speech() -> ModelSource {
    ModelSource::PackedBytes { name: "starter recognizer", bytes: sotto_starter::speech() }
}

/// A synthetic recording of ordinary sentences, as the bytes of an audio file.
#[must_use]
pub fn demo_clip() -> &'static [u8] {
    sotto_starter::demo_clip()
}
