//! Whisper's decoder with quantized weights: pre-norm transformer blocks, a half-precision cache of the text, and the
//! audio's keys and values in 8 bits or half precision.
//!
//! Several hypotheses advance in one call: their rows share every matrix product and differ only in their caches.

use sotto_kernels::{
    Activation, Activations, Floats, HalfCache, Heads, MatRef, QuantizedAttention, QuantizedRowScratch,
};
use sotto_nn::layers::{
    Backend, Biased, HalfMemory, Int8Norm, NormKind, Part, Positions, QuantizedEmbedding, QuantizedLinear, SeenRows,
    Stash, TensorSource,
};
use sotto_nn::load::QuantizedPrecision;
use sotto_nn::search::{Pass, Recording, Row};
use sotto_nn::weights::WeightError;
use sotto_runtime::{CancelToken, Cancelled, Chunk};

use super::Network;
use super::block::FeedForward;
use crate::model::config::Dimensions;
use crate::model::inventory::cross_values;

/// Predicts the next token from the tokens so far and the encoded audio.
#[derive(Debug)]
pub(super) struct Decoder {
    backend: Backend,
    tokens: QuantizedEmbedding,
    /// The output layer; `None` where it is the token embedding.
    output: Option<QuantizedEmbedding>,
    /// Learned positions, `[text_context, width]`.
    positions: Floats,
    blocks: Vec<Block>,
    norm: Int8Norm,
    heads: Heads,
    text_context: usize,
    precision: QuantizedPrecision,
}

/// Keys and values of the audio for one block.
#[derive(Debug)]
pub(crate) enum CrossLayer {
    /// In half precision.
    Half(HalfCache),
    /// In 8 bits.
    Int8(QuantizedAttention),
}

#[derive(Debug)]
struct Block {
    self_norm: Int8Norm,
    /// Queries, keys and values side by side.
    self_projections: QuantizedLinear,
    self_out: QuantizedLinear,
    cross_norm: Int8Norm,
    cross_query: QuantizedLinear,
    /// Keys and values of the audio side by side.
    cross_projections: QuantizedLinear,
    cross_out: QuantizedLinear,
    feed_forward: FeedForward,
}

/// Memory that decoding reuses from token to token.
#[derive(Debug)]
pub(crate) struct DecoderScratch {
    quantized: Activations,
    x: Vec<f32>,
    projected: Vec<f32>,
    attended: Vec<f32>,
    weights: Vec<f32>,
    positions: Positions,
    /// Attention weights of one row: one per thread.
    seen: Stash<Vec<f32>>,
    hidden: Vec<f32>,
    picked: Vec<f32>,
    logits: Vec<f32>,
    /// For projecting the audio's keys and values: one per thread.
    audio: Stash<AudioScratch>,
    /// For attending to them: one per thread.
    rows: Stash<QuantizedRowScratch>,
}

/// What projecting the audio's keys and values needs: quantized states, and keys and values in f32 or half precision.
#[derive(Debug)]
struct AudioScratch {
    quantized: Activations,
    projected: Vec<f32>,
    halves: Vec<u16>,
}

// Encoder states that are projected at a time for a half-precision cache: their keys and values stay in L2.
const AUDIO_ROWS: usize = 192;

impl Block {
    fn load(
        source: &impl TensorSource,
        backend: &Backend,
        name: &str,
        dimensions: &Dimensions,
    ) -> Result<Self, WeightError> {
        let width = dimensions.width;
        let norm = |part: &str| Int8Norm::load(source, &format!("{name}.{part}_layer_norm"), NormKind::LAYER, width);
        let stack = |attention: &str, parts: &[(&str, Biased)]| {
            let names: Vec<(String, Biased)> =
                parts.iter().map(|(part, biased)| (format!("{name}.{attention}.{part}_proj"), *biased)).collect();
            let parts: Vec<Part<'_>> =
                names.iter().map(|(name, biased)| Part { name, biased: *biased, outputs: width }).collect();
            QuantizedLinear::stacked(source, backend, &parts, width)
        };
        let (query, key, value, out) =
            (("q", Biased::Yes), ("k", Biased::No), ("v", Biased::Yes), ("out", Biased::Yes));
        Ok(Self {
            self_norm: norm("self_attn")?,
            self_projections: stack("self_attn", &[query, key, value])?,
            self_out: stack("self_attn", &[out])?,
            cross_norm: norm("encoder_attn")?,
            cross_query: stack("encoder_attn", &[query])?,
            cross_projections: stack("encoder_attn", &[key, value])?,
            cross_out: stack("encoder_attn", &[out])?,
            feed_forward: FeedForward::load(source, backend, name, width, dimensions.decoder_ffn)?,
        })
    }
}

impl Block {
    /// Bytes of the matrices that each token reads.
    fn bytes_per_token(&self) -> usize {
        let matrices = [&self.self_projections, &self.self_out, &self.cross_query, &self.cross_out];
        matrices.into_iter().map(QuantizedLinear::bytes).sum::<usize>() + self.feed_forward.bytes()
    }
}

impl Decoder {
    pub(super) fn load(
        source: &impl TensorSource,
        backend: &Backend,
        dimensions: &Dimensions,
        precision: QuantizedPrecision,
    ) -> Result<Self, WeightError> {
        let &Dimensions { width, text_context, decoder_heads, vocabulary, .. } = dimensions;
        let block = |index: usize| Block::load(source, backend, &format!("decoder.layers.{index}"), dimensions);
        let output = || QuantizedEmbedding::load(source, backend, "proj_out", vocabulary, width);
        Ok(Self {
            backend: backend.clone(),
            tokens: QuantizedEmbedding::load(source, backend, "decoder.embed_tokens", vocabulary, width)?,
            output: (!dimensions.tied_output).then(output).transpose()?,
            positions: source.floats("decoder.embed_positions.weight", &[text_context, width])?,
            blocks: (0..dimensions.decoder_layers).map(block).collect::<Result<_, WeightError>>()?,
            norm: Int8Norm::load(source, "decoder.layer_norm", NormKind::LAYER, width)?,
            heads: Heads::new(decoder_heads, width),
            text_context,
            precision,
        })
    }

    /// Bytes that each token reads: of the matrices, scales included, and of keys and values of a full window.
    pub(super) fn bytes_per_token(&self, dimensions: &Dimensions) -> u64 {
        let blocks: usize = self.blocks.iter().map(Block::bytes_per_token).sum();
        let value = if self.precision == QuantizedPrecision::Int8 { 1 } else { 2 };
        (blocks + self.output().bytes()) as u64 + value * cross_values(dimensions)
    }

    pub(super) fn scratch(&self) -> DecoderScratch {
        DecoderScratch {
            quantized: self.backend.kernels().activations(0, 0),
            x: Vec::new(),
            projected: Vec::new(),
            attended: Vec::new(),
            weights: Vec::new(),
            positions: Positions::default(),
            seen: Stash::of(
                (0..self.backend.threads().count()).map(|_| vec![0.0; self.heads.count() * self.text_context]),
            ),
            hidden: Vec::new(),
            picked: Vec::new(),
            logits: Vec::new(),
            audio: Stash::new(),
            rows: Stash::of((0..self.backend.threads().count()).map(|_| QuantizedRowScratch::default())),
        }
    }

    /// Projects encoder states `[states, width]` to the keys and values of every block, in the memory of `kept`.
    pub(super) fn cross_cache(
        &self,
        states: &[f32],
        kept: Option<Vec<CrossLayer>>,
        scratch: &DecoderScratch,
        cancel: &CancelToken,
    ) -> Result<Vec<CrossLayer>, Cancelled> {
        let rows = states.len() / self.heads.width();
        let mut layers = kept.unwrap_or_default();
        layers.retain(|layer| layer.fits(rows));
        layers.resize_with(self.blocks.len(), || self.cross_layer(rows));
        for (block, layer) in self.blocks.iter().zip(&mut layers) {
            cancel.check()?;
            match layer {
                CrossLayer::Int8(layer) => self.fill_quantized(block, states, layer, &scratch.audio),
                CrossLayer::Half(cache) => self.fill_half(block, states, cache, &scratch.audio),
            }
        }
        if let Some(CrossLayer::Int8(layer)) = layers.first() {
            scratch.rows.for_each(|scratch| scratch.fit(layer));
        }
        Ok(layers)
    }

    /// Room for the keys and values of `rows` states.
    fn cross_layer(&self, rows: usize) -> CrossLayer {
        match self.precision {
            QuantizedPrecision::Int8 => CrossLayer::Int8(self.backend.kernels().quantized_key_values(self.heads)),
            QuantizedPrecision::Mixed => CrossLayer::Half(HalfCache::new(self.heads, rows)),
        }
    }

    fn fill_quantized(
        &self,
        block: &Block,
        states: &[f32],
        layer: &mut QuantizedAttention,
        scratch: &Stash<AudioScratch>,
    ) {
        let (backend, width) = (&self.backend, self.heads.width());
        backend.blocks(layer.chunks_mut(states.len() / width), 1, Chunk::of(1), |_, chunks| {
            let work = |AudioScratch { quantized, projected, .. }: &mut AudioScratch| {
                for chunk in chunks {
                    let rows = chunk.rows();
                    block.cross_projections.quantize(backend, &states[rows.start * width..rows.end * width], quantized);
                    projected.resize(2 * width * rows.len(), 0.0);
                    block.cross_projections.forward(backend, quantized, Activation::Identity, projected);
                    backend.kernels().fill_quantized(MatRef::new(projected, rows.len(), 2 * width), chunk);
                }
            };
            scratch.with(|| self.audio_scratch(), work);
        });
    }

    fn fill_half(&self, block: &Block, states: &[f32], cache: &mut HalfCache, scratch: &Stash<AudioScratch>) {
        let (backend, width) = (&self.backend, self.heads.width());
        cache.truncate(0);
        let work = |AudioScratch { quantized, halves, .. }: &mut AudioScratch| {
            for states in states.chunks(AUDIO_ROWS * width) {
                block.cross_projections.quantize(backend, states, quantized);
                halves.resize(2 * states.len(), 0);
                block.cross_projections.forward_half(backend, quantized, Activation::Identity, halves);
                for row in halves.chunks_exact(2 * width) {
                    let (key, value) = row.split_at(width);
                    cache.append_half(key, value);
                }
            }
        };
        scratch.with(|| self.audio_scratch(), work);
    }

    fn audio_scratch(&self) -> AudioScratch {
        let quantized = self.backend.kernels().activations(0, 0);
        AudioScratch { quantized, projected: Vec::new(), halves: Vec::new() }
    }

    /// Empty caches for one hypothesis: room for `positions` tokens, at most the text context.
    pub(super) fn memory(&self, positions: usize) -> HalfMemory {
        HalfMemory::new(self.blocks.len(), positions.min(self.text_context), self.heads)
    }

    /// As [`search::Network::feed`](sotto_nn::search::Network::feed).
    pub(super) fn feed(&self, pass: Pass<'_, '_, Network>, scratch: &mut DecoderScratch) -> Result<(), Cancelled> {
        let cross = pass.shared_source();
        let Pass { rows, memories, mut recording, cancel, .. } = pass;
        scratch.positions.place(rows, memories);
        self.embed(rows, scratch);
        for (index, (block, cross)) in self.blocks.iter().zip(cross).enumerate() {
            cancel.check()?;
            self.attend_self(index, block, rows, memories, scratch);
            let recording = recording.as_deref_mut().map(|recording| (index, recording));
            self.attend_cross(block, cross, recording, scratch);
            let DecoderScratch { x, quantized, hidden, .. } = scratch;
            block.feed_forward.forward_add(&self.backend, x, quantized, hidden);
        }
        Ok(())
    }

    /// As [`search::Network::logits`](sotto_nn::search::Network::logits).
    pub(super) fn logits<'s>(&self, picked: &[usize], scratch: &'s mut DecoderScratch) -> &'s mut [f32] {
        let (width, DecoderScratch { x, quantized, picked: rows, logits, .. }) = (self.heads.width(), scratch);
        rows.clear();
        for &row in picked {
            rows.extend_from_slice(&x[row * width..(row + 1) * width]);
        }
        let output = self.output();
        output.quantize_normed(&self.backend, &self.norm, rows, quantized);
        logits.resize(picked.len() * output.vocabulary(), 0.0);
        output.logits(&self.backend, quantized, logits);
        logits
    }

    fn output(&self) -> &QuantizedEmbedding {
        self.output.as_ref().unwrap_or(&self.tokens)
    }

    /// Token and position embedding of every row.
    fn embed(&self, rows: &[Row], scratch: &mut DecoderScratch) {
        let width = self.heads.width();
        scratch.x.resize(rows.len() * width, 0.0);
        let positions = scratch.positions.placed();
        for (row, (position, x)) in rows.iter().zip(positions.iter().zip(scratch.x.chunks_exact_mut(width))) {
            self.tokens.row(row.token as usize, x);
            let offset = &self.positions[position * width..(position + 1) * width];
            x.iter_mut().zip(offset).for_each(|(x, offset)| *x += offset);
        }
    }

    fn attend_self(
        &self,
        index: usize,
        block: &Block,
        rows: &[Row],
        memories: &mut [HalfMemory],
        scratch: &mut DecoderScratch,
    ) {
        let backend = &self.backend;
        let DecoderScratch { quantized, x, projected, attended, positions, seen, .. } = scratch;
        projected.resize(3 * x.len(), 0.0);
        attended.resize(x.len(), 0.0);
        block.self_projections.quantize_normed(backend, &block.self_norm, x, quantized);
        block.self_projections.forward(backend, quantized, Activation::Identity, projected);
        let tokens = SeenRows { rows, positions: positions.placed(), memories, block: index };
        backend.attend_seen(projected, self.heads, tokens, seen, attended);
        block.self_out.quantize(backend, attended, quantized);
        block.self_out.forward_add(backend, quantized, x);
    }

    fn attend_cross(
        &self,
        block: &Block,
        cross: &CrossLayer,
        mut recording: Option<(usize, &mut Recording<'_>)>,
        scratch: &mut DecoderScratch,
    ) {
        let (backend, width) = (&self.backend, self.heads.width());
        let DecoderScratch { quantized, x, projected, attended, weights, rows, .. } = scratch;
        projected.resize(x.len(), 0.0);
        attended.resize(x.len(), 0.0);
        block.cross_query.quantize_normed(backend, &block.cross_norm, x, quantized);
        block.cross_query.forward(backend, quantized, Activation::Identity, projected);
        let states = cross.states();
        weights.resize(self.heads.count() * states, 0.0);
        match (cross, &mut recording) {
            (CrossLayer::Int8(layer), None) => self.attend_audio(projected, layer, attended, rows),
            (cross, recording) => {
                for (query, out) in projected.chunks_exact(width).zip(attended.chunks_exact_mut(width)) {
                    match cross {
                        CrossLayer::Half(cache) => backend.kernels().attend_cached(query, cache, weights, out),
                        CrossLayer::Int8(layer) => rows.with(QuantizedRowScratch::default, |scratch| {
                            backend.kernels().attend_quantized_row(query, layer, Some(weights), out, scratch);
                        }),
                    }
                    if let Some((index, recording)) = recording {
                        recording.take(*index, weights, self.heads, states);
                    }
                }
            }
        }
        block.cross_out.quantize(backend, attended, quantized);
        block.cross_out.forward_add(backend, quantized, x);
    }

    /// Attention of every row to the audio, head by head on the threads of the pool.
    fn attend_audio(
        &self,
        queries: &[f32],
        layer: &QuantizedAttention,
        out: &mut [f32],
        scratch: &Stash<QuantizedRowScratch>,
    ) {
        let (kernels, heads) = (self.backend.kernels(), self.heads);
        let head_width = heads.head_width();
        let parts = queries.len() / head_width;
        let chunk = self.backend.chunk_of_reading(parts, 2 * layer.rows() * queries.len());
        self.backend.blocks(out, head_width, chunk, |parts, out| {
            scratch.with(QuantizedRowScratch::default, |scratch| {
                for (part, out) in parts.zip(out.chunks_exact_mut(head_width)) {
                    let query = &queries[part * head_width..(part + 1) * head_width];
                    kernels.attend_quantized_row_head(query, layer, part % heads.count(), None, out, scratch);
                }
            });
        });
    }
}

impl CrossLayer {
    /// Whether there is room for `rows` states.
    fn fits(&self, rows: usize) -> bool {
        match self {
            Self::Half(cache) => rows <= cache.capacity(),
            Self::Int8(_) => true,
        }
    }

    /// Encoder states that it was made from.
    fn states(&self) -> usize {
        match self {
            Self::Half(cache) => cache.rows(),
            Self::Int8(layer) => layer.rows(),
        }
    }
}
