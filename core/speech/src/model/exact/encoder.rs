//! Whisper's encoder: two convolutions over the log-mel frames, then pre-norm transformer blocks.

use sotto_kernels::{Heads, gelu};
use sotto_nn::layers::exact::{BlockBuffers, Conv1d, EncoderBlock, EncoderStack, Norm};
use sotto_nn::layers::{ConvShape, NormKind, TensorSource};
use sotto_nn::weights::WeightError;
use sotto_runtime::{CancelToken, Cancelled, Threads};

use super::block;
use crate::model::config::Dimensions;

/// Turns log-mel frames into hidden states.
#[derive(Debug)]
pub(super) struct Encoder {
    conv1: Conv1d,
    conv2: Conv1d,
    /// Sinusoids, `[audio_context, width]`.
    positions: Vec<f32>,
    blocks: EncoderStack,
    norm: Norm,
    mels: usize,
    width: usize,
}

/// Memory that encoding reuses from window to window.
#[derive(Debug, Default)]
pub(crate) struct EncoderScratch {
    padded: Vec<f32>,
    conv: Vec<f32>,
    x: Vec<f32>,
    blocks: BlockBuffers,
}

impl Encoder {
    pub(super) fn load(source: &impl TensorSource, dimensions: &Dimensions) -> Result<Self, WeightError> {
        let &Dimensions { mels, width, audio_context, encoder_heads, encoder_ffn, .. } = dimensions;
        let heads = Heads::new(encoder_heads, width);
        let block = |index: usize| {
            let name = format!("encoder.layers.{index}");
            Ok(EncoderBlock {
                attention: block::attention(source, &name, "self_attn", heads)?,
                feed_forward: block::feed_forward(source, &name, width, encoder_ffn)?,
            })
        };
        let conv = |inputs, stride| ConvShape { inputs, outputs: width, kernel: 3, stride };
        Ok(Self {
            conv1: Conv1d::load(source, "encoder.conv1", conv(mels, 1))?,
            conv2: Conv1d::load(source, "encoder.conv2", conv(width, 2))?,
            positions: source.tensor("encoder.embed_positions.weight", &[audio_context, width])?,
            blocks: EncoderStack((0..dimensions.encoder_layers).map(block).collect::<Result<_, WeightError>>()?),
            norm: Norm::load(source, "encoder.layer_norm", NormKind::LAYER, width)?,
            mels,
            width,
        })
    }

    /// Encodes `[frames, mels]` into `[frames / 2, width]` states, left in `scratch`.
    ///
    /// Polls `cancel` before every block.
    ///
    /// # Panics
    /// When `features` is longer than a full window.
    pub(super) fn encode<'s>(
        &self,
        features: &[f32],
        scratch: &'s mut EncoderScratch,
        threads: Threads,
        cancel: &CancelToken,
    ) -> Result<&'s [f32], Cancelled> {
        cancel.check()?;
        self.convolve(features, scratch, threads);
        self.blocks.forward(&mut scratch.x, &mut scratch.blocks, threads, cancel)?;
        // The first convolution's frames, twice as many as states, are no longer needed.
        let states = &mut scratch.conv[..scratch.x.len()];
        self.norm.forward(&scratch.x, states);
        Ok(states)
    }

    fn convolve(&self, features: &[f32], scratch: &mut EncoderScratch, threads: Threads) {
        let frames = self.conv1.output_frames(features.len() / self.mels);
        scratch.conv.resize(frames * self.width, 0.0);
        self.conv1.forward(features, &mut scratch.padded, &mut scratch.conv, threads);
        gelu(&mut scratch.conv);
        let states = self.conv2.output_frames(frames);
        scratch.x.resize(states * self.width, 0.0);
        self.conv2.forward(&scratch.conv, &mut scratch.padded, &mut scratch.x, threads);
        gelu(&mut scratch.x);
        let positions = &self.positions[..scratch.x.len()];
        scratch.x.iter_mut().zip(positions).for_each(|(x, position)| *x += position);
    }
}
