//! Attention: of all rows to all rows (encoder, in f32 or int8), and of one row to a cache of earlier rows (decoder, in
//! half precision or int8).
//!
//! Sixteen keys lie side by side, and sixteen dimensions of a value. So both products are vectorised over their outputs
//! and accumulate in sequence with fused multiply-adds: one order of operations, the same bits everywhere.

mod cache;
mod entry;
mod full;
mod heads;
mod quantized;
mod quantized_row;
mod reference;

pub use cache::HalfCache;
pub(crate) use cache::{CachedQuery, attend_cached};
pub use full::{AttentionScratch, KeyValuePanels};
pub(crate) use full::{Query, attend};
pub use heads::Heads;
pub use quantized::{AttentionChunk, QuantizedAttention, QuantizedScratch};
pub(crate) use quantized::{QuantizedQuery, attend as attend_quantized, fill as fill_quantized};
pub use quantized_row::QuantizedRowScratch;
pub(crate) use quantized_row::{RowQuery, attend as attend_quantized_row};
pub use reference::{attend_full, attend_row};

use crate::simd::LANES;

/// Sixteen f32 on one cache line.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct FloatBlock(pub(crate) [f32; LANES]);

impl FloatBlock {
    pub(crate) const ZERO: Self = Self([0.0; LANES]);
}
