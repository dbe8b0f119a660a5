//! Memory estimates: of a model before it is read, and of a transcription before it starts.

use sotto_nn::layers::quantized::QuantizedPrecision;
use sotto_runtime::{Bytes, Threads};

use crate::model::{Dimensions, Precision, encoder_weights, weight_count};
use crate::options::{Timestamps, TranscribeOptions};

// Bytes per token of the vocabulary, with its entry in the index for encoding.
const BYTES_PER_TOKEN: u64 = 100;

// Fixed part of a transcription: blocks of audio, text, and code pages that decoding loads.
const FIXED_BYTES: u64 = 1 << 20;

/// Where a model's weights are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Residence {
    /// In memory, converted to this precision.
    Converted(Precision),
    /// In the mapped file; if the kernels read another layout, also repacked in memory.
    Mapped {
        /// Whether they are repacked.
        repacked: bool,
    },
}

/// Bytes that a model and its transcriptions will reserve from a budget, known before loading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// The model's peak while it is being loaded.
    pub loading: Bytes,
    /// The loaded model: weights and vocabulary.
    pub model: Bytes,
    /// Each transcription or live session, while it runs: caches, hypotheses, scratch.
    pub session: Bytes,
}

impl Estimate {
    /// The maximum at any time with one session: this much must be free to load the model.
    #[must_use]
    pub fn peak(self) -> Bytes {
        self.loading.max(self.model + self.session)
    }
}

/// Memory of a model without transcriptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ModelMemory {
    /// Peak while it is being loaded.
    pub(crate) loading: Bytes,
    /// Once it is loaded.
    pub(crate) loaded: Bytes,
}

/// Memory of a model's weights and vocabulary. Computed in 64 bits on every machine, so that a hostile header cannot
/// overflow.
///
/// A converted model needs its weights, and while it is being loaded also the file's pages. A packed model needs its
/// file, vocabulary included.
pub(crate) fn of_model(dimensions: &Dimensions, bytes_on_disk: u64, residence: Residence) -> ModelMemory {
    let Sizes { audio, width, vocabulary, .. } = Sizes::of(dimensions);
    let (weights, tokens) = (weight_count(dimensions), BYTES_PER_TOKEN * vocabulary);
    let embedding = vocabulary * width;
    let (loading, loaded) = match residence {
        Residence::Converted(Precision::F32) => (4 * weights + bytes_on_disk + tokens, 4 * weights + tokens),
        Residence::Converted(_) => {
            // The first tensor of the decoder is the vocabulary: beside the finished encoder it stands in the file's
            // pages, in f32 and in int8. An output layer of its own comes next.
            let finished = if dimensions.tied_output { 0 } else { embedding };
            let on_disk = |part: u64| (u128::from(bytes_on_disk) * u128::from(part) / u128::from(weights)) as u64;
            let encoder = encoder_weights(dimensions);
            let at_vocabulary = encoder + finished + on_disk(encoder + finished + embedding) + 5 * embedding;
            // Position embeddings stay f32.
            let positions = 3 * width * (audio + dimensions.text_context as u64);
            (at_vocabulary.max(weights + positions + bytes_on_disk) + tokens, weights + positions + tokens)
        }
        Residence::Mapped { repacked: false } => (bytes_on_disk, bytes_on_disk),
        // The largest matrix is unpacked while it is repacked, one byte per weight also for 4-bit weights.
        Residence::Mapped { repacked: true } => {
            let loaded = bytes_on_disk + weights.min(bytes_on_disk);
            (loaded + embedding, loaded)
        }
    };
    ModelMemory { loading: Bytes(loading), loaded: Bytes(loaded) }
}

/// The sizes from options and model that determine the memory of a transcription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SessionSize {
    /// Number of KV caches: of the prompt, of every hypothesis, and of a beam's copies.
    caches: u64,
    /// Number of hypotheses that advance together.
    hypotheses: u64,
    /// Capacity of a cache in tokens.
    positions: u64,
    /// Number of tokens that are fed at once.
    fed: u64,
    /// Number of rows of logits that are computed at once.
    projected: u64,
    /// Number of heads whose attention is recorded for word times.
    recorded: u64,
    /// Whether hotwords are used.
    weighed: bool,
    threads: u64,
}

/// Tokens whose logits are computed at a time for word times: each block reads the vocabulary's matrix once and takes 3
/// MB of logits with 50,000 tokens.
pub(crate) const PROJECTED_ROWS: usize = 16;

// The capacity of caches is a multiple of this many tokens (`sotto_nn::search`).
const CACHE_STEP: u64 = 128;

// Start of transcript, language, task, no timestamps; and the token before earlier text.
const CONTROL_TOKENS: u64 = 5;

// Rows that each thread of the encoder works on (`model/int8/encoder.rs`).
const ENCODER_BLOCK: u64 = 96;

impl SessionSize {
    /// A transcription with these options.
    pub(crate) fn of(
        dimensions: &Dimensions,
        options: &TranscribeOptions,
        alignment_heads: usize,
        threads: Threads,
    ) -> Self {
        let text = dimensions.text_context as u64;
        let max_tokens = options.max_tokens.map_or(text / 2, |tokens| tokens as u64).min(text);
        let search = &options.search;
        let beam = if search.temperatures.contains(&0.0) { search.beam as u64 } else { 0 };
        let sampled = search.temperatures.iter().any(|&temperature| temperature > 0.0);
        let sampled = if sampled { search.best_of as u64 } else { 0 };
        // Greedy decoding and sampling never copy hypotheses.
        let changing = if beam > 1 { beam } else { 0 };
        let has_text = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.trim().is_empty());
        let continues = options.condition_on_previous || has_text(&options.prompt) || has_text(&options.prefix);
        let before = CONTROL_TOKENS + if continues { text / 2 } else { 0 };
        let timed = options.timestamps != Timestamps::None;
        // Word times are found by feeding the whole text again, usually at most half of the allowed length.
        let fed = if timed { before.max(max_tokens / 2) } else { before };
        let hypotheses = beam.max(sampled).max(1);
        Self {
            caches: 1 + (beam + changing).max(sampled).max(1),
            hypotheses,
            positions: (before + max_tokens).next_multiple_of(CACHE_STEP).min(text),
            fed,
            projected: hypotheses.max(2).max(if timed { PROJECTED_ROWS as u64 } else { 0 }),
            recorded: if timed { alignment_heads as u64 } else { 0 },
            weighed: options.hotwords.is_some(),
            threads: threads.count() as u64,
        }
    }

    /// Its peak in bytes, in addition to the model's.
    ///
    /// Compared with measured allocations by `tests/real_session_memory.rs`.
    pub(crate) fn bytes(&self, dimensions: &Dimensions, precision: Precision) -> Bytes {
        let Sizes { mels, audio, width, vocabulary, decoder_layers, hidden, .. } = Sizes::of(dimensions);
        let Self { caches, hypotheses, positions, fed, projected, recorded, weighed, threads } = *self;
        let frames = 2 * audio;
        let cache = 2 * decoder_layers * positions * width;
        let cross = 2 * decoder_layers * audio * width;
        // Computed, those of each hypothesis, those of the prompt, and a row that hotwords changed.
        let logits = vocabulary * (projected + hypotheses + 1 + u64::from(weighed));
        // x, norm, q, k, v, attended and the feed-forward layer of every row.
        let rows = fed.max(hypotheses) * (6 * width + hidden);
        // The recorded heads, one that is being smoothed, their mean, and the costs and steps of the time warping.
        let alignment = if recorded > 0 { (recorded + 4) * fed * audio } else { 0 };
        let decoder = 4 * (logits + rows + alignment);
        let bytes = match precision.quantized() {
            None => {
                // Features, input, padding, both convolutions; x, norm, q, k, v; blocks of scores and of the
                // feed-forward layer.
                let encoder = frames * mels * 4 + frames * width * 3 + audio * width * 6 + 128 * audio;
                4 * (encoder + cross + caches * cache) + decoder
            }
            Some(precision) => {
                // The encoder works in blocks of rows; keys and values of the audio are bytes, those of the text half
                // floats.
                let encoder = frames * mels * 3 + audio * width * 5;
                let blocks = threads * ENCODER_BLOCK * (5 * width + hidden);
                let int8 = 4 * (encoder + blocks) + cross + 2 * caches * cache + decoder;
                // Mixed also holds q, k, v and panels of k and v in f32 beside the encoder's rows, and the keys and
                // values of the audio as half floats.
                let mixed = 4 * audio * width * (3 + 2) + cross;
                if precision == QuantizedPrecision::Mixed { int8 + mixed } else { int8 }
            }
        };
        Bytes(bytes + FIXED_BYTES)
    }
}

/// Bytes of the weights' copy on a second processor.
pub(crate) fn weights_on_device(dimensions: &Dimensions, weight_bytes: u64) -> Bytes {
    Bytes(weight_bytes * weight_count(dimensions))
}

/// Bytes of one transcription on a second processor.
pub(crate) fn session_on_device(dimensions: &Dimensions, weight_bytes: u64) -> Bytes {
    let Sizes { audio, width, decoder_layers, .. } = Sizes::of(dimensions);
    let heads = dimensions.encoder_heads as u64;
    // Scores and weights of 512 queries; a few tensors of the audio's width; keys and values of the audio.
    let scores = 2 * heads * audio * audio.min(512);
    Bytes(weight_bytes * (scores + 12 * audio * width + 2 * decoder_layers * audio * width))
}

/// [`Dimensions`] in 64 bits.
struct Sizes {
    mels: u64,
    audio: u64,
    width: u64,
    vocabulary: u64,
    decoder_layers: u64,
    /// Of the decoder's feed-forward layers.
    hidden: u64,
}

impl Sizes {
    fn of(dimensions: &Dimensions) -> Self {
        Self {
            mels: dimensions.mels as u64,
            audio: dimensions.audio_context as u64,
            width: dimensions.width as u64,
            vocabulary: dimensions.vocabulary as u64,
            decoder_layers: dimensions.decoder_layers as u64,
            hidden: dimensions.decoder_ffn as u64,
        }
    }
}
