//! Norms with learned scale and shift, in f32.

use crate::layers::{NormKind, TensorSource};
use crate::weights::WeightError;

/// Normalises rows of one fixed width.
#[derive(Debug)]
pub struct Norm {
    kind: NormKind,
    weight: Vec<f32>,
    /// Empty for a kind without a bias.
    bias: Vec<f32>,
}

impl Norm {
    /// Reads `{name}.weight` and, if the kind has a bias, `{name}.bias`.
    ///
    /// # Errors
    /// When one of them is missing or has another shape.
    pub fn load(source: &impl TensorSource, name: &str, kind: NormKind, width: usize) -> Result<Self, WeightError> {
        let weight = source.tensor(&format!("{name}.weight"), &[width])?;
        let bias = match kind {
            NormKind::Layer { .. } => source.tensor(&format!("{name}.bias"), &[width])?,
            NormKind::RootMeanSquare { .. } => Vec::new(),
        };
        Ok(Self { kind, weight, bias })
    }

    /// Normalises every row of `x` into `out`: `[rows, width]` → `[rows, width]`.
    ///
    /// # Panics
    /// When the lengths differ or are not whole rows.
    pub fn forward(&self, x: &[f32], out: &mut [f32]) {
        match self.kind {
            NormKind::Layer { epsilon } => sotto_kernels::layer_norm(x, &self.weight, &self.bias, epsilon, out),
            NormKind::RootMeanSquare { epsilon } => sotto_kernels::rms_norm(x, &self.weight, epsilon, out),
        }
    }
}
