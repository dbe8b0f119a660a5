//! Layers with quantized weights, for the kernels of one instruction set.
//!
//! Weights have 8 bits, symmetric per output channel, or 4 bits in blocks of 32. Activations are quantized on the fly
//! to 8 bits, symmetric per row. Sums are exact in 32 bits. Every kernel set gives the same bits. Inputs are
//! [`Activations`](sotto_kernels::Activations), which the layer that reads them has quantized for its type of weights.

mod buffers;
mod conv;
mod cross_attention;
mod decoder;
mod embedding;
mod encoder;
mod feed_forward;
mod linear;
mod norm;
mod precision;
mod self_attention;
#[cfg(test)]
mod tests;

pub use buffers::BlockBuffers;
pub use conv::Conv1d;
pub use cross_attention::{CrossAttention, KeyValues};
pub use decoder::{DecoderBlock, DecoderBuffers, DecoderStack};
pub use embedding::Embedding;
pub use encoder::{EncoderBlock, EncoderBuffers, EncoderStack};
pub use feed_forward::FeedForward;
pub use linear::Linear;
pub use norm::Norm;
pub use precision::QuantizedPrecision;
pub use self_attention::SelfAttention;

use sotto_kernels::MatRef;

use super::QuantizedMatrix;

/// `x` as a matrix of rows for a product with these weights.
fn rows_for<'a>(weights: &QuantizedMatrix, x: &'a [f32]) -> MatRef<'a> {
    MatRef::new(x, x.len() / weights.depth(), weights.depth())
}
