//! A model file in the application's memory.

use std::fmt;
use std::sync::Arc;

/// A model file in memory: compiled into the application, read or received by it. Clones share the bytes.
#[derive(Clone)]
pub struct MemoryFile {
    name: Arc<str>,
    bytes: MemoryBytes,
}

/// The bytes of a [`MemoryFile`]; converted from a `Vec<u8>`, an `Arc<[u8]>` or a `&'static [u8]` without a copy.
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
    /// `name` replaces the path in messages.
    #[must_use]
    pub fn new(name: &str, bytes: impl Into<MemoryBytes>) -> Self {
        Self { name: name.into(), bytes: bytes.into() }
    }

    /// Its name in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The bytes of the file.
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

/// Equal if both are the same bytes at the same address.
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
