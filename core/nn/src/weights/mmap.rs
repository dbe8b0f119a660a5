//! A file, or a part of one, mapped read-only, and descriptors of the application's: all unsafe code of this crate.
#![allow(unsafe_code)]

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Arc;

use memmap2::{Mmap, MmapOptions};

use super::range::FileRange;

/// A mapped file; dereferences to its bytes. Pages come in when they are touched and can be dropped by the system.
#[derive(Debug)]
pub(super) struct MappedFile {
    map: Option<Mmap>,
    /// Kept to look at its length again; it holds the shared lock where there is one.
    file: Arc<File>,
    /// Bytes of the whole file when it was mapped.
    length: u64,
}

impl MappedFile {
    /// Maps a regular file. Folders, pipes and devices are refused: their length says nothing.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Self::whole(open_regular(path)?)
    }

    /// Maps a file that stays mapped, and holds a shared lock on it meanwhile: programs that ask for an exclusive one
    /// before they write in place are kept out. Locks are advice on most systems, and some file systems have none; then
    /// there is none.
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

    /// Maps a part of an open file, wherever it begins. Takes no lock: those of a duplicated descriptor are the
    /// application's.
    pub(super) fn of_range(range: &FileRange) -> io::Result<Self> {
        let file = Arc::clone(range.file());
        let length = file.metadata()?.len();
        // It may have become shorter since the range was made.
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

    /// Whether the file still has the length that was mapped. A shorter one has lost pages.
    pub(super) fn has_its_length(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| metadata.len() == self.length)
    }

    /// Gives the pages that are in memory back to the system; those that are touched again are read again. Returns the
    /// bytes that were mapped.
    pub(super) fn release_pages(&self) -> usize {
        let Some(map) = &self.map else { return 0 };
        // SAFETY: the pages of a read-only map that is shared with its file hold nothing but the file's bytes: whoever
        // reads through a reference afterwards finds the same ones, as long as nobody writes to the file (`map` below).
        #[cfg(unix)]
        let released = unsafe { map.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) }.is_ok();
        #[cfg(not(unix))]
        let released = false;
        if released { map.len() } else { 0 }
    }
}

/// A descriptor of our own for the file behind one of the application's.
///
/// The number is not checked to be the application's to give: it comes out of another language, where numbers are all
/// there is. One that is not open is refused by the system; one that is open names a file of this process, of which
/// nothing but what a caller asks for is read.
#[cfg(unix)]
pub(super) fn duplicate(descriptor: std::os::fd::RawFd) -> io::Result<File> {
    use std::os::fd::BorrowedFd;
    if descriptor < 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a negative number is no descriptor"));
    }
    // SAFETY: it is not -1, and borrowed for the one system call that duplicates it, which answers with an error where
    // it is not open.
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

/// Maps some bytes of a file; `None` for none, since some systems refuse to map nothing. Begins in the page below where
/// `offset` is inside one.
fn map(file: &File, offset: u64, length: u64) -> io::Result<Option<Mmap>> {
    if length == 0 {
        return Ok(None);
    }
    let too_large = |_| io::Error::new(io::ErrorKind::FileTooLarge, "larger than what this CPU can address");
    let length = usize::try_from(length).map_err(too_large)?;
    // SAFETY: the map is read-only and lives as long as `Mmap`; no reference outlives it. What is left to the caller,
    // as with every mapped file, is that nobody writes to the file or cuts it meanwhile: bytes that change behind a
    // reference are undefined behaviour, and a lost page is a SIGBUS. Loading documents this duty. Sotto's own programs
    // keep to it: the model store and the packer never write in place, they rename finished files into position, which
    // leaves existing maps intact; packed models hold a shared lock and look at the length again before they are used,
    // others look at it again before each tensor is converted. Should another program write all the same, what is read
    // later is checked again wherever it leads somewhere (the vocabulary looks tokens up with bounds), and weights lead
    // nowhere: wrong numbers are then the likely end.
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
