//! Where layers compute: the kernels of the CPU and the threads that share them.

use std::ops::Range;
use std::sync::Arc;

use sotto_kernels::{Activations, BlockMut, Epilogue, KernelSet, MatRef, Norm, OutputMut};
use sotto_runtime::{Chunk, Pool, Threads};

use super::{QuantizedMatrix, WeightType};

/// Where quantized layers compute: a kernel set and a pool, chosen when a model is loaded.
///
/// Divides rows and products among the threads of its pool; the results do not depend on their number. Cheap to clone;
/// clones share the pool.
#[derive(Debug, Clone)]
pub struct Backend {
    kernels: KernelSet,
    pool: Arc<Pool>,
}

// Multiply-adds that take one thread about 10 µs: for less it is not worth waking another thread.
const WORTH_DIVIDING: usize = 1 << 20;

// Bytes that one thread reads in about 10 µs: the limit of products of few rows, whose time is that of reading the
// weights.
const WORTH_READING: usize = 1 << 18;

// Maximum number of column ranges that a product of few rows is split into.
const MOST_PIECES: usize = 32;

impl Backend {
    /// The given kernels with a pool of their own, for tests that compare kernels.
    #[must_use]
    pub fn with_kernels(kernels: KernelSet, threads: Threads) -> Self {
        Self::with_pool(kernels, Pool::new(threads))
    }

    /// The given kernels on the threads of a pool, which may be shared with other models.
    #[must_use]
    pub fn with_pool(kernels: KernelSet, pool: impl Into<Arc<Pool>>) -> Self {
        Self { kernels, pool: pool.into() }
    }

    /// The kernels, for work that is too small to be divided.
    #[must_use]
    pub fn kernels(&self) -> KernelSet {
        self.kernels
    }

    /// Normalises and quantizes rows for a product with weights of this type: see [`KernelSet::quantize`].
    ///
    /// # Panics
    /// When the norm's parameters do not have as many values as a row.
    pub(super) fn quantize(&self, input: MatRef<'_>, norm: &Norm<'_>, weights: WeightType, out: &mut Activations) {
        match weights {
            WeightType::Int8 => self.kernels.quantize(input, norm, out),
            WeightType::Int4 => self.kernels.quantize_for_int4(input, norm, out),
        }
    }

    /// Writes `activation(x · W + bias)` to `out`, or adds it, in f32 or half precision: see [`KernelSet::product`].
    ///
    /// # Panics
    /// When the shapes do not match, or the weights have 4 bits and the rows were not quantized for 4-bit weights.
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
        let few = rows.div_ceil(kernels.row_step()) < 2 * self.pool.threads().count();
        let bytes = columns * weights.depth();
        let is_worth_it = rows * bytes >= WORTH_DIVIDING || few && bytes >= WORTH_READING;
        if !is_worth_it {
            part((0, 0), BlockMut::new(out, columns));
        } else if few {
            self.by_columns(BlockMut::new(out, columns), |first, out| part((0, first), out));
        } else {
            let chunk = Chunk::of(self.share(rows, kernels.row_step()));
            self.pool.run_rows(out, columns, chunk, |range, out| {
                part((range.start, 0), BlockMut::new(out, columns));
            });
        }
    }

    /// Splits `out` by columns and calls `part` with each piece and its first column. For products with too few rows to
    /// be divided among the threads, as in a beam step, whose time is that of reading the weights.
    fn by_columns<T: Send>(&self, out: BlockMut<'_, T>, part: impl Fn(usize, BlockMut<'_, T>) + Sync) {
        let (columns, step) = (out.columns(), self.kernels.column_step());
        let width = self.share(columns, step).max(columns.div_ceil(MOST_PIECES).next_multiple_of(step));
        let mut pieces = [const { None }; MOST_PIECES];
        let mut rest = out;
        let mut count = 0;
        while rest.columns() > width {
            let (piece, right) = rest.split_columns(width);
            pieces[count] = Some(piece);
            (rest, count) = (right, count + 1);
        }
        pieces[count] = Some(rest);
        self.pool.run_rows(&mut pieces[..=count], 1, Chunk::of(1), |range, pieces| {
            for (index, piece) in range.zip(pieces) {
                if let Some(piece) = piece.take() {
                    part(index * width, piece);
                }
            }
        });
    }

    /// Calls `f` with chunks of the rows of `values`, `width` values each, on the threads of the pool. Calls of this
    /// backend inside `f` run on the thread of the chunk alone.
    ///
    /// # Panics
    /// When `values` is not a whole number of rows, or `f` panics.
    pub fn blocks<T: Send>(
        &self,
        values: &mut [T],
        width: usize,
        chunk: Chunk,
        f: impl Fn(Range<usize>, &mut [T]) + Sync,
    ) {
        self.pool.run_rows(values, width, chunk, f);
    }

    /// How to divide `items` that together read `bytes` bytes: one chunk if it is not worth waking a thread.
    #[must_use]
    pub fn chunk_of_reading(&self, items: usize, bytes: usize) -> Chunk {
        if bytes < WORTH_READING { Chunk::of(items) } else { Chunk::Automatic }
    }

    /// About a quarter of a thread's share of `items`, as a multiple of the kernels' step.
    fn share(&self, items: usize, step: usize) -> usize {
        let parts = match self.pool.threads().count() {
            1 => 1,
            threads => 4 * threads,
        };
        items.div_ceil(parts).next_multiple_of(step)
    }

    /// Number of threads that may work on a job.
    #[must_use]
    pub fn threads(&self) -> Threads {
        self.pool.threads()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use sotto_kernels::PackedMatrix;

    use super::*;

    fn random(len: usize) -> impl Iterator<Item = i8> {
        (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8 as i8)
    }

    /// A product with a matrix that is large enough to be divided.
    fn product(rows: usize, threads: usize) -> Vec<f32> {
        let (depth, columns) = (512, 1000);
        let backend = Backend::with_kernels(KernelSet::best(), Threads::new(threads));
        let weights: Vec<i8> = random(columns * depth).map(|w| w.max(-127)).collect();
        let scales = vec![0.01; columns];
        let packed = PackedMatrix::pack(backend.kernels().layout(), depth, &weights, &scales).unwrap();
        let input: Vec<f32> = random(rows * depth).map(f32::from).collect();
        let mut x = backend.kernels().activations(0, 0);
        backend.quantize(MatRef::new(&input, rows, depth), &Norm::None, WeightType::Int8, &mut x);
        let mut out = vec![0.0; rows * columns];
        backend.product(&x, &QuantizedMatrix::Int8(packed), Epilogue::default(), &mut out);
        out
    }

    #[test]
    fn threads_change_no_product() {
        for rows in [1, 2, 5, 12, 13, 40, 100] {
            let alone = product(rows, 1);
            for threads in [2, 3, 40] {
                assert!(product(rows, threads) == alone, "{rows} rows, {threads} threads");
            }
        }
    }

    #[test]
    fn few_rows_are_divided_by_columns() {
        for (threads, columns) in [(2, 1000), (2, 51_864), (3, 40), (40, 51_864), (1, 1000)] {
            let backend = Backend::with_kernels(KernelSet::best(), Threads::new(threads));
            let pieces = Mutex::new(Vec::new());
            let mut out = vec![0.0; 5 * columns];
            backend.by_columns(BlockMut::new(&mut out, columns), |first, piece| {
                assert_eq!(piece.rows(), 5);
                pieces.lock().unwrap().push(first..first + piece.columns());
            });
            let mut pieces = pieces.into_inner().unwrap();
            pieces.sort_by_key(|piece| piece.start);
            assert_eq!((pieces[0].start, pieces[pieces.len() - 1].end), (0, columns));
            assert!(pieces.windows(2).all(|two| two[0].end == two[1].start), "{pieces:?}");
            let most = if threads == 1 { 1 } else { MOST_PIECES };
            let least = threads.min(columns.div_ceil(backend.kernels().column_step())).min(most);
            assert!((least..=most).contains(&pieces.len()), "{threads} threads, {columns} columns: {}", pieces.len());
        }
    }
}
