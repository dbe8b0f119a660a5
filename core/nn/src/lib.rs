//! Weights and layers of Sotto's networks.

#![deny(unsafe_code)]

pub mod weights;
