//! The stack of encoder blocks.

use sotto_kernels::{AttentionScratch, BlockMut, Heads, KeyValuePanels, MatRef, QuantizedAttention, QuantizedScratch};
use sotto_runtime::{CancelToken, Cancelled, Chunk};

use super::{BlockBuffers, FeedForward, QuantizedPrecision, SelfAttention};
use crate::layers::{Backend, Stash};

/// An encoder block: every row attends to all rows.
#[derive(Debug)]
pub struct EncoderBlock {
    /// Self-attention over all rows.
    pub attention: SelfAttention,
    /// The feed-forward layer.
    pub feed_forward: FeedForward,
}

/// The blocks of an encoder (Vaswani et al. 2017, §3.1). Computes on the pool of its backend.
#[derive(Debug)]
pub struct EncoderStack {
    backend: Backend,
    blocks: Vec<EncoderBlock>,
    heads: Heads,
    precision: QuantizedPrecision,
}

/// Scratch memory of an [`EncoderStack`].
#[derive(Debug)]
pub struct EncoderBuffers {
    projected: Projected,
    /// One per thread that works on some of the rows.
    threads: Stash<ThreadBuffers>,
}

/// Queries, keys and values of the current block.
#[derive(Debug)]
enum Projected {
    Int8(QuantizedAttention),
    F32 { panels: KeyValuePanels, rows: Vec<f32> },
}

#[derive(Debug)]
struct ThreadBuffers {
    rows: BlockBuffers,
    int8: QuantizedScratch,
    f32: AttentionScratch,
}

impl EncoderStack {
    /// Rows that one thread processes at a time: 96 rows of Whisper tiny's widest layer are 590 kB and stay in the L2
    /// cache from one product to the next. A multiple of every kernel's tile.
    pub const ROWS: usize = 96;

    /// A stack of `blocks` whose attention has these heads.
    #[must_use]
    pub fn new(backend: &Backend, blocks: Vec<EncoderBlock>, heads: Heads, precision: QuantizedPrecision) -> Self {
        Self { backend: backend.clone(), blocks, heads, precision }
    }

    /// Scratch memory for its passes.
    ///
    /// # Panics
    /// In int8 attention, when there are fewer key/value heads than query heads.
    #[must_use]
    pub fn buffers(&self) -> EncoderBuffers {
        let projected = match self.precision {
            QuantizedPrecision::Int8 => Projected::Int8(self.backend.kernels().quantized_attention(self.heads)),
            QuantizedPrecision::Mixed => {
                Projected::F32 { panels: KeyValuePanels::new(self.heads, 0), rows: Vec::new() }
            }
        };
        EncoderBuffers { projected, threads: Stash::new() }
    }

    /// Calls `work` with the scratch memory of one thread: for what a network does with some of its rows before the
    /// blocks.
    pub fn with_buffers<R>(&self, buffers: &EncoderBuffers, work: impl FnOnce(&mut BlockBuffers) -> R) -> R {
        buffers.threads.with(|| self.thread_buffers(), |buffers| work(&mut buffers.rows))
    }

    fn thread_buffers(&self) -> ThreadBuffers {
        ThreadBuffers {
            rows: BlockBuffers::new(&self.backend),
            int8: self.backend.kernels().quantized_scratch(self.heads),
            f32: AttentionScratch::new(self.heads.head_width()),
        }
    }

    /// Sends the rows of `x`, `[rows, width]`, through all blocks, in place. Row `i` has position `i`. Polls `cancel`
    /// before every half block.
    ///
    /// # Errors
    /// [`Cancelled`]; the contents of `x` are then unspecified.
    ///
    /// # Panics
    /// When `x` is not a whole number of rows, or has more rows than there are rotary positions.
    pub fn forward(&self, x: &mut [f32], buffers: &mut EncoderBuffers, cancel: &CancelToken) -> Result<(), Cancelled> {
        for block in &self.blocks {
            cancel.check()?;
            self.project(block, x, buffers);
            cancel.check()?;
            self.attend(block, x, buffers);
        }
        Ok(())
    }

    /// Computes queries, keys and values of all rows.
    fn project(&self, block: &EncoderBlock, x: &[f32], buffers: &mut EncoderBuffers) {
        let (backend, attention) = (&self.backend, &block.attention);
        let (width, columns) = (attention.out.outputs(), attention.projections.outputs());
        let count = x.len() / width;
        let EncoderBuffers { projected, threads } = buffers;
        match projected {
            Projected::Int8(layer) => backend.blocks(layer.chunks_mut(count), 1, Chunk::of(1), |_, chunks| {
                for chunk in chunks {
                    let rows = chunk.rows();
                    let work = |buffers: &mut ThreadBuffers| {
                        let BlockBuffers { quantized, projected, .. } = &mut buffers.rows;
                        projected.resize(columns * rows.len(), 0.0);
                        let x = &x[rows.start * width..rows.end * width];
                        attention.project(backend, x, rows.clone(), quantized, projected);
                        backend.kernels().fill_quantized(MatRef::new(projected, rows.len(), columns), chunk);
                    };
                    threads.with(|| self.thread_buffers(), work);
                }
            }),
            Projected::F32 { panels, rows: projected } => {
                projected.resize(count * columns, 0.0);
                backend.blocks(projected, columns, Chunk::of(Self::ROWS), |rows, out| {
                    let x = &x[rows.start * width..rows.end * width];
                    let work = |buffers: &mut ThreadBuffers| {
                        attention.project(backend, x, rows, &mut buffers.rows.quantized, out);
                    };
                    threads.with(|| self.thread_buffers(), work);
                });
                let (query, part) = (self.heads.width(), self.heads.key_value_width());
                let columns_from = |first: usize| MatRef::strided(&projected[first..], count, part, columns);
                panels.fill(columns_from(query), columns_from(query + part));
            }
        }
    }

    /// Attention and feed-forward layer, chunk by chunk of the rows.
    fn attend(&self, block: &EncoderBlock, x: &mut [f32], buffers: &mut EncoderBuffers) {
        let backend = &self.backend;
        let heads = self.heads;
        let width = block.attention.out.outputs();
        let EncoderBuffers { projected, threads } = &*buffers;
        let all = x.len() / width;
        backend.blocks(x, width, Chunk::of(Self::ROWS), |rows, x| {
            let work = |buffers: &mut ThreadBuffers| {
                let ThreadBuffers { rows: buffers, int8, f32 } = buffers;
                buffers.attended.resize(rows.len() * heads.width(), 0.0);
                let out = BlockMut::new(&mut buffers.attended, heads.width());
                match projected {
                    Projected::Int8(layer) => backend.kernels().attend_quantized(rows.clone(), layer, out, int8),
                    Projected::F32 { panels, rows: projected } => {
                        let columns = block.attention.projections.outputs();
                        let queries = MatRef::strided(projected, all, heads.width(), columns);
                        backend.kernels().attend(queries.rows_range(rows.start, rows.len()), panels, out, f32);
                    }
                }
                block.attention.give_output(backend, x, buffers);
                block.feed_forward.forward_add(backend, x, buffers);
            };
            threads.with(|| self.thread_buffers(), work);
        });
    }
}
