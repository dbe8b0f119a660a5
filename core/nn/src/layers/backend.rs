//! Where layers compute: the kernels of the CPU and the threads that share them.

use std::sync::{Arc, Mutex, PoisonError};

use sotto_kernels::{
    Activations, AttentionScratch, BlockMut, Epilogue, KernelSet, KeyValuePanels, MatRef, PackedMatrix,
};
use sotto_runtime::{Chunk, Pool, Threads};

/// The seam between layers and processors: a kernel set and a pool, chosen when a model is loaded.
///
/// Divides products and attention among the threads of its pool; what comes out does not depend on their number. Cheap to
/// clone; clones share the pool.
#[derive(Debug, Clone)]
pub struct Backend {
    kernels: KernelSet,
    pool: Arc<Pool>,
    /// One per thread that attends at this moment; kept, so that the steady state allocates nothing.
    attention: Arc<Mutex<Vec<AttentionScratch>>>,
}

// Multiply-adds that take a thread about 10 µs: less is not worth waking another one for.
const WORTH_DIVIDING: usize = 1 << 20;

// Query rows that read one head's keys and values from the cache together.
const QUERY_ROWS: usize = 96;

impl Backend {
    /// The best kernels of this CPU on up to `threads` threads, which start when there is work for them.
    #[must_use]
    pub fn new(threads: Threads) -> Self {
        Self::with_kernels(KernelSet::best(), threads)
    }

    /// Chosen kernels, for tests that compare them.
    #[must_use]
    pub fn with_kernels(kernels: KernelSet, threads: Threads) -> Self {
        Self { kernels, pool: Arc::new(Pool::new(threads)), attention: Arc::default() }
    }

    /// The kernels, for what is too small to be divided.
    #[must_use]
    pub fn kernels(&self) -> KernelSet {
        self.kernels
    }

    /// `out = activation(x · W + bias)`, or added to `out`: see [`KernelSet::product`].
    ///
    /// # Panics
    /// When the shapes do not fit.
    pub(super) fn product(&self, x: &Activations, weights: &PackedMatrix, epilogue: Epilogue<'_>, out: &mut [f32]) {
        let (rows, columns) = (x.rows(), weights.columns());
        assert_eq!(out.len(), rows * columns, "rows and columns of the output");
        let kernels = self.kernels;
        if rows * columns * weights.depth() < WORTH_DIVIDING {
            kernels.product(x, weights, epilogue, BlockMut::new(out, columns));
        } else if rows == 1 {
            let chunk = self.share(columns, kernels.column_step());
            self.pool.run_rows(out, 1, chunk, |range, out| {
                let width = out.len();
                kernels.product_part(x, weights, epilogue, (0, range.start), BlockMut::new(out, width));
            });
        } else {
            let chunk = self.share(rows, kernels.row_step());
            self.pool.run_rows(out, columns, chunk, |range, out| {
                kernels.product_part(x, weights, epilogue, (range.start, 0), BlockMut::new(out, columns));
            });
        }
    }

    /// Every row of `query` attends to all rows of `panels`: see [`KernelSet::attend`].
    ///
    /// # Panics
    /// When the shapes do not fit.
    pub fn attend(&self, query: MatRef<'_>, panels: &KeyValuePanels, out: &mut [f32]) {
        let (kernels, width) = (self.kernels, panels.heads().width);
        let chunk = Chunk::of(QUERY_ROWS);
        self.pool.run_rows(out, width, chunk, |range, out| {
            let mut scratch = self.take_scratch(panels.heads().head_width());
            kernels.attend(query.rows_range(range.start, range.len()), panels, BlockMut::new(out, width), &mut scratch);
            self.attention.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
        });
    }

    fn take_scratch(&self, head_width: usize) -> AttentionScratch {
        let kept = self.attention.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.filter(|scratch| scratch.fits(head_width)).unwrap_or_else(|| AttentionScratch::new(head_width))
    }

    /// About a quarter of a thread's share of `items`, in whole steps of the kernels.
    fn share(&self, items: usize, step: usize) -> Chunk {
        let parts = match self.pool.threads().count() {
            1 => 1,
            threads => 4 * threads,
        };
        Chunk::of(items.div_ceil(parts).next_multiple_of(step))
    }
}
