//! Whisper's decoder: pre-norm transformer blocks with cached self-attention and cross-attention into the audio.
//!
//! Several hypotheses advance in one call: their rows share every matrix product and differ only in their caches.

use sotto_kernels::Heads;
use sotto_nn::layers::exact::{
    Attention, AttentionBuffers, Embedding, FeedForward, FeedForwardBuffers, KeyValues, Norm,
};
use sotto_nn::layers::{KvMemory, NormKind, Positions, SeenRows, TensorSource};
use sotto_nn::search::{Pass, Row};
use sotto_nn::weights::WeightError;
use sotto_runtime::{CancelToken, Cancelled, Threads};

use super::{Network, block};
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
    norm: Norm,
    width: usize,
    text_context: usize,
}

#[derive(Debug)]
struct Block {
    self_attention: Attention,
    cross_attention: Attention,
    feed_forward: FeedForward,
}

/// Memory that decoding reuses from token to token.
#[derive(Debug, Default)]
pub(crate) struct DecoderScratch {
    positions: Positions,
    x: Vec<f32>,
    normed: Vec<f32>,
    attention: AttentionBuffers,
    feed_forward: FeedForwardBuffers,
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
                self_attention: block::attention(source, &name, "self_attn", heads)?,
                cross_attention: block::attention(source, &name, "encoder_attn", heads)?,
                feed_forward: block::feed_forward(source, &name, width, decoder_ffn)?,
            })
        };
        let output = || Embedding::load(source, OUTPUT, vocabulary, width);
        Ok(Self {
            tokens: Embedding::load(source, EMBEDDING, vocabulary, width)?,
            output: (!dimensions.tied_output).then(output).transpose()?,
            positions: source.tensor("decoder.embed_positions.weight", &[text_context, width])?,
            blocks: (0..dimensions.decoder_layers).map(block).collect::<Result<_, WeightError>>()?,
            norm: Norm::load(source, "decoder.layer_norm", NormKind::LAYER, width)?,
            width,
            text_context,
        })
    }

    /// Projects encoder states `[states, width]` to the keys and values of every block, in the memory of `kept`.
    pub(super) fn cross_cache(
        &self,
        states: &[f32],
        kept: Option<Vec<KeyValues>>,
        threads: Threads,
        cancel: &CancelToken,
    ) -> Result<Vec<KeyValues>, Cancelled> {
        let mut layers = kept.unwrap_or_default();
        layers.resize_with(self.blocks.len(), KeyValues::default);
        for (block, layer) in self.blocks.iter().zip(&mut layers) {
            cancel.check()?;
            block.cross_attention.project(states, layer, threads);
        }
        Ok(layers)
    }

    /// Empty caches for one hypothesis: room for `positions` tokens, at most the text context.
    pub(super) fn memory(&self, positions: usize) -> KvMemory {
        KvMemory::new(self.blocks.len(), positions.min(self.text_context), self.width)
    }

    /// As [`search::Network::feed`](sotto_nn::search::Network::feed).
    pub(super) fn feed(&self, pass: Pass<'_, '_, Network>, scratch: &mut DecoderScratch) -> Result<(), Cancelled> {
        let Pass { rows, memories, sources, mut recording, threads, cancel } = pass;
        let DecoderScratch { positions, x, normed, attention, feed_forward, .. } = scratch;
        let positions = positions.place(rows, memories);
        self.embed(rows, positions, x);
        for (index, block) in self.blocks.iter().enumerate() {
            cancel.check()?;
            let seen = SeenRows { rows, positions, memories, block: index };
            block.self_attention.attend_seen(x, seen, attention, threads);
            let recording = recording.as_deref_mut();
            block.cross_attention.attend_sources(x, (rows, index), sources, recording, attention, threads);
            block.feed_forward.forward_add(x, feed_forward, threads);
        }
        normed.resize(x.len(), 0.0);
        self.norm.forward(x, normed);
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

    /// Token and position embedding of every row.
    fn embed(&self, rows: &[Row], positions: &[usize], x: &mut Vec<f32>) {
        x.clear();
        for (row, position) in rows.iter().zip(positions) {
            let embedded = self.tokens.row(row.token as usize).expect("callers feed tokens of the vocabulary");
            let offset = &self.positions[position * self.width..(position + 1) * self.width];
            x.extend(embedded.iter().zip(offset).map(|(token, position)| token + position));
        }
    }
}
