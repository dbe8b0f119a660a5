//! Loads any supported detector from a file.

use std::path::Path;
use std::sync::Arc;

use super::detector::Detector;
use super::error::VadError;
use super::silero::SileroVad;
use super::sotto::SottoVad;

/// Reads the weights of any supported detector: `silero_vad_16k.safetensors`, a `ggml-silero-*.bin` of whisper.cpp, or
/// a file of `scripts/train/vad`. The format is recognised by content.
///
/// # Errors
/// [`VadError`] when the file cannot be read, is damaged or belongs to another model.
pub fn load_detector(path: &Path) -> Result<Arc<dyn Detector>, VadError> {
    if SottoVad::is_file(path) { Ok(Arc::new(SottoVad::load(path)?)) } else { Ok(Arc::new(SileroVad::load(path)?)) }
}
