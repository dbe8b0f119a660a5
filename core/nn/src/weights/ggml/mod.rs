//! whisper.cpp's model files ("ggml"): a header per kind of model, then tensor records up to the end of the file.
//!
//! Numbers are little-endian; strings are preceded by their length. Dimensions are stored fastest first and converted
//! to row-major here. Sources: whisper.cpp `whisper_model_load`, `whisper_vad_init_with_params`,
//! `models/convert-h5-to-ggml.py`.

mod reader;
mod records;
mod silero;
mod whisper;

use std::collections::BTreeMap;

pub use silero::{SileroConv, SileroGgml};
pub use whisper::{WhisperGgml, WhisperHeader};

pub(super) use silero::read as silero;
pub(super) use whisper::read as whisper;

use super::error::WeightError;
use super::index::Entry;

/// Reads the header of a file and the positions of its tensors. Arguments: the bytes, and a name for messages.
pub(super) type Read<H> = fn(&[u8], &str) -> Result<(H, BTreeMap<String, Entry>), WeightError>;
