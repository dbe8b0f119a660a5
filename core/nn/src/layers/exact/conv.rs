//! Convolution over time as a matrix product on overlapping rows: no im2col copy.

use sotto_kernels::{MatMut, MatRef, matmul};
use sotto_runtime::Threads;

use crate::layers::{ConvShape, TensorSource};
use crate::weights::WeightError;

/// One-dimensional convolution over `[frames, inputs]` with zero padding of `kernel / 2` frames on both sides.
#[derive(Debug)]
pub struct Conv1d {
    /// `[outputs, kernel, inputs]`: the memory order of a window of frames.
    weight: Vec<f32>,
    bias: Vec<f32>,
    shape: ConvShape,
}

impl Conv1d {
    /// Reads `{name}.weight` of `[outputs, inputs, kernel]` and `{name}.bias`.
    ///
    /// # Errors
    /// When one of them is missing or has another shape.
    pub fn load(source: &impl TensorSource, name: &str, shape: ConvShape) -> Result<Self, WeightError> {
        let ConvShape { inputs, outputs, kernel, .. } = shape;
        let stored = source.tensor(&format!("{name}.weight"), &[outputs, inputs, kernel])?;
        let bias = source.tensor(&format!("{name}.bias"), &[outputs])?;
        Ok(Self { weight: shape.in_order_of_frames(&stored), bias, shape })
    }

    /// Number of output frames for `frames` input frames.
    #[must_use]
    pub fn output_frames(&self, frames: usize) -> usize {
        self.shape.output_frames(frames)
    }

    /// Convolves `[frames, inputs]` into `out`, `[output_frames, outputs]`; `padded` is scratch.
    ///
    /// # Panics
    /// When `x` is not a whole number of frames, or `out` has another length.
    pub fn forward(&self, x: &[f32], padded: &mut Vec<f32>, out: &mut [f32], threads: Threads) {
        let ConvShape { inputs, outputs, kernel, stride } = self.shape;
        let frames = x.len() / inputs;
        assert!(frames * inputs == x.len() && out.len() == self.output_frames(frames) * outputs);
        let margin = kernel / 2 * inputs;
        padded.clear();
        padded.resize(margin, 0.0);
        padded.extend_from_slice(x);
        padded.resize(x.len() + 2 * margin, 0.0);
        out.chunks_exact_mut(outputs).for_each(|row| row.copy_from_slice(&self.bias));
        let rows = out.len() / outputs;
        let windows = MatRef::strided(padded, rows, kernel * inputs, stride * inputs);
        let weight = MatRef::new(&self.weight, outputs, kernel * inputs).transposed();
        matmul(windows, weight, MatMut::new(out, rows, outputs), true, threads);
    }
}
