//! Sums and maxima over sixteen lanes, folded in a fixed tree.

use crate::activation::math::ROUND;
use crate::simd::{LANES, Simd};

/// Folds lanes in halves: `i` with `i + 8`, then 4, 2, 1.
#[inline(always)]
fn fold<S: Simd>(s: S, x: S::F, join: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    s.store(x, &mut lanes);
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] = join(lanes[lane], lanes[lane + width]);
        }
        width /= 2;
    }
    lanes[0]
}

/// Sum of the lanes.
#[inline(always)]
pub(crate) fn sum<S: Simd>(s: S, x: S::F) -> f32 {
    fold(s, x, |a, b| a + b)
}

/// Largest lane.
#[inline(always)]
pub(crate) fn max<S: Simd>(s: S, x: S::F) -> f32 {
    fold(s, x, |a, b| if a > b { a } else { b })
}

/// The sum of `count` integers `n`, given the sum of the values `n + 1.5 · 2^23` as [`Simd::add_bits`] adds them.
#[inline(always)]
pub(crate) fn sum_shifted<S: Simd>(s: S, total: S::F, count: usize) -> i32 {
    let mut lanes = [0.0; LANES];
    s.store(total, &mut lanes);
    let sum = lanes.iter().fold(0u32, |sum, lane| sum.wrapping_add(lane.to_bits()));
    sum.wrapping_sub(ROUND.to_bits().wrapping_mul(count as u32)) as i32
}

/// The end of a row that does not fill a vector, padded.
#[inline(always)]
pub(crate) fn padded(rest: &[f32], padding: f32) -> [f32; LANES] {
    let mut block = [padding; LANES];
    block[..rest.len()].copy_from_slice(rest);
    block
}

/// Largest absolute value of a row.
#[inline(always)]
pub(crate) fn row_peak<S: Simd>(s: S, row: &[f32]) -> f32 {
    let (blocks, rest) = row.as_chunks::<LANES>();
    let mut lanes = s.abs(s.load(&padded(rest, 0.0)));
    for block in blocks {
        lanes = s.max(s.abs(s.load(block)), lanes);
    }
    max(s, lanes)
}

/// Largest value of a row, `-inf` for an empty one.
#[inline(always)]
pub(crate) fn row_max<S: Simd>(s: S, row: &[f32]) -> f32 {
    let (blocks, rest) = row.as_chunks::<LANES>();
    let mut lanes = s.load(&padded(rest, f32::NEG_INFINITY));
    for block in blocks {
        lanes = s.max(s.load(block), lanes);
    }
    max(s, lanes)
}
