//! Sums with `sdot`: an 8 × 12 tile, 24 accumulators and five operands in 32 registers.
//!
//! Inline assembly because the intrinsics are not stable; `inout` operands cost no moves.

#![allow(unsafe_code)]

use std::arch::aarch64::*;
use std::arch::asm;

use super::neon::prefetch;
use super::{Int8, Layout};
use crate::isa::Dotprod;

/// `acc += weights · values[lane]`, four products per 32-bit lane.
macro_rules! sdot_lane {
    ($acc:expr, $weights:expr, $values:expr, $lane:literal) => {
        asm!(
            concat!("sdot {acc:v}.4s, {weights:v}.16b, {values:v}.4b[", $lane, "]"),
            acc = inout(vreg) $acc,
            weights = in(vreg) $weights,
            values = in(vreg) $values,
            options(pure, nomem, nostack, preserves_flags)
        )
    };
}

impl Int8 for Dotprod {
    const LAYOUT: Layout = Layout::Quads;
    const TILE_ROWS: usize = 8;
    const GROUP: usize = 4;
    const UNIT: usize = 4;

    #[inline(always)]
    unsafe fn tile<const M: usize>(
        self,
        activations: *const u8,
        weights: *const u8,
        depth: usize,
        _row_sums: &[i32],
        sums: &mut [i32],
    ) {
        // SAFETY: `self` proves `sdot`; the caller vouches for the rest.
        unsafe { tile::<M>(activations, weights, depth, sums) }
    }

    #[inline(always)]
    unsafe fn row(self, row: *const i8, weights: *const u8, depth: usize, _row_sum: i32, sums: &mut [i32]) {
        assert!(sums.len() >= 12);
        // SAFETY: `self` proves `sdot`. `depth / 16` steps read 16 bytes of the row and 192 of the panel's 12 · `depth`
        // each. A prefetch may name any address. Twelve sums are written, below the end checked above.
        unsafe {
            let (mut a, mut w) = (row, weights.cast::<i8>());
            // Four sets of sums hide the latency of `sdot`.
            let mut acc = [[vdupq_n_s32(0); 3]; 4];
            for _ in 0..depth / 16 {
                let values = vld1q_s8(a);
                prefetch!(w);
                prefetch!(w.wrapping_add(64));
                prefetch!(w.wrapping_add(128));
                macro_rules! groups {
                    ($($group:literal)*) => {$(
                        for j in 0..3 {
                            let columns = vld1q_s8(w.add(48 * $group + 16 * j));
                            sdot_lane!(acc[$group][j], columns, values, $group);
                        }
                    )*};
                }
                groups!(0 1 2 3);
                w = w.add(192);
                a = a.add(16);
            }
            let [first, second, third, fourth] = acc;
            for (j, first) in first.into_iter().enumerate() {
                let total = vaddq_s32(vaddq_s32(first, second[j]), vaddq_s32(third[j], fourth[j]));
                vst1q_s32(sums.as_mut_ptr().add(4 * j), total);
            }
        }
    }
}

/// [`Int8::tile`] as a function of its own: inlined, its sums would compete for registers with the caller's values.
///
/// # Safety
/// As [`Int8::tile`], and the CPU has the features.
#[inline(never)]
#[target_feature(enable = "neon,dotprod")]
unsafe fn tile<const M: usize>(activations: *const u8, weights: *const u8, depth: usize, sums: &mut [i32]) {
    assert!(M <= Dotprod::TILE_ROWS && sums.len() >= M * 12);
    // SAFETY: the caller vouches for `sdot`. Each of `depth / 4` steps reads 48 bytes of the panel's 12 · `depth` and
    // 32 bytes, all rows, of the panel of activations; both are that long. Twelve sums are written per row, below the
    // end checked above.
    unsafe {
        let (mut a, mut w) = (activations.cast::<i8>(), weights.cast::<i8>());
        let mut acc = [[vdupq_n_s32(0); 3]; M];
        for _ in 0..depth / 4 {
            let (upper, lower) = (vld1q_s8(a), vld1q_s8(a.add(16)));
            let columns = [vld1q_s8(w), vld1q_s8(w.add(16)), vld1q_s8(w.add(32))];
            macro_rules! rows {
                ($($row:literal $values:ident $lane:literal;)*) => {$(
                    if $row < M {
                        for j in 0..3 {
                            sdot_lane!(acc[$row][j], columns[j], $values, $lane);
                        }
                    }
                )*};
            }
            rows!(0 upper 0; 1 upper 1; 2 upper 2; 3 upper 3; 4 lower 0; 5 lower 1; 6 lower 2; 7 lower 3;);
            w = w.add(48);
            a = a.add(Dotprod::TILE_ROWS * Dotprod::UNIT);
        }
        for (row, acc) in acc.iter().enumerate() {
            for (j, &columns) in acc.iter().enumerate() {
                vst1q_s32(sums.as_mut_ptr().add(row * 12 + 4 * j), columns);
            }
        }
    }
}
