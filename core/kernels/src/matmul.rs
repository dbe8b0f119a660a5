//! Matrix product in f32, for networks with unquantized weights.
//!
//! The `gemm` crate computes it (AVX2, AVX-512 or NEON chosen at run time, with its own threads). That is fast enough
//! for a reference, but the order of its sums depends on the CPU. Models normally run on the quantized kernels, which
//! give the same bits everywhere.

#![allow(unsafe_code)]

use gemm::Parallelism;
use sotto_runtime::Threads;

use crate::{MatMut, MatRef};

// Below about a million multiply-adds, waking a second thread costs more than it saves.
const WORTH_A_THREAD: usize = 1 << 20;

/// `out = a · b`, or `out += a · b` with `accumulate`.
///
/// Shapes `[m, k] · [k, n] → [m, n]`. Uses up to `threads` threads when the product is large.
///
/// # Panics
/// When the shapes do not match.
pub fn matmul(a: MatRef<'_>, b: MatRef<'_>, mut out: MatMut<'_>, accumulate: bool, threads: Threads) {
    let m = a.rows();
    let k = a.cols();
    let n = b.cols();
    assert_eq!((k, m, n), (b.rows(), out.rows(), out.cols()), "[{m}, {k}] · [{}, {n}]", b.rows());
    if m == 0 || n == 0 {
        return;
    }
    if (1..=FEW_ROWS).contains(&m)
        && k > 0
        && let (Some(a_rows), Some(b_columns)) = (a.dense_rows(), b.transposed().dense_rows())
    {
        return few_rows(a_rows, b_columns, k, &mut out, accumulate);
    }
    let parallelism = match threads.count() {
        1 => Parallelism::None,
        _ if m * n * k < WORTH_A_THREAD => Parallelism::None,
        count => Parallelism::Rayon(count),
    };
    let ((a_row, a_col), (b_row, b_col)) = (a.strides(), b.strides());
    // SAFETY: `MatRef` and `MatMut` checked that every element at `row * row_stride + col * col_stride` lies inside
    // their slices; `out` is borrowed mutably, so it overlaps neither input, and its rows do not overlap each other.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            out.row_stride(),
            accumulate,
            a.as_ptr(),
            a_col,
            a_row,
            b.as_ptr(),
            b_col,
            b_row,
            1.0,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
}

// A general product packs all of `b` first. For the one row of a decoder step, or the few rows of a beam, that costs
// more than the product itself, so the weights are read once, in place.
const FEW_ROWS: usize = 8;

/// `out (+)= a · bᵀ` by inner products: `a` is `[m, k]`, `b` is `[n, k]`, each row of `b` serves all rows of `a`.
fn few_rows(a: &[f32], b: &[f32], k: usize, out: &mut MatMut<'_>, accumulate: bool) {
    for (col, b) in b.chunks_exact(k).enumerate() {
        for (row, a) in a.chunks_exact(k).enumerate() {
            let target = out.at(row, col);
            *target = if accumulate { *target } else { 0.0 } + dot(a, b);
        }
    }
}

const LANES: usize = 16;

/// Inner product, summed in 16 lanes that are folded in a fixed tree, so that the compiler can vectorise it and every
/// CPU gives the same bits.
///
/// # Panics
/// When the lengths differ.
#[must_use]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let mut lanes = [0.0f32; LANES];
    let ((a_blocks, a_tail), (b_blocks, b_tail)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let tail: f32 = a_tail.iter().zip(b_tail).map(|(x, y)| x * y).sum();
    for (x, y) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..LANES {
            lanes[lane] += x[lane] * y[lane];
        }
    }
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0] + tail
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(len: usize, seed: u32) -> Vec<f32> {
        (0..len as u32).map(|i| ((i * 7919 + seed * 104_729) % 997) as f32 / 498.5 - 1.0).collect()
    }

    #[test]
    fn product_matches_the_definition_for_odd_shapes_and_threads() {
        for (m, k, n) in [(1, 1, 1), (1, 384, 5), (7, 13, 3), (8, 40, 9), (9, 40, 9), (65, 33, 17), (130, 127, 129)] {
            let (a, b) = (values(m * k, 1), values(n * k, 2));
            for threads in [1, 2] {
                let mut out = values(m * n, 3);
                let before = out.clone();
                let b_view = MatRef::new(&b, n, k).transposed();
                matmul(MatRef::new(&a, m, k), b_view, MatMut::new(&mut out, m, n), true, Threads::new(threads));
                for row in 0..m {
                    for col in 0..n {
                        let exact: f64 = (0..k).map(|i| f64::from(a[row * k + i]) * f64::from(b[col * k + i])).sum();
                        let expected = exact + f64::from(before[row * n + col]);
                        assert!((f64::from(out[row * n + col]) - expected).abs() < 1e-4, "{m} {k} {n} at {row} {col}");
                    }
                }
            }
        }
    }

    #[test]
    fn overlapping_rows_read_a_sliding_window() {
        let samples = [1.0, 2.0, 3.0, 4.0, 5.0];
        let taps = [1.0, 10.0, 100.0];
        let mut out = [0.0; 3];
        let windows = MatRef::strided(&samples, 3, 3, 1);
        matmul(windows, MatRef::new(&taps, 3, 1), MatMut::new(&mut out, 3, 1), false, Threads::ONE);
        assert_eq!(out, [321.0, 432.0, 543.0]);
    }

    #[test]
    #[should_panic(expected = "end beyond")]
    fn a_view_past_the_end_is_refused() {
        let _ = MatRef::strided(&[0.0; 10], 3, 4, 4);
    }

    #[test]
    fn dot_matches_the_sum_at_every_length() {
        for len in 0..70 {
            let (a, b) = (values(len, 4), values(len, 5));
            let exact: f64 = a.iter().zip(&b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
            assert!((f64::from(dot(&a, &b)) - exact).abs() < 1e-5);
        }
    }
}
