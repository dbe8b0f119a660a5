//! The network in f32: what every other form of it is compared with, to the token.

mod block;
pub(super) mod decoder;
pub(super) mod encoder;
