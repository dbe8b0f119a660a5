//! Where packed weights lie: in memory of our own, or in bytes that somebody else owns.

use std::ops::Range;
use std::sync::Arc;

use crate::aligned::{AlignedBytes, IN_PLACE};
use crate::int8::{PackError, SharedBytes};

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
