//! Layer normalisation with its learned scale and shift.

use super::TensorSource;
use crate::weights::WeightError;

/// Normalises rows of one fixed width.
#[derive(Debug)]
pub struct LayerNorm {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl LayerNorm {
    /// Reads `{name}.weight` and `{name}.bias`.
    ///
    /// # Errors
    /// When one of them is missing or has another shape.
    pub fn load(source: &impl TensorSource, name: &str, width: usize) -> Result<Self, WeightError> {
        Ok(Self {
            weight: source.tensor(&format!("{name}.weight"), &[width])?,
            bias: source.tensor(&format!("{name}.bias"), &[width])?,
        })
    }

    /// Normalises every row of `x` into `out`: `[rows, width]` → `[rows, width]`.
    ///
    /// # Panics
    /// When the lengths differ or are not whole rows.
    pub fn forward(&self, x: &[f32], out: &mut [f32]) {
        sotto_kernels::layer_norm(x, &self.weight, &self.bias, 1e-5, out);
    }
}
