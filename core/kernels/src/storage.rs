//! Where packed weights lie: in memory of our own, or in bytes that somebody else owns.

use std::ops::Range;
use std::sync::Arc;

use crate::aligned::{ALIGNMENT, AlignedBytes, IN_PLACE};

/// Greatest depth of a product: up to here a sum of products of int8 values fits i32 (131,072 · 127² < 2³¹).
pub const MAX_DEPTH: usize = 1 << 17;

/// Bytes that somebody else owns, a mapped file for instance.
pub type SharedBytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// Weights that cannot be packed, or bytes that are no packed weights.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// No columns, no depth, or too deep for i32 sums.
    #[error("a packed matrix of {columns} columns, {depth} deep: columns must be at least 1, depth 1 to {MAX_DEPTH}")]
    Shape {
        /// Output columns asked for.
        columns: usize,
        /// Depth asked for.
        depth: usize,
    },
    /// The values do not match the shape.
    #[error("{what}: {found} given, {expected} expected from the shape")]
    Length {
        /// What was counted.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many the shape needs.
        expected: usize,
    },
    /// A weight is −128, which has no positive counterpart: kernels are exact for ±127 only.
    #[error("weight {index} is -128; symmetric int8 weights lie within ±127, quantize again")]
    OutOfRange {
        /// Place of the first such weight in the row-major input.
        index: usize,
    },
    /// The bytes end before the matrix does, or start beyond them.
    #[error("packed weights lie at bytes {start}..{end} of {available}; the file is cut short or damaged")]
    OutOfBounds {
        /// First byte.
        start: usize,
        /// Byte after the last.
        end: usize,
        /// Bytes there are.
        available: usize,
    },
    /// The bytes do not start on a cache line of their file, or in memory not even where an f32 may.
    #[error(
        "packed weights at byte {start} lie on no multiple of {ALIGNMENT} in the file or of {IN_PLACE} in memory; \
         pack the model again"
    )]
    Misaligned {
        /// First byte.
        start: usize,
    },
}

/// Bytes of ours, which start on a cache line, or of somebody else's, at least on a multiple of [`IN_PLACE`]. A clone
/// copies none of them.
#[derive(Clone)]
pub(crate) enum Storage {
    Owned(Arc<AlignedBytes>),
    Shared(SharedBytes, Range<usize>),
}

impl Storage {
    /// `len` bytes of `bytes` from `start` on, read in place.
    ///
    /// # Errors
    /// [`PackError::OutOfBounds`] or [`PackError::Misaligned`].
    pub(crate) fn shared(bytes: SharedBytes, start: usize, len: usize) -> Result<Self, PackError> {
        let all: &[u8] = (*bytes).as_ref();
        let end = start.saturating_add(len);
        let Some(range) = all.get(start..end) else {
            return Err(PackError::OutOfBounds { start, end, available: all.len() });
        };
        if range.as_ptr().align_offset(IN_PLACE) != 0 {
            return Err(PackError::Misaligned { start });
        }
        Ok(Self::Shared(bytes, start..end))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes.bytes(),
            // `get`: a foreign `AsRef` might give other bytes on a later call.
            Self::Shared(bytes, range) => (**bytes).as_ref().get(range.clone()).unwrap_or(&[]),
        }
    }
}

impl From<AlignedBytes> for Storage {
    fn from(bytes: AlignedBytes) -> Self {
        Self::Owned(Arc::new(bytes))
    }
}
