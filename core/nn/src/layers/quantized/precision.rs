//! How layers with quantized weights compute their attention.

/// Precision of a network with quantized weights. Everything linear is int8 in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuantizedPrecision {
    /// Encoder attention in f32; keys and values of a source in half precision.
    Mixed,
    /// Both in int8.
    Int8,
}
