//! Storage of packed weights: owned memory, or bytes owned by someone else.

use std::ops::Range;
use std::sync::Arc;

use crate::aligned::{ALIGNMENT, AlignedBytes, IN_PLACE};

/// Maximum depth of a product: up to here a sum of products of int8 values fits i32 (131,072 · 127² < 2³¹).
pub const MAX_DEPTH: usize = 1 << 17;

/// Bytes owned by someone else, such as a mapped file.
pub type SharedBytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// Why weights cannot be packed, or bytes are not packed weights.
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
    /// A weight is −128, which has no positive counterpart (kernels are exact only for ±127), or does not fit 4
    /// bits.
    #[error("weight {index} is -128; symmetric int8 weights lie within ±127, quantize again")]
    OutOfRange {
        /// Index of the first such weight in the row-major input.
        index: usize,
    },
    /// The bytes end before the matrix does, or start beyond them.
    #[error("packed weights lie at bytes {start}..{end} of {available}; the file is cut short or damaged")]
    OutOfBounds {
        /// First byte.
        start: usize,
        /// Byte after the last.
        end: usize,
        /// Length of the bytes.
        available: usize,
    },
    /// The offset in the file is not a multiple of a cache line, or the address in memory is not aligned for f32.
    #[error(
        "packed weights at byte {start} lie on no multiple of {ALIGNMENT} in the file or of {IN_PLACE} in memory; \
         pack the model again"
    )]
    Misaligned {
        /// First byte.
        start: usize,
    },
}

/// Owned bytes, which start on a cache line, or shared ones, which start at a multiple of [`IN_PLACE`]. A clone copies
/// no bytes.
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
            // `get`, because a foreign `AsRef` might return other bytes on a later call.
            Self::Shared(bytes, range) => (**bytes).as_ref().get(range.clone()).unwrap_or(&[]),
        }
    }
}

impl From<AlignedBytes> for Storage {
    fn from(bytes: AlignedBytes) -> Self {
        Self::Owned(Arc::new(bytes))
    }
}
