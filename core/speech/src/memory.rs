//! What a model needs before any of it is read.

use sotto_runtime::Bytes;

use crate::model::{Dimensions, Precision};

// A token of the vocabulary with its place in the index, by which text is encoded.
const BYTES_PER_TOKEN: u64 = 100;

/// Bytes that a loaded model and one transcription at a time hold at their peak.
///
/// In f32 it counts the weights, the vocabulary, and the larger of two that never exist together: the file's own pages while it
/// is converted; the working memory of the encoder, the cross-attention cache and the caches of five hypotheses.
/// Measured with tiny.en in f16 (`tests/real_memory.rs`): 230 MB, estimated 232 MB. In 64 bits on every machine: a hostile
/// header must not wrap.
///
/// In int8 the largest tensor stands beside the weights in f32 and unpacked while it is packed, and caches are half as
/// large.
pub(crate) fn estimate(dimensions: &Dimensions, bytes_on_disk: u64, precision: Precision) -> Bytes {
    let Sizes { mels, audio, text, width, vocabulary, decoder_layers, .. } = Sizes::of(dimensions);
    let frames = 2 * audio;
    // Input, padding, both convolutions; x, norm, q, k, v; one block of scores; one block of the feed-forward layer.
    let encoder = frames * mels * 3 + frames * width * 3 + audio * width * 5 + 128 * audio;
    let cross = 2 * decoder_layers * audio * width;
    let hypotheses = 5 * (2 * decoder_layers * text * width + 2 * vocabulary);
    let transcription = 4 * (encoder + cross + hypotheses);
    let weights = weight_count(dimensions);
    let most = match precision {
        Precision::F32 => 4 * weights + transcription.max(bytes_on_disk),
        Precision::Mixed | Precision::Int8 => {
            let transcription =
                4 * (encoder + 5 * 2 * vocabulary) + 2 * cross + 2 * 5 * 2 * decoder_layers * text * width;
            weights + transcription.max(bytes_on_disk + 5 * vocabulary * width)
        }
    };
    Bytes(most + BYTES_PER_TOKEN * vocabulary)
}

/// [`Dimensions`] in 64 bits.
struct Sizes {
    mels: u64,
    audio: u64,
    text: u64,
    width: u64,
    vocabulary: u64,
    encoder_layers: u64,
    decoder_layers: u64,
}

impl Sizes {
    fn of(dimensions: &Dimensions) -> Self {
        Self {
            mels: dimensions.mels as u64,
            audio: dimensions.audio_context as u64,
            text: dimensions.text_context as u64,
            width: dimensions.width as u64,
            vocabulary: dimensions.vocabulary as u64,
            encoder_layers: dimensions.encoder_layers as u64,
            decoder_layers: dimensions.decoder_layers as u64,
        }
    }
}

fn weight_count(dimensions: &Dimensions) -> u64 {
    let Sizes { mels, audio, text, width, vocabulary, encoder_layers, decoder_layers } = Sizes::of(dimensions);
    let attention = 4 * width * width + 5 * width;
    let ffn = |hidden: usize| 2 * width * hidden as u64 + hidden as u64 + 3 * width;
    let encoder = encoder_layers * (attention + ffn(dimensions.encoder_ffn));
    let decoder = decoder_layers * (2 * attention + ffn(dimensions.decoder_ffn));
    let stem = 3 * width * (mels + width) + 2 * width;
    stem + encoder + decoder + (audio + text + vocabulary + 4) * width
}
