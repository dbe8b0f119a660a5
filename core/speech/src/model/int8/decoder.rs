//! Whisper's decoder with quantized weights: pre-norm transformer blocks, a half-precision KV cache of the text, and
//! the audio's keys and values in 8 bits or half precision.
//!
//! Several hypotheses advance in one call: their rows share every matrix product and differ only in their caches.

use sotto_kernels::{Floats, Heads};
use sotto_nn::layers::quantized::QuantizedPrecision;
use sotto_nn::layers::quantized::{DecoderBlock, DecoderBuffers, DecoderStack, Embedding, Norm};
use sotto_nn::layers::{Backend, NormKind, TensorSource, pick};
use sotto_nn::search::{Pass, Row};
use sotto_nn::weights::WeightError;
use sotto_runtime::Cancelled;

use super::{Network, block};
use crate::model::config::Dimensions;
use crate::model::inventory::cross_values;

/// Predicts the next token from the tokens so far and the encoded audio.
#[derive(Debug)]
pub(super) struct Decoder {
    backend: Backend,
    tokens: Embedding,
    /// The output layer; `None` if it is the token embedding.
    output: Option<Embedding>,
    /// Learned positions, `[text_context, width]`.
    positions: Floats,
    pub(super) blocks: DecoderStack,
    norm: Norm,
    width: usize,
    precision: QuantizedPrecision,
}

/// Memory that decoding reuses from token to token.
#[derive(Debug)]
pub(crate) struct DecoderScratch {
    pub(super) blocks: DecoderBuffers,
    x: Vec<f32>,
    picked: Vec<f32>,
    logits: Vec<f32>,
}

impl Decoder {
    pub(super) fn load(
        source: &impl TensorSource,
        backend: &Backend,
        dimensions: &Dimensions,
        precision: QuantizedPrecision,
    ) -> Result<Self, WeightError> {
        let &Dimensions { width, text_context, decoder_heads, vocabulary, .. } = dimensions;
        let heads = Heads::new(decoder_heads, width);
        let block = |index: usize| {
            let name = format!("decoder.layers.{index}");
            Ok(DecoderBlock {
                own: block::self_attention(source, backend, &name, heads)?,
                cross: Some(block::cross_attention(source, backend, &name, heads)?),
                feed_forward: block::feed_forward(source, backend, &name, width, dimensions.decoder_ffn)?,
            })
        };
        let output = || Embedding::load(source, backend, "proj_out", vocabulary, width);
        let tokens = Embedding::load(source, backend, "decoder.embed_tokens", vocabulary, width)?;
        let output = (!dimensions.tied_output).then(output).transpose()?;
        let positions = source.floats("decoder.embed_positions.weight", &[text_context, width])?;
        let blocks = (0..dimensions.decoder_layers).map(block).collect::<Result<_, WeightError>>()?;
        Ok(Self {
            backend: backend.clone(),
            tokens,
            output,
            positions,
            blocks: DecoderStack::new(backend, blocks, heads, text_context, precision),
            norm: Norm::load(source, "decoder.layer_norm", NormKind::LAYER, width)?,
            width,
            precision,
        })
    }

    /// Bytes that each token reads: of the matrices, scales included, and of keys and values of a full window.
    pub(super) fn bytes_per_token(&self, dimensions: &Dimensions) -> u64 {
        let value = if self.precision == QuantizedPrecision::Int8 { 1 } else { 2 };
        (self.blocks.bytes_per_token() + self.output().bytes()) as u64 + value * cross_values(dimensions)
    }

    pub(super) fn scratch(&self) -> DecoderScratch {
        let blocks = self.blocks.buffers();
        DecoderScratch { blocks, x: Vec::new(), picked: Vec::new(), logits: Vec::new() }
    }

    /// As [`search::Network::feed`](sotto_nn::search::Network::feed).
    pub(super) fn feed(&self, pass: Pass<'_, '_, Network>, scratch: &mut DecoderScratch) -> Result<(), Cancelled> {
        let DecoderScratch { blocks, x, .. } = scratch;
        self.embed(pass.rows, blocks.place(pass.rows, pass.memories), x);
        self.blocks.feed(x, pass, blocks)
    }

    /// As [`search::Network::logits`](sotto_nn::search::Network::logits).
    pub(super) fn logits<'s>(&self, picked: &[usize], scratch: &'s mut DecoderScratch) -> &'s mut [f32] {
        let DecoderScratch { blocks, x, picked: rows, logits } = scratch;
        let quantized = &mut blocks.rows.quantized;
        pick(x, self.width, picked, rows);
        let output = self.output();
        output.quantize_normed(&self.backend, &self.norm, rows, quantized);
        logits.resize(picked.len() * output.vocabulary(), 0.0);
        output.logits(&self.backend, quantized, logits);
        logits
    }

    fn output(&self) -> &Embedding {
        self.output.as_ref().unwrap_or(&self.tokens)
    }

    /// Token and position embedding of every row.
    fn embed(&self, rows: &[Row], positions: &[usize], x: &mut Vec<f32>) {
        let width = self.width;
        x.resize(rows.len() * width, 0.0);
        for (row, (position, x)) in rows.iter().zip(positions.iter().zip(x.chunks_exact_mut(width))) {
            self.tokens.row(row.token as usize, x);
            let offset = &self.positions[position * width..(position + 1) * width];
            x.iter_mut().zip(offset).for_each(|(x, offset)| *x += offset);
        }
    }
}
