//! Packed models: one file that holds everything of a model, laid out so that it is mapped and used where it lies.
//!
//! A packed model is a valid safetensors file, so that any reader of that format can list it. What it promises beyond:
//!
//! * Every tensor starts on a cache line ([`ALIGNMENT`]); bytes between two of them are tensors called `_padding.N`.
//! * A matrix of int8 weights is two tensors, one right behind the other: `NAME.int8`, `[panels, bytes per panel]` in
//!   the order of one [`Layout`], and `NAME.scales`, one f32 per column of all panels. Layers that read the same input
//!   are stacked to one matrix (`….q_proj+k_proj+v_proj`). Its biases are `NAME.bias`.
//! * A matrix of 4-bit weights is one tensor, `NAME.int4`, `[panels, bytes per panel]`: blocks of 32 values per column,
//!   each with its scales.
//! * Norms and positions are f32 under their usual names; positions may be f16, which are copied when they are loaded.
//!   What is no tensor of the network is bytes.
//! * Metadata: `sotto.format` (version of this form), `sotto.layout` (number and name of the layout), `sotto.checksum`
//!   (of the whole header), `sotto.task`, and what the model adds: configuration, source, licence, quality.
//!
//! The same weights give the same bytes. [`Recorder`] makes the content by watching layers load, so what a network asks
//! of a file and what the file holds cannot drift apart.
//!
//! Opening checks the header (length, checksum, version, layout) and the place, type and alignment of every tensor;
//! nothing is allocated for what a header merely claims. Values of f32 tensors and scales, those of 4-bit weights too,
//! are checked to be finite when a layer asks for them. Wrong quantized weights, which only the file's hash could tell,
//! give wrong numbers and nothing worse.
//!
//! **While a model is loaded its file must stay as it is.** Replace it by renaming another file into its place, as
//! [`Contents::write`] and the model store do: the loaded model keeps the old one. The loader holds a shared lock,
//! where the system has such locks, and [`PackedModel::check_unchanged`] notices a file that was cut; still, a program
//! that ignores locks and cuts a mapped file at the wrong moment ends this process with a bus error, as with every
//! mapped file.

mod contents;
mod header;
mod model;
mod packing;
mod provenance;
mod recorder;
#[cfg(test)]
mod tests;

pub use contents::{Contents, WriteError};
pub use header::{FORMAT, reseal};
pub use model::PackedModel;
pub use packing::{PackError, PackOptions, Packable, pack};
pub use provenance::{ClassError, Description, LICENCE, Provenance, QUALITY, Quality, SOURCE, figures};
pub use recorder::{Recorder, TensorError};

use sotto_kernels::ALIGNMENT;
#[cfg(doc)]
use sotto_kernels::Layout;

/// Metadata: the task whose model it is.
pub const TASK: &str = "sotto.task";
/// Suffix of packed 8-bit weights.
const INT8: &str = "int8";
/// Suffix of packed 4-bit weights, scales included.
const INT4: &str = "int4";
/// Suffix of their scales.
const SCALES: &str = "scales";
