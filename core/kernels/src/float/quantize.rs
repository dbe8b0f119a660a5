//! Dynamic quantization of rows to int8, with a norm before it where one is wanted.
//!
//! Per row: `amax` is the greatest magnitude; scale = `amax / 127`; values = `x · (127 / amax)`, clamped to ±127 and
//! rounded to nearest, ties to even. A row with `amax` below 1e-30 is zero, its scale too: the factor would overflow.
//! The norm is computed twice instead of stored: a few multiply-adds cost less than the round trip through memory.

use super::norm::{Norm, Normed};
use super::{math, reduce};
use crate::MatRef;
use crate::int8::{Int8, RowsMut};
use crate::simd::{LANES, Simd};

const SMALLEST: f32 = 1e-30;

/// Quantizes the rows of `input` into `out`. The caller has checked the shapes.
#[inline(always)]
pub(crate) fn quantize<S: Int8>(s: S, input: MatRef<'_>, norm: &Norm<'_>, mut out: RowsMut<'_>) {
    for row in 0..out.rows {
        let normed = Normed::new(s, norm, input.row(row));
        let mut lanes = s.splat(0.0);
        for k in (0..input.cols()).step_by(LANES) {
            lanes = s.max(s.abs(norm.block(s, &normed, k)), lanes);
        }
        let (factor, scale) = factor_and_scale(reduce::max(s, lanes));
        out.scales[row] = scale;
        out.sums[row] = write_row(s, norm, &normed, input.cols(), factor, row, &mut out);
    }
}

/// What values with this greatest magnitude are multiplied with, and what the result stands for.
#[inline(always)]
pub(crate) fn factor_and_scale(peak: f32) -> (f32, f32) {
    if peak < SMALLEST { (0.0, 0.0) } else { (127.0 / peak, peak / 127.0) }
}

/// Quantizes up to sixteen values; zeros behind them.
#[inline(always)]
pub(crate) fn store<S: Simd>(s: S, values: &[f32], factor: f32, to: &mut [i8; LANES]) {
    let x = match values.first_chunk() {
        Some(values) => s.load(values),
        None => s.load(&reduce::padded(values, 0.0)),
    };
    s.store_i8(s.min(s.max(s.mul(x, s.splat(factor)), s.splat(-127.0)), s.splat(127.0)), to);
}

/// Writes one row's values and the zeros that pad its depth; returns their sum.
#[inline(always)]
fn write_row<S: Int8>(
    s: S,
    norm: &Norm<'_>,
    normed: &Normed<'_, S>,
    depth: usize,
    factor: f32,
    row: usize,
    out: &mut RowsMut<'_>,
) -> i32 {
    let (factor, low, high) = (s.splat(factor), s.splat(-127.0), s.splat(127.0));
    let mut values = [0i8; LANES];
    let mut sum = s.splat(0.0);
    let panel = match out.panels {
        Some(len) => &mut out.bytes[row / S::TILE_ROWS * len..][..len],
        None => &mut *out.bytes,
    };
    for k in (0..depth).step_by(LANES) {
        let y = norm.block(s, normed, k);
        // Rounds to the nearest integer, which then stands in the low bits.
        let shifted = s.add(s.min(s.max(s.mul(y, factor), low), high), s.splat(math::ROUND));
        sum = s.add(sum, s.sub(shifted, s.splat(math::ROUND)));
        s.store_shifted_i8(shifted, &mut values);
        if out.panels.is_some() {
            s.write(&values, panel, row % S::TILE_ROWS, k);
        } else {
            crate::aligned::as_i8_mut(panel)[k..k + LANES].copy_from_slice(&values);
        }
    }
    // Exact in any order: a lane sums at most 127 · 131,072 / 16, all of them 2^24 - 2^17.
    reduce::sum(s, sum) as i32
}
