//! A model file whose bytes the application has in memory.

use std::fmt;
use std::sync::Arc;

/// A file in memory: compiled into the application, or read or received by it. Clones share the bytes.
#[derive(Clone)]
pub struct MemoryFile {
    name: Arc<str>,
    bytes: MemoryBytes,
}

/// Bytes of a [`MemoryFile`]; made `from` a `Vec<u8>`, an `Arc<[u8]>` or a `&'static [u8]`, none of which copies.
#[derive(Clone)]
pub struct MemoryBytes(Kind);

#[derive(Clone)]
enum Kind {
    Static(&'static [u8]),
    Shared(Arc<[u8]>),
    Owned(Arc<Vec<u8>>),
}

impl From<&'static [u8]> for MemoryBytes {
    fn from(bytes: &'static [u8]) -> Self {
        Self(Kind::Static(bytes))
    }
}

impl<const N: usize> From<&'static [u8; N]> for MemoryBytes {
    fn from(bytes: &'static [u8; N]) -> Self {
        Self(Kind::Static(bytes))
    }
}

impl From<Arc<[u8]>> for MemoryBytes {
    fn from(bytes: Arc<[u8]>) -> Self {
        Self(Kind::Shared(bytes))
    }
}

impl From<Vec<u8>> for MemoryBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Kind::Owned(Arc::new(bytes)))
    }
}

impl AsRef<[u8]> for MemoryBytes {
    fn as_ref(&self) -> &[u8] {
        match &self.0 {
            Kind::Static(bytes) => bytes,
            Kind::Shared(bytes) => bytes,
            Kind::Owned(bytes) => bytes,
        }
    }
}

impl MemoryFile {
    /// `name` stands for the path in messages.
    #[must_use]
    pub fn new(name: &str, bytes: impl Into<MemoryBytes>) -> Self {
        Self { name: name.into(), bytes: bytes.into() }
    }

    /// What messages call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

impl AsRef<[u8]> for MemoryFile {
    fn as_ref(&self) -> &[u8] {
        self.bytes()
    }
}

/// The same bytes in the same place.
impl PartialEq for MemoryFile {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.bytes(), other.bytes())
    }
}

impl Eq for MemoryFile {}

impl fmt::Debug for MemoryFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryFile").field("name", &self.name).field("bytes", &self.bytes().len()).finish()
    }
}
