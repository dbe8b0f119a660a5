//! The network with quantized weights on the kernels of the CPU's best instruction set: the fast form.
//!
//! Everything linear is int8 activations times int8 or 4-bit weights, with exact sums. With
//! [`Int8`](super::Precision::Int8) so is attention to the audio; with [`Mixed`](super::Precision::Mixed) it has f32 scores in the
//! encoder and half-precision keys and values in the decoder. The decoder's own caches are in half precision. All
//! instruction sets give the same bits, hence the same text.

mod block;
pub(super) mod decoder;
pub(super) mod encoder;
