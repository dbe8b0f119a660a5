//! The network with int8 weights on the kernels of the CPU's best instruction set: the fast form.
//!
//! Attention keeps f32 scores in the encoder and half-precision caches in the decoder; everything linear is int8 × int8
//! with exact sums. All instruction sets give the same bits, hence the same text.

mod block;
pub(super) mod decoder;
pub(super) mod encoder;
