//! f32 parameters of a layer: owned, or read in place from a mapped file.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

use crate::aligned::as_floats;
use crate::storage::SharedBytes;

/// The f32 values of a bias, a norm or position embeddings; dereferences to a slice. Cheap to share between threads; a
/// clone of mapped values copies nothing.
#[derive(Clone)]
pub struct Floats(Storage);

#[derive(Clone)]
enum Storage {
    Owned(Vec<f32>),
    Shared(SharedBytes, Range<usize>),
}

impl Floats {
    /// Little-endian values in `range` of `bytes`, read in place. `None` when the range ends beyond the bytes, is not a
    /// whole number of values, or is not aligned for f32.
    ///
    /// The bytes must not change while the values exist.
    #[must_use]
    pub fn from_shared(bytes: SharedBytes, range: Range<usize>) -> Option<Self> {
        let values = as_floats((*bytes).as_ref().get(range.clone())?)?;
        (4 * values.len() == range.len()).then(|| Self(Storage::Shared(Arc::clone(&bytes), range)))
    }
}

impl From<Vec<f32>> for Floats {
    fn from(values: Vec<f32>) -> Self {
        Self(Storage::Owned(values))
    }
}

impl Deref for Floats {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match &self.0 {
            Storage::Owned(values) => values,
            // `get`, because a foreign `AsRef` might return other bytes on a later call.
            Storage::Shared(bytes, range) => (**bytes).as_ref().get(range.clone()).and_then(as_floats).unwrap_or(&[]),
        }
    }
}

impl fmt::Debug for Floats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Floats({})", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aligned::AlignedBytes;

    #[test]
    fn shared_values_are_read_in_place_or_refused() {
        let bytes: Vec<u8> = [1.5f32, -2.0, 0.25].iter().flat_map(|value| value.to_le_bytes()).collect();
        let shared: SharedBytes = Arc::new(AlignedBytes::from(&bytes[..]));
        let floats = Floats::from_shared(Arc::clone(&shared), 4..12).unwrap();
        assert_eq!(*floats, [-2.0, 0.25]);
        assert!(std::ptr::addr_eq(floats.as_ptr(), (*shared).as_ref()[4..].as_ptr()));
        assert!(Floats::from_shared(Arc::clone(&shared), 0..0).is_some_and(|none| none.is_empty()));
        for range in [1..5, 4..10, 8..16, usize::MAX - 3..usize::MAX] {
            assert!(Floats::from_shared(Arc::clone(&shared), range.clone()).is_none(), "{range:?}");
        }
    }
}
