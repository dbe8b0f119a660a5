//! Weights and layers of Sotto's networks.

#![deny(unsafe_code)]

#[cfg(feature = "candle")]
pub mod candle;
pub mod layers;
pub mod load;
pub mod packed;
pub mod search;
pub mod weights;
