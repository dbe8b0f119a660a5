//! Self-attention: over all rows (encoder) or over a KV cache (decoder).

use sotto_kernels::{Activation, Activations, HalfCache, Heads};

use super::{BlockBuffers, Linear, Norm};
use crate::layers::{Backend, NormPlace, Rotary, SeenRows, Stash};

/// The projections of a self-attention layer, with its norm and the residual connection.
#[derive(Debug)]
pub struct SelfAttention {
    /// The norm.
    pub norm: Norm,
    /// Whether the norm is before or after the layer.
    pub place: NormPlace,
    /// Queries, keys and values side by side, `[(heads + 2 · key/value heads) · head width]`.
    pub projections: Linear,
    /// Output projection, back to the width of the rows.
    pub out: Linear,
    /// How rows are split into heads.
    pub heads: Heads,
    /// Rotary position embedding of queries and keys, if the network has one.
    pub rotary: Option<Rotary>,
}

impl SelfAttention {
    /// Bytes of the layer's matrices.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.projections.bytes() + self.out.bytes()
    }

    /// Decoder self-attention: every row of `x`, `[rows, width]`, is appended to the KV cache of its text and attends
    /// to the cache up to itself. `weights` is scratch memory of the threads.
    ///
    /// # Panics
    /// When `x` has another number of rows than `seen`, or a cache is full.
    pub fn attend_seen(
        &self,
        backend: &Backend,
        x: &mut [f32],
        seen: SeenRows<'_, HalfCache>,
        weights: &Stash<Vec<f32>>,
        buffers: &mut BlockBuffers,
    ) {
        let BlockBuffers { quantized, projected, attended, .. } = buffers;
        projected.resize(seen.rows.len() * self.projections.outputs(), 0.0);
        self.project(backend, x, seen.positions.iter().copied(), quantized, projected);
        attended.resize(seen.rows.len() * self.heads.width(), 0.0);
        backend.attend_seen(projected, self.heads, seen, weights, attended);
        self.give_output(backend, x, buffers);
    }

    /// Computes queries, keys and values of the rows of `x`, with the rotary embedding of their positions, into `out`.
    pub(super) fn project(
        &self,
        backend: &Backend,
        x: &[f32],
        positions: impl Iterator<Item = usize>,
        quantized: &mut Activations,
        out: &mut [f32],
    ) {
        self.norm.input(self.place, &self.projections, backend, x, quantized);
        self.projections.forward(backend, quantized, Activation::Identity, out);
        let Some(rotary) = &self.rotary else { return };
        let turned = self.heads.width() + self.heads.key_value_width();
        for (position, row) in positions.zip(out.chunks_exact_mut(self.projections.outputs())) {
            rotary.turn(&mut row[..turned], self.heads.head_width(), position);
        }
    }

    /// Adds the attention's output to the rows, and normalises them if the norm comes after the layer.
    pub(super) fn give_output(&self, backend: &Backend, x: &mut [f32], buffers: &mut BlockBuffers) {
        let BlockBuffers { quantized, attended, .. } = buffers;
        self.out.quantize(backend, attended, quantized);
        self.out.forward_add(backend, quantized, x);
        self.norm.output(self.place, backend, x, attended);
    }
}
