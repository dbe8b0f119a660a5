//! Whisper's decoder: pre-norm transformer blocks with cached self-attention and cross-attention into the audio.
//!
//! Several hypotheses advance in one call: their rows share every matrix product and differ only in their caches.

use sotto_kernels::Heads;
use sotto_nn::layers::exact::{BlockBuffers, DecoderBlock, DecoderStack, Embedding, Norm};
use sotto_nn::layers::{NormKind, TensorSource, pick};
use sotto_nn::search::{Pass, Row};
use sotto_nn::weights::WeightError;
use sotto_runtime::{Cancelled, Threads};

use super::{Network, block};
use crate::model::config::Dimensions;
use crate::model::names::{EMBEDDING, OUTPUT};

/// Predicts the next token from the tokens so far and the encoded audio.
#[derive(Debug)]
pub(super) struct Decoder {
    tokens: Embedding,
    /// The output layer; `None` if it is the token embedding.
    output: Option<Embedding>,
    /// Learned positions, `[text_context, width]`.
    positions: Vec<f32>,
    pub(super) blocks: DecoderStack,
    norm: Norm,
    width: usize,
}

/// Memory that decoding reuses from token to token.
#[derive(Debug, Default)]
pub(crate) struct DecoderScratch {
    blocks: BlockBuffers,
    x: Vec<f32>,
    normed: Vec<f32>,
    picked: Vec<f32>,
    logits: Vec<f32>,
}

impl Decoder {
    pub(super) fn load(source: &impl TensorSource, dimensions: &Dimensions) -> Result<Self, WeightError> {
        let &Dimensions { width, text_context, decoder_heads, decoder_ffn, vocabulary, .. } = dimensions;
        let heads = Heads::new(decoder_heads, width);
        let block = |index: usize| {
            let name = format!("decoder.layers.{index}");
            Ok(DecoderBlock {
                own: block::attention(source, &name, "self_attn", heads)?,
                cross: Some(block::attention(source, &name, "encoder_attn", heads)?),
                feed_forward: block::feed_forward(source, &name, width, decoder_ffn)?,
            })
        };
        let output = || Embedding::load(source, OUTPUT, vocabulary, width);
        Ok(Self {
            tokens: Embedding::load(source, EMBEDDING, vocabulary, width)?,
            output: (!dimensions.tied_output).then(output).transpose()?,
            positions: source.tensor("decoder.embed_positions.weight", &[text_context, width])?,
            blocks: DecoderStack {
                blocks: (0..dimensions.decoder_layers).map(block).collect::<Result<_, WeightError>>()?,
                positions: text_context,
            },
            norm: Norm::load(source, "decoder.layer_norm", NormKind::LAYER, width)?,
            width,
        })
    }

    /// As [`search::Network::feed`](sotto_nn::search::Network::feed).
    pub(super) fn feed(&self, pass: Pass<'_, '_, Network>, scratch: &mut DecoderScratch) -> Result<(), Cancelled> {
        let DecoderScratch { blocks, x, normed, .. } = scratch;
        self.embed(pass.rows, blocks.place(pass.rows, pass.memories), x);
        self.blocks.feed(x, pass, blocks)?;
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
        pick(&scratch.normed, self.width, picked, &mut scratch.picked);
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
