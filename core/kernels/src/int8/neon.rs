//! Sums with ARMv8.0 NEON: a 4 × 12 tile of widening multiplies.
//!
//! Two products of ±127 · 127 fit i16, so `smull` and `smlal2` make sixteen of them before `sadalp` widens. It reads the
//! layout of `sdot`, two groups of four at a time, so that one packed file serves both; activations store each group
//! twice, to stand beside the weights of two columns.

#![allow(unsafe_code)]

use std::arch::aarch64::*;
use std::arch::asm;

use super::{Int8, Layout};
use crate::isa::Neon;
use crate::simd::LANES;

/// Asks for the cache line 1 KB ahead: in-order cores have no prefetcher to speak of.
macro_rules! prefetch {
    ($from:expr) => {
        asm!("prfm pldl1keep, [{from}, #1024]", from = in(reg) $from, options(nostack, preserves_flags, readonly))
    };
}
pub(super) use prefetch;

impl Int8 for Neon {
    const LAYOUT: Layout = Layout::Quads;
    const TILE_ROWS: usize = 4;
    const GROUP: usize = 8;
    /// Both groups of four twice.
    const UNIT: usize = 16;

    #[inline(always)]
    fn write(self, values: &[i8; LANES], panel: &mut [u8], row: usize, k: usize) {
        for (i, group) in crate::aligned::as_bytes(values).chunks_exact(Self::GROUP).enumerate() {
            let start = ((k / Self::GROUP + i) * Self::TILE_ROWS + row) * Self::UNIT;
            for (copies, quad) in panel[start..start + Self::UNIT].chunks_exact_mut(8).zip(group.chunks_exact(4)) {
                copies[..4].copy_from_slice(quad);
                copies[4..].copy_from_slice(quad);
            }
        }
    }

    #[inline(always)]
    unsafe fn tile<const M: usize>(
        self,
        activations: *const u8,
        weights: *const u8,
        depth: usize,
        _row_sums: &[i32],
        sums: &mut [i32],
    ) {
        // SAFETY: `self` proves NEON; the caller vouches for the rest.
        unsafe { tile::<M>(activations, weights, depth, sums) }
    }

    #[inline(always)]
    unsafe fn row(self, row: *const i8, weights: *const u8, depth: usize, _row_sum: i32, sums: &mut [i32]) {
        assert!(sums.len() >= 12);
        // SAFETY: `self` proves NEON. `depth / 8` steps read 8 bytes of the row and 96 of the panel's 12 · `depth` each. A
        // prefetch may name any address. Twelve sums are written, below the end checked above.
        unsafe {
            let (mut a, mut w) = (row, weights.cast::<i8>());
            let mut acc = [vdupq_n_s32(0); 6];
            for _ in 0..depth / 8 {
                prefetch!(w);
                prefetch!(w.wrapping_add(48));
                let quads = vreinterpret_s32_s8(vld1_s8(a));
                let first = vreinterpretq_s8_s32(vdupq_lane_s32::<0>(quads));
                let second = vreinterpretq_s8_s32(vdupq_lane_s32::<1>(quads));
                for j in 0..3 {
                    let (w0, w1) = (vld1q_s8(w.add(16 * j)), vld1q_s8(w.add(48 + 16 * j)));
                    let low = vmull_s8(vget_low_s8(w0), vget_low_s8(first));
                    let low = vmlal_s8(low, vget_low_s8(w1), vget_low_s8(second));
                    let high = vmlal_high_s8(vmull_high_s8(w0, first), w1, second);
                    acc[2 * j] = vpadalq_s16(acc[2 * j], low);
                    acc[2 * j + 1] = vpadalq_s16(acc[2 * j + 1], high);
                }
                w = w.add(96);
                a = a.add(8);
            }
            store(&acc, sums.as_mut_ptr());
        }
    }
}

/// [`Int8::tile`], apart: inlined, its sums would compete for registers with what the caller keeps.
///
/// # Safety
/// As [`Int8::tile`], and the CPU has the features.
#[inline(never)]
#[target_feature(enable = "neon")]
unsafe fn tile<const M: usize>(activations: *const u8, weights: *const u8, depth: usize, sums: &mut [i32]) {
    assert!(M <= Neon::TILE_ROWS && sums.len() >= M * 12);
    // SAFETY: the caller vouches for NEON. Each of `depth / 8` steps reads 96 bytes of the panel's 12 · `depth` and M units of
    // the panel's `TILE_ROWS`; both are that long. Twelve sums are written per row, below the
    // end checked above.
    unsafe {
        let (mut a, mut w) = (activations.cast::<i8>(), weights.cast::<i8>());
        let mut acc = [[vdupq_n_s32(0); 6]; M];
        for _ in 0..depth / 8 {
            let mut values = [vdupq_n_s8(0); M];
            for (row, values) in values.iter_mut().enumerate() {
                *values = vld1q_s8(a.add(row * Neon::UNIT));
            }
            for j in 0..3 {
                let first = vreinterpretq_s64_s8(vld1q_s8(w.add(16 * j)));
                let second = vreinterpretq_s64_s8(vld1q_s8(w.add(48 + 16 * j)));
                // Two columns each: their first four values in the low half, the next four in the high one.
                let left = vreinterpretq_s8_s64(vzip1q_s64(first, second));
                let right = vreinterpretq_s8_s64(vzip2q_s64(first, second));
                for (acc, values) in acc.iter_mut().zip(values) {
                    acc[2 * j] = vpadalq_s16(acc[2 * j], products(left, values));
                    acc[2 * j + 1] = vpadalq_s16(acc[2 * j + 1], products(right, values));
                }
            }
            w = w.add(96);
            a = a.add(Neon::TILE_ROWS * Neon::UNIT);
        }
        for (row, acc) in acc.iter().enumerate() {
            store(acc, sums.as_mut_ptr().add(row * 12));
        }
    }
}

/// Sums of two products each: four of one column, four of the next.
///
/// # Safety
/// The CPU has NEON.
#[inline(always)]
unsafe fn products(weights: int8x16_t, values: int8x16_t) -> int16x8_t {
    // SAFETY: the caller vouches for NEON.
    unsafe { vmlal_high_s8(vmull_s8(vget_low_s8(weights), vget_low_s8(values)), weights, values) }
}

/// Adds the two partial sums of each of twelve columns and stores the results.
///
/// # Safety
/// The CPU has NEON; `to` takes twelve values.
#[inline(always)]
pub(super) unsafe fn store(acc: &[int32x4_t; 6], to: *mut i32) {
    // SAFETY: as the caller vouches.
    unsafe {
        for j in 0..3 {
            vst1q_s32(to.add(4 * j), vpaddq_s32(acc[2 * j], acc[2 * j + 1]));
        }
    }
}
