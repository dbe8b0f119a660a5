//! What can be wrong with a model file.

use sotto_runtime::Bytes;

/// Why a model file, or one tensor of it, cannot be used. Every message names the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightError {
    /// The file cannot be opened or mapped.
    #[error("{file}: {source}")]
    Io {
        /// Path of the file.
        file: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is of another kind.
    #[error("{file}: not a {format} file ({problem}); choose the file of a {format} model")]
    OtherFormat {
        /// Path or name of the file.
        file: String,
        /// The format that was expected.
        format: &'static str,
        /// How it can be told.
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
        /// What is wrong, with the tensor where it concerns one.
        problem: String,
    },
    /// Two tensors share bytes of the file, or leave bytes between them that belong to none.
    #[error("{file}: damaged: tensor `{name}` {problem}; download it again")]
    Layout {
        /// Path or name of the file.
        file: String,
        /// The tensor.
        name: String,
        /// What is wrong with its place.
        problem: String,
    },
    /// Two tensors have one name.
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
        /// The shape that was asked for.
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
    /// A tensor holds a value that is infinite or not a number.
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
}

/// A name out of a file as messages show it: one line, bounded.
pub(super) fn printable(name: &str) -> String {
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
