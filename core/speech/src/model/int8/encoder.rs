//! Whisper's encoder in int8: two convolutions over the log-mel frames, then pre-norm transformer blocks.

use std::ops::Range;

use sotto_kernels::{Activations, Floats, Heads};
use sotto_nn::layers::quantized::QuantizedPrecision;
use sotto_nn::layers::quantized::{BlockBuffers, Conv1d, EncoderBlock, EncoderBuffers, EncoderStack, Norm};
use sotto_nn::layers::{Backend, ConvShape, NormKind, TensorSource};
use sotto_nn::weights::WeightError;
use sotto_runtime::{CancelToken, Cancelled, Chunk};

use super::block;
use super::convolved::Convolved;
use crate::model::config::Dimensions;

/// Turns log-mel frames into hidden states.
#[derive(Debug)]
pub(super) struct Encoder {
    backend: Backend,
    conv1: Conv1d,
    conv2: Conv1d,
    /// Sinusoids, `[audio_context, width]`.
    positions: Floats,
    blocks: EncoderStack,
    norm: Norm,
    mels: usize,
    width: usize,
}

/// Memory that encoding reuses from window to window.
#[derive(Debug)]
pub(crate) struct EncoderScratch {
    blocks: EncoderBuffers,
    /// The features, padded with zeros; at the end the encoder states.
    padded: Vec<f32>,
    x: Vec<f32>,
    /// What the convolutions made of the last window, where the next one repeats most of it.
    convolved: Option<Convolved>,
}

impl EncoderScratch {
    /// Keeps what windows that repeat the last one's frames need not compute again.
    pub(super) fn expect_repetition(&mut self) {
        self.convolved.get_or_insert_default();
    }
}

impl Encoder {
    pub(super) fn load(
        source: &impl TensorSource,
        backend: &Backend,
        dimensions: &Dimensions,
        precision: QuantizedPrecision,
    ) -> Result<Self, WeightError> {
        let &Dimensions { mels, width, audio_context, encoder_heads, encoder_ffn, .. } = dimensions;
        let heads = Heads::new(encoder_heads, width);
        let block = |index: usize| {
            let name = format!("encoder.layers.{index}");
            Ok(EncoderBlock {
                attention: block::self_attention(source, backend, &name, heads)?,
                feed_forward: block::feed_forward(source, backend, &name, width, encoder_ffn)?,
            })
        };
        let conv = |inputs, stride| ConvShape { inputs, outputs: width, kernel: 3, stride };
        let conv1 = Conv1d::load(source, backend, "encoder.conv1", conv(mels, 1))?;
        let conv2 = Conv1d::load(source, backend, "encoder.conv2", conv(width, 2))?;
        let positions = source.floats("encoder.embed_positions.weight", &[audio_context, width])?;
        let blocks = (0..dimensions.encoder_layers).map(block).collect::<Result<_, WeightError>>()?;
        Ok(Self {
            backend: backend.clone(),
            conv1,
            conv2,
            positions,
            blocks: EncoderStack::new(backend, blocks, heads, precision),
            norm: Norm::load(source, "encoder.layer_norm", NormKind::LAYER, width)?,
            mels,
            width,
        })
    }

    pub(super) fn scratch(&self) -> EncoderScratch {
        EncoderScratch { blocks: self.blocks.buffers(), padded: Vec::new(), x: Vec::new(), convolved: None }
    }

    /// Encodes `[frames, mels]` into `[frames / 2, width]` states, left in `scratch`.
    ///
    /// Polls `cancel` before every half block.
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
        let EncoderScratch { blocks, padded: states, x, .. } = scratch;
        self.blocks.forward(x, blocks, cancel)?;
        states.resize(x.len(), 0.0);
        self.norm.forward(&self.backend, x, states);
        Ok(states)
    }

    /// Both convolutions of what is new, block by block of states, so that the first one's output stays in the CPU
    /// cache for the second.
    fn convolve(&self, features: &[f32], scratch: &mut EncoderScratch) {
        let (backend, width) = (&self.backend, self.width);
        let EncoderScratch { blocks, padded, x, convolved } = scratch;
        let frames = self.conv1.output_frames(features.len() / self.mels);
        pad(padded, features, self.conv1.margin());
        x.resize(self.conv2.output_frames(frames) * width, 0.0);
        let kept = convolved.as_ref();
        backend.blocks(x, width, Chunk::of(EncoderStack::ROWS), |rows, out| {
            let new = kept.map_or(rows.clone(), |kept| kept.changed(features, self.mels, &rows));
            let (before, out) = out.split_at_mut((new.start - rows.start) * width);
            let (out, behind) = out.split_at_mut(new.len() * width);
            if let Some(kept) = kept {
                kept.write(rows.start..new.start, width, before);
                kept.write(new.end..rows.end, width, behind);
            }
            if new.is_empty() {
                return;
            }
            let work = |BlockBuffers { quantized, hidden, .. }: &mut BlockBuffers| {
                self.convolve_first(padded, new.clone(), frames, quantized, hidden);
                self.conv2.forward(backend, hidden, 0, quantized, out);
            };
            self.blocks.with_buffers(blocks, work);
            let positions = &self.positions[new.start * width..new.end * width];
            out.iter_mut().zip(positions).for_each(|(x, position)| *x += position);
        });
        // A whole window is the last look at its audio.
        if let Some(convolved) = convolved.as_mut().filter(|_| x.len() < self.positions.len()) {
            convolved.keep(features, x);
        }
    }

    /// The input frames of the second convolution for the states `rows`: two frames per state, one before them, and one
    /// after the last frame; zeros beyond both ends.
    fn convolve_first(
        &self,
        padded: &[f32],
        rows: Range<usize>,
        frames: usize,
        quantized: &mut Activations,
        out: &mut Vec<f32>,
    ) {
        let width = self.width;
        // Indices of frames that include the margin of one.
        let (first, last) = ((2 * rows.start).max(1), (2 * rows.end + 1).min(frames + 1));
        out.clear();
        out.resize((2 * rows.len() + 1) * width, 0.0);
        let (from, to) = ((first - 2 * rows.start) * width, (last - 2 * rows.start) * width);
        self.conv1.forward(&self.backend, padded, first - 1, quantized, &mut out[from..to]);
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

#[cfg(test)]
mod tests {
    use sotto_runtime::{CancelToken, Threads};

    use crate::starter::starter;

    /// Features of `frames` frames, of which the first `heard` are no silence.
    fn window(mels: usize, heard: usize, frames: usize) -> Vec<f32> {
        (0..frames * mels).map(|i| if i < heard * mels { (i as f32 * 0.37).sin() } else { -1.0 }).collect()
    }

    #[test]
    fn states_of_a_growing_window_are_those_of_the_window_alone() {
        let (model, cancel) = (starter().model().unwrap(), CancelToken::new());
        let (mels, all) = (model.dimensions().mels, model.dimensions().window_frames());
        let mut live = model.session(Threads::ONE);
        live.expect_repetition();
        // Longer, the same, trimmed, whole, and quieter. States are computed in blocks of 192 frames.
        let lengths = [(70, 256), (140, 256), (235, 256), (300, 512), (300, 512), (40, 256), (200, all), (45, 256)];
        let mut windows: Vec<_> = lengths.iter().map(|&(heard, frames)| window(mels, heard, frames)).collect();
        windows.push(window(mels, 45, 256).iter().map(|value| 0.9 * value).collect());
        for (index, features) in windows.into_iter().enumerate() {
            let alone = model.session(Threads::ONE).encode(&features, &cancel).unwrap().to_vec();
            assert!(live.encode(&features, &cancel).unwrap() == alone, "window {index}");
        }
    }
}
