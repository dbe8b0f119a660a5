//! Read-only maps of files or parts of files, and duplicates of the application's file descriptors. Holds all unsafe
//! code of this crate.
#![allow(unsafe_code)]

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Arc;

use memmap2::{Mmap, MmapOptions};

use super::range::FileRange;

/// A mapped file; dereferences to its bytes. Pages are read when they are accessed, and the system may drop them again.
#[derive(Debug)]
pub(super) struct MappedFile {
    map: Option<Mmap>,
    /// Kept to check its length again; holds the shared lock, if there is one.
    file: Arc<File>,
    /// Length of the whole file when it was mapped.
    length: u64,
}

impl MappedFile {
    /// Maps a regular file. Folders, pipes and devices are refused: their length is meaningless.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Self::whole(open_regular(path)?)
    }

    /// Maps a file and holds a shared lock on it while it is mapped. That blocks programs that take an exclusive lock
    /// before they write in place. Locks are advisory on most systems; file systems without locks are mapped without
    /// one.
    pub(super) fn open_locked(path: &Path) -> io::Result<Self> {
        let file = open_regular(path)?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::new(io::ErrorKind::ResourceBusy, "another program is writing to it"));
            }
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        Self::whole(file)
    }

    /// Maps a part of an open file, at any offset. Takes no lock: a duplicated descriptor shares the application's
    /// locks.
    pub(super) fn of_range(range: &FileRange) -> io::Result<Self> {
        let file = Arc::clone(range.file());
        let length = file.metadata()?.len();
        // The file may have become shorter since the range was made.
        if range.offset().checked_add(range.length()).is_none_or(|end| end > length) {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the file has become shorter since it was opened",
            ));
        }
        Ok(Self { map: map(&file, range.offset(), range.length())?, file, length })
    }

    fn whole(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self { map: map(&file, 0, length)?, file: Arc::new(file), length })
    }

    /// Whether the file still has the length that it had when it was mapped. A shorter file has lost pages.
    pub(super) fn has_its_length(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| metadata.len() == self.length)
    }

    /// Gives the pages back to the system; they are read again when they are accessed. Returns the mapped size in
    /// bytes.
    pub(super) fn release_pages(&self) -> usize {
        let Some(map) = &self.map else { return 0 };
        // SAFETY: the pages of a read-only map that is shared with its file hold nothing but the file's bytes: a later
        // read through a reference gives the same bytes, as long as nobody writes to the file (`map` below).
        #[cfg(unix)]
        let released = unsafe { map.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) }.is_ok();
        #[cfg(not(unix))]
        let released = false;
        if released { map.len() } else { 0 }
    }
}

/// Duplicates a descriptor of the application.
///
/// The number comes from another language and cannot be checked to be the right one. If it is not open, the system
/// returns an error; if it is open, it names a file of this process, which is only read.
#[cfg(unix)]
pub(super) fn duplicate(descriptor: std::os::fd::RawFd) -> io::Result<File> {
    use std::os::fd::BorrowedFd;
    if descriptor < 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a negative number is no descriptor"));
    }
    // SAFETY: it is not -1, and is borrowed only for the system call that duplicates it, which fails if it is not open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(descriptor) };
    Ok(File::from(borrowed.try_clone_to_owned()?))
}

fn open_regular(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "this is a folder, not a file"));
    }
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    Ok(file)
}

/// Maps a range of a file; `None` for an empty range, which some systems refuse to map. An `offset` inside a page is
/// mapped from the start of that page.
fn map(file: &File, offset: u64, length: u64) -> io::Result<Option<Mmap>> {
    if length == 0 {
        return Ok(None);
    }
    let too_large = |_| io::Error::new(io::ErrorKind::FileTooLarge, "larger than what this CPU can address");
    let length = usize::try_from(length).map_err(too_large)?;
    // SAFETY: the map is read-only and lives as long as `Mmap`; no reference outlives it. As with every mapped file,
    // the user must ensure that nobody writes to the file or truncates it meanwhile: bytes that change behind a
    // reference are undefined behaviour, and a lost page is a SIGBUS. The documentation of loading states this duty.
    // Sotto's own programs fulfil it: the model store and the packer never write in place; they rename finished files
    // into position, which leaves existing maps intact. Packed models hold a shared lock and check the length again
    // before they are used; others check it before each tensor is converted. If another program writes all the same,
    // everything that is used as an index later is bounds-checked (the vocabulary looks up tokens with bounds), and
    // changed weights only give wrong numbers.
    Ok(Some(unsafe { MmapOptions::new().offset(offset).len(length).map(file)? }))
}

impl std::ops::Deref for MappedFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.map.as_deref().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_maps_to_no_bytes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(MappedFile::open(file.path()).unwrap().is_empty());
    }

    #[test]
    fn a_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(MappedFile::open(folder.path()).unwrap_err().kind(), io::ErrorKind::IsADirectory);
    }

    #[test]
    fn a_locked_file_is_shared_by_readers_and_kept_from_a_writer() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"weights").unwrap();
        let one = MappedFile::open_locked(file.path()).unwrap();
        let two = MappedFile::open_locked(file.path()).unwrap();
        assert!(matches!(file.as_file().try_lock(), Err(TryLockError::WouldBlock)));
        drop((one, two));
        file.as_file().try_lock().unwrap();
        assert_eq!(MappedFile::open_locked(file.path()).unwrap_err().kind(), io::ErrorKind::ResourceBusy);
    }

    #[test]
    fn a_file_that_was_cut_is_noticed_by_its_length() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"weights").unwrap();
        let map = MappedFile::open_locked(file.path()).unwrap();
        assert!(map.has_its_length());
        file.as_file().set_len(3).unwrap();
        assert!(!map.has_its_length());
    }

    #[test]
    fn the_bytes_are_those_of_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"weights").unwrap();
        assert_eq!(&*MappedFile::open(file.path()).unwrap(), b"weights");
    }
}
