//! Dynamic quantization of rows to int8, with a norm before it where one is wanted.
//!
//! Per row: `amax` is the greatest magnitude; scale = `amax / 127`; values = `x · (127 / amax)`, clamped to ±127 and
//! rounded to nearest, ties to even. A row with `amax` below 1e-30 is zero, its scale too: the factor would overflow.
//! The norm is computed twice instead of stored: a few multiply-adds cost less than the round trip through memory.

use super::norm::{Norm, Normed};
use super::reduce;
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
        norm.for_each(s, &normed, |_, y| lanes = s.max(s.abs(y), lanes));
        let amax = reduce::max(s, lanes);
        let (factor, scale) = factor_and_scale(amax);
        out.scales[row] = scale;
        out.sums[row] = write_row(s, norm, &normed, factor, row, &mut out);
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
    factor: f32,
    row: usize,
    out: &mut RowsMut<'_>,
) -> i32 {
    let (factor, low, high) = (s.splat(factor), s.splat(-127.0), s.splat(127.0));
    let mut values = [0i8; LANES];
    let mut sums = [0i32; LANES];
    let panel = match out.panels {
        Some(len) => &mut out.bytes[row / S::TILE_ROWS * len..][..len],
        None => &mut *out.bytes,
    };
    norm.for_each(s, normed, |k, y| {
        s.store_i8(s.min(s.max(s.mul(y, factor), low), high), &mut values);
        for (sum, &value) in sums.iter_mut().zip(&values) {
            *sum += i32::from(value);
        }
        if out.panels.is_some() {
            s.write(&values, panel, row % S::TILE_ROWS, k);
        } else {
            crate::aligned::as_i8_mut(panel)[k..k + LANES].copy_from_slice(&values);
        }
    });
    sums.iter().sum()
}
