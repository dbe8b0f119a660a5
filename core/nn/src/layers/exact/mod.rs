//! Layers in f32: the reference that every other form of a network is compared with.

mod attention;
mod blocks;
mod conv;
mod embedding;
mod feed_forward;
mod linear;
mod norm;

pub use attention::{Attention, AttentionBuffers, KeyValues};
pub use blocks::{BlockBuffers, DecoderBlock, DecoderStack, EncoderBlock, EncoderStack};
pub use conv::Conv1d;
pub use embedding::Embedding;
pub use feed_forward::{FeedForward, FeedForwardBuffers};
pub use linear::Linear;
pub use norm::Norm;
