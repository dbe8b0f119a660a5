//! A fully connected layer.

use sotto_kernels::{self as kernels, Activation, Activations, Epilogue, Floats};

use super::{Norm, rows_for};
use crate::layers::{
    Backend, Biased, MatrixRequest, Part, QuantizedMatrix, QuantizedWeights, StoredRows, TensorSource,
};
use crate::weights::WeightError;

/// `y = x · Wᵀ + b` with quantized weights. Several projections of the same input may be stacked into one layer.
#[derive(Debug)]
pub struct Linear {
    weights: QuantizedMatrix,
    bias: Option<Floats>,
}

impl Linear {
    /// Loads `{name}.weight`, `[outputs, inputs]`, quantized, and `{name}.bias`.
    ///
    /// # Errors
    /// When one of them is missing or has another shape.
    pub fn load(
        source: &impl TensorSource,
        backend: &Backend,
        name: &str,
        inputs: usize,
        outputs: usize,
    ) -> Result<Self, WeightError> {
        Self::stacked(source, backend, &[Part { name, biased: Biased::Yes, outputs }], inputs)
    }

    /// Stacks projections of the same input: their results lie side by side in one row. Those without a bias get a zero
    /// bias.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn stacked(
        source: &impl TensorSource,
        backend: &Backend,
        projections: &[Part<'_>],
        inputs: usize,
    ) -> Result<Self, WeightError> {
        let request = MatrixRequest { parts: projections, rows: StoredRows::Linear { inputs } };
        let QuantizedWeights { matrix, bias } = source.quantized(backend.kernels().layout(), &request)?;
        Ok(Self { weights: matrix, bias })
    }

    /// Values per output row.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.weights.columns()
    }

    /// Quantizes the rows of `x`, `[rows, inputs]`, without a norm, for this layer.
    ///
    /// # Panics
    /// When `x` is not a whole number of rows.
    pub fn quantize(&self, backend: &Backend, x: &[f32], out: &mut Activations) {
        backend.quantize(rows_for(&self.weights, x), &kernels::Norm::None, self.weights.weight_type(), out);
    }

    /// [`quantize`](Self::quantize) of normalised rows.
    ///
    /// # Panics
    /// When `x` is not a whole number of rows, or the norm has another width.
    pub fn quantize_normed(&self, backend: &Backend, norm: &Norm, x: &[f32], out: &mut Activations) {
        backend.quantize(rows_for(&self.weights, x), &norm.kernel(), self.weights.weight_type(), out);
    }

    /// Bytes of weights that one row reads.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.weights.bytes().len()
    }

    /// Writes `activation(x · Wᵀ + b)` to `out`, `[rows, outputs]`.
    ///
    /// # Panics
    /// When the shapes do not match, or the weights have 4 bits and the rows were quantized for 8-bit weights.
    pub fn forward(&self, backend: &Backend, x: &Activations, activation: Activation, out: &mut [f32]) {
        let epilogue = Epilogue { bias: self.bias.as_deref(), activation, accumulate: false };
        backend.product(x, &self.weights, epilogue, out);
    }

    /// [`forward`](Self::forward) with an output in half precision (bit patterns), for caches in half precision.
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn forward_half(&self, backend: &Backend, x: &Activations, activation: Activation, out: &mut [u16]) {
        let epilogue = Epilogue { bias: self.bias.as_deref(), activation, accumulate: false };
        backend.product(x, &self.weights, epilogue, out);
    }

    /// Adds `x · Wᵀ + b` to `out`: a residual connection without a copy.
    ///
    /// # Panics
    /// When the shapes do not match.
    pub fn forward_add(&self, backend: &Backend, x: &Activations, out: &mut [f32]) {
        let epilogue = Epilogue { bias: self.bias.as_deref(), activation: Activation::Identity, accumulate: true };
        backend.product(x, &self.weights, epilogue, out);
    }
}
