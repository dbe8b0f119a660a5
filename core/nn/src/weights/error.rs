//! Errors of model files.

use sotto_kernels::{Layout, PackError};
use sotto_runtime::{Bytes, Cancelled};

/// Why a model file, or one tensor of it, cannot be used. Every message names the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightError {
    /// The file cannot be opened or mapped.
    #[error("{file}: {source}")]
    Io {
        /// Path of the file.
        file: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file has another format.
    #[error("{file}: not a {format} file ({problem}); choose the file of a {format} model")]
    OtherFormat {
        /// Path or name of the file.
        file: String,
        /// The format that was expected.
        format: &'static str,
        /// How that was detected.
        problem: &'static str,
    },
    /// The file claims more than it holds.
    #[error("{file}: cut off: {what} needs {needed}, {available} left in the file; download it again")]
    Truncated {
        /// Path or name of the file.
        file: String,
        /// What was being read.
        what: String,
        /// Bytes that it needs.
        needed: Bytes,
        /// Bytes that the file still has.
        available: Bytes,
    },
    /// The header or the index contradicts the format.
    #[error("{file}: damaged: {problem}; download it again")]
    Damaged {
        /// Path or name of the file.
        file: String,
        /// What is wrong, with the name of the tensor if it concerns one.
        problem: String,
    },
    /// Two tensors overlap, or there is a gap between them.
    #[error("{file}: damaged: tensor `{name}` {problem}; download it again")]
    Layout {
        /// Path or name of the file.
        file: String,
        /// The tensor.
        name: String,
        /// What is wrong with its position.
        problem: String,
    },
    /// Two tensors have the same name.
    #[error("{file}: tensor `{name}` occurs twice; convert the model again")]
    Duplicate {
        /// Path or name of the file.
        file: String,
        /// The tensor.
        name: String,
    },
    /// The model needs a tensor that the file does not have.
    #[error("{file}: no tensor `{name}`; is this file complete and for this kind of model?")]
    Missing {
        /// Path or name of the file.
        file: String,
        /// The tensor.
        name: String,
    },
    /// A tensor has another shape than the model needs.
    #[error(
        "{file}: tensor `{name}` has shape {found:?}, {expected:?} is needed; is this file for another model size?"
    )]
    Shape {
        /// Path or name of the file.
        file: String,
        /// The tensor.
        name: String,
        /// Its shape in the file.
        found: Vec<usize>,
        /// The shape that is needed.
        expected: Vec<usize>,
    },
    /// A tensor has an element type that cannot be read as f32.
    #[error("{file}: tensor `{name}` is stored as {found}; convert the model to f32, f16, bf16 or int8 with scales")]
    ElementType {
        /// Path or name of the file.
        file: String,
        /// The tensor.
        name: String,
        /// The element type as the file calls it.
        found: String,
    },
    /// A tensor holds a value that is infinite or NaN.
    #[error(
        "{file}: tensor `{name}` is not finite at element {index}; the model is broken, download or convert it again"
    )]
    NotFinite {
        /// Path or name of the file.
        file: String,
        /// The tensor.
        name: String,
        /// Row-major index of the first such value.
        index: usize,
    },
    /// The file is valid safetensors but not a packed model.
    #[error("{file}: a safetensors file, but not a packed model; name the folder of the model, or pack it")]
    NotPacked {
        /// Path or name of the file.
        file: String,
    },
    /// The file is packed in a format version that this version of Sotto does not know.
    #[error(
        "{file}: packed in format {found}, this version of Sotto reads {known}; pack the model again or update Sotto"
    )]
    PackedVersion {
        /// Path or name of the file.
        file: String,
        /// The version in the file.
        found: String,
        /// The version that can be read.
        known: u32,
    },
    /// The file's weights have a layout that this version of Sotto does not know.
    #[error("{file}: packed for unknown kernels (layout {found}); pack the model again or update Sotto")]
    UnknownLayout {
        /// Path or name of the file.
        file: String,
        /// The layout in the file.
        found: String,
    },
    /// The file's weights have another layout than the kernels read, and repacking was not allowed.
    #[error("{file}: packed as `{found}`, the kernels of this CPU read `{expected}`; pack the model for this CPU")]
    KernelLayout {
        /// Path or name of the file.
        file: String,
        /// Layout of the file.
        found: Layout,
        /// Layout that the kernels read.
        expected: Layout,
    },
    /// The header of a packed file has changed since it was written.
    #[error("{file}: damaged: the header does not have its checksum; download or pack the model again")]
    Checksum {
        /// Path or name of the file.
        file: String,
    },
    /// Packed weights of one layer cannot be used.
    #[error("{file}: tensor `{name}`: {problem}")]
    Packed {
        /// Path or name of the file.
        file: String,
        /// The tensor.
        name: String,
        /// What is wrong with it.
        problem: PackError,
    },
    /// The length of the file changed since it was opened.
    #[error("{file}: the file was changed while it was in use; load the model again, and replace models by renaming")]
    Changed {
        /// Path or name of the file.
        file: String,
    },
    /// The caller cancelled.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// A name from a file, for messages: on one line, with bounded length.
pub(crate) fn printable(name: &str) -> String {
    const LIMIT: usize = 100;
    let mut shown: String = name.chars().take(LIMIT).flat_map(char::escape_debug).collect();
    if name.chars().nth(LIMIT).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_hostile_files_stay_on_one_short_line() {
        assert_eq!(printable("encoder.conv1.weight"), "encoder.conv1.weight");
        assert_eq!(printable("a\nb\u{1b}[2J"), "a\\nb\\u{1b}[2J");
        assert!(printable(&"x".repeat(1 << 20)).len() < 200);
    }
}
