//! Sums with `sdot` on in-order cores: the 8 × 12 tile of [`Dotprod`], with every load issued long before its first
//! use.
//!
//! A Cortex-A55 issues two instructions a cycle in program order. Its limit is one 128-bit `sdot` a cycle, with which
//! it can issue a 64-bit load or an insertion; a 128-bit load stalls both pipes for two cycles (measured by the authors
//! of onnxruntime, ncnn and XNNPACK, whose kernels for it load in halves too). So each operand is loaded as two halves
//! and joined by an insertion, one of these beside each product, and its register is reused as soon as its last product
//! is issued. `scripts/peers/arm_loops.py` counts the cycles.

#![allow(unsafe_code)]

use std::arch::aarch64::*;
use std::arch::asm;

use super::{Int8, Layout};
use crate::isa::{Dotprod, DotprodInOrder};

/// Four depths of the tile: 24 products, and the loads for the next four depths. `$upper` and `$lower` hold the current
/// rows; the next ones are loaded from `$rows` into `$next_upper` and `$next_lower`, the columns from `$columns`. The
/// upper half of `$right`, `$rest`, is inserted in the step that uses it.
macro_rules! step {
    ($sums:ident, $columns:expr, [$left:ident $middle:ident $right:ident $rest:ident],
     $rows:expr, [$upper:ident $lower:ident] => [$next_upper:ident $next_lower:ident]) => {
        asm!(
            "sdot {s00:v}.4s, {left:v}.16b, {upper:v}.4b[0]",
            "ldr {next_upper:d}, [{rows}]",
            "sdot {s10:v}.4s, {left:v}.16b, {upper:v}.4b[1]",
            "ldr {first}, [{rows}, #8]",
            "sdot {s20:v}.4s, {left:v}.16b, {upper:v}.4b[2]",
            "ldr {next_lower:d}, [{rows}, #16]",
            "sdot {s30:v}.4s, {left:v}.16b, {upper:v}.4b[3]",
            "ldr {second}, [{rows}, #24]",
            "sdot {s40:v}.4s, {left:v}.16b, {lower:v}.4b[0]",
            "ins {right:v}.d[1], {rest}",
            "sdot {s50:v}.4s, {left:v}.16b, {lower:v}.4b[1]",
            "ins {next_upper:v}.d[1], {first}",
            "sdot {s60:v}.4s, {left:v}.16b, {lower:v}.4b[2]",
            "ldr {first}, [{columns}, #8]",
            "sdot {s70:v}.4s, {left:v}.16b, {lower:v}.4b[3]",
            "ldr {left:d}, [{columns}]",
            "sdot {s01:v}.4s, {middle:v}.16b, {upper:v}.4b[0]",
            "ins {next_lower:v}.d[1], {second}",
            "sdot {s11:v}.4s, {middle:v}.16b, {upper:v}.4b[1]",
            "sdot {s21:v}.4s, {middle:v}.16b, {upper:v}.4b[2]",
            "sdot {s31:v}.4s, {middle:v}.16b, {upper:v}.4b[3]",
            "ins {left:v}.d[1], {first}",
            "sdot {s41:v}.4s, {middle:v}.16b, {lower:v}.4b[0]",
            "sdot {s51:v}.4s, {middle:v}.16b, {lower:v}.4b[1]",
            "ldr {second}, [{columns}, #24]",
            "sdot {s61:v}.4s, {middle:v}.16b, {lower:v}.4b[2]",
            "sdot {s71:v}.4s, {middle:v}.16b, {lower:v}.4b[3]",
            "ldr {middle:d}, [{columns}, #16]",
            "sdot {s02:v}.4s, {right:v}.16b, {upper:v}.4b[0]",
            "sdot {s12:v}.4s, {right:v}.16b, {upper:v}.4b[1]",
            "sdot {s22:v}.4s, {right:v}.16b, {upper:v}.4b[2]",
            "sdot {s32:v}.4s, {right:v}.16b, {upper:v}.4b[3]",
            "ins {middle:v}.d[1], {second}",
            "sdot {s42:v}.4s, {right:v}.16b, {lower:v}.4b[0]",
            "sdot {s52:v}.4s, {right:v}.16b, {lower:v}.4b[1]",
            "ldr {rest}, [{columns}, #40]",
            "sdot {s62:v}.4s, {right:v}.16b, {lower:v}.4b[2]",
            "sdot {s72:v}.4s, {right:v}.16b, {lower:v}.4b[3]",
            "ldr {right:d}, [{columns}, #32]",
            columns = in(reg) $columns,
            rows = in(reg) $rows,
            left = inout(vreg) $left,
            middle = inout(vreg) $middle,
            right = inout(vreg) $right,
            rest = inout(reg) $rest,
            upper = in(vreg) $upper,
            lower = in(vreg) $lower,
            next_upper = out(vreg) $next_upper,
            next_lower = out(vreg) $next_lower,
            first = out(reg) _,
            second = out(reg) _,
            s00 = inout(vreg) $sums[0][0], s01 = inout(vreg) $sums[0][1], s02 = inout(vreg) $sums[0][2],
            s10 = inout(vreg) $sums[1][0], s11 = inout(vreg) $sums[1][1], s12 = inout(vreg) $sums[1][2],
            s20 = inout(vreg) $sums[2][0], s21 = inout(vreg) $sums[2][1], s22 = inout(vreg) $sums[2][2],
            s30 = inout(vreg) $sums[3][0], s31 = inout(vreg) $sums[3][1], s32 = inout(vreg) $sums[3][2],
            s40 = inout(vreg) $sums[4][0], s41 = inout(vreg) $sums[4][1], s42 = inout(vreg) $sums[4][2],
            s50 = inout(vreg) $sums[5][0], s51 = inout(vreg) $sums[5][1], s52 = inout(vreg) $sums[5][2],
            s60 = inout(vreg) $sums[6][0], s61 = inout(vreg) $sums[6][1], s62 = inout(vreg) $sums[6][2],
            s70 = inout(vreg) $sums[7][0], s71 = inout(vreg) $sums[7][1], s72 = inout(vreg) $sums[7][2],
            options(pure, readonly, nostack, preserves_flags)
        )
    };
}

impl Int8 for DotprodInOrder {
    const LAYOUT: Layout = Dotprod::LAYOUT;
    const TILE_ROWS: usize = Dotprod::TILE_ROWS;
    const GROUP: usize = Dotprod::GROUP;
    const UNIT: usize = Dotprod::UNIT;

    #[inline(always)]
    unsafe fn tile<const M: usize>(
        self,
        activations: *const u8,
        weights: *const u8,
        depth: usize,
        row_sums: &[i32],
        sums: &mut [i32],
    ) {
        // SAFETY: `self` proves what `Dotprod` proves; the caller vouches for the rest.
        unsafe {
            if M == Self::TILE_ROWS && depth > 0 {
                tile_in_order(activations, weights, depth, sums);
            } else {
                Dotprod::assume().tile::<M>(activations, weights, depth, row_sums, sums);
            }
        }
    }

    #[inline(always)]
    unsafe fn row(self, row: *const i8, weights: *const u8, depth: usize, row_sum: i32, sums: &mut [i32]) {
        // SAFETY: `self` proves what `Dotprod` proves; the caller vouches for the rest.
        unsafe { Dotprod::assume().row(row, weights, depth, row_sum, sums) }
    }
}

/// [`Int8::tile`] of all rows.
///
/// # Safety
/// As [`Int8::tile`], with all rows and a depth above 0, and the CPU has the features.
#[inline(never)]
#[target_feature(enable = "neon,dotprod")]
unsafe fn tile_in_order(activations: *const u8, weights: *const u8, depth: usize, sums: &mut [i32]) {
    const ROWS: usize = DotprodInOrder::TILE_ROWS;
    const STEP: (usize, usize) = (ROWS * DotprodInOrder::UNIT, 48);
    assert!(sums.len() >= ROWS * 12);
    // SAFETY: the caller vouches for `sdot`. Each of `depth / 8` rounds reads twice 32 bytes, all rows, of the panel of
    // activations and twice 48 of the panel's 12 · `depth`, one step ahead: the first step before the loop; the last
    // round, which has nothing ahead, reads its own first step again. Twelve sums are written per row, below the end
    // checked above.
    unsafe {
        let (mut a, mut w) = (activations.cast::<i8>(), weights.cast::<i8>());
        let mut acc = [[vdupq_n_s32(0); 3]; ROWS];
        let (mut upper, mut lower) = (vld1q_s8(a), vld1q_s8(a.add(16)));
        let (mut left, mut middle, mut right) = (vld1q_s8(w), vld1q_s8(w.add(16)), vld1q_s8(w.add(32)));
        let mut rest = w.add(40).cast::<u64>().read_unaligned();
        for left_over in (0..depth / 8).rev() {
            let (next_upper, next_lower): (int8x16_t, int8x16_t);
            step!(
                acc, w.add(STEP.1), [left middle right rest], a.add(STEP.0), [upper lower] => [next_upper next_lower]
            );
            if left_over > 0 {
                (a, w) = (a.add(2 * STEP.0), w.add(2 * STEP.1));
            }
            step!(acc, w, [left middle right rest], a, [next_upper next_lower] => [upper lower]);
        }
        for (row, acc) in acc.iter().enumerate() {
            for (j, &columns) in acc.iter().enumerate() {
                vst1q_s32(sums.as_mut_ptr().add(row * 12 + 4 * j), columns);
            }
        }
    }
}
