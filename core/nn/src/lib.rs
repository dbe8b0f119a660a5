//! Weights and layers of Sotto's networks.

#![deny(unsafe_code)]

pub mod layers;
pub mod packed;
pub mod sampling;
pub mod weights;
