//! Header of a Silero VAD model as whisper.cpp's `convert-silero-vad-to-ggml.py` writes it.

use std::collections::BTreeMap;

use super::reader::Reader;
use super::records;
use crate::weights::error::WeightError;
use crate::weights::index::Entry;

/// Larger than any size in a Silero header.
const MAX_SIZE: usize = 1 << 16;

/// Silero's encoder has four convolutions.
const MAX_LAYERS: usize = 64;

/// One convolution of the encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SileroConv {
    /// Input channels.
    pub input: usize,
    /// Output channels.
    pub output: usize,
    /// Taps.
    pub kernel: usize,
}

/// The header of a Silero ggml file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SileroGgml {
    /// Kind of model: `silero-16k`.
    pub kind: String,
    /// Version of the weights: major, minor, patch.
    pub version: [usize; 3],
    /// Samples per step (512).
    pub window: usize,
    /// Samples of the previous step that precede each window (64).
    pub context: usize,
    /// Convolutions after the spectrogram.
    pub encoder: Vec<SileroConv>,
    /// Inputs of the LSTM.
    pub lstm_input: usize,
    /// Width of the LSTM's state.
    pub lstm_hidden: usize,
    /// Inputs of the final layer.
    pub final_input: usize,
    /// Outputs of the final layer.
    pub final_output: usize,
}

pub(in crate::weights) fn read(bytes: &[u8], file: &str) -> Result<(SileroGgml, BTreeMap<String, Entry>), WeightError> {
    let mut reader = Reader::after_magic(bytes, file, "whisper.cpp Silero VAD")?;
    let header = header(&mut reader)?;
    Ok((header, records::read(&mut reader)?))
}

fn header(reader: &mut Reader<'_>) -> Result<SileroGgml, WeightError> {
    // In a Whisper file, this is the size of the vocabulary.
    let length = reader.size("length of the model's kind", 64)?;
    let kind = std::str::from_utf8(reader.take(length, "the model's kind")?)
        .map_err(|_| reader.damaged("the model's kind is not UTF-8".to_owned()))?
        .to_owned();
    let mut version = [0; 3];
    for part in &mut version {
        *part = reader.count("version")?;
    }
    let window = reader.size("window", MAX_SIZE)?;
    let context = reader.size("context", MAX_SIZE)?;
    let layers = reader.size("number of encoder layers", MAX_LAYERS)?;
    let mut encoder = Vec::with_capacity(layers);
    for _ in 0..layers {
        encoder.push(SileroConv {
            input: reader.size("encoder inputs", MAX_SIZE)?,
            output: reader.size("encoder outputs", MAX_SIZE)?,
            kernel: reader.size("encoder kernel", MAX_SIZE)?,
        });
    }
    Ok(SileroGgml {
        kind,
        version,
        window,
        context,
        encoder,
        lstm_input: reader.size("LSTM inputs", MAX_SIZE)?,
        lstm_hidden: reader.size("LSTM width", MAX_SIZE)?,
        final_input: reader.size("final inputs", MAX_SIZE)?,
        final_output: reader.size("final outputs", MAX_SIZE)?,
    })
}
