//! Tables of a vocabulary: built when a file is parsed, or read in place from a mapped file.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Bytes owned by someone else, such as a mapped file.
pub type SharedBytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// Bytes, or little-endian u32 numbers of any alignment. A clone copies nothing.
#[derive(Clone)]
pub(crate) struct Table {
    shared: SharedBytes,
    range: Range<usize>,
}

impl Table {
    /// `range` of `shared`; `None` if it ends beyond the bytes.
    pub(crate) fn new(shared: SharedBytes, range: Range<usize>) -> Option<Self> {
        (*shared).as_ref().get(range.clone())?;
        Some(Self { shared, range })
    }

    /// A part of the table.
    pub(crate) fn part(&self, range: Range<usize>) -> Option<Self> {
        self.bytes().get(range.clone())?;
        let range = self.range.start + range.start..self.range.start + range.end;
        Self::new(Arc::clone(&self.shared), range)
    }

    pub(crate) fn of_bytes(bytes: Vec<u8>) -> Self {
        Self { range: 0..bytes.len(), shared: Arc::new(bytes) }
    }

    pub(crate) fn of_words(words: impl IntoIterator<Item = u32>) -> Self {
        Self::of_bytes(words.into_iter().flat_map(u32::to_le_bytes).collect())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // `get`, because a foreign `AsRef` might return other bytes on a later call.
        (*self.shared).as_ref().get(self.range.clone()).unwrap_or(&[])
    }

    /// Number of whole u32 values.
    pub(crate) fn words(&self) -> usize {
        self.bytes().len() / 4
    }

    /// Number `index` of a table of u32.
    pub(crate) fn word(&self, index: usize) -> Option<u32> {
        self.bytes().as_chunks::<4>().0.get(index).map(|word| u32::from_le_bytes(*word))
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Table({} bytes)", self.range.len())
    }
}
