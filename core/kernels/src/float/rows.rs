//! Elementwise functions over slices, and softmax over rows.

use super::reduce;
use crate::activation::math::{self, Add, Function, Scale};
use crate::simd::{LANES, Simd};

/// Applies `f` to every element in place.
#[inline(always)]
pub(crate) fn map<S: Simd>(s: S, values: &mut [f32], function: impl Function) {
    let (blocks, rest) = values.as_chunks_mut::<LANES>();
    for block in blocks {
        let y = function.apply(s, s.load(block));
        s.store(y, block);
    }
    if !rest.is_empty() {
        let mut block = reduce::padded(rest, 0.0);
        let y = function.apply(s, s.load(&block));
        s.store(y, &mut block);
        rest.copy_from_slice(&block[..rest.len()]);
    }
}

/// Softmax of one row in place: `e^(x - max)`, divided by their sum. A row of only `-inf` becomes zeros.
#[inline(always)]
pub(crate) fn softmax<S: Simd>(s: S, row: &mut [f32]) {
    let max = reduce::row_max(s, row);
    if max == f32::NEG_INFINITY {
        row.fill(0.0);
        return;
    }
    let total = exp_sum(s, row, max);
    map(s, row, Scale(1.0 / total));
}

/// Log-probabilities of one row of scores in place. A row of only `-inf` stays as it is.
///
/// Partial sums of 1,024 exponentials are added in f64: over a vocabulary of 50,000 tokens an f32 sum loses digits.
#[inline(always)]
pub(crate) fn log_softmax<S: Simd>(s: S, row: &mut [f32]) {
    let max = reduce::row_max(s, row);
    if max == f32::NEG_INFINITY {
        return;
    }
    let shift = s.splat(max);
    let mut total = 0.0f64;
    for part in row.chunks(1024) {
        let mut lanes = s.splat(0.0);
        let (blocks, rest) = part.as_chunks::<LANES>();
        for block in blocks {
            lanes = s.add(lanes, math::exp(s, s.sub(s.load(block), shift)));
        }
        if !rest.is_empty() {
            let block = reduce::padded(rest, f32::NEG_INFINITY);
            lanes = s.add(lanes, math::exp(s, s.sub(s.load(&block), shift)));
        }
        total += f64::from(reduce::sum(s, lanes));
    }
    // `libm`, because the last bit of a system's logarithm may differ between systems.
    map(s, row, Add(-(max + libm::log(total) as f32)));
}

/// Index of the largest value, the first of equal ones; 0 if there is none. NaN is never chosen.
#[inline(always)]
pub(crate) fn argmax<S: Simd>(s: S, row: &[f32]) -> usize {
    let max = reduce::row_max(s, row);
    row.iter().position(|&value| value == max).unwrap_or(0)
}

/// Replaces each `x` by `e^(x - max)`; returns the sum.
#[inline(always)]
pub(crate) fn exp_sum<S: Simd>(s: S, row: &mut [f32], max: f32) -> f32 {
    let shift = s.splat(max);
    let mut lanes = s.splat(0.0);
    let (blocks, rest) = row.as_chunks_mut::<LANES>();
    for block in blocks {
        let y = math::exp(s, s.sub(s.load(block), shift));
        lanes = s.add(lanes, y);
        s.store(y, block);
    }
    if !rest.is_empty() {
        let mut block = reduce::padded(rest, f32::NEG_INFINITY);
        let y = math::exp(s, s.sub(s.load(&block), shift));
        lanes = s.add(lanes, y);
        s.store(y, &mut block);
        rest.copy_from_slice(&block[..rest.len()]);
    }
    reduce::sum(s, lanes)
}

/// Rounds to half precision.
#[inline(always)]
pub(crate) fn narrow<S: Simd>(s: S, values: &[f32], out: &mut [u16]) {
    let ((blocks, rest), (out_blocks, out_rest)) = (values.as_chunks::<LANES>(), out.as_chunks_mut::<LANES>());
    for (block, out) in blocks.iter().zip(out_blocks) {
        s.store_f16(s.load(block), out);
    }
    let mut block = [0; LANES];
    s.store_f16(s.load(&reduce::padded(rest, 0.0)), &mut block);
    out_rest.copy_from_slice(&block[..rest.len()]);
}

/// Widens half precision.
#[inline(always)]
pub(crate) fn widen<S: Simd>(s: S, values: &[u16], out: &mut [f32]) {
    let ((blocks, rest), (out_blocks, out_rest)) = (values.as_chunks::<LANES>(), out.as_chunks_mut::<LANES>());
    for (block, out) in blocks.iter().zip(out_blocks) {
        s.store(s.load_f16(block), out);
    }
    let mut halves = [0; LANES];
    halves[..rest.len()].copy_from_slice(rest);
    let mut block = [0.0; LANES];
    s.store(s.load_f16(&halves), &mut block);
    out_rest.copy_from_slice(&block[..rest.len()]);
}
