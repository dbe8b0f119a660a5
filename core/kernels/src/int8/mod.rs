//! Product of f32 rows with int8 weights: rows are quantized on the fly, sums are exact integers, and each output takes
//! one float rounding step that is the same on every instruction set.
//!
//! For row `r` and column `c`, with `q` the int8 values and `s` their scales:
//! `out[r, c] = activation(fma(f32(Σₖ q[r, k] · q[c, k]), s[r] · s[c], bias[c]))`, then plus what was in `out` where a
//! residual is asked for. The sum is exact in i32 (depth at most [`MAX_DEPTH`]), its conversion and the product of the
//! scales are rounded to nearest, the multiply-add is rounded once, a missing bias is `+0`. Where the output is in half
//! precision, what was in it is widened exactly, and the result is rounded once more, to nearest, ties to even.
//!
//! The instruction sets differ in the inner loops alone, [`Int8::tile`] and [`Int8::row`], one file each.

mod activations;
mod kernel;
mod layout;
mod pack;
mod product;
mod ranking;
mod scalar;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod dotprod;
#[cfg(target_arch = "aarch64")]
mod dotprod_in_order;
#[cfg(target_arch = "aarch64")]
mod i8mm;
#[cfg(target_arch = "aarch64")]
mod neon;

pub use activations::Activations;
pub(crate) use activations::{Form, RowsMut};
pub(crate) use kernel::{Finish, Int8};
pub use layout::Layout;
pub(crate) use layout::MAX_PANEL;
pub use pack::PackedMatrix;
pub use product::{Activation, Epilogue};
pub(crate) use product::{Job, chunk, product, product_ranked, read_bias, row_sums, tile_sums, with_activation};
pub(crate) use ranking::rank;
pub use ranking::{Ranked, TopK};

use crate::simd::LANES;

/// Most rows that a tile of any instruction set has.
pub(crate) const MAX_ROWS: usize = 12;

/// Sums of one tile, row after row, [`Layout::panel`] values each. A row's last vector may reach into the next row,
/// which is written later, and past the last row into the spare lanes.
#[repr(align(64))]
#[derive(Debug, Clone)]
pub(crate) struct Sums(pub(crate) [i32; MAX_ROWS * layout::MAX_PANEL + LANES]);

impl Sums {
    pub(crate) const ZERO: Self = Self([0; MAX_ROWS * layout::MAX_PANEL + LANES]);
}
