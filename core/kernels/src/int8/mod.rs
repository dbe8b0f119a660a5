//! Product of f32 rows with int8 weights. Rows are quantized on the fly, sums are exact integers, and the float step
//! that makes an output of a sum is the same on every instruction set.
//!
//! For row `r` and column `c`, with `q` the int8 values and `s` their scales: `out[r, c] = activation(fma(f32(Σₖ
//! q[r, k] · q[c, k]), s[r] · s[c], bias[c]))`, plus the previous value of `out` with `accumulate`. The sum is exact
//! in i32 (depth at most [`MAX_DEPTH`]). Its conversion to f32 and the product of the scales are rounded to nearest;
//! the multiply-add is rounded once; a missing bias is `+0`. For outputs in half precision, the previous value is
//! widened exactly, and the result is rounded once more, to nearest, ties to even.
//!
//! The instruction sets differ only in the inner loops, [`Int8::tile`] and [`Int8::row`], in one file per set.

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

/// Maximum rows of a tile on any instruction set.
pub(crate) const MAX_ROWS: usize = 12;

/// Sums of one tile, row after row, [`Layout::panel`] values each. The last vector of a row may reach into the next
/// row, which is written later; that of the last row reaches into the spare lanes.
#[repr(align(64))]
#[derive(Debug, Clone)]
pub(crate) struct Sums(pub(crate) [i32; MAX_ROWS * layout::MAX_PANEL + LANES]);

impl Sums {
    pub(crate) const ZERO: Self = Self([0; MAX_ROWS * layout::MAX_PANEL + LANES]);
}
