//! Where layers compute: the kernels of the CPU and the threads that share them.

use std::ops::Range;
use std::sync::Arc;

use sotto_kernels::{Activations, BlockMut, Epilogue, KernelSet, MatRef, Norm, OutputMut};
use sotto_runtime::{Chunk, Pool, Threads};

use super::{QuantizedMatrix, WeightType};

/// Where quantized layers compute: a kernel set and a pool, chosen when a model is loaded.
///
/// Divides rows and products among the threads of its pool; what comes out does not depend on their number. Cheap to
/// clone; clones share the pool.
#[derive(Debug, Clone)]
pub struct Backend {
    kernels: KernelSet,
    pool: Arc<Pool>,
}

// Multiply-adds that take a thread about 10 µs: less is not worth waking another one for.
const WORTH_DIVIDING: usize = 1 << 20;

impl Backend {
    /// Chosen kernels, for tests that compare them.
    #[must_use]
    pub fn with_kernels(kernels: KernelSet, threads: Threads) -> Self {
        Self::with_pool(kernels, Pool::new(threads))
    }

    /// Chosen kernels on the threads of a pool.
    #[must_use]
    pub fn with_pool(kernels: KernelSet, pool: Pool) -> Self {
        Self { kernels, pool: Arc::new(pool) }
    }

    /// The kernels, for what is too small to be divided.
    #[must_use]
    pub fn kernels(&self) -> KernelSet {
        self.kernels
    }

    /// Normalises and quantizes rows for a product with weights of this type: see [`KernelSet::quantize`].
    ///
    /// # Panics
    /// When the norm's parameters do not have as many values as the rows.
    pub(super) fn quantize(&self, input: MatRef<'_>, norm: &Norm<'_>, weights: WeightType, out: &mut Activations) {
        match weights {
            WeightType::Int8 => self.kernels.quantize(input, norm, out),
            WeightType::Int4 => self.kernels.quantize_for_int4(input, norm, out),
        }
    }

    /// `out = activation(x · W + bias)`, or added to `out`, in f32 or as bits of half precision: see [`KernelSet::product`].
    ///
    /// # Panics
    /// When the shapes do not fit, or weights have 4 bits and the rows were not quantized for such.
    pub(super) fn product<T: Send>(
        &self,
        x: &Activations,
        weights: &QuantizedMatrix,
        epilogue: Epilogue<'_>,
        out: &mut [T],
    ) where
        for<'a> OutputMut<'a>: From<BlockMut<'a, T>>,
    {
        let (rows, columns) = (x.rows(), weights.columns());
        assert_eq!(out.len(), rows * columns, "rows and columns of the output");
        let kernels = self.kernels;
        let part = |start, out: BlockMut<'_, T>| match weights {
            QuantizedMatrix::Int8(weights) => kernels.product_part(x, weights, epilogue, start, out),
            QuantizedMatrix::Int4(weights) => kernels.product_int4_part(x, weights, epilogue, start, out),
        };
        if rows * columns * weights.depth() < WORTH_DIVIDING {
            part((0, 0), BlockMut::new(out, columns));
        } else if rows == 1 {
            let chunk = self.share(columns, kernels.column_step());
            self.pool.run_rows(out, 1, chunk, |range, out| {
                let width = out.len();
                part((0, range.start), BlockMut::new(out, width));
            });
        } else {
            let chunk = self.share(rows, kernels.row_step());
            self.pool.run_rows(out, columns, chunk, |range, out| {
                part((range.start, 0), BlockMut::new(out, columns));
            });
        }
    }

    /// Calls `f` with blocks of `block` rows of `values`, each row `width` values, on the threads of the pool. What `f`
    /// computes with this backend stays on the thread of its block.
    ///
    /// # Panics
    /// When `values` is not whole rows, and when `f` panics.
    pub fn blocks<T: Send>(
        &self,
        values: &mut [T],
        width: usize,
        block: usize,
        f: impl Fn(Range<usize>, &mut [T]) + Sync,
    ) {
        self.pool.run_rows(values, width, Chunk::of(block), f);
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
