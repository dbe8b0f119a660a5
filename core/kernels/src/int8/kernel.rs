//! What an instruction set provides for the int8 product.

#![allow(unsafe_code)]

use super::Layout;
use crate::simd::{LANES, Simd};

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

    /// Sums of one row, stored plainly, with all columns of a panel of weights.
    ///
    /// # Safety
    /// `row` points to `depth` values, `weights` to a panel of [`LAYOUT`](Self::LAYOUT), `depth` deep, a multiple of 16.
    unsafe fn row(self, row: *const i8, weights: *const u8, depth: usize, row_sum: i32, sums: &mut [i32]);
}
