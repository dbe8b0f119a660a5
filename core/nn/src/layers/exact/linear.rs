//! Fully connected layer.

use sotto_kernels::{MatMut, MatRef, matmul};
use sotto_runtime::Threads;

use crate::layers::TensorSource;
use crate::weights::WeightError;

/// `y = x · Wᵀ + b` with `W` of `[outputs, inputs]`.
#[derive(Debug)]
pub struct Linear {
    weight: Vec<f32>,
    bias: Option<Vec<f32>>,
    inputs: usize,
    outputs: usize,
}

impl Linear {
    /// Reads `{name}.weight` and `{name}.bias`.
    ///
    /// # Errors
    /// When one of them is missing or has another shape.
    pub fn load(source: &impl TensorSource, name: &str, inputs: usize, outputs: usize) -> Result<Self, WeightError> {
        let bias = source.tensor(&format!("{name}.bias"), &[outputs])?;
        Ok(Self { bias: Some(bias), ..Self::load_without_bias(source, name, inputs, outputs)? })
    }

    /// Reads `{name}.weight` of a layer that has no bias, such as Whisper's key projections.
    ///
    /// # Errors
    /// When it is missing or has another shape.
    pub fn load_without_bias(
        source: &impl TensorSource,
        name: &str,
        inputs: usize,
        outputs: usize,
    ) -> Result<Self, WeightError> {
        let weight = source.tensor(&format!("{name}.weight"), &[outputs, inputs])?;
        Ok(Self { weight, bias: None, inputs, outputs })
    }

    /// Values per output row.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Writes `x · Wᵀ + b` to `out`: `[rows, inputs]` → `[rows, outputs]`.
    ///
    /// # Panics
    /// When the lengths are not the same number of rows.
    pub fn forward(&self, x: &[f32], out: &mut [f32], threads: Threads) {
        match &self.bias {
            Some(bias) => out.chunks_exact_mut(self.outputs).for_each(|row| row.copy_from_slice(bias)),
            None => out.fill(0.0),
        }
        self.multiply(x, out, threads);
    }

    /// Adds `x · Wᵀ + b` to `out`: a residual connection without a copy.
    ///
    /// # Panics
    /// When the lengths are not the same number of rows.
    pub fn forward_add(&self, x: &[f32], out: &mut [f32], threads: Threads) {
        if let Some(bias) = &self.bias {
            for row in out.chunks_exact_mut(self.outputs) {
                row.iter_mut().zip(bias).for_each(|(out, bias)| *out += bias);
            }
        }
        self.multiply(x, out, threads);
    }

    fn multiply(&self, x: &[f32], out: &mut [f32], threads: Threads) {
        let rows = x.len() / self.inputs;
        let weight = MatRef::new(&self.weight, self.outputs, self.inputs).transposed();
        matmul(MatRef::new(x, rows, self.inputs), weight, MatMut::new(out, rows, self.outputs), true, threads);
    }
}
