//! The stack of decoder blocks.

use sotto_kernels::Heads;
use sotto_runtime::{CancelToken, Cancelled};

use super::cross_attention::CrossBuffers;
use super::{BlockBuffers, CrossAttention, FeedForward, KeyValues, QuantizedPrecision, SelfAttention};
use crate::layers::{Backend, HalfMemory, Positions, SeenRows, Stash};
use crate::search::{Network, Pass, Row};

/// A decoder block: every token attends to the earlier tokens of its text and, if there is one, to its source.
#[derive(Debug)]
pub struct DecoderBlock {
    /// Self-attention over the text.
    pub own: SelfAttention,
    /// Cross-attention to the source: in all blocks, or in none of a network without a source.
    pub cross: Option<CrossAttention>,
    /// The feed-forward layer.
    pub feed_forward: FeedForward,
}

/// The blocks of a decoder (Vaswani et al. 2017, §3.1), with a half-precision KV cache of the text and the source's
/// keys and values in 8 bits or half precision. Computes on the pool of its backend.
///
/// Several hypotheses advance in one call: their rows share every matrix product and differ only in their caches.
#[derive(Debug)]
pub struct DecoderStack {
    backend: Backend,
    blocks: Vec<DecoderBlock>,
    heads: Heads,
    /// Maximum number of tokens of a text.
    positions: usize,
    precision: QuantizedPrecision,
}

/// Scratch memory of a [`DecoderStack`].
#[derive(Debug)]
pub struct DecoderBuffers {
    /// For the rows of a block.
    pub rows: BlockBuffers,
    positions: Positions,
    /// Attention weights of one row; one per thread.
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
    /// Computes the position of each row. Call it before feeding the rows.
    ///
    /// # Panics
    /// When a row continues a text that has no cache.
    pub fn place(&mut self, rows: &[Row], memories: &[HalfMemory]) -> &[usize] {
        self.positions.place(rows, memories)
    }
}

impl DecoderStack {
    /// A stack of `blocks` whose self-attention has these heads, for texts of at most `positions` tokens.
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

    /// Scratch memory for its passes.
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

    /// Empty KV caches for one hypothesis of up to `positions` tokens, limited to the longest text.
    #[must_use]
    pub fn memory(&self, positions: usize) -> HalfMemory {
        HalfMemory::new(self.blocks.len(), positions.min(self.positions), self.heads)
    }

    /// Projects encoder states, `[states, width]`, to the keys and values of every block with cross-attention; reuses
    /// the memory of `kept`. Polls `cancel` before every block.
    ///
    /// # Errors
    /// [`Cancelled`].
    ///
    /// # Panics
    /// When `states` is not a whole number of rows.
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

    /// Sends the rows of `x`, `[rows, width]`, through all blocks, in place. [`DecoderBuffers::place`] must have been
    /// called for them. Polls the pass's cancellation token before every block.
    ///
    /// # Errors
    /// [`Cancelled`]; the contents of `x` and of the caches are then unspecified.
    ///
    /// # Panics
    /// When `x` has another number of rows than the pass, a cache is full, or there is no such source.
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
