//! A norm whose result goes to quantized rows.

use sotto_kernels::{self as kernels, Activations, Floats};

use super::Linear;
use crate::layers::{Backend, NormKind, NormPlace, TensorSource};
use crate::weights::WeightError;

/// A norm whose result goes to int8 rows.
#[derive(Debug)]
pub struct Norm {
    kind: NormKind,
    weight: Floats,
    /// Empty where the kind has none.
    bias: Floats,
}

impl Norm {
    /// Reads `{name}.weight` and, where the kind has one, `{name}.bias`.
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

    /// Quantizes what a layer reads to which this norm belongs: normalised rows where it stands before the layer, else
    /// the rows as they are.
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

    /// Normalises rows to which the layer has added its result, where this norm stands after the layer. `copy` is
    /// overwritten.
    pub(super) fn output(&self, place: NormPlace, backend: &Backend, x: &mut [f32], copy: &mut Vec<f32>) {
        if place == NormPlace::After {
            copy.clear();
            copy.extend_from_slice(x);
            self.forward(backend, copy, x);
        }
    }

    /// The norm as kernels take it.
    pub(super) fn kernel(&self) -> kernels::Norm<'_> {
        match self.kind {
            NormKind::Layer { epsilon } => kernels::Norm::Layer { weight: &self.weight, bias: &self.bias, epsilon },
            NormKind::RootMeanSquare { epsilon } => kernels::Norm::RootMeanSquare { weight: &self.weight, epsilon },
        }
    }
}
