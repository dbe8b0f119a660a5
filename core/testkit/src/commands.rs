//! A very small real recognizer, for tests that must run everywhere and fast: ten digits and sixty commands in English.
//!
//! Four megabytes, a window of 10 s, trained by `scripts/train/commands` (card:
//! `core/testkit/models/commands/README.md`).

/// The files of the recognizer, in Hugging Face's form for Whisper.
#[derive(Debug, Clone, Copy)]
pub struct CommandModel {
    /// `config.json`; `max_source_positions` is 500.
    pub config_json: &'static [u8],
    /// `generation_config.json`: it writes timestamps unless told otherwise.
    pub generation_config_json: &'static [u8],
    /// `tokenizer.json`: each known word is one token.
    pub tokenizer_json: &'static [u8],
    /// `model.safetensors`: 4-bit matrices with scales per block of 32, 8-bit first convolution and position tables.
    pub model_safetensors: &'static [u8],
}

/// The recognizer.
#[must_use]
pub fn model() -> CommandModel {
    CommandModel {
        config_json: include_bytes!("../models/commands/config.json"),
        generation_config_json: include_bytes!("../models/commands/generation_config.json"),
        tokenizer_json: include_bytes!("../models/commands/tokenizer.json"),
        model_safetensors: include_bytes!("../models/commands/model.safetensors"),
    }
}

/// Writes the recognizer into `folder` as a model folder.
///
/// # Errors
/// When a file cannot be written.
pub fn write(folder: &std::path::Path) -> std::io::Result<()> {
    let model = model();
    for (name, bytes) in [
        ("config.json", model.config_json),
        ("generation_config.json", model.generation_config_json),
        ("tokenizer.json", model.tokenizer_json),
        ("model.safetensors", model.model_safetensors),
    ] {
        std::fs::write(folder.join(name), bytes)?;
    }
    Ok(())
}

/// What is said in [`clip`].
pub const TEXT: &str = "hello turn on the light call three seven one stop";

/// A synthetic recording of [`TEXT`]: 16 kHz mono FLAC, shorter than 10 s.
#[must_use]
pub fn clip() -> &'static [u8] {
    include_bytes!("../audio/commands.flac")
}

/// The recipe of the digit strings that the card's word error rate was measured on (JSON).
#[must_use]
pub fn evaluation() -> &'static [u8] {
    include_bytes!("../models/commands/evaluation.json")
}
