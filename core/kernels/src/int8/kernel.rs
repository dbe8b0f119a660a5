//! What an instruction set provides for the int8 product.

#![allow(unsafe_code)]

use super::Layout;
use crate::BlockMut;
use crate::activation::math::Function;
use crate::output::Element;
use crate::simd::{LANES, Simd};

/// What turns the sums of a whole tile into its outputs: `activation(fma(f32(sum), row scale · column scale, bias))`,
/// plus what the output holds where it accumulates.
#[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "only sets of x86 finish tiles"))]
pub(crate) struct Finish<'a, T> {
    pub(crate) row_scales: &'a [f32],
    /// Of the panel's columns, and more.
    pub(crate) column_scales: &'a [f32],
    /// Of the panel's columns, and more.
    pub(crate) bias: &'a [f32],
    pub(crate) accumulate: bool,
    /// `TILE_ROWS` rows of a panel's columns.
    pub(crate) out: BlockMut<'a, T>,
}

/// The inner loops of the product. A value of an implementing type proves that the CPU can execute them.
pub(crate) trait Int8: Simd {
    /// Order of the weights.
    const LAYOUT: Layout;
    /// Rows of a tile.
    const TILE_ROWS: usize;
    /// Values that lie side by side for one row of a panel of activations.
    const GROUP: usize;
    /// Bytes that they take.
    const UNIT: usize;

    /// Stores sixteen values of row `row`, from depth `k` on, in a panel of activations: by default as they are,
    /// `[depth / GROUP][TILE_ROWS][GROUP]`.
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

    /// [`write`](Self::write) of four rows from `row` on, each value the integer `n` from `n + 1.5 · 2^23`,
    /// `-128 ≤ n ≤ 127`; rows beyond the panel are dropped.
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

    /// Whether there is a [`finished_tile`](Self::finished_tile): where sums do not fit the registers beside what
    /// finishes them, they go through memory.
    const FINISHES: bool = false;

    /// [`tile`](Self::tile) of `TILE_ROWS` rows whose sums become outputs before they leave the registers.
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
