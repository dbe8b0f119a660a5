//! The blocks of a decoder, one behind the other.

use sotto_kernels::Heads;
use sotto_runtime::{CancelToken, Cancelled};

use super::cross_attention::CrossBuffers;
use super::{BlockBuffers, CrossAttention, FeedForward, KeyValues, SelfAttention};
use crate::layers::{Backend, HalfMemory, Positions, SeenRows, Stash};
use crate::load::QuantizedPrecision;
use crate::search::{Network, Pass, Row};

/// A block of a decoder: every token attends to what its text has seen and, where there is one, to its source.
#[derive(Debug)]
pub struct DecoderBlock {
    /// Attention to the text.
    pub own: SelfAttention,
    /// Attention to the source, in all blocks or, in a network that has its text only, in none.
    pub cross: Option<CrossAttention>,
    /// The feed-forward layer.
    pub feed_forward: FeedForward,
}

/// The blocks of a decoder (Vaswani et al. 2017, §3.1): a half-precision cache of the text, and the source's keys and
/// values in 8 bits or half precision. Computes on the pool of its backend.
///
/// Several hypotheses advance in one call: their rows share every matrix product and differ only in their caches.
#[derive(Debug)]
pub struct DecoderStack {
    backend: Backend,
    blocks: Vec<DecoderBlock>,
    heads: Heads,
    /// Most tokens of a text.
    positions: usize,
    precision: QuantizedPrecision,
}

/// Memory of a [`DecoderStack`].
#[derive(Debug)]
pub struct DecoderBuffers {
    /// Rows on their way through a block.
    pub rows: BlockBuffers,
    positions: Positions,
    /// Attention weights of one row: one per thread.
    seen: Stash<Vec<f32>>,
    cross: CrossBuffers,
}

impl DecoderBlock {
    /// Bytes of the matrices that each token reads.
    #[must_use]
    pub fn bytes_per_token(&self) -> usize {
        let cross = self.cross.as_ref().map_or(0, CrossAttention::bytes_per_token);
        self.own.bytes() + cross + self.feed_forward.bytes()
    }
}

impl DecoderBuffers {
    /// Finds the position of each row before any of them is fed.
    ///
    /// # Panics
    /// When a row continues a text that has no memory.
    pub fn place(&mut self, rows: &[Row], memories: &[HalfMemory]) -> &[usize] {
        self.positions.place(rows, memories)
    }
}

impl DecoderStack {
    /// Blocks whose attention to the text has these heads, for texts of at most `positions` tokens.
    #[must_use]
    pub fn new(
        backend: &Backend,
        blocks: Vec<DecoderBlock>,
        heads: Heads,
        positions: usize,
        precision: QuantizedPrecision,
    ) -> Self {
        Self { backend: backend.clone(), blocks, heads, positions, precision }
    }

    /// Bytes of the matrices that each token reads.
    #[must_use]
    pub fn bytes_per_token(&self) -> usize {
        self.blocks.iter().map(DecoderBlock::bytes_per_token).sum()
    }

    /// Memory for its passes.
    #[must_use]
    pub fn buffers(&self) -> DecoderBuffers {
        let weights = |_| vec![0.0; self.heads.count() * self.positions];
        DecoderBuffers {
            rows: BlockBuffers::new(&self.backend),
            positions: Positions::default(),
            seen: Stash::of((0..self.backend.threads().count()).map(weights)),
            cross: CrossBuffers::new(&self.backend),
        }
    }

    /// Empty caches for one hypothesis: room for `positions` tokens, at most those of a longest text.
    #[must_use]
    pub fn memory(&self, positions: usize) -> HalfMemory {
        HalfMemory::new(self.blocks.len(), positions.min(self.positions), self.heads)
    }

    /// Projects states of a source, `[states, width]`, to the keys and values of every block that attends to it, in the
    /// memory of `kept`. Looks at `cancel` before every block.
    ///
    /// # Errors
    /// [`Cancelled`].
    ///
    /// # Panics
    /// When `states` is not whole rows.
    pub fn project(
        &self,
        states: &[f32],
        kept: Option<Vec<KeyValues>>,
        buffers: &DecoderBuffers,
        cancel: &CancelToken,
    ) -> Result<Vec<KeyValues>, Cancelled> {
        let attending = || self.blocks.iter().filter_map(|block| block.cross.as_ref());
        let mut layers = kept.unwrap_or_default();
        let Some(first) = attending().next() else { return Ok(layers) };
        let rows = states.len() / first.out.outputs();
        layers.retain(|layer| layer.fits(rows));
        layers.resize_with(attending().count(), || KeyValues::new(&self.backend, first.heads, self.precision, rows));
        for (cross, layer) in attending().zip(&mut layers) {
            cancel.check()?;
            cross.project(&self.backend, states, layer, &buffers.cross);
        }
        buffers.cross.fit(&layers[0]);
        Ok(layers)
    }

    /// Sends the rows of `x`, `[rows, width]`, through all blocks; [`DecoderBuffers::place`] was called for them.
    /// Looks at the pass' token before every block.
    ///
    /// # Errors
    /// [`Cancelled`]; what is in `x` and in the memories is undefined then.
    ///
    /// # Panics
    /// When `x` has another number of rows than the pass, a memory is full, or there is no such source.
    pub fn feed<N>(&self, x: &mut [f32], pass: Pass<'_, '_, N>, buffers: &mut DecoderBuffers) -> Result<(), Cancelled>
    where
        N: Network<Memory = HalfMemory, Source = Vec<KeyValues>>,
    {
        let Pass { rows, memories, sources, mut recording, cancel, .. } = pass;
        let DecoderBuffers { rows: buffers, positions, seen: weights, cross: cross_buffers } = buffers;
        for (index, block) in self.blocks.iter().enumerate() {
            cancel.check()?;
            let seen = SeenRows { rows, positions: positions.placed(), memories, block: index };
            block.own.attend_seen(&self.backend, x, seen, weights, buffers);
            if let Some(cross) = &block.cross {
                let (rows, recording) = ((rows, index), recording.as_deref_mut());
                cross.attend_sources(&self.backend, x, rows, sources, recording, (buffers, cross_buffers));
            }
            block.feed_forward.forward_add(&self.backend, x, buffers);
        }
        Ok(())
    }
}
