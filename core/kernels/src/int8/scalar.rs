//! The specification of the sums.

#![allow(unsafe_code)]

use super::{Int8, Layout};
use crate::isa::Scalar;

impl Int8 for Scalar {
    const LAYOUT: Layout = Layout::Columns;
    const TILE_ROWS: usize = 4;
    const GROUP: usize = 16;
    const UNIT: usize = 16;

    #[inline(always)]
    unsafe fn tile<const M: usize>(
        self,
        activations: *const u8,
        weights: *const u8,
        depth: usize,
        _row_sums: &[i32],
        sums: &mut [i32],
    ) {
        // SAFETY: the caller vouches for whole panels of this depth.
        let (activations, weights) = unsafe {
            let activations = std::slice::from_raw_parts(activations.cast::<i8>(), Self::TILE_ROWS * depth);
            (activations, std::slice::from_raw_parts(weights.cast::<i8>(), Self::LAYOUT.panel() * depth))
        };
        for row in 0..M {
            for (column, weights) in weights.chunks_exact(depth).enumerate() {
                let mut sum = 0;
                for (group, weights) in weights.chunks_exact(Self::GROUP).enumerate() {
                    let start = (group * Self::TILE_ROWS + row) * Self::UNIT;
                    sum += dot(&activations[start..start + Self::UNIT], weights);
                }
                sums[row * Self::LAYOUT.panel() + column] = sum;
            }
        }
    }

    #[inline(always)]
    unsafe fn row(self, row: *const i8, weights: *const u8, depth: usize, _row_sum: i32, sums: &mut [i32]) {
        // SAFETY: the caller vouches for a row and a panel of this depth.
        let (row, weights) = unsafe {
            let row = std::slice::from_raw_parts(row, depth);
            (row, std::slice::from_raw_parts(weights.cast::<i8>(), Self::LAYOUT.panel() * depth))
        };
        for (sum, weights) in sums.iter_mut().zip(weights.chunks_exact(depth)) {
            *sum = dot(row, weights);
        }
    }
}

#[inline(always)]
fn dot(a: &[i8], b: &[i8]) -> i32 {
    a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum()
}
