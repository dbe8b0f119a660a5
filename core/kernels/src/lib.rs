//! Numeric kernels of Sotto's networks.
//!
//! [`KernelSet`] holds the kernels of one instruction set, chosen at run time: int8 and 4-bit products, norms,
//! activations. All sets give the same bits. The free functions are the f32 path: matrix product, attention, norms and
//! activations.
//!
//! The layers of `sotto-nn` compute only through this crate. Functions take slices, or views whose bounds were checked
//! when they were made, write into memory of the caller, and keep no memory after the call. Mismatched shapes are a bug
//! of the caller and panic; files and user input are validated in the crates above.

#![deny(unsafe_code)]

#[cfg(not(target_endian = "little"))]
compile_error!("packed weights are little-endian");

mod activation;
mod aligned;
mod attention;
mod block;
mod dispatch;
mod float;
mod floats;
mod int4;
mod int8;
mod isa;
mod matmul;
mod matrix;
#[cfg(feature = "measure")]
pub mod measure;
mod norm;
mod output;
mod recurrent;
mod self_test;
mod simd;
mod softmax;
mod spectrogram;
mod speed;
mod storage;
mod table;

pub use activation::{erf, exp, gelu, relu, sigmoid, silu};
pub use aligned::{ALIGNMENT, AlignedBytes, IN_PLACE};
pub use attention::{
    AttentionChunk, AttentionScratch, HalfCache, Heads, KeyValuePanels, QuantizedAttention, QuantizedRowScratch,
    QuantizedScratch, attend_full, attend_row,
};
pub use block::BlockMut;
pub use dispatch::{ISA_VARIABLE, IsaNotice, KernelSet};
pub use floats::Floats;
pub use int4::{BLOCK, Int4Matrix, quantize_int4};
pub use int8::{Activation, Activations, Epilogue, Layout, PackedMatrix, Ranked, TopK};
pub use isa::{Isa, UnknownIsa};
pub use matmul::{dot, matmul};
pub use matrix::{MatMut, MatRef};
pub use norm::{Norm, layer_norm, rms_norm};
pub use output::OutputMut;
pub use recurrent::{Panels, gru_cell, lstm_cell};
pub use softmax::{argmax, log_softmax, softmax};
pub use spectrogram::{Spectrogram, SpectrogramScratch};
pub use speed::multiply_adds_per_second;
pub use storage::{MAX_DEPTH, PackError, SharedBytes};
