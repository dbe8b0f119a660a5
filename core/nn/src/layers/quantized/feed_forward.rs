//! The feed-forward layer of a transformer block.

use sotto_kernels::Activation;

use super::{BlockBuffers, Linear, Norm};
use crate::layers::{Backend, NormPlace};

/// `outer(activation(inner(x)))`, or `outer(activation(gate(x)) · inner(x))` (Shazeer 2020), with its norm and the
/// residual connection.
#[derive(Debug)]
pub struct FeedForward {
    /// The norm.
    pub norm: Norm,
    /// Where it stands.
    pub place: NormPlace,
    /// To the hidden layer.
    pub inner: Linear,
    /// What the hidden layer is multiplied with, where there is a gate; the activation is the gate's then.
    pub gate: Option<Linear>,
    /// What is applied to each hidden value.
    pub activation: Activation,
    /// Back to the width of the rows.
    pub outer: Linear,
}

// Rows per pass: the hidden layer of 96 rows of Whisper tiny is 590 kB and stays in L2 between the two products.
const ROWS: usize = 96;

impl FeedForward {
    /// Bytes of the matrices.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.inner.bytes() + self.gate.as_ref().map_or(0, Linear::bytes) + self.outer.bytes()
    }

    /// Adds the layer's result to `x`, `[rows, width]`. The buffers grow to 96 rows.
    ///
    /// # Panics
    /// When `x` is not whole rows.
    pub fn forward_add(&self, backend: &Backend, x: &mut [f32], buffers: &mut BlockBuffers) {
        for rows in x.chunks_mut(ROWS * self.outer.outputs()) {
            self.hidden(backend, rows, buffers);
            let BlockBuffers { quantized, hidden, .. } = buffers;
            self.outer.quantize(backend, hidden, quantized);
            self.outer.forward_add(backend, quantized, rows);
            self.norm.output(self.place, backend, rows, hidden);
        }
    }

    /// The hidden layer of these rows.
    fn hidden(&self, backend: &Backend, rows: &[f32], buffers: &mut BlockBuffers) {
        let BlockBuffers { quantized, hidden, gate, .. } = buffers;
        self.norm.input(self.place, &self.inner, backend, rows, quantized);
        hidden.resize(rows.len() / self.outer.outputs() * self.inner.outputs(), 0.0);
        let Some(layer) = &self.gate else {
            return self.inner.forward(backend, quantized, self.activation, hidden);
        };
        self.inner.forward(backend, quantized, Activation::Identity, hidden);
        // Its weights may have other bits, and want other rows.
        self.norm.input(self.place, layer, backend, rows, quantized);
        gate.resize(hidden.len(), 0.0);
        layer.forward(backend, quantized, self.activation, gate);
        hidden.iter_mut().zip(gate).for_each(|(hidden, gate)| *hidden *= *gate);
    }
}
