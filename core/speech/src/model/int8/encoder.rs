//! Whisper's encoder in int8: two convolutions over the log-mel frames, then pre-norm transformer blocks.

use std::ops::Range;

use sotto_kernels::{
    Activation, Activations, AttentionScratch, BlockMut, Floats, Heads, KeyValuePanels, MatRef, QuantizedAttention,
    QuantizedScratch,
};
use sotto_nn::layers::{
    Backend, Biased, ConvShape, Int8Norm, NormKind, Part, QuantizedConv1d, QuantizedLinear, Stash, TensorSource,
};
use sotto_nn::load::QuantizedPrecision;
use sotto_nn::weights::WeightError;
use sotto_runtime::{CancelToken, Cancelled, Chunk};

use super::block::FeedForward;
use crate::model::config::Dimensions;

/// Turns log-mel frames into hidden states.
#[derive(Debug)]
pub(super) struct Encoder {
    backend: Backend,
    conv1: QuantizedConv1d,
    conv2: QuantizedConv1d,
    /// Sinusoids, `[audio_context, width]`.
    positions: Floats,
    blocks: Vec<Block>,
    norm: Int8Norm,
    heads: Heads,
    mels: usize,
    precision: QuantizedPrecision,
}

#[derive(Debug)]
struct Block {
    norm: Int8Norm,
    /// Queries, keys and values side by side.
    projections: QuantizedLinear,
    out: QuantizedLinear,
    feed_forward: FeedForward,
}

/// Memory that encoding reuses from window to window.
#[derive(Debug)]
pub(crate) struct EncoderScratch {
    attention: Attention,
    /// The features between zeros; at the end the finished states.
    padded: Vec<f32>,
    x: Vec<f32>,
    /// One per thread that works on a block of rows.
    blocks: Stash<BlockScratch>,
}

/// Queries, keys and values of the layer at hand.
#[derive(Debug)]
enum Attention {
    Int8(QuantizedAttention),
    F32 { panels: KeyValuePanels, projected: Vec<f32> },
}

/// Memory of one thread.
#[derive(Debug)]
struct BlockScratch {
    quantized: Activations,
    projected: Vec<f32>,
    attended: Vec<f32>,
    /// Of the feed-forward layer, or of the first convolution.
    hidden: Vec<f32>,
    int8: QuantizedScratch,
    f32: AttentionScratch,
}

// Rows that one thread takes at a time. 96 rows of tiny's widest layer are 590 kB and stay in L2 from one product to
// the next; a multiple of every tile.
const BLOCK: usize = 96;

impl Encoder {
    pub(super) fn load(
        source: &impl TensorSource,
        backend: &Backend,
        dimensions: &Dimensions,
        precision: QuantizedPrecision,
    ) -> Result<Self, WeightError> {
        let &Dimensions { mels, width, audio_context, encoder_heads, encoder_ffn, .. } = dimensions;
        let block = |index: usize| {
            let name = format!("encoder.layers.{index}");
            let projection = |part| format!("{name}.self_attn.{part}_proj");
            let (query, key, value) = (projection("q"), projection("k"), projection("v"));
            let part = |name, biased| Part { name, biased, outputs: width };
            let stack = [part(&*query, Biased::Yes), part(&*key, Biased::No), part(&*value, Biased::Yes)];
            Ok(Block {
                norm: Int8Norm::load(source, &format!("{name}.self_attn_layer_norm"), NormKind::LAYER, width)?,
                projections: QuantizedLinear::stacked(source, backend, &stack, width)?,
                out: QuantizedLinear::load(source, backend, &projection("out"), width, width)?,
                feed_forward: FeedForward::load(source, backend, &name, width, encoder_ffn)?,
            })
        };
        let conv = |inputs, stride| ConvShape { inputs, outputs: width, kernel: 3, stride };
        Ok(Self {
            backend: backend.clone(),
            conv1: QuantizedConv1d::load(source, backend, "encoder.conv1", conv(mels, 1))?,
            conv2: QuantizedConv1d::load(source, backend, "encoder.conv2", conv(width, 2))?,
            positions: source.floats("encoder.embed_positions.weight", &[audio_context, width])?,
            blocks: (0..dimensions.encoder_layers).map(block).collect::<Result<_, WeightError>>()?,
            norm: Int8Norm::load(source, "encoder.layer_norm", NormKind::LAYER, width)?,
            heads: Heads::new(encoder_heads, width),
            mels,
            precision,
        })
    }

    pub(super) fn scratch(&self) -> EncoderScratch {
        let attention = match self.precision {
            QuantizedPrecision::Int8 => Attention::Int8(self.backend.kernels().quantized_attention(self.heads)),
            QuantizedPrecision::Mixed => {
                Attention::F32 { panels: KeyValuePanels::new(self.heads, 0), projected: Vec::new() }
            }
        };
        EncoderScratch { attention, padded: Vec::new(), x: Vec::new(), blocks: Stash::new() }
    }

    fn block_scratch(&self) -> BlockScratch {
        let kernels = self.backend.kernels();
        BlockScratch {
            quantized: kernels.activations(0, 0),
            projected: Vec::new(),
            attended: vec![0.0; BLOCK * self.heads.width()],
            hidden: Vec::new(),
            int8: kernels.quantized_scratch(self.heads),
            f32: AttentionScratch::new(self.heads.head_width()),
        }
    }

    /// Encodes `[frames, mels]` into `[frames / 2, width]` states, left in `scratch`.
    ///
    /// Looks at `cancel` before every half block.
    ///
    /// # Panics
    /// When `features` is longer than a full window.
    pub(super) fn encode<'s>(
        &self,
        features: &[f32],
        scratch: &'s mut EncoderScratch,
        cancel: &CancelToken,
    ) -> Result<&'s [f32], Cancelled> {
        cancel.check()?;
        self.convolve(features, scratch);
        for block in &self.blocks {
            cancel.check()?;
            self.project(block, scratch);
            cancel.check()?;
            self.attend(block, scratch);
        }
        let EncoderScratch { padded: states, x, .. } = scratch;
        states.resize(x.len(), 0.0);
        self.norm.forward(&self.backend, x, states);
        Ok(states)
    }

    /// Both convolutions, block by block of states: what the first makes for a block stays in the cache for the second.
    fn convolve(&self, features: &[f32], scratch: &mut EncoderScratch) {
        let (backend, width) = (&self.backend, self.heads.width());
        let EncoderScratch { blocks, padded, x, .. } = scratch;
        let frames = self.conv1.output_frames(features.len() / self.mels);
        pad(padded, features, self.conv1.margin());
        x.resize(self.conv2.output_frames(frames) * width, 0.0);
        backend.blocks(x, width, Chunk::of(BLOCK), |rows, out| {
            let work = |scratch: &mut BlockScratch| {
                let BlockScratch { quantized, hidden, .. } = scratch;
                self.convolve_first(padded, rows.clone(), frames, quantized, hidden);
                self.conv2.forward(backend, hidden, 0, quantized, out);
            };
            blocks.with(|| self.block_scratch(), work);
            let positions = &self.positions[rows.start * width..rows.end * width];
            out.iter_mut().zip(positions).for_each(|(x, position)| *x += position);
        });
    }

    /// What the second convolution reads for the states `rows`: the frames two by two, one before them and, where the
    /// frames end, one behind, which are zeros beyond both ends.
    fn convolve_first(
        &self,
        padded: &[f32],
        rows: Range<usize>,
        frames: usize,
        quantized: &mut Activations,
        out: &mut Vec<f32>,
    ) {
        let width = self.heads.width();
        // In the numbering of the frames with their margin of one.
        let (first, last) = ((2 * rows.start).max(1), (2 * rows.end + 1).min(frames + 1));
        out.clear();
        out.resize((2 * rows.len() + 1) * width, 0.0);
        let (from, to) = ((first - 2 * rows.start) * width, (last - 2 * rows.start) * width);
        self.conv1.forward(&self.backend, padded, first - 1, quantized, &mut out[from..to]);
    }

    /// Queries, keys and values of all rows.
    fn project(&self, block: &Block, scratch: &mut EncoderScratch) {
        let (backend, width) = (&self.backend, self.heads.width());
        let EncoderScratch { attention, x, blocks, .. } = scratch;
        let rows = x.len() / width;
        match attention {
            Attention::Int8(layer) => backend.blocks(layer.chunks_mut(rows), 1, Chunk::of(1), |_, chunks| {
                for chunk in chunks {
                    let rows = chunk.rows();
                    let work = |scratch: &mut BlockScratch| {
                        let BlockScratch { quantized, projected, .. } = scratch;
                        projected.resize(3 * width * rows.len(), 0.0);
                        let x = &x[rows.start * width..rows.end * width];
                        block.projections.quantize_normed(backend, &block.norm, x, quantized);
                        block.projections.forward(backend, quantized, Activation::Identity, projected);
                        let projected = MatRef::new(projected, rows.len(), 3 * width);
                        backend.kernels().fill_quantized(projected, chunk);
                    };
                    blocks.with(|| self.block_scratch(), work);
                }
            }),
            Attention::F32 { panels, projected } => {
                projected.resize(3 * x.len(), 0.0);
                backend.blocks(projected, 3 * width, Chunk::of(BLOCK), |rows, out| {
                    let work = |scratch: &mut BlockScratch| {
                        let quantized = &mut scratch.quantized;
                        let x = &x[rows.start * width..rows.end * width];
                        block.projections.quantize_normed(backend, &block.norm, x, quantized);
                        block.projections.forward(backend, quantized, Activation::Identity, out);
                    };
                    blocks.with(|| self.block_scratch(), work);
                });
                let part = |index: usize| MatRef::strided(&projected[index * width..], rows, width, 3 * width);
                panels.fill(part(1), part(2));
            }
        }
    }

    /// Attention and feed-forward layer, block by block of rows.
    fn attend(&self, block: &Block, scratch: &mut EncoderScratch) {
        let (backend, width) = (&self.backend, self.heads.width());
        let EncoderScratch { attention, x, blocks, .. } = scratch;
        let attention = &*attention;
        let all = x.len() / width;
        backend.blocks(x, width, Chunk::of(BLOCK), |rows, x| {
            let work = |scratch: &mut BlockScratch| {
                let BlockScratch { quantized, attended, hidden, int8, f32, .. } = scratch;
                let attended = &mut attended[..x.len()];
                let out = BlockMut::new(attended, width);
                match attention {
                    Attention::Int8(layer) => backend.kernels().attend_quantized(rows.clone(), layer, out, int8),
                    Attention::F32 { panels, projected } => {
                        let queries = MatRef::strided(projected, all, width, 3 * width);
                        backend.kernels().attend(queries.rows_range(rows.start, rows.len()), panels, out, f32);
                    }
                }
                block.out.quantize(backend, attended, quantized);
                block.out.forward_add(backend, quantized, x);
                block.feed_forward.forward_add(backend, x, quantized, hidden);
            };
            blocks.with(|| self.block_scratch(), work);
        });
    }
}

/// `x` between two margins of zeros.
fn pad(padded: &mut Vec<f32>, x: &[f32], margin: usize) {
    padded.clear();
    padded.reserve(x.len() + 2 * margin);
    padded.resize(margin, 0.0);
    padded.extend_from_slice(x);
    padded.resize(x.len() + 2 * margin, 0.0);
}
