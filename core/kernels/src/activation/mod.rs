//! Exponential, error function, hyperbolic tangent and the activations built on them.

pub(crate) mod math;
mod reference;

pub use reference::{erf, exp, gelu, relu, sigmoid, silu};
