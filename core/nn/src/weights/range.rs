//! An open file, or a part of one: the form in which Android provides an asset, and other systems a document.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

/// Bytes `offset..offset + length` of an open regular file. Clones share a descriptor, which is closed with the last of
/// them. The application's own descriptor may be closed at any time.
///
/// Reading never changes the position of the application's descriptor.
#[derive(Debug, Clone)]
pub struct FileRange {
    name: Arc<str>,
    file: Arc<File>,
    offset: u64,
    length: u64,
}

/// Why a file range cannot be used. The descriptor was not kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileRangeError {
    /// Not an open descriptor, or one that cannot be duplicated.
    #[error(
        "{name}: the file descriptor cannot be used: {source}; open the file again and hand over what that returns"
    )]
    Descriptor {
        /// Name of the file in messages.
        name: String,
        /// The system's error.
        source: io::Error,
    },
    /// A folder, a pipe, a socket or a device.
    #[error("{name}: {found}, not a regular file; copy the content into a file, or hand over its bytes")]
    NotAFile {
        /// Name of the file in messages.
        name: String,
        /// What it is instead.
        found: &'static str,
        /// Whether it can be read as a stream, once and in order: a pipe, a socket or a character device.
        streams: bool,
    },
    /// The range does not lie in the file.
    #[error(
        "{name}: bytes from {offset} on, {length} of them, do not lie in a file of {available} bytes; take offset and \
         length from whoever opened it"
    )]
    OutOfRange {
        /// Name of the file in messages.
        name: String,
        /// Requested first byte.
        offset: u64,
        /// Requested length.
        length: u64,
        /// Length of the file.
        available: u64,
    },
}

impl FileRange {
    /// A part of `file`: `length` bytes from `offset` on, or up to its end if `length` is `None`. `name` replaces the
    /// path in messages.
    ///
    /// # Errors
    /// [`FileRangeError::NotAFile`], [`FileRangeError::OutOfRange`], or [`FileRangeError::Descriptor`] when the system
    /// cannot describe the file.
    pub fn new(file: File, offset: u64, length: Option<u64>, name: &str) -> Result<Self, FileRangeError> {
        let descriptor = |source| FileRangeError::Descriptor { name: name.to_owned(), source };
        let metadata = file.metadata().map_err(descriptor)?;
        if let Some((found, streams)) = other_than_file(&metadata) {
            return Err(FileRangeError::NotAFile { name: name.to_owned(), found, streams });
        }
        let available = metadata.len();
        let length = length.unwrap_or(available.saturating_sub(offset));
        if offset.checked_add(length).is_none_or(|end| end > available) {
            return Err(FileRangeError::OutOfRange { name: name.to_owned(), offset, length, available });
        }
        Ok(Self { name: name.into(), file: Arc::new(file), offset, length })
    }

    /// As [`new`](Self::new), with a descriptor that the application keeps: it is duplicated.
    ///
    /// On Android that is `AssetFileDescriptor` (`parcelFileDescriptor.fd`, `startOffset`, `length`; -1, its
    /// `UNKNOWN_LENGTH`, is `None` here) or the `ParcelFileDescriptor` of a content URI.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    #[cfg(unix)]
    pub fn of_descriptor(
        descriptor: std::os::fd::RawFd,
        offset: u64,
        length: Option<u64>,
        name: &str,
    ) -> Result<Self, FileRangeError> {
        let file = super::mmap::duplicate(descriptor)
            .map_err(|source| FileRangeError::Descriptor { name: name.to_owned(), source })?;
        Self::new(file, offset, length, name)
    }

    /// Its name in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Offset in the file in bytes.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Length in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The first bytes of the range, padded with zeros.
    ///
    /// # Errors
    /// When the system cannot read them.
    pub fn start<const N: usize>(&self) -> io::Result<[u8; N]> {
        let (mut bytes, mut read) = ([0; N], 0);
        while read < N {
            match self.read_at(read as u64, &mut bytes[read..])? {
                0 => break,
                more => read += more,
            }
        }
        Ok(bytes)
    }

    /// Reads up to `out.len()` bytes from `at` on, relative to the start of the range. Returns the number of bytes
    /// read, 0 at the end. Changes no file position.
    ///
    /// # Errors
    /// When the system cannot read them.
    pub fn read_at(&self, at: u64, out: &mut [u8]) -> io::Result<usize> {
        let left = self.length.saturating_sub(at);
        let wanted = out.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        read_at(&self.file, &mut out[..wanted], self.offset.saturating_add(at))
    }

    /// Reads the whole range.
    #[must_use]
    pub fn file(&self) -> &Arc<File> {
        &self.file
    }
}

/// Reads a [`FileRange`] from its beginning, with a position of its own.
#[derive(Debug, Clone)]
pub struct FileRangeReader {
    range: FileRange,
    position: u64,
}

impl FileRange {
    /// A reader of the range.
    #[must_use]
    pub fn reader(&self) -> FileRangeReader {
        FileRangeReader { range: self.clone(), position: 0 }
    }
}

impl Read for FileRangeReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.range.read_at(self.position, out)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for FileRangeReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (from, by) = match to {
            SeekFrom::Start(at) => (at, 0),
            SeekFrom::End(by) => (self.range.length, by),
            SeekFrom::Current(by) => (self.position, by),
        };
        let before = || io::Error::new(io::ErrorKind::InvalidInput, "a position before the beginning");
        self.position = from.checked_add_signed(by).ok_or_else(before)?;
        Ok(self.position)
    }
}

/// Equal if both are the same bytes of the same file, as far as the system can tell.
impl PartialEq for FileRange {
    fn eq(&self, other: &Self) -> bool {
        let range = |range: &Self| (range.offset, range.length);
        range(self) == range(other) && (Arc::ptr_eq(&self.file, &other.file) || is_same_file(&self.file, &other.file))
    }
}

impl Eq for FileRange {}

#[cfg(unix)]
fn read_at(file: &File, out: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, out, at)
}

#[cfg(windows)]
fn read_at(file: &File, out: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, out, at)
}

#[cfg(unix)]
fn is_same_file(one: &File, other: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    let place = |file: &File| file.metadata().map(|metadata| (metadata.dev(), metadata.ino())).ok();
    place(one).is_some_and(|one| place(other) == Some(one))
}

#[cfg(not(unix))]
fn is_same_file(_: &File, _: &File) -> bool {
    false
}

/// The kind of a file that is not a regular file, and whether it can be read as a stream.
fn other_than_file(metadata: &Metadata) -> Option<(&'static str, bool)> {
    if metadata.is_file() {
        return None;
    }
    if metadata.is_dir() {
        return Some(("this is a folder", false));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let kind = metadata.file_type();
        if kind.is_fifo() {
            return Some(("this is a pipe", true));
        }
        if kind.is_socket() {
            return Some(("this is a socket", true));
        }
        Some(("this is a device", kind.is_char_device()))
    }
    #[cfg(not(unix))]
    Some(("this is a device", false))
}

/// Duplicates a descriptor of the application, which stays open. For streams; for files use
/// [`FileRange::of_descriptor`].
///
/// # Errors
/// The system's error when the descriptor is not open.
#[cfg(unix)]
pub fn duplicate_descriptor(descriptor: std::os::fd::RawFd) -> io::Result<File> {
    super::mmap::duplicate(descriptor)
}

impl FileRangeError {
    /// The reason without the file name, for errors that add their own.
    #[must_use]
    pub fn into_io(self) -> io::Error {
        let problem = match self {
            Self::Descriptor { source, .. } => return source,
            Self::NotAFile { found, .. } => format!("{found}, not a regular file"),
            Self::OutOfRange { offset, length, available, .. } => {
                format!("bytes from {offset} on, {length} of them, do not lie in a file of {available} bytes")
            }
        };
        io::Error::new(io::ErrorKind::InvalidInput, problem)
    }
}
