//! Recordings without a path: in memory, in a part of an open file, by descriptor.

use std::io::Cursor;

use sotto_audio::{AudioError, AudioFile, Pcm16k};
use sotto_speech::{FileRange, MemoryBytes};

/// Opens a recording in memory: a `Vec<u8>`, an `Arc<[u8]>` or bytes compiled into the application. `name` is its name
/// in errors. Copies nothing.
///
/// # Errors
/// As [`AudioFile::from_reader`].
pub fn open_bytes(bytes: impl Into<MemoryBytes>, name: &str) -> Result<AudioFile, AudioError> {
    AudioFile::from_reader(Cursor::new(bytes.into()), name)
}

/// Opens a recording that is an open file, or a part of one: an asset of an Android package, a document. Has its own
/// read position, so several readers can share a descriptor.
///
/// # Errors
/// As [`AudioFile::from_reader`].
pub fn open_range(range: &FileRange) -> Result<AudioFile, AudioError> {
    AudioFile::from_reader(range.reader(), range.name())
}

/// Opens a recording by its descriptor, which is duplicated; the application keeps its own. If it is a file, reads
/// `length` bytes from `offset` on (up to the end for `None`). If it is a pipe or a socket, as for documents in remote
/// storage, reads everything, as [`AudioFile::from_stream`]; `offset` must then be 0 and `length` `None`.
///
/// # Errors
/// [`AudioError::Io`] when the descriptor cannot be used or the range does not lie in the file, otherwise as
/// [`AudioFile::from_reader`].
#[cfg(unix)]
pub fn open_descriptor(
    descriptor: std::os::fd::RawFd,
    offset: u64,
    length: Option<u64>,
    name: &str,
) -> Result<AudioFile, AudioError> {
    match of_descriptor(descriptor, offset, length, name)? {
        Behind::File(range) => open_range(&range),
        Behind::Stream(stream) => AudioFile::from_stream(stream, name),
    }
}

/// The kind of file of a descriptor.
#[cfg(unix)]
pub(crate) enum Behind {
    /// A file, or a part of one.
    File(FileRange),
    /// A pipe or a socket, duplicated.
    Stream(std::fs::File),
}

/// The file for [`open_descriptor`], not opened yet.
#[cfg(unix)]
pub(crate) fn of_descriptor(
    descriptor: std::os::fd::RawFd,
    offset: u64,
    length: Option<u64>,
    name: &str,
) -> Result<Behind, AudioError> {
    use sotto_speech::{FileRangeError, duplicate_descriptor};
    let io = |cause| AudioError::Io { source_name: name.to_owned(), cause };
    match FileRange::of_descriptor(descriptor, offset, length, name) {
        Ok(range) => Ok(Behind::File(range)),
        Err(FileRangeError::NotAFile { streams: true, .. }) if offset == 0 && length.is_none() => {
            duplicate_descriptor(descriptor).map(Behind::Stream).map_err(io)
        }
        Err(error) => Err(io(error.into_io())),
    }
}

/// Decodes a recording in memory, such as one compiled into the application.
///
/// # Errors
/// As [`open_bytes`] and [`AudioFile::next_block`].
pub fn decode_bytes(bytes: impl Into<MemoryBytes>) -> Result<Pcm16k, AudioError> {
    let mut file = open_bytes(bytes, "recording in memory")?;
    let mut samples = Vec::new();
    while file.next_block(&mut samples)? {}
    Pcm16k::new(samples)
}
