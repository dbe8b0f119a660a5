//! The feed-forward layer that encoder and decoder blocks share.

use sotto_kernels::{Activation, Activations};
use sotto_nn::layers::{Backend, Int8Norm, NormKind, QuantizedLinear, TensorSource};
use sotto_nn::weights::WeightError;

/// `x += fc2(gelu(fc1(norm(x))))`.
#[derive(Debug)]
pub(super) struct FeedForward {
    norm: Int8Norm,
    inner: QuantizedLinear,
    outer: QuantizedLinear,
    width: usize,
}

// Rows per pass: the hidden layer of 96 rows of tiny is 590 kB and stays in L2 between the two products.
const ROWS: usize = 96;

impl FeedForward {
    pub(super) fn load(
        source: &impl TensorSource,
        backend: &Backend,
        block: &str,
        width: usize,
        hidden: usize,
    ) -> Result<Self, WeightError> {
        Ok(Self {
            norm: Int8Norm::load(source, &format!("{block}.final_layer_norm"), NormKind::LAYER, width)?,
            inner: QuantizedLinear::load(source, backend, &format!("{block}.fc1"), width, hidden)?,
            outer: QuantizedLinear::load(source, backend, &format!("{block}.fc2"), hidden, width)?,
            width,
        })
    }

    /// Bytes of the matrices.
    pub(super) fn bytes(&self) -> usize {
        self.inner.bytes() + self.outer.bytes()
    }

    /// Adds the layer's result to `x`, `[rows, width]`; `hidden` grows to 96 rows of the inner layer.
    pub(super) fn forward_add(
        &self,
        backend: &Backend,
        x: &mut [f32],
        quantized: &mut Activations,
        hidden: &mut Vec<f32>,
    ) {
        for rows in x.chunks_mut(ROWS * self.width) {
            let (count, inner) = (rows.len() / self.width, self.inner.outputs());
            self.inner.quantize_normed(backend, &self.norm, rows, quantized);
            hidden.resize(count * inner, 0.0);
            self.inner.forward(backend, quantized, Activation::Gelu, hidden);
            self.outer.quantize(backend, hidden, quantized);
            self.outer.forward_add(backend, quantized, rows);
        }
    }
}
