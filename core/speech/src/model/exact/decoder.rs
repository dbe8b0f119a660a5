//! Whisper's decoder: pre-norm transformer blocks with cached self-attention and cross-attention into the audio.
//!
//! Several hypotheses advance in one call: their rows share every matrix product and differ only in their caches.

use sotto_kernels::{Heads, attend_full, attend_row};
use sotto_nn::layers::{Embedding, KvCache, LayerNorm, TensorSource};
use sotto_nn::search::{Memory, Pass, Recording, Row};
use sotto_nn::weights::WeightError;
use sotto_runtime::{CancelToken, Cancelled, Threads};

use super::Network;
use super::block::{Attention, FeedForward, FeedForwardScratch};
use crate::model::config::Dimensions;
use crate::model::names::{EMBEDDING, OUTPUT};

/// Predicts the next token from the tokens so far and the encoded audio.
#[derive(Debug)]
pub(super) struct Decoder {
    tokens: Embedding,
    /// The output layer; `None` where it is the token embedding.
    output: Option<Embedding>,
    /// Learned positions, `[text_context, width]`.
    positions: Vec<f32>,
    blocks: Vec<Block>,
    norm: LayerNorm,
    width: usize,
    text_context: usize,
}

#[derive(Debug)]
struct Block {
    self_attention: Attention,
    cross_attention: Attention,
    feed_forward: FeedForward,
}

/// Keys and values of the encoded audio for one block.
#[derive(Debug, Default)]
pub(crate) struct CrossLayer {
    keys: Vec<f32>,
    values: Vec<f32>,
}

/// Self-attention caches of one hypothesis, one per block.
#[derive(Debug)]
pub(crate) struct SelfCache(Vec<KvCache>);

impl Memory for SelfCache {
    fn len(&self) -> usize {
        self.0.first().map_or(0, KvCache::len)
    }

    fn clear(&mut self) {
        self.truncate(0);
    }

    fn copy_from(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(layer, other)| layer.copy_from(other));
    }

    fn truncate(&mut self, len: usize) {
        self.0.iter_mut().for_each(|layer| layer.truncate(len));
    }
}

/// Memory that decoding reuses from token to token.
#[derive(Debug, Default)]
pub(crate) struct DecoderScratch {
    x: Vec<f32>,
    normed: Vec<f32>,
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    attended: Vec<f32>,
    weights: Vec<f32>,
    feed_forward: FeedForwardScratch,
    picked: Vec<f32>,
    logits: Vec<f32>,
}

impl Decoder {
    pub(super) fn load(source: &impl TensorSource, dimensions: &Dimensions) -> Result<Self, WeightError> {
        let &Dimensions { width, text_context, decoder_heads, decoder_ffn, vocabulary, .. } = dimensions;
        let heads = Heads::new(decoder_heads, width);
        let block = |index: usize| {
            let name = format!("decoder.layers.{index}");
            Ok(Block {
                self_attention: Attention::load(source, &name, "self_attn", heads)?,
                cross_attention: Attention::load(source, &name, "encoder_attn", heads)?,
                feed_forward: FeedForward::load(source, &name, width, decoder_ffn)?,
            })
        };
        let output = || Embedding::load(source, OUTPUT, vocabulary, width);
        Ok(Self {
            tokens: Embedding::load(source, EMBEDDING, vocabulary, width)?,
            output: (!dimensions.tied_output).then(output).transpose()?,
            positions: source.tensor("decoder.embed_positions.weight", &[text_context, width])?,
            blocks: (0..dimensions.decoder_layers).map(block).collect::<Result<_, WeightError>>()?,
            norm: LayerNorm::load(source, "decoder.layer_norm", width)?,
            width,
            text_context,
        })
    }

    /// Projects encoder states `[states, width]` to the keys and values of every block, in the memory of `kept`.
    pub(super) fn cross_cache(
        &self,
        states: &[f32],
        kept: Option<Vec<CrossLayer>>,
        threads: Threads,
        cancel: &CancelToken,
    ) -> Result<Vec<CrossLayer>, Cancelled> {
        let mut layers = kept.unwrap_or_default();
        layers.resize_with(self.blocks.len(), CrossLayer::default);
        for (block, CrossLayer { keys, values }) in self.blocks.iter().zip(&mut layers) {
            cancel.check()?;
            keys.resize(states.len(), 0.0);
            values.resize(states.len(), 0.0);
            block.cross_attention.key.forward(states, keys, threads);
            block.cross_attention.value.forward(states, values, threads);
        }
        Ok(layers)
    }

    /// Empty caches for one hypothesis: room for `positions` tokens, at most the text context.
    pub(super) fn self_cache(&self, positions: usize) -> SelfCache {
        let positions = positions.min(self.text_context);
        SelfCache(self.blocks.iter().map(|_| KvCache::new(positions, self.width)).collect())
    }

    /// As [`search::Network::feed`](sotto_nn::search::Network::feed).
    pub(super) fn feed(&self, pass: Pass<'_, '_, Network>, scratch: &mut DecoderScratch) -> Result<(), Cancelled> {
        let cross = pass.shared_source();
        let Pass { rows, memories: caches, mut recording, threads, cancel, .. } = pass;
        let positions = self.embed(rows, caches, scratch);
        for (index, (block, cross)) in self.blocks.iter().zip(cross).enumerate() {
            cancel.check()?;
            self.attend_self(index, block, rows, &positions, caches, scratch, threads);
            let recording = recording.as_deref_mut().map(|recording| (index, recording));
            self.attend_cross(block, cross, recording, scratch, threads);
            block.feed_forward.forward_add(&mut scratch.x, &mut scratch.feed_forward, threads);
        }
        scratch.normed.resize(scratch.x.len(), 0.0);
        self.norm.forward(&scratch.x, &mut scratch.normed);
        Ok(())
    }

    /// As [`search::Network::logits`](sotto_nn::search::Network::logits).
    pub(super) fn logits<'s>(
        &self,
        picked: &[usize],
        scratch: &'s mut DecoderScratch,
        threads: Threads,
    ) -> &'s mut [f32] {
        scratch.picked.clear();
        for &row in picked {
            scratch.picked.extend_from_slice(&scratch.normed[row * self.width..(row + 1) * self.width]);
        }
        scratch.logits.resize(picked.len() * self.tokens.vocabulary(), 0.0);
        self.output.as_ref().unwrap_or(&self.tokens).logits(&scratch.picked, &mut scratch.logits, threads);
        &mut scratch.logits
    }

    /// Token and position embedding of every row; returns the positions.
    fn embed(&self, rows: &[Row], caches: &[SelfCache], scratch: &mut DecoderScratch) -> Vec<usize> {
        let mut next: Vec<usize> = caches.iter().map(SelfCache::len).collect();
        scratch.x.clear();
        rows.iter()
            .map(|row| {
                let position = next[row.hypothesis];
                next[row.hypothesis] += 1;
                let embedded = self.tokens.row(row.token as usize).expect("callers feed tokens of the vocabulary");
                let offset = &self.positions[position * self.width..(position + 1) * self.width];
                scratch.x.extend(embedded.iter().zip(offset).map(|(token, position)| token + position));
                position
            })
            .collect()
    }

    #[expect(clippy::too_many_arguments, reason = "a step of one loop; a struct would only rename the locals")]
    fn attend_self(
        &self,
        index: usize,
        block: &Block,
        rows: &[Row],
        positions: &[usize],
        caches: &mut [SelfCache],
        scratch: &mut DecoderScratch,
        threads: Threads,
    ) {
        let attention = &block.self_attention;
        let DecoderScratch { x, normed, query, key, value, attended, weights, .. } = scratch;
        for buffer in [&mut *normed, &mut *query, &mut *key, &mut *value, &mut *attended] {
            buffer.resize(x.len(), 0.0);
        }
        attention.norm.forward(x, normed);
        attention.query.forward(normed, query, threads);
        attention.key.forward(normed, key, threads);
        attention.value.forward(normed, value, threads);
        let width = self.width;
        for (row, (key, value)) in rows.iter().zip(key.chunks_exact(width).zip(value.chunks_exact(width))) {
            caches[row.hypothesis].0[index].push(key, value);
        }
        for (row, (&position, (query, out))) in
            rows.iter().zip(positions.iter().zip(query.chunks_exact(width).zip(attended.chunks_exact_mut(width))))
        {
            let cache = &caches[row.hypothesis].0[index];
            let seen = position + 1;
            attend_row(query, cache.keys(seen), cache.values(seen), attention.heads, out, weights);
        }
        attention.out.forward_add(attended, x, threads);
    }

    fn attend_cross(
        &self,
        block: &Block,
        cross: &CrossLayer,
        recording: Option<(usize, &mut Recording<'_>)>,
        scratch: &mut DecoderScratch,
        threads: Threads,
    ) {
        let attention = &block.cross_attention;
        let DecoderScratch { x, normed, query, attended, weights, .. } = scratch;
        attention.norm.forward(x, normed);
        attention.query.forward(normed, query, threads);
        match recording {
            Some((index, recording)) => {
                for (query, out) in query.chunks_exact(self.width).zip(attended.chunks_exact_mut(self.width)) {
                    attend_row(query, &cross.keys, &cross.values, attention.heads, out, weights);
                    recording.take(index, weights, attention.heads, weights.len() / attention.heads.count());
                }
            }
            // A prompt of many tokens reads the audio once per block of rows instead of once per row.
            None if x.len() >= 4 * self.width => {
                attend_full(query, &cross.keys, &cross.values, attention.heads, attended, weights, threads);
            }
            None => {
                for (query, out) in query.chunks_exact(self.width).zip(attended.chunks_exact_mut(self.width)) {
                    attend_row(query, &cross.keys, &cross.values, attention.heads, out, weights);
                }
            }
        }
        attention.out.forward_add(attended, x, threads);
    }
}
