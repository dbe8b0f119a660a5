//! A detector out of a file, whichever it is.

use std::path::Path;
use std::sync::Arc;

use super::detector::Detector;
use super::error::VadError;
use super::silero::SileroVad;
use super::sotto::SottoVad;

/// Reads the weights of any detector that is known here: `silero_vad_16k.safetensors`, a `ggml-silero-*.bin` of
/// whisper.cpp, or a file of `scripts/train/vad`. Told apart by content.
///
/// # Errors
/// [`VadError`] when the file cannot be read, is damaged or of another model.
pub fn load_detector(path: &Path) -> Result<Arc<dyn Detector>, VadError> {
    if SottoVad::is_file(path) { Ok(Arc::new(SottoVad::load(path)?)) } else { Ok(Arc::new(SileroVad::load(path)?)) }
}
