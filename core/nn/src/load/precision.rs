//! How a model computes.

use std::fmt;

use crate::layers::quantized::QuantizedPrecision;

/// How a model computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Precision {
    /// f32 throughout: the reference; gives the same tokens as other f32 implementations.
    F32,
    /// int8 weights and activations with exact sums; encoder attention in f32.
    Mixed,
    /// int8 weights and activations with exact sums; encoder attention in int8 too. Several times as fast as f32 in a
    /// quarter of the memory, with the same text on every CPU. `docs/PERFORMANCE.md` has the word error rates.
    #[default]
    Int8,
}

/// Prints `f32`, `mixed` or `int8`, the names on the command line and in reports.
impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Mixed => "mixed",
            Self::Int8 => "int8",
        })
    }
}

impl Precision {
    /// The precision of a network with quantized weights; `None` for f32.
    #[must_use]
    pub fn quantized(self) -> Option<QuantizedPrecision> {
        match self {
            Self::F32 => None,
            Self::Mixed => Some(QuantizedPrecision::Mixed),
            Self::Int8 => Some(QuantizedPrecision::Int8),
        }
    }
}
