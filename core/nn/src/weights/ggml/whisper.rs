//! Header of a Whisper model: sizes, mel filters, vocabulary.

use std::collections::BTreeMap;

use super::reader::Reader;
use super::records;
use crate::weights::error::WeightError;
use crate::weights::index::Entry;

/// Larger than any size in a Whisper header (the vocabulary of large-v3 has 51,866 entries); products of two sizes stay
/// far below overflow.
const MAX_SIZE: usize = 1 << 20;

/// One token is a few bytes; the longest of GPT-2's vocabulary has 128.
const MAX_TOKEN: usize = 4096;

/// Quantized files carry `1000 * version` on top of the type in `ftype` (`GGML_QNT_VERSION_FACTOR`).
const QUANTIZATION_VERSION: usize = 1000;

/// Sizes of a Whisper model from its ggml file; all at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WhisperHeader {
    /// Rows of the token embedding.
    pub n_vocab: usize,
    /// Encoder positions (1500).
    pub n_audio_ctx: usize,
    /// Width of the encoder.
    pub n_audio_state: usize,
    /// Attention heads of the encoder.
    pub n_audio_head: usize,
    /// Layers of the encoder.
    pub n_audio_layer: usize,
    /// Decoder positions (448).
    pub n_text_ctx: usize,
    /// Width of the decoder.
    pub n_text_state: usize,
    /// Attention heads of the decoder.
    pub n_text_head: usize,
    /// Layers of the decoder.
    pub n_text_layer: usize,
    /// Mel bins (80 or 128).
    pub n_mels: usize,
    /// Type of most tensors: 0 f32, 1 f16, 2 q4_0, 3 q4_1, 7 q8_0, 8 q5_0, 9 q5_1 (`ggml_ftype`).
    pub ftype: usize,
    /// Version of the quantization formats; 0 for files that are not quantized.
    pub quantization_version: usize,
}

/// The header of a Whisper ggml file.
#[derive(Debug, Clone, PartialEq)]
pub struct WhisperGgml {
    /// Sizes of the model.
    pub header: WhisperHeader,
    /// Mel filters, row-major `[n_mels, mel_filter_bins]`.
    pub mel_filters: Vec<f32>,
    /// Frequency bins per filter (201).
    pub mel_filter_bins: usize,
    /// Bytes of each token, by id. A token is a piece of UTF-8, which need not be valid alone. There are fewer than
    /// `n_vocab`: special tokens are not listed.
    pub vocabulary: Vec<Vec<u8>>,
}

pub(in crate::weights) fn read(
    bytes: &[u8],
    file: &str,
) -> Result<(WhisperGgml, BTreeMap<String, Entry>), WeightError> {
    let mut reader = Reader::after_magic(bytes, file, "whisper.cpp ggml")?;
    let header = header(&mut reader)?;
    let mel_bins = reader.size("number of mel filters", MAX_SIZE)?;
    if mel_bins != header.n_mels {
        return Err(reader.damaged(format!("{mel_bins} mel filters for {} mel bins", header.n_mels)));
    }
    let mel_filter_bins = reader.size("length of the mel filters", MAX_SIZE)?;
    let mel_filters = reader.floats(mel_bins * mel_filter_bins, "mel filters")?;
    let vocabulary = vocabulary(&mut reader, header.n_vocab)?;
    let entries = records::read(&mut reader)?;
    Ok((WhisperGgml { header, mel_filters, mel_filter_bins, vocabulary }, entries))
}

fn header(reader: &mut Reader<'_>) -> Result<WhisperHeader, WeightError> {
    let mut size = |what| reader.size(what, MAX_SIZE);
    let mut header = WhisperHeader {
        n_vocab: size("n_vocab")?,
        n_audio_ctx: size("n_audio_ctx")?,
        n_audio_state: size("n_audio_state")?,
        n_audio_head: size("n_audio_head")?,
        n_audio_layer: size("n_audio_layer")?,
        n_text_ctx: size("n_text_ctx")?,
        n_text_state: size("n_text_state")?,
        n_text_head: size("n_text_head")?,
        n_text_layer: size("n_text_layer")?,
        n_mels: size("n_mels")?,
        ftype: 0,
        quantization_version: 0,
    };
    let ftype = reader.count("ftype")?;
    header.ftype = ftype % QUANTIZATION_VERSION;
    header.quantization_version = ftype / QUANTIZATION_VERSION;
    Ok(header)
}

fn vocabulary(reader: &mut Reader<'_>, n_vocab: usize) -> Result<Vec<Vec<u8>>, WeightError> {
    let count = reader.size("size of the vocabulary", MAX_SIZE)?;
    if count > n_vocab {
        return Err(reader.damaged(format!("{count} tokens in a vocabulary of {n_vocab}")));
    }
    // Each token takes at least its length field, so the file size bounds the reservation.
    let mut tokens = Vec::with_capacity(count.min(reader.remaining() / 4));
    for id in 0..count {
        let what = format_args!("token {id}");
        let length = reader.count(what)?;
        if length > MAX_TOKEN {
            return Err(reader.damaged(format!("{what} has {length} bytes")));
        }
        tokens.push(reader.take(length, what)?.to_vec());
    }
    Ok(tokens)
}
