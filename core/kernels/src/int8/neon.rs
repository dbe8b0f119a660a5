//! Sums with ARMv8.0 NEON: a 4 × 12 tile of widening multiplies, two rows at a time.
//!
//! Two products of ±127 · 127 fit i16, so `smull` and `smlal2` compute sixteen products before `sadalp` widens their
//! sums. The tile reads the layout of `sdot`, two groups of four at a time, so that one packed file serves both sets.
//! Activations store each group twice, to match the weights of two columns.
//!
//! One instruction order serves out-of-order and in-order cores (Cortex-A53). Operands are loaded as two halves of 64
//! bits, which puts the first and the second four depths of two columns side by side without a shuffle; each load is
//! issued long before its first use. Four or more products lie between dependent instructions. Two rows at a time leave
//! registers for that; four would use all 32 for sums and weights. `scripts/peers/arm_loops.py` counts the cycles.

#![allow(unsafe_code)]

use std::arch::aarch64::*;
use std::arch::asm;

use super::{Int8, Layout};
use crate::isa::Neon;
use crate::simd::LANES;

/// Prefetches the cache line 1 KB ahead: in a one-row product every weight is read from memory once, and the hardware
/// prefetchers of small cores look less far ahead.
macro_rules! prefetch {
    ($from:expr) => {
        asm!("prfm pldl1keep, [{from}, #1024]", from = in(reg) $from, options(nostack, preserves_flags, readonly))
    };
}
pub(super) use prefetch;

/// Eight depths of two rows: twelve chains of `smull`, `smlal2` and `sadalp`, and the loads for the next eight depths.
/// `$v` hold the current rows; the next ones are loaded from `$rows` into `$n`. The weights `$w` are reloaded from
/// `$next` after their last products, except the last pair of columns and the upper half of the one before: those are
/// loaded from `$columns`, in the step that uses them.
///
/// The last three chains are finished by the following step, which therefore needs `$t` and `$w[5]` as this step leaves
/// them and, as its second `$n`, this step's second `$v`. Before the first step these are zeros, which add nothing.
macro_rules! step {
    (
        $sums:ident, $w:ident, $t:ident, $columns:expr, $next:expr,
        [$v0:ident $v1:ident], $rows:expr => [$n0:ident $n1:ident]
    ) => {
        asm!(
            "smull {t0:v}.8h, {w0:v}.8b, {v0:v}.8b",
            "ldr {other}, [{columns}, #80]",
            "smlal2 {t3:v}.8h, {w5:v}.16b, {n1:v}.16b",
            "sadalp {s14:v}.4s, {t1:v}.8h",
            "smull {t1:v}.8h, {w0:v}.8b, {v1:v}.8b",
            "ldr {w5:d}, [{columns}, #40]",
            "ins {w4:v}.d[1], {other}",
            "smlal2 {t0:v}.8h, {w0:v}.16b, {v0:v}.16b",
            "ldr {half}, [{columns}, #88]",
            "sadalp {s05:v}.4s, {t2:v}.8h",
            "smull {t2:v}.8h, {w1:v}.8b, {v0:v}.8b",
            "smlal2 {t1:v}.8h, {w0:v}.16b, {v1:v}.16b",
            "sadalp {s15:v}.4s, {t3:v}.8h",
            "ldr {n0:d}, [{rows}]",
            "ins {w5:v}.d[1], {half}",
            "ldr {other}, [{rows}, #8]",
            "smull {t3:v}.8h, {w1:v}.8b, {v1:v}.8b",
            "smlal2 {t2:v}.8h, {w1:v}.16b, {v0:v}.16b",
            "sadalp {s00:v}.4s, {t0:v}.8h",
            "smull {t0:v}.8h, {w2:v}.8b, {v0:v}.8b",
            "ldr {w0:d}, [{next}]",
            "ins {n0:v}.d[1], {other}",
            "smlal2 {t3:v}.8h, {w1:v}.16b, {v1:v}.16b",
            "ldr {half}, [{next}, #48]",
            "sadalp {s10:v}.4s, {t1:v}.8h",
            "smull {t1:v}.8h, {w2:v}.8b, {v1:v}.8b",
            "smlal2 {t0:v}.8h, {w2:v}.16b, {v0:v}.16b",
            "sadalp {s01:v}.4s, {t2:v}.8h",
            "ldr {n1:d}, [{rows}, #16]",
            "ins {w0:v}.d[1], {half}",
            "ldr {other}, [{rows}, #24]",
            "smull {t2:v}.8h, {w3:v}.8b, {v0:v}.8b",
            "smlal2 {t1:v}.8h, {w2:v}.16b, {v1:v}.16b",
            "sadalp {s11:v}.4s, {t3:v}.8h",
            "smull {t3:v}.8h, {w3:v}.8b, {v1:v}.8b",
            "ldr {w1:d}, [{next}, #8]",
            "ins {n1:v}.d[1], {other}",
            "smlal2 {t2:v}.8h, {w3:v}.16b, {v0:v}.16b",
            "ldr {half}, [{next}, #56]",
            "sadalp {s02:v}.4s, {t0:v}.8h",
            "smull {t0:v}.8h, {w4:v}.8b, {v0:v}.8b",
            "smlal2 {t3:v}.8h, {w3:v}.16b, {v1:v}.16b",
            "sadalp {s12:v}.4s, {t1:v}.8h",
            "ldr {w2:d}, [{next}, #16]",
            "ins {w1:v}.d[1], {half}",
            "ldr {other}, [{next}, #64]",
            "smull {t1:v}.8h, {w4:v}.8b, {v1:v}.8b",
            "smlal2 {t0:v}.8h, {w4:v}.16b, {v0:v}.16b",
            "sadalp {s03:v}.4s, {t2:v}.8h",
            "smull {t2:v}.8h, {w5:v}.8b, {v0:v}.8b",
            "ldr {w3:d}, [{next}, #24]",
            "ins {w2:v}.d[1], {other}",
            "smlal2 {t1:v}.8h, {w4:v}.16b, {v1:v}.16b",
            "ldr {half}, [{next}, #72]",
            "sadalp {s13:v}.4s, {t3:v}.8h",
            "smull {t3:v}.8h, {w5:v}.8b, {v1:v}.8b",
            "smlal2 {t2:v}.8h, {w5:v}.16b, {v0:v}.16b",
            "sadalp {s04:v}.4s, {t0:v}.8h",
            "ldr {w4:d}, [{next}, #32]",
            "ins {w3:v}.d[1], {half}",
            columns = in(reg) $columns,
            next = in(reg) $next,
            rows = in(reg) $rows,
            half = out(reg) _,
            other = out(reg) _,
            v0 = in(vreg) $v0, v1 = in(vreg) $v1, n0 = inout(vreg) $n0, n1 = inout(vreg) $n1,
            w0 = inout(vreg) $w[0], w1 = inout(vreg) $w[1], w2 = inout(vreg) $w[2],
            w3 = inout(vreg) $w[3], w4 = inout(vreg) $w[4], w5 = inout(vreg) $w[5],
            t0 = inout(vreg) $t[0], t1 = inout(vreg) $t[1], t2 = inout(vreg) $t[2], t3 = inout(vreg) $t[3],
            s00 = inout(vreg) $sums[0][0], s01 = inout(vreg) $sums[0][1], s02 = inout(vreg) $sums[0][2],
            s03 = inout(vreg) $sums[0][3], s04 = inout(vreg) $sums[0][4], s05 = inout(vreg) $sums[0][5],
            s10 = inout(vreg) $sums[1][0], s11 = inout(vreg) $sums[1][1], s12 = inout(vreg) $sums[1][2],
            s13 = inout(vreg) $sums[1][3], s14 = inout(vreg) $sums[1][4], s15 = inout(vreg) $sums[1][5],
            options(pure, readonly, nostack, preserves_flags)
        )
    };
}

impl Int8 for Neon {
    const LAYOUT: Layout = Layout::Quads;
    const TILE_ROWS: usize = 4;
    const GROUP: usize = 8;
    /// Two groups of four, each stored twice.
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
        assert!(M <= Self::TILE_ROWS);
        let mut pairs = sums[..M * 12].chunks_exact_mut(24);
        // SAFETY: `self` proves NEON; the caller vouches for the rest. Rows start one unit after another, `M ≤
        // TILE_ROWS` of them.
        unsafe {
            for (pair, sums) in pairs.by_ref().enumerate() {
                tile_of_two(activations.add(2 * pair * Self::UNIT), weights, depth, sums);
            }
            if M % 2 == 1 {
                tile_of_one(activations.add((M - 1) * Self::UNIT), weights, depth, pairs.into_remainder());
            }
        }
    }

    #[inline(always)]
    unsafe fn row(self, row: *const i8, weights: *const u8, depth: usize, _row_sum: i32, sums: &mut [i32]) {
        assert!(sums.len() >= 12);
        // SAFETY: `self` proves NEON. `depth / 8` steps read 8 bytes of the row and 96 of the panel's 12 · `depth`
        // each. A prefetch may name any address. Twelve sums are written, below the end checked above.
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

/// Bytes from one step of eight depths to the next, of the activations and of the weights.
const STEP: (usize, usize) = (Neon::TILE_ROWS * Neon::UNIT, 96);

/// [`Int8::tile`] of two rows, as a function of its own: inlined, its sums would compete for registers with the
/// caller's values.
///
/// # Safety
/// As [`Int8::tile`] of a panel that begins with the two rows, and the CPU has the features.
#[inline(never)]
#[target_feature(enable = "neon")]
unsafe fn tile_of_two(activations: *const u8, weights: *const u8, depth: usize, sums: &mut [i32]) {
    assert!(sums.len() >= 24);
    if depth == 0 {
        return sums.fill(0);
    }
    // SAFETY: the caller vouches for NEON. Each of `depth / 16` rounds reads two steps of the panel's 12 · `depth`
    // weights and of the rows' units, one step ahead: the first step before the loop; the last round, which has nothing
    // ahead, reads its own first step again. Twelve sums are written per row, below the end checked above.
    unsafe {
        let (mut a, mut w) = (activations.cast::<i8>(), weights.cast::<i8>());
        let mut acc = [[vdupq_n_s32(0); 6]; 2];
        // State of a step before the first: its products are zero.
        let mut products = [vdupq_n_s16(0); 4];
        let mut columns = [vdupq_n_s8(0); 6];
        for (pair, columns) in columns[..5].iter_mut().enumerate() {
            *columns = vcombine_s8(vld1_s8(w.add(8 * pair)), vld1_s8(w.add(48 + 8 * pair)));
        }
        let (mut first, mut second) = (vld1q_s8(a), vld1q_s8(a.add(Neon::UNIT)));
        let (mut next_first, mut next_second) = (vdupq_n_s8(0), vdupq_n_s8(0));
        for left_over in (0..depth / 16).rev() {
            let (middle, rows) = (w.add(STEP.1), a.add(STEP.0));
            step!(acc, columns, products, w, middle, [first second], rows => [next_first next_second]);
            if left_over > 0 {
                (a, w) = (a.add(2 * STEP.0), w.add(2 * STEP.1));
            }
            step!(acc, columns, products, middle, w, [next_first next_second], a => [first second]);
        }
        // Finishes the chains that the last step has begun.
        products[3] = vmlal_high_s8(products[3], columns[5], next_second);
        acc[1][4] = vpadalq_s16(acc[1][4], products[1]);
        acc[0][5] = vpadalq_s16(acc[0][5], products[2]);
        acc[1][5] = vpadalq_s16(acc[1][5], products[3]);
        for (row, acc) in acc.iter().enumerate() {
            store(acc, sums.as_mut_ptr().add(row * 12));
        }
    }
}

/// [`Int8::tile`] of one row.
///
/// # Safety
/// As [`Int8::tile`] of a panel that begins with the row, and the CPU has the features.
#[inline(never)]
#[target_feature(enable = "neon")]
unsafe fn tile_of_one(activations: *const u8, weights: *const u8, depth: usize, sums: &mut [i32]) {
    assert!(sums.len() >= 12);
    // SAFETY: the caller vouches for NEON. Each of `depth / 8` steps reads 96 bytes of the panel's 12 · `depth` and a
    // unit of the row's; twelve sums are written, below the end checked above.
    unsafe {
        let (mut a, mut w) = (activations.cast::<i8>(), weights.cast::<i8>());
        let mut acc = [vdupq_n_s32(0); 6];
        for _ in 0..depth / 8 {
            let (first, second) = (vld1_s8(a), vld1_s8(a.add(8)));
            for (pair, acc) in acc.iter_mut().enumerate() {
                let product = vmull_s8(vld1_s8(w.add(8 * pair)), first);
                *acc = vpadalq_s16(*acc, vmlal_s8(product, vld1_s8(w.add(48 + 8 * pair)), second));
            }
            (a, w) = (a.add(STEP.0), w.add(STEP.1));
        }
        store(&acc, sums.as_mut_ptr());
    }
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
