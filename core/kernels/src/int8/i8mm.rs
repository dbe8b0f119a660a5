//! Sums with `smmla`: an 8 × 12 tile as 4 × 6 blocks of 2 × 2.
//!
//! Inline assembly because the intrinsics are not stable; `inout` operands cost no moves.

#![allow(unsafe_code)]

use std::arch::aarch64::*;
use std::arch::asm;

use super::neon::{prefetch, store};
use super::{Int8, Layout};
use crate::isa::I8mm;

/// `acc += values · weightsᵀ`: two rows, two columns, eight products each.
macro_rules! smmla {
    ($acc:expr, $values:expr, $weights:expr) => {
        asm!(
            "smmla {acc:v}.4s, {values:v}.16b, {weights:v}.16b",
            acc = inout(vreg) $acc,
            values = in(vreg) $values,
            weights = in(vreg) $weights,
            options(pure, nomem, nostack, preserves_flags)
        )
    };
}

/// `acc += weights · values`, four products per 32-bit lane.
macro_rules! sdot {
    ($acc:expr, $weights:expr, $values:expr) => {
        asm!(
            "sdot {acc:v}.4s, {weights:v}.16b, {values:v}.16b",
            acc = inout(vreg) $acc,
            weights = in(vreg) $weights,
            values = in(vreg) $values,
            options(pure, nomem, nostack, preserves_flags)
        )
    };
}

impl Int8 for I8mm {
    const LAYOUT: Layout = Layout::Octets;
    const TILE_ROWS: usize = 8;
    const GROUP: usize = 8;
    const UNIT: usize = 8;

    #[inline(always)]
    unsafe fn tile<const M: usize>(
        self,
        activations: *const u8,
        weights: *const u8,
        depth: usize,
        _row_sums: &[i32],
        sums: &mut [i32],
    ) {
        // SAFETY: `self` proves `smmla`; the caller vouches for the rest.
        unsafe { tile::<M>(activations, weights, depth, sums) }
    }

    #[inline(always)]
    unsafe fn row(self, row: *const i8, weights: *const u8, depth: usize, _row_sum: i32, sums: &mut [i32]) {
        assert!(sums.len() >= 12);
        // SAFETY: `self` proves `sdot` too. `depth / 16` steps read 16 bytes of the row and 192 of the panel's 12 ·
        // `depth` each. A prefetch may name any address. Twelve sums are written, below the end checked above.
        unsafe {
            let (mut a, mut w) = (row, weights.cast::<i8>());
            // Two sets of sums; each register holds two columns.
            let mut acc = [[vdupq_n_s32(0); 6]; 2];
            for _ in 0..depth / 16 {
                let values = vreinterpretq_s64_s8(vld1q_s8(a));
                let octets = [vdupq_laneq_s64::<0>(values), vdupq_laneq_s64::<1>(values)];
                prefetch!(w);
                prefetch!(w.wrapping_add(64));
                prefetch!(w.wrapping_add(128));
                for (i, (octet, acc)) in octets.into_iter().zip(&mut acc).enumerate() {
                    for (j, acc) in acc.iter_mut().enumerate() {
                        sdot!(*acc, vld1q_s8(w.add(96 * i + 16 * j)), vreinterpretq_s8_s64(octet));
                    }
                }
                w = w.add(192);
                a = a.add(16);
            }
            let [mut total, odd] = acc;
            for (total, odd) in total.iter_mut().zip(odd) {
                *total = vaddq_s32(*total, odd);
            }
            store(&total, sums.as_mut_ptr());
        }
    }
}

/// [`Int8::tile`] as a function of its own: inlined, its sums would compete for registers with the caller's values.
///
/// # Safety
/// As [`Int8::tile`], and the CPU has the features.
#[inline(never)]
#[target_feature(enable = "neon,dotprod,i8mm")]
unsafe fn tile<const M: usize>(activations: *const u8, weights: *const u8, depth: usize, sums: &mut [i32]) {
    assert!(M <= I8mm::TILE_ROWS && sums.len() >= M * 12);
    // SAFETY: the caller vouches for `smmla`. Each of `depth / 8` steps reads 96 bytes of the panel's 12 · `depth` and
    // 64 bytes, all rows, of the panel of activations; both are that long. Twelve sums are written per row, below the
    // end checked above.
    unsafe {
        let (mut a, mut w) = (activations.cast::<i8>(), weights.cast::<i8>());
        // A column pair of four row pairs.
        let mut acc = [[vdupq_n_s32(0); 4]; 6];
        for _ in 0..depth / 8 {
            let rows = [vld1q_s8(a), vld1q_s8(a.add(16)), vld1q_s8(a.add(32)), vld1q_s8(a.add(48))];
            for (j, acc) in acc.iter_mut().enumerate() {
                let columns = vld1q_s8(w.add(16 * j));
                macro_rules! pairs {
                    ($($pair:literal)*) => {$(
                        if 2 * $pair < M {
                            smmla!(acc[$pair], rows[$pair], columns);
                        }
                    )*};
                }
                pairs!(0 1 2 3);
            }
            w = w.add(96);
            a = a.add(I8mm::TILE_ROWS * I8mm::UNIT);
        }
        for row in 0..M {
            for j in 0..3 {
                let left = vreinterpretq_s64_s32(acc[2 * j][row / 2]);
                let right = vreinterpretq_s64_s32(acc[2 * j + 1][row / 2]);
                // A block holds two columns of the even row, then two of the odd one.
                let columns = if row % 2 == 0 { vzip1q_s64(left, right) } else { vzip2q_s64(left, right) };
                vst1q_s32(sums.as_mut_ptr().add(row * 12 + 4 * j), vreinterpretq_s32_s64(columns));
            }
        }
    }
}
