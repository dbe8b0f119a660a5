//! How a model computes.

use std::fmt;

/// How a model computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Precision {
    /// f32 throughout: the reference, token for token that of other f32 implementations.
    F32,
    /// int8 weights and activations with exact sums, attention of the encoder in f32.
    Mixed,
    /// int8 weights and activations with exact sums, attention of the encoder included: many times as fast in a quarter
    /// of the memory, and the same text on every processor. The word error rate is in `docs/PERFORMANCE.md`.
    #[default]
    Int8,
}

/// `f32`, `mixed`, `int8`: as the command line and reports name them.
impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Mixed => "mixed",
            Self::Int8 => "int8",
        })
    }
}

/// How a network with quantized weights computes: [`Precision`] without f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuantizedPrecision {
    /// Attention of the encoder in f32, keys and values of a source in half precision.
    Mixed,
    /// Both in int8.
    Int8,
}

impl Precision {
    /// The form with quantized weights; `None` for the network in f32.
    #[must_use]
    pub fn quantized(self) -> Option<QuantizedPrecision> {
        match self {
            Self::F32 => None,
            Self::Mixed => Some(QuantizedPrecision::Mixed),
            Self::Int8 => Some(QuantizedPrecision::Int8),
        }
    }
}
