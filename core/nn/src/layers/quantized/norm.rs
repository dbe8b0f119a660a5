//! Norms in networks with quantized weights.

use sotto_kernels::{self as kernels, Activations, Floats};

use super::Linear;
use crate::layers::{Backend, NormKind, NormPlace, TensorSource};
use crate::weights::WeightError;

/// A norm whose result is quantized to int8 rows.
#[derive(Debug)]
pub struct Norm {
    kind: NormKind,
    weight: Floats,
    /// Empty for a kind without a bias.
    bias: Floats,
}

impl Norm {
    /// Reads `{name}.weight` and, if the kind has a bias, `{name}.bias`.
    ///
    /// # Errors
    /// When one of them is missing or has another shape.
    pub fn load(source: &impl TensorSource, name: &str, kind: NormKind, width: usize) -> Result<Self, WeightError> {
        let weight = source.floats(&format!("{name}.weight"), &[width])?;
        let bias = match kind {
            NormKind::Layer { .. } => source.floats(&format!("{name}.bias"), &[width])?,
            NormKind::RootMeanSquare { .. } => Vec::new().into(),
        };
        Ok(Self { kind, weight, bias })
    }

    /// Normalises the rows of `x` into `out`, in f32.
    ///
    /// # Panics
    /// When the lengths differ or are not whole rows.
    pub fn forward(&self, backend: &Backend, x: &[f32], out: &mut [f32]) {
        backend.kernels().normalize(&self.kernel(), self.weight.len(), x, out);
    }

    /// Quantizes the input of this norm's layer: normalised rows if the norm comes before the layer, else the rows as
    /// they are.
    pub(super) fn input(
        &self,
        place: NormPlace,
        layer: &Linear,
        backend: &Backend,
        x: &[f32],
        quantized: &mut Activations,
    ) {
        match place {
            NormPlace::Before => layer.quantize_normed(backend, self, x, quantized),
            NormPlace::After => layer.quantize(backend, x, quantized),
        }
    }

    /// If this norm comes after its layer, normalises the rows to which the layer has added its result. `copy` is
    /// scratch.
    pub(super) fn output(&self, place: NormPlace, backend: &Backend, x: &mut [f32], copy: &mut Vec<f32>) {
        if place == NormPlace::After {
            copy.clear();
            copy.extend_from_slice(x);
            self.forward(backend, copy, x);
        }
    }

    /// The norm in the form of the kernels.
    pub(super) fn kernel(&self) -> kernels::Norm<'_> {
        match self.kind {
            NormKind::Layer { epsilon } => kernels::Norm::Layer { weight: &self.weight, bias: &self.bias, epsilon },
            NormKind::RootMeanSquare { epsilon } => kernels::Norm::RootMeanSquare { weight: &self.weight, epsilon },
        }
    }
}
