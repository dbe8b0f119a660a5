//! `sotto inspect`: what a model is.

use std::io::Write;

use serde_json::json;
use sotto::{CancelToken, NoProgress};

use crate::args::{Global, InspectArgs};
use crate::error::CliError;
use crate::model;

pub(crate) fn run(args: &InspectArgs, global: &Global, cancel: &CancelToken) -> Result<(), CliError> {
    let source = model::source(args.model.as_deref())?;
    let estimate = model::engine(global).estimate_speech(&source)?;
    let recognizer = model::engine(global).speech(&source, &NoProgress, cancel)?;
    let loaded = recognizer.model();
    let sizes = loaded.dimensions();
    let tokenizer = loaded.tokenizer();
    let mut out = std::io::stdout().lock();
    if global.json {
        let object = json!({
            "task": "speech",
            "family": "whisper",
            "mels": sizes.mels,
            "window_seconds": recognizer.window_seconds(),
            "width": sizes.width,
            "encoder_layers": sizes.encoder_layers,
            "decoder_layers": sizes.decoder_layers,
            "text_context": sizes.text_context,
            "vocabulary": sizes.vocabulary,
            "multilingual": tokenizer.is_multilingual(),
            "languages": tokenizer.languages().len(),
            "memory_bytes": estimate.0,
        });
        writeln!(out, "{object}")?;
        return Ok(());
    }
    writeln!(out, "Whisper speech-to-text model")?;
    writeln!(out, "  window      {} s, {} log-mel bins", recognizer.window_seconds(), sizes.mels)?;
    writeln!(out, "  encoder     {} layers, {} wide", sizes.encoder_layers, sizes.width)?;
    writeln!(out, "  decoder     {} layers, {} positions", sizes.decoder_layers, sizes.text_context)?;
    let languages = if tokenizer.is_multilingual() {
        format!("{} languages", tokenizer.languages().len())
    } else {
        "English".into()
    };
    writeln!(out, "  vocabulary  {} tokens, {languages}", sizes.vocabulary)?;
    writeln!(out, "  memory      {estimate} with one transcription at a time")?;
    Ok(())
}
