//! Encoder and decoder in the form that was chosen at load: the one seam between decoding and computing.

use std::fmt;
use std::sync::Arc;

use sotto_kernels::{HalfCache, Heads};
use sotto_nn::layers::{Backend, TensorSource};
use sotto_nn::weights::WeightError;
use sotto_runtime::{CancelToken, Cancelled, Threads};

use super::config::Dimensions;
#[cfg(feature = "candle")]
use super::device;
use super::inventory::{cross_values, token_weights};
use super::{exact, int8};

/// How a model computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Precision {
    /// f32 throughout: the reference, token for token that of other f32 implementations.
    F32,
    /// int8 weights and activations with exact sums, attention of the encoder in f32.
    Mixed,
    /// int8 weights and activations with exact sums, attention of the encoder included: many times as fast in a quarter
    /// of the memory, and the same text on every processor. The word error rate is in `docs/PERFORMANCE.md`.
    #[default]
    Int8,
}

/// `f32`, `mixed`, `int8`: as the command line and reports name them.
impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Mixed => "mixed",
            Self::Int8 => "int8",
        })
    }
}

/// Turns log-mel frames into hidden states.
#[derive(Debug)]
pub(crate) enum Encoder {
    Exact(exact::encoder::Encoder),
    Int8(int8::encoder::Encoder),
    /// One of the others behind another processor.
    #[cfg(feature = "candle")]
    Device(device::encoder::Encoder),
}

/// Predicts the next token from the tokens so far and the encoded audio.
#[derive(Debug)]
pub(crate) enum Decoder {
    Exact(exact::decoder::Decoder),
    Int8(int8::decoder::Decoder),
    /// One of the others behind another processor.
    #[cfg(feature = "candle")]
    Device(device::decoder::Decoder),
}

/// Memory that encoding reuses from window to window.
#[derive(Debug)]
pub(crate) enum EncoderScratch {
    Exact(exact::encoder::EncoderScratch),
    Int8(int8::encoder::EncoderScratch),
    #[cfg(feature = "candle")]
    Device(device::encoder::EncoderScratch),
}

/// Memory that decoding reuses from token to token.
#[derive(Debug)]
pub(crate) enum DecoderScratch {
    Exact(exact::decoder::DecoderScratch),
    Int8(int8::decoder::DecoderScratch),
    #[cfg(feature = "candle")]
    Device(device::decoder::DecoderScratch),
}

/// Keys and values of the encoded audio for every block: computed once per window, read by every token.
#[derive(Debug, Clone)]
pub(crate) enum CrossCache {
    Exact(Arc<Vec<exact::decoder::CrossLayer>>),
    Int8(Arc<Vec<int8::decoder::CrossLayer>>),
    #[cfg(feature = "candle")]
    Device(Arc<device::decoder::CrossLayers>),
}

/// Self-attention caches of one hypothesis, one per block.
#[derive(Debug)]
pub(crate) enum SelfCache {
    Exact(exact::decoder::SelfCache),
    Int8(Vec<HalfCache>),
    #[cfg(feature = "candle")]
    Device(device::decoder::SelfCache),
}

/// One token to feed: it continues hypothesis `hypothesis`, at the position after the last one fed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) hypothesis: usize,
    pub(crate) token: u32,
}

/// Cross-attention of chosen heads, recorded while tokens are fed: `weights[head]` is `[rows, states]`.
#[derive(Debug)]
pub(crate) struct Recording<'a> {
    pub(crate) heads: &'a [(usize, usize)],
    pub(crate) weights: Vec<Vec<f32>>,
    /// How many rows were recorded.
    pub(crate) rows: usize,
}

// A cache or scratch comes from the network that it is used with: `Model` has one of each, of one form.
const OTHER_FORM: &str = "caches and scratch belong to the network that made them";

impl Encoder {
    pub(super) fn load(
        source: &impl TensorSource,
        precision: Precision,
        backend: &Backend,
        dimensions: &Dimensions,
    ) -> Result<Self, WeightError> {
        Ok(match precision {
            Precision::F32 => Self::Exact(exact::encoder::Encoder::load(source, dimensions)?),
            Precision::Mixed | Precision::Int8 => {
                Self::Int8(int8::encoder::Encoder::load(source, backend, dimensions, precision)?)
            }
        })
    }

    pub(crate) fn scratch(&self) -> EncoderScratch {
        match self {
            Self::Exact(_) => EncoderScratch::Exact(exact::encoder::EncoderScratch::default()),
            Self::Int8(encoder) => EncoderScratch::Int8(encoder.scratch()),
            #[cfg(feature = "candle")]
            Self::Device(encoder) => EncoderScratch::Device(encoder.scratch()),
        }
    }

    /// Encodes `[frames, mels]` into `[frames / 2, width]` states, left in `scratch`.
    ///
    /// Looks at `cancel` before every block.
    ///
    /// # Panics
    /// When `features` is longer than a full window.
    pub(crate) fn encode<'s>(
        &self,
        features: &[f32],
        scratch: &'s mut EncoderScratch,
        threads: Threads,
        cancel: &CancelToken,
    ) -> Result<&'s [f32], Cancelled> {
        match (self, scratch) {
            (Self::Exact(encoder), EncoderScratch::Exact(scratch)) => {
                encoder.encode(features, scratch, threads, cancel)
            }
            (Self::Int8(encoder), EncoderScratch::Int8(scratch)) => encoder.encode(features, scratch, cancel),
            #[cfg(feature = "candle")]
            (Self::Device(encoder), EncoderScratch::Device(scratch)) => {
                encoder.encode(features, scratch, threads, cancel)
            }
            _ => unreachable!("{OTHER_FORM}"),
        }
    }
}

impl Decoder {
    pub(super) fn load(
        source: &impl TensorSource,
        precision: Precision,
        backend: &Backend,
        dimensions: &Dimensions,
    ) -> Result<Self, WeightError> {
        Ok(match precision {
            Precision::F32 => Self::Exact(exact::decoder::Decoder::load(source, dimensions)?),
            Precision::Mixed | Precision::Int8 => {
                Self::Int8(int8::decoder::Decoder::load(source, backend, dimensions, precision)?)
            }
        })
    }

    /// Bytes that each token reads: of weights, and of keys and values of a full window.
    pub(crate) fn bytes_per_token(&self, dimensions: &Dimensions) -> u64 {
        match self {
            Self::Exact(_) => 4 * (token_weights(dimensions) + cross_values(dimensions)),
            Self::Int8(decoder) => decoder.bytes_per_token(dimensions),
            #[cfg(feature = "candle")]
            Self::Device(decoder) => decoder.bytes_per_token(dimensions),
        }
    }

    pub(crate) fn scratch(&self) -> DecoderScratch {
        match self {
            Self::Exact(_) => DecoderScratch::Exact(exact::decoder::DecoderScratch::default()),
            Self::Int8(decoder) => DecoderScratch::Int8(decoder.scratch()),
            #[cfg(feature = "candle")]
            Self::Device(decoder) => DecoderScratch::Device(decoder.scratch()),
        }
    }

    /// Projects encoder states `[states, width]` to the keys and values of every block, in the memory of `kept` where
    /// nobody else reads that.
    pub(crate) fn cross_cache(
        &self,
        states: &[f32],
        kept: Option<CrossCache>,
        scratch: &mut DecoderScratch,
        threads: Threads,
        cancel: &CancelToken,
    ) -> Result<CrossCache, Cancelled> {
        Ok(match (self, scratch) {
            (Self::Exact(decoder), DecoderScratch::Exact(_)) => {
                let kept = match kept {
                    Some(CrossCache::Exact(kept)) => Arc::into_inner(kept),
                    _ => None,
                };
                CrossCache::Exact(Arc::new(decoder.cross_cache(states, kept, threads, cancel)?))
            }
            (Self::Int8(decoder), DecoderScratch::Int8(scratch)) => {
                let kept = match kept {
                    Some(CrossCache::Int8(kept)) => Arc::into_inner(kept),
                    _ => None,
                };
                CrossCache::Int8(Arc::new(decoder.cross_cache(states, kept, scratch, cancel)?))
            }
            #[cfg(feature = "candle")]
            (Self::Device(decoder), DecoderScratch::Device(scratch)) => {
                CrossCache::Device(Arc::new(decoder.cross_layers(states, scratch, threads, cancel)?))
            }
            _ => unreachable!("{OTHER_FORM}"),
        })
    }

    /// Empty caches for one hypothesis of at most `positions` tokens, or as many as the network has positions for.
    pub(crate) fn self_cache(&self, positions: usize) -> SelfCache {
        match self {
            Self::Exact(decoder) => SelfCache::Exact(decoder.self_cache(positions)),
            Self::Int8(decoder) => SelfCache::Int8(decoder.self_cache(positions)),
            #[cfg(feature = "candle")]
            Self::Device(decoder) => SelfCache::Device(decoder.self_cache(positions)),
        }
    }

    /// Feeds tokens; the hidden states stay in `scratch` for [`logits`](Self::logits).
    ///
    /// Rows of one hypothesis follow each other in order. Observes `cancel` once per block.
    ///
    /// # Panics
    /// When a token is beyond the vocabulary or a hypothesis beyond the text context: callers check both.
    #[expect(clippy::too_many_arguments, reason = "what one call of the network reads and writes")]
    pub(crate) fn feed(
        &self,
        rows: &[Row],
        caches: &mut [SelfCache],
        cross: &CrossCache,
        scratch: &mut DecoderScratch,
        recording: Option<&mut Recording<'_>>,
        threads: Threads,
        cancel: &CancelToken,
    ) -> Result<(), Cancelled> {
        match (self, cross, scratch) {
            (Self::Exact(decoder), CrossCache::Exact(cross), DecoderScratch::Exact(scratch)) => {
                decoder.feed(rows, caches, cross, scratch, recording, threads, cancel)
            }
            (Self::Int8(decoder), CrossCache::Int8(cross), DecoderScratch::Int8(scratch)) => {
                decoder.feed(rows, caches, cross, scratch, recording, cancel)
            }
            #[cfg(feature = "candle")]
            (Self::Device(decoder), CrossCache::Device(cross), DecoderScratch::Device(scratch)) => {
                decoder.feed(rows, caches, cross, scratch, recording, threads, cancel)
            }
            _ => unreachable!("{OTHER_FORM}"),
        }
    }

    /// Scores of the next token after each of the rows `picked` of the last [`feed`](Self::feed): `[picked,
    /// vocabulary]`.
    pub(crate) fn logits<'s>(
        &self,
        picked: &[usize],
        scratch: &'s mut DecoderScratch,
        threads: Threads,
    ) -> &'s mut [f32] {
        match (self, scratch) {
            (Self::Exact(decoder), DecoderScratch::Exact(scratch)) => decoder.logits(picked, scratch, threads),
            (Self::Int8(decoder), DecoderScratch::Int8(scratch)) => decoder.logits(picked, scratch),
            #[cfg(feature = "candle")]
            (Self::Device(decoder), DecoderScratch::Device(scratch)) => decoder.logits(picked, scratch, threads),
            _ => unreachable!("{OTHER_FORM}"),
        }
    }
}

impl Decoder {
    /// Whether a cache can forget its last positions at no cost.
    pub(crate) fn cuts_caches(&self) -> bool {
        match self {
            Self::Exact(_) | Self::Int8(_) => true,
            #[cfg(feature = "candle")]
            Self::Device(_) => false,
        }
    }
}

impl SelfCache {
    /// Positions decoded so far.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Exact(cache) => cache.len(),
            Self::Int8(caches) => caches.first().map_or(0, HalfCache::len),
            #[cfg(feature = "candle")]
            Self::Device(cache) => cache.len(),
        }
    }

    /// Forgets all positions from `len` on.
    pub(crate) fn truncate(&mut self, len: usize) {
        match self {
            Self::Exact(cache) => cache.truncate(len),
            Self::Int8(caches) => caches.iter_mut().for_each(|cache| cache.truncate(len)),
            #[cfg(feature = "candle")]
            Self::Device(cache) => cache.truncate(len),
        }
    }

    /// Forgets all positions.
    pub(crate) fn clear(&mut self) {
        match self {
            Self::Exact(cache) => cache.clear(),
            Self::Int8(caches) => caches.iter_mut().for_each(|cache| cache.truncate(0)),
            #[cfg(feature = "candle")]
            Self::Device(cache) => cache.clear(),
        }
    }

    pub(crate) fn copy_from(&mut self, other: &Self) {
        match (self, other) {
            (Self::Exact(cache), Self::Exact(other)) => cache.copy_from(other),
            (Self::Int8(caches), Self::Int8(others)) => {
                caches.iter_mut().zip(others).for_each(|(cache, other)| cache.copy_from(other));
            }
            #[cfg(feature = "candle")]
            (Self::Device(cache), Self::Device(other)) => cache.copy_from(other),
            _ => unreachable!("{OTHER_FORM}"),
        }
    }

    /// The cache of one block of the f32 network.
    pub(super) fn exact(&mut self) -> &mut exact::decoder::SelfCache {
        match self {
            Self::Exact(cache) => cache,
            _ => unreachable!("{OTHER_FORM}"),
        }
    }

    /// The cache of the network on another processor.
    #[cfg(feature = "candle")]
    pub(super) fn device(&mut self) -> &mut device::decoder::SelfCache {
        match self {
            Self::Device(cache) => cache,
            _ => unreachable!("{OTHER_FORM}"),
        }
    }

    /// The cache of block `block` of the int8 network.
    pub(super) fn half(&mut self, block: usize) -> &mut HalfCache {
        match self {
            Self::Int8(caches) => &mut caches[block],
            _ => unreachable!("{OTHER_FORM}"),
        }
    }
}

impl<'a> Recording<'a> {
    pub(crate) fn new(heads: &'a [(usize, usize)]) -> Self {
        Self { heads, weights: vec![Vec::new(); heads.len()], rows: 0 }
    }

    /// As many rows come with the next feed.
    pub(crate) fn expect(&mut self, rows: usize) {
        self.rows += rows;
    }

    /// Forgets all rows from `len` on.
    pub(crate) fn truncate(&mut self, len: usize) {
        let rows = self.rows.max(1);
        for weights in &mut self.weights {
            weights.truncate(weights.len() / rows * len);
        }
        self.rows = self.rows.min(len);
    }

    /// Keeps the rows of the chosen heads of block `layer` out of attention weights: `heads.count` rows, `states`
    /// values of each.
    pub(super) fn take(&mut self, layer: usize, weights: &[f32], heads: Heads, states: usize) {
        let stride = weights.len() / heads.count;
        for (head, kept) in self.of_block(layer) {
            kept.extend_from_slice(&weights[head * stride..][..states]);
        }
    }

    /// The chosen heads of block `block`, and what was kept of each.
    pub(super) fn of_block(&mut self, block: usize) -> impl Iterator<Item = (usize, &mut Vec<f32>)> {
        let chosen = self.heads.iter().zip(&mut self.weights);
        chosen.filter_map(move |(&(of, head), kept)| (of == block).then_some((head, kept)))
    }
}
