//! Attention of rows to each other: to all of them, or to what a text has seen.

use sotto_kernels::{Activation, Activations, HalfCache, Heads};

use super::{BlockBuffers, Linear, Norm};
use crate::layers::{Backend, NormPlace, Rotary, SeenRows, Stash};

/// The projections of an attention, with its norm and the residual connection.
#[derive(Debug)]
pub struct SelfAttention {
    /// The norm.
    pub norm: Norm,
    /// Where it stands.
    pub place: NormPlace,
    /// Queries, keys and values side by side, `[(heads + 2 · key/value heads) · head width]`.
    pub projections: Linear,
    /// Back to the width of the rows.
    pub out: Linear,
    /// How rows are cut into heads.
    pub heads: Heads,
    /// How queries and keys turn with their position, where they do.
    pub rotary: Option<Rotary>,
}

impl SelfAttention {
    /// Bytes of the matrices.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.projections.bytes() + self.out.bytes()
    }

    /// Every row of `x`, `[rows, width]`, attends to what its text has seen, which it joins: a decoder's attention.
    /// `weights` is scratch of the threads.
    ///
    /// # Panics
    /// When `x` has another number of rows than `seen`, or a memory is full.
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

    /// Queries, keys and values of the rows of `x`, turned to their positions, into `out`.
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

    /// Adds what was attended to to the rows, and normalises them where the norm stands after.
    pub(super) fn give_output(&self, backend: &Backend, x: &mut [f32], buffers: &mut BlockBuffers) {
        let BlockBuffers { quantized, attended, .. } = buffers;
        self.out.quantize(backend, attended, quantized);
        self.out.forward_add(backend, quantized, x);
        self.norm.output(self.place, backend, x, attended);
    }
}
