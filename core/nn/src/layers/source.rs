//! Where layers get their tensors from.

use crate::weights::{WeightError, Weights};

/// Hands out named tensors as f32.
///
/// [`Weights`] is one; a model that knows several naming schemes wraps it and translates the names.
pub trait TensorSource {
    /// The values of tensor `name`, row-major, exactly of `shape`.
    ///
    /// # Errors
    /// When the tensor is missing, has another shape or holds values that are not finite.
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightError>;

    /// Whether a tensor of that name exists.
    fn contains(&self, name: &str) -> bool;
}

impl TensorSource for Weights {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightError> {
        Weights::tensor(self, name, shape)
    }

    fn contains(&self, name: &str) -> bool {
        self.shape(name).is_some()
    }
}
