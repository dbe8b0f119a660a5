//! Goldens, tolerances, synthetic models and a model hub for Sotto's tests.
//!
//! For tests only: wrong goldens, a wrong `SOTTO_DATA` and values outside their tolerance panic with a message that
//! says what to do, since nobody but a test runner reads it.

#![forbid(unsafe_code)]

mod block_on;
mod close;
pub mod commands;
pub mod conformance;
mod data;
pub mod ggml;
mod golden;
pub mod heap;
pub mod hub;
pub mod noise;
mod onnx;

pub use block_on::block_on;
pub use close::{Tolerance, assert_close};
pub use data::{data_dir, long_tests, quick_tests, whisper_base, workspace_root};
pub use golden::{Golden, GoldenError, golden};
pub use onnx::{OnnxConstant, onnx_constants};
