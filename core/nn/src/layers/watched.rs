//! Loading with progress and cancellation between any two tensors.

use std::cell::Cell;

use sotto_kernels::{Floats, Layout};
use sotto_runtime::CancelToken;

use crate::layers::{FloatWeights, MatrixRequest, QuantizedWeights, TensorSource};
use crate::weights::WeightError;

/// A tensor source that polls a cancellation token before each tensor and counts the weights that were loaded.
pub struct Watched<'a, S> {
    source: &'a S,
    cancel: &'a CancelToken,
    on_weights: &'a dyn Fn(u64),
    weights: Cell<u64>,
}

impl<'a, S: TensorSource> Watched<'a, S> {
    /// Wraps `source`; after each tensor, calls `on_weights` with the number of weights so far.
    #[must_use]
    pub fn new(source: &'a S, cancel: &'a CancelToken, on_weights: &'a dyn Fn(u64)) -> Self {
        Self { source, cancel, on_weights, weights: Cell::new(0) }
    }

    fn count(&self, weights: usize) {
        self.weights.set(self.weights.get() + weights as u64);
        (self.on_weights)(self.weights.get());
    }
}

impl<S: TensorSource> TensorSource for Watched<'_, S> {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightError> {
        self.cancel.check()?;
        let values = self.source.tensor(name, shape)?;
        self.count(values.len());
        Ok(values)
    }

    fn contains(&self, name: &str) -> bool {
        self.source.contains(name)
    }

    fn floats(&self, name: &str, shape: &[usize]) -> Result<Floats, WeightError> {
        self.cancel.check()?;
        let values = self.source.floats(name, shape)?;
        self.count(values.len());
        Ok(values)
    }

    fn quantized(&self, layout: Layout, request: &MatrixRequest<'_>) -> Result<QuantizedWeights, WeightError> {
        self.cancel.check()?;
        let weights = self.source.quantized(layout, request)?;
        self.count(request.columns() * request.depth() + request.biases());
        Ok(weights)
    }

    fn matrix(&self, request: &MatrixRequest<'_>) -> Result<FloatWeights, WeightError> {
        self.cancel.check()?;
        let weights = self.source.matrix(request)?;
        self.count(request.columns() * request.depth() + request.biases());
        Ok(weights)
    }
}
