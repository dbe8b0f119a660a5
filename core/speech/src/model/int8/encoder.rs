//! Whisper's encoder in int8: two convolutions over the log-mel frames, then pre-norm transformer blocks.

use sotto_kernels::{Activation, Activations, Heads, KeyValuePanels, MatRef};
use sotto_nn::layers::{Backend, Biased, ConvShape, Int8Conv1d, Int8Linear, Int8Norm, TensorSource};
use sotto_nn::weights::WeightError;
use sotto_runtime::{CancelToken, Cancelled};

use super::block::{FeedForward, quantize_rows};
use crate::model::config::Dimensions;

/// Turns log-mel frames into hidden states.
#[derive(Debug)]
pub(crate) struct Encoder {
    backend: Backend,
    conv1: Int8Conv1d,
    conv2: Int8Conv1d,
    /// Sinusoids, `[audio_context, width]`.
    positions: Vec<f32>,
    blocks: Vec<Block>,
    norm: Int8Norm,
    heads: Heads,
    mels: usize,
}

#[derive(Debug)]
struct Block {
    norm: Int8Norm,
    /// Queries, keys and values side by side.
    projections: Int8Linear,
    out: Int8Linear,
    feed_forward: FeedForward,
}

/// Memory that encoding reuses from window to window.
#[derive(Debug)]
pub(crate) struct EncoderScratch {
    quantized: Activations,
    panels: KeyValuePanels,
    padded: Vec<f32>,
    x: Vec<f32>,
    projected: Vec<f32>,
    attended: Vec<f32>,
    hidden: Vec<f32>,
}

impl Encoder {
    pub(crate) fn load(
        source: &impl TensorSource,
        backend: &Backend,
        dimensions: &Dimensions,
    ) -> Result<Self, WeightError> {
        let &Dimensions { mels, width, audio_context, encoder_heads, encoder_ffn, .. } = dimensions;
        let block = |index: usize| {
            let name = format!("encoder.layers.{index}");
            let projection = |part| format!("{name}.self_attn.{part}_proj");
            let (query, key, value) = (projection("q"), projection("k"), projection("v"));
            let stack = [(&*query, Biased::Yes), (&*key, Biased::No), (&*value, Biased::Yes)];
            Ok(Block {
                norm: Int8Norm::load(source, &format!("{name}.self_attn_layer_norm"), width)?,
                projections: Int8Linear::stacked(source, backend, &stack, width, width)?,
                out: Int8Linear::load(source, backend, &projection("out"), width, width)?,
                feed_forward: FeedForward::load(source, backend, &name, width, encoder_ffn)?,
            })
        };
        let conv = |inputs, stride| ConvShape { inputs, outputs: width, kernel: 3, stride };
        Ok(Self {
            backend: backend.clone(),
            conv1: Int8Conv1d::load(source, backend, "encoder.conv1", conv(mels, 1))?,
            conv2: Int8Conv1d::load(source, backend, "encoder.conv2", conv(width, 2))?,
            positions: source.tensor("encoder.embed_positions.weight", &[audio_context, width])?,
            blocks: (0..dimensions.encoder_layers).map(block).collect::<Result<_, WeightError>>()?,
            norm: Int8Norm::load(source, "encoder.layer_norm", width)?,
            heads: Heads { count: encoder_heads, width },
            mels,
        })
    }

    pub(crate) fn scratch(&self) -> EncoderScratch {
        EncoderScratch {
            quantized: self.backend.kernels().activations(0, 0),
            panels: KeyValuePanels::new(self.heads, 0),
            padded: Vec::new(),
            x: Vec::new(),
            projected: Vec::new(),
            attended: Vec::new(),
            hidden: Vec::new(),
        }
    }

    /// Encodes `[frames, mels]` into `[frames / 2, width]` states, left in `scratch`.
    ///
    /// Looks at `cancel` before every half block.
    ///
    /// # Panics
    /// When `features` is longer than a full window.
    pub(crate) fn encode<'s>(
        &self,
        features: &[f32],
        scratch: &'s mut EncoderScratch,
        cancel: &CancelToken,
    ) -> Result<&'s [f32], Cancelled> {
        cancel.check()?;
        self.convolve(features, scratch);
        for block in &self.blocks {
            cancel.check()?;
            self.attend(block, scratch);
            cancel.check()?;
            let EncoderScratch { x, quantized, hidden, .. } = scratch;
            block.feed_forward.forward_add(&self.backend, x, quantized, hidden);
        }
        scratch.attended.resize(scratch.x.len(), 0.0);
        self.norm.forward(&self.backend, &scratch.x, &mut scratch.attended);
        Ok(&scratch.attended)
    }

    fn convolve(&self, features: &[f32], scratch: &mut EncoderScratch) {
        let (backend, width) = (&self.backend, self.heads.width);
        let EncoderScratch { quantized, padded, x, hidden, .. } = scratch;
        let frames = self.conv1.output_frames(features.len() / self.mels);
        pad(padded, features, self.conv1.margin());
        // The second convolution reads the first one's result between zeros.
        let (margin, length) = (self.conv2.margin(), frames * width);
        hidden.clear();
        hidden.resize(length + 2 * margin, 0.0);
        self.conv1.forward(backend, padded, quantized, &mut hidden[margin..margin + length]);
        let states = self.conv2.output_frames(frames);
        x.resize(states * width, 0.0);
        self.conv2.forward(backend, hidden, quantized, x);
        let positions = &self.positions[..x.len()];
        x.iter_mut().zip(positions).for_each(|(x, position)| *x += position);
    }

    fn attend(&self, block: &Block, scratch: &mut EncoderScratch) {
        let (backend, width) = (&self.backend, self.heads.width);
        let EncoderScratch { quantized, panels, x, projected, attended, .. } = scratch;
        let rows = x.len() / width;
        projected.resize(3 * x.len(), 0.0);
        attended.resize(x.len(), 0.0);
        block.norm.quantize(backend, x, quantized);
        block.projections.forward(backend, quantized, Activation::Identity, projected);
        let part = |index: usize| MatRef::strided(&projected[index * width..], rows, width, 3 * width);
        panels.fill(part(1), part(2));
        backend.attend(part(0), panels, attended);
        quantize_rows(backend, attended, width, quantized);
        block.out.forward_add(backend, quantized, x);
    }
}

/// `x` between two margins of zeros.
fn pad(padded: &mut Vec<f32>, x: &[f32], margin: usize) {
    padded.clear();
    padded.resize(margin, 0.0);
    padded.extend_from_slice(x);
    padded.resize(x.len() + 2 * margin, 0.0);
}
