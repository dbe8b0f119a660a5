//! Recurrent cells and the small products that feed them, for networks that advance in steps of some milliseconds, such
//! as voice activity detectors.
//!
//! One implementation for all CPUs: loops that the compiler vectorises over the outputs, with one order of sums, so
//! that the bits are the same everywhere.

mod cells;
mod panels;

pub use cells::{gru_cell, lstm_cell};
pub use panels::Panels;
