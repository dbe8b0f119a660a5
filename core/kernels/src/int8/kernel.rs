//! What an instruction set provides for the int8 product.

#![allow(unsafe_code)]

use super::Layout;
use crate::BlockMut;
use crate::activation::math::Function;
use crate::output::Element;
use crate::simd::{LANES, Simd};

/// Operands that turn the sums of a whole tile into outputs: `activation(fma(f32(sum), row scale · column scale,
/// bias))`, plus the previous output if it accumulates.
#[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "only sets of x86 finish tiles"))]
pub(crate) struct Finish<'a, T> {
    pub(crate) row_scales: &'a [f32],
    /// Scales of the panel's columns; may be followed by others.
    pub(crate) column_scales: &'a [f32],
    /// Biases of the panel's columns; may be followed by others.
    pub(crate) bias: &'a [f32],
    pub(crate) accumulate: bool,
    /// `TILE_ROWS` rows of the panel's columns.
    pub(crate) out: BlockMut<'a, T>,
}

/// The inner loops of the product. A value of an implementing type proves that the CPU can execute them.
pub(crate) trait Int8: Simd {
    /// Order of the weights.
    const LAYOUT: Layout;
    /// Rows of a tile.
    const TILE_ROWS: usize;
    /// Consecutive values of a row that lie side by side in a panel of activations.
    const GROUP: usize;
    /// Bytes that such a group takes.
    const UNIT: usize;

    /// Stores sixteen values of row `row`, from depth `k` on, in a panel of activations. By default as bytes, `[depth /
    /// GROUP][TILE_ROWS][GROUP]`.
    #[inline(always)]
    fn write(self, values: &[i8; LANES], panel: &mut [u8], row: usize, k: usize) {
        let stride = Self::TILE_ROWS * Self::UNIT;
        // One check for all groups.
        let start = k / Self::GROUP * stride + row * Self::UNIT;
        let place = &mut panel[start..start + (LANES / Self::GROUP - 1) * stride + Self::UNIT];
        for (i, group) in crate::aligned::as_bytes(values).chunks_exact(Self::GROUP).enumerate() {
            place[i * stride..i * stride + Self::UNIT].copy_from_slice(group);
        }
    }

    /// [`write`](Self::write) for four rows from `row` on. Each lane holds an integer `n` as `n + 1.5 · 2^23`, `-128
    /// ≤ n ≤ 127`. Rows beyond the panel are dropped.
    #[inline(always)]
    fn write_shifted(self, shifted: [Self::F; 4], panel: &mut [u8], row: usize, k: usize) {
        for (row, shifted) in (row..Self::TILE_ROWS).zip(shifted) {
            let mut values = [0; LANES];
            self.store_shifted_i8(shifted, &mut values);
            self.write(&values, panel, row, k);
        }
    }

    /// Sums of the first `M` rows of a panel of activations with all columns of a panel of weights.
    ///
    /// `row_sums` holds the sum of each row's values.
    ///
    /// # Safety
    /// `M ≤ TILE_ROWS`; `activations` points to a panel written by [`write`](Self::write), `weights` to one of
    /// [`LAYOUT`](Self::LAYOUT), both `depth` deep, a multiple of 16; `row_sums` has `M` values.
    unsafe fn tile<const M: usize>(
        self,
        activations: *const u8,
        weights: *const u8,
        depth: usize,
        row_sums: &[i32],
        sums: &mut [i32],
    );

    /// Whether [`finished_tile`](Self::finished_tile) is implemented: only on sets whose registers hold the sums and
    /// the operands of the epilogue. On others the sums go through memory.
    const FINISHES: bool = false;

    /// [`tile`](Self::tile) of `TILE_ROWS` rows, whose sums become outputs before they leave the registers.
    ///
    /// # Safety
    /// As [`tile`](Self::tile), and `finish.out` has `TILE_ROWS` rows of a panel's columns.
    unsafe fn finished_tile<T: Element>(
        self,
        _activations: *const u8,
        _weights: *const u8,
        _depth: usize,
        _row_sums: &[i32],
        _finish: Finish<'_, T>,
        _activation: impl Function,
    ) {
        unreachable!("this instruction set finishes no tiles")
    }

    /// Sums of one row, stored plainly, with all columns of a panel of weights.
    ///
    /// # Safety
    /// `row` points to `depth` values, `weights` to a panel of [`LAYOUT`](Self::LAYOUT), `depth` deep, a multiple of
    /// 16.
    unsafe fn row(self, row: *const i8, weights: *const u8, depth: usize, row_sum: i32, sums: &mut [i32]);
}
