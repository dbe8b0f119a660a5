//! Numeric kernels of Sotto's networks: matrix product, attention, norms and activations in f32.
//!
//! The layers of `sotto-nn` reach compute only through these functions. Each takes slices or [`MatRef`]/[`MatMut`]
//! views whose bounds were checked when they were made, writes into memory of the caller, and allocates nothing that
//! outlives the call. Shapes that do not fit are a bug of the caller and panic; weights and input are checked above.

#![deny(unsafe_code)]

mod activation;
mod attention;
mod matmul;
mod matrix;
mod norm;
mod softmax;

pub use activation::{erf, exp, gelu, relu, sigmoid};
pub use attention::{Heads, attend_full, attend_row};
pub use matmul::{dot, matmul};
pub use matrix::{MatMut, MatRef};
pub use norm::layer_norm;
pub use softmax::{log_softmax, softmax};
