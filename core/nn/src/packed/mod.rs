//! Packed models: one file with everything that a model needs, laid out so that it can be mapped and used in place.
//!
//! A packed model is a valid safetensors file, so any reader of that format can list its tensors. It has these further
//! properties:
//!
//! * Every tensor starts on a cache line ([`ALIGNMENT`]); padding between two of them is stored as tensors called
//!   `_padding.N`.
//! * A matrix of int8 weights is two tensors, one right after the other: `NAME.int8`, `[panels, bytes per panel]` in
//!   the order of one [`Layout`], and `NAME.scales`, one f32 per column of all panels. Layers that read the same input
//!   are stacked into one matrix (`….q_proj+k_proj+v_proj`). Its biases are `NAME.bias`.
//! * A matrix of 4-bit weights is one tensor, `NAME.int4`, `[panels, bytes per panel]`: blocks of 32 values per column,
//!   each with its scales.
//! * Norms and position embeddings are f32 under their usual names; position embeddings may be f16, which are converted
//!   when they are loaded. Everything else is bytes.
//! * Metadata: `sotto.format` (version of this format), `sotto.layout` (number and name of the layout),
//!   `sotto.checksum` (of the whole header), `sotto.task`, and what the model adds: configuration, source, licence,
//!   quality.
//!
//! The same weights give the same bytes. [`Recorder`] makes the contents by recording what layers load, so the tensors
//! that a network needs and those in the file cannot drift apart.
//!
//! Opening checks the header (length, checksum, version, layout) and the position, type and alignment of every tensor;
//! nothing is allocated because a header claims to need it. f32 tensors and scales, those of 4-bit weights included,
//! are checked to be finite when a layer loads them. Altered quantized weights, which only a hash of the file would
//! reveal, give wrong numbers and nothing worse.
//!
//! **The file of a loaded model must not be modified.** Replace it by renaming another file into its place, as
//! [`Contents::write`] and the model store do: the loaded model keeps the old file. The loader holds a shared lock if
//! the system has such locks, and [`PackedModel::check_unchanged`] notices a truncated file. Still, a program that
//! ignores locks and truncates a mapped file at the wrong moment ends this process with a bus error, as with every
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

/// Metadata key: the task of the model.
pub const TASK: &str = "sotto.task";
/// Suffix of packed 8-bit weights.
const INT8: &str = "int8";
/// Suffix of packed 4-bit weights, scales included.
const INT4: &str = "int4";
/// Suffix of the scales of 8-bit weights.
const SCALES: &str = "scales";
