//! The source of a layer's tensors.

use sotto_kernels::{Floats, Layout};

use super::{FloatWeights, MatrixRequest, QuantizedWeights, WeightType};
use crate::weights::{WeightError, Weights};

/// Provides named tensors as f32, and matrices of quantized weights.
///
/// [`Weights`] is one; a model with several naming schemes wraps it and translates the names. A packed model is
/// another; its tensors stay in the mapped file.
pub trait TensorSource {
    /// The values of tensor `name`, row-major, exactly of `shape`.
    ///
    /// # Errors
    /// When the tensor is missing, has another shape or holds values that are not finite.
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightError>;

    /// Whether a tensor of that name exists.
    fn contains(&self, name: &str) -> bool;

    /// As [`tensor`](Self::tensor), without a copy if the values are stored as aligned f32.
    ///
    /// # Errors
    /// As [`tensor`](Self::tensor).
    fn floats(&self, name: &str, shape: &[usize]) -> Result<Floats, WeightError> {
        Ok(self.tensor(name, shape)?.into())
    }

    /// Quantized weights for kernels that read `layout`: f32 tensors are quantized to 8 bits; packed weights are used
    /// without a copy.
    ///
    /// # Errors
    /// As [`tensor`](Self::tensor).
    fn quantized(&self, layout: Layout, request: &MatrixRequest<'_>) -> Result<QuantizedWeights, WeightError> {
        request.quantized(self, layout, WeightType::Int8)
    }

    /// A matrix as f32, for processors without int8 kernels of Sotto. A packed model returns its dequantized weights.
    ///
    /// # Errors
    /// As [`tensor`](Self::tensor).
    fn matrix(&self, request: &MatrixRequest<'_>) -> Result<FloatWeights, WeightError> {
        request.floats(self)
    }
}

impl TensorSource for Weights {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightError> {
        Weights::tensor(self, name, shape)
    }

    fn contains(&self, name: &str) -> bool {
        self.shape(name).is_some()
    }
}
