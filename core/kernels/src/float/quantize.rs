//! Dynamic quantization of rows to int8, optionally after a norm.
//!
//! Per row: `amax` is the largest absolute value; scale = `amax / 127`; values = `x · (127 / amax)` rounded to
//! nearest, ties to even. A row with `amax` below 1e-30 becomes zeros with scale 0: the factor would overflow. The norm
//! is computed twice instead of being stored: a few multiply-adds cost less than a round trip through memory.

use super::reduce;
use crate::MatRef;
use crate::activation::math;
use crate::int8::{Int8, RowsMut};
use crate::norm::{Blocks, Layered, Norm, Normed, Plain, Scaled};
use crate::simd::{LANES, Simd};

const SMALLEST: f32 = 1e-30;

/// Quantizes the rows of `input` into `out`. The caller has checked the shapes.
#[inline(always)]
pub(crate) fn quantize<S: Int8>(s: S, input: MatRef<'_>, norm: &Norm<'_>, mut out: RowsMut<'_>) {
    for row in 0..out.rows {
        let normed = Normed::new(s, norm, input.row(row));
        let rest = input.cols() / LANES * LANES;
        let rest = (rest < input.cols()).then(|| (rest, norm.block(s, &normed, rest)));
        match norm {
            Norm::None => quantize_row(s, Plain(input.row(row).as_chunks().0), rest, row, &mut out),
            Norm::Layer { weight, bias, .. } => {
                quantize_row(s, Layered::new(&normed, weight, bias), rest, row, &mut out);
            }
            Norm::RootMeanSquare { weight, .. } => {
                quantize_row(s, Scaled::new(&normed, weight), rest, row, &mut out);
            }
        }
    }
}

/// Quantizes one row: its whole blocks, and the rest behind them, given with its first column.
#[inline(always)]
fn quantize_row<S: Int8>(s: S, blocks: impl Blocks<S>, rest: Option<(usize, S::F)>, row: usize, out: &mut RowsMut<'_>) {
    let mut lanes = rest.map_or(s.splat(0.0), |(_, y)| s.abs(y));
    for index in 0..blocks.count() {
        lanes = s.max(s.abs(blocks.get(s, index)), lanes);
    }
    let (factor, scale) = factor_and_scale(reduce::max(s, lanes));
    let factor = s.splat(factor);
    out.scales[row] = scale;
    let mut sum = s.splat(0.0);
    let mut values = [0i8; LANES];
    match out.panels {
        Some(len) => {
            let panel = &mut out.bytes[row / S::TILE_ROWS * len..][..len];
            for index in 0..blocks.count() {
                sum = s.add(sum, step(s, blocks.get(s, index), factor, &mut values));
                s.write(&values, panel, row % S::TILE_ROWS, index * LANES);
            }
            if let Some((column, y)) = rest {
                sum = s.add(sum, step(s, y, factor, &mut values));
                s.write(&values, panel, row % S::TILE_ROWS, column);
            }
        }
        None => {
            let to = crate::aligned::as_i8_mut(out.bytes).as_chunks_mut::<LANES>().0;
            for (index, to) in to.iter_mut().enumerate().take(blocks.count()) {
                sum = s.add(sum, step(s, blocks.get(s, index), factor, to));
            }
            if let Some((column, y)) = rest {
                sum = s.add(sum, step(s, y, factor, &mut to[column / LANES]));
            }
        }
    }
    // Exact in any order: at most 127 · 131,072, below 2^24.
    out.sums[row] = reduce::sum(s, sum) as i32;
}

/// Quantizes sixteen values; also returns them as floats. No clamping is needed: the factor is 127 divided by the
/// largest absolute value, so a product exceeds 127 by less than rounding removes.
#[inline(always)]
fn step<S: Simd>(s: S, y: S::F, factor: S::F, to: &mut [i8; LANES]) -> S::F {
    // Rounds to the nearest integer, which is then in the low bits.
    let shifted = s.add(s.mul(y, factor), s.splat(math::ROUND));
    s.store_shifted_i8(shifted, to);
    s.sub(shifted, s.splat(math::ROUND))
}

/// The factor that quantizes values with this largest absolute value, and the scale of the result.
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
