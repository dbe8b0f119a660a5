//! The blocks of a transformer, one behind the other (Vaswani et al. 2017, §3.1).

use sotto_runtime::{CancelToken, Cancelled, Threads};

use super::{Attention, AttentionBuffers, FeedForward, FeedForwardBuffers, KeyValues};
use crate::layers::{KvMemory, Positions, SeenRows};
use crate::search::{Network, Pass, Row};

/// A block of an encoder: every row attends to all.
#[derive(Debug)]
pub struct EncoderBlock {
    /// Attention to all rows.
    pub attention: Attention,
    /// The feed-forward layer.
    pub feed_forward: FeedForward,
}

/// A block of a decoder: every token attends to what its text has seen and, where there is one, to its source.
#[derive(Debug)]
pub struct DecoderBlock {
    /// Attention to the text.
    pub own: Attention,
    /// Attention to the source, in all blocks or, in a network that has its text only, in none.
    pub cross: Option<Attention>,
    /// The feed-forward layer.
    pub feed_forward: FeedForward,
}

/// The blocks of an encoder.
#[derive(Debug)]
pub struct EncoderStack(pub Vec<EncoderBlock>);

/// The blocks of a decoder. Several hypotheses advance in one call: their rows share every matrix product and differ
/// only in their caches.
#[derive(Debug)]
pub struct DecoderStack {
    /// The blocks.
    pub blocks: Vec<DecoderBlock>,
    /// Most tokens of a text.
    pub positions: usize,
}

/// Memory of the blocks of an encoder or a decoder.
#[derive(Debug, Default)]
pub struct BlockBuffers {
    positions: Positions,
    attention: AttentionBuffers,
    feed_forward: FeedForwardBuffers,
}

impl BlockBuffers {
    /// Finds the position of each row before any of them is fed to a decoder.
    ///
    /// # Panics
    /// When a row continues a text that has no memory.
    pub fn place(&mut self, rows: &[Row], memories: &[KvMemory]) -> &[usize] {
        self.positions.place(rows, memories)
    }
}

impl EncoderStack {
    /// Sends the rows of `x`, `[rows, width]`, through all blocks. Row `i` has position `i`. Looks at `cancel` before
    /// every half block.
    ///
    /// # Errors
    /// [`Cancelled`]; what is in `x` is undefined then.
    ///
    /// # Panics
    /// When `x` is not whole rows, or has more of them than there are rotary positions.
    pub fn forward(
        &self,
        x: &mut [f32],
        buffers: &mut BlockBuffers,
        threads: Threads,
        cancel: &CancelToken,
    ) -> Result<(), Cancelled> {
        for block in &self.0 {
            cancel.check()?;
            block.attention.attend_all(x, &mut buffers.attention, threads);
            cancel.check()?;
            block.feed_forward.forward_add(x, &mut buffers.feed_forward, threads);
        }
        Ok(())
    }
}

impl DecoderStack {
    /// Empty caches for one hypothesis: room for `positions` tokens, at most those of a longest text.
    #[must_use]
    pub fn memory(&self, positions: usize) -> KvMemory {
        let width = self.blocks.first().map_or(0, |block| block.own.heads.key_value_width());
        KvMemory::new(self.blocks.len(), positions.min(self.positions), width)
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
        threads: Threads,
        cancel: &CancelToken,
    ) -> Result<Vec<KeyValues>, Cancelled> {
        let mut layers = kept.unwrap_or_default();
        let attending = || self.blocks.iter().filter_map(|block| block.cross.as_ref());
        layers.resize_with(attending().count(), KeyValues::default);
        for (cross, layer) in attending().zip(&mut layers) {
            cancel.check()?;
            cross.project(states, layer, threads);
        }
        Ok(layers)
    }

    /// Sends the rows of `x`, `[rows, width]`, through all blocks; [`BlockBuffers::place`] was called for them. Looks
    /// at the pass' token before every block.
    ///
    /// # Errors
    /// [`Cancelled`]; what is in `x` and in the memories is undefined then.
    ///
    /// # Panics
    /// When `x` has another number of rows than the pass, a memory is full, or there is no such source.
    pub fn feed<N>(&self, x: &mut [f32], pass: Pass<'_, '_, N>, buffers: &mut BlockBuffers) -> Result<(), Cancelled>
    where
        N: Network<Memory = KvMemory, Source = Vec<KeyValues>>,
    {
        let Pass { rows, memories, sources, mut recording, threads, cancel } = pass;
        let BlockBuffers { positions, attention, feed_forward } = buffers;
        for (index, block) in self.blocks.iter().enumerate() {
            cancel.check()?;
            let seen = SeenRows { rows, positions: positions.placed(), memories, block: index };
            block.own.attend_seen(x, seen, attention, threads);
            if let Some(cross) = &block.cross {
                let recording = recording.as_deref_mut();
                cross.attend_sources(x, (rows, index), sources, recording, attention, threads);
            }
            block.feed_forward.forward_add(x, feed_forward, threads);
        }
        Ok(())
    }
}
