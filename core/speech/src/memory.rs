//! What a model needs before any of it is read.

use sotto_runtime::Bytes;

use crate::model::{Dimensions, Precision, encoder_weights, weight_count};

// A token of the vocabulary with its place in the index, by which text is encoded.
const BYTES_PER_TOKEN: u64 = 100;

// Whatever the sizes are: blocks of audio, text, pages of code that decoding touches first.
const FIXED_BYTES: u64 = 1 << 20;

/// Where a model's weights are while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Residence {
    /// Made in memory, in this precision, from a file of other weights.
    Converted(Precision),
    /// In the mapped file; where the kernels read another layout, also repacked in memory.
    Mapped {
        /// How the model computes: int8 or mixed.
        precision: Precision,
        /// Whether they are repacked.
        repacked: bool,
    },
}

/// Bytes that a loaded model and one transcription at a time hold at their peak.
///
/// In f32 it counts the weights, the vocabulary, and the larger of two that never exist together: the file's own pages while it
/// is converted; the working memory of the encoder, the cross-attention cache and the caches of five hypotheses.
/// Measured with tiny.en in f16 (`tests/real_memory.rs`): 230 MB, estimated 234 MB. In 64 bits on every machine: a hostile
/// header must not wrap.
///
/// In int8 and mixed the peak is that of loading or of working, whichever is higher. A packed model is its file, vocabulary included,
/// and the working memory.
pub(crate) fn estimate(dimensions: &Dimensions, bytes_on_disk: u64, residence: Residence) -> Bytes {
    let Sizes { mels, audio, text, width, vocabulary, decoder_layers } = Sizes::of(dimensions);
    let frames = 2 * audio;
    // Input, padding, both convolutions; x, norm, q, k, v; one block of scores; one block of the feed-forward layer.
    let encoder = frames * mels * 3 + frames * width * 3 + audio * width * 5 + 128 * audio;
    let cross = 2 * decoder_layers * audio * width;
    // Half a context of text for five hypotheses, and where they are copied to when they change places.
    let caches = 2 * 5 * 2 * decoder_layers * (text / 2) * width;
    let logits = 5 * 2 * vocabulary;
    let exact = 4 * (encoder + cross + caches + logits);
    // The int8 encoder works in blocks of rows; keys and values of the audio are bytes, those of the text half floats.
    let int8_encoder = frames * mels * 2 + audio * width * 4;
    let int8 = 4 * (int8_encoder + logits) + cross + 2 * caches;
    // Mixed also holds q, k, v and panels of k and v in f32 beside the encoder's rows, and the keys and values of the audio
    // as half floats.
    let mixed = int8 + 4 * audio * width * (3 + 2) + cross;
    let working = |precision| if precision == Precision::Mixed { mixed } else { int8 };
    let weights = weight_count(dimensions);
    let tokens = BYTES_PER_TOKEN * vocabulary;
    let needed = match residence {
        Residence::Converted(Precision::F32) => 4 * weights + exact.max(bytes_on_disk) + tokens,
        Residence::Converted(precision) => {
            // The first tensor of the decoder is the vocabulary: beside the finished encoder it stands in the file's pages,
            // in f32 and in int8. An output layer of its own comes next.
            let embedding = vocabulary * width;
            let finished = if dimensions.tied_output { 0 } else { embedding };
            let on_disk = |part: u64| (u128::from(bytes_on_disk) * u128::from(part) / u128::from(weights)) as u64;
            let encoder = encoder_weights(dimensions);
            let at_vocabulary = encoder + finished + on_disk(encoder + finished + embedding) + 5 * embedding;
            at_vocabulary.max(weights + bytes_on_disk).max(weights + working(precision)) + tokens
        }
        Residence::Mapped { precision, repacked: false } => bytes_on_disk + working(precision),
        // The largest matrix is unpacked while it is packed again; 4-bit weights are fewer bytes than weights.
        Residence::Mapped { precision, repacked: true } => {
            bytes_on_disk + weights.min(bytes_on_disk) + working(precision).max(vocabulary * width)
        }
    };
    Bytes(needed + FIXED_BYTES)
}

/// Bytes that a second processor takes for its copy of the weights and for one transcription, on top of [`estimate`].
pub(crate) fn on_device(dimensions: &Dimensions, weight_bytes: u64) -> Bytes {
    let Sizes { audio, width, decoder_layers, .. } = Sizes::of(dimensions);
    let heads = dimensions.encoder_heads as u64;
    // Scores and weights of 512 queries; a few tensors of the audio's width; keys and values of the audio.
    let scores = 2 * heads * audio * audio.min(512);
    let working = scores + 12 * audio * width + 2 * decoder_layers * audio * width;
    Bytes(weight_bytes * (weight_count(dimensions) + working))
}

/// [`Dimensions`] in 64 bits.
struct Sizes {
    mels: u64,
    audio: u64,
    text: u64,
    width: u64,
    vocabulary: u64,
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
            decoder_layers: dimensions.decoder_layers as u64,
        }
    }
}
