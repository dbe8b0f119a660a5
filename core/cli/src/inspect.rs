//! `sotto inspect`: what a model is.

use std::io::Write;

use serde_json::{Value, json};
use sotto::speech::PackedInfo;
use sotto::{CancelToken, Engine, EngineOptions, NoProgress};

use crate::args::{Global, InspectArgs};
use crate::error::CliError;
use crate::model;

pub(crate) fn run(args: &InspectArgs, global: &Global, cancel: &CancelToken) -> Result<(), CliError> {
    let source = model::speech(args.model.as_ref())?;
    // What the model is, not what the cache made of it.
    let engine = Engine::new(EngineOptions { cache: None, ..model::engine_options(global) });
    let estimate = engine.estimate_speech(&source)?;
    let recognizer = engine.speech(&source, &NoProgress, cancel)?;
    let loaded = recognizer.model()?;
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
            "memory_bytes": estimate.peak().0,
            "packed": loaded.packed().map(packed_json),
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
    writeln!(out, "  memory      {} with one transcription at a time", estimate.peak())?;
    if let Some(packed) = loaded.packed() {
        write_packed(&mut out, &packed)?;
    }
    Ok(())
}

/// A JSON object of the file's metadata; null where it is none.
fn object(json: Option<&str>) -> Value {
    json.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
}

fn packed_json(packed: PackedInfo<'_>) -> Value {
    json!({
        "bytes": packed.bytes.0,
        "weights": packed.weights.to_string(),
        "layout": packed.layout.name(),
        "source": object(packed.source),
        "licence": packed.licence,
        "quality": object(packed.quality),
    })
}

fn write_packed(out: &mut impl Write, packed: &PackedInfo<'_>) -> std::io::Result<()> {
    let (source, quality) = (object(packed.source), object(packed.quality));
    let text = |value: &Value| value.as_str().unwrap_or("not stated").to_owned();
    let PackedInfo { bytes, weights, layout, .. } = packed;
    writeln!(out, "  packed      {bytes} of {weights} weights for {layout} kernels, mapped")?;
    writeln!(out, "  made from   {}, SHA-256 {}", text(&source["format"]), text(&source["sha256"]))?;
    if let Some(repository) = source["repository"].as_str() {
        writeln!(out, "              {repository}@{}", text(&source["revision"]))?;
    }
    writeln!(out, "  licence     {}", packed.licence.unwrap_or("not stated"))?;
    for (class, error) in quality["relative_error"].as_object().into_iter().flatten() {
        writeln!(out, "  {:.2} % off  {class}", 100.0 * error.as_f64().unwrap_or_default())?;
    }
    for (figure, value) in quality["measured"].as_object().into_iter().flatten() {
        writeln!(out, "  measured    {figure}: {value}")?;
    }
    Ok(())
}
