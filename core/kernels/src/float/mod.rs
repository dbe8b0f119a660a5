//! Float kernels, each written once over the sixteen lanes of [`Simd`](crate::simd::Simd): one order of operations, one
//! result, on every CPU.
//!
//! Elementwise functions are vectorised over their elements. Reductions run in sixteen lanes, element `i` in lane
//! `i mod 16`, in the order of the elements; then lanes are folded in halves: lane `i` with lane `i + 8`, then 4, 2, 1.

pub(crate) mod quantize;
pub(crate) mod reduce;
pub(crate) mod rows;
pub(crate) mod tile;
