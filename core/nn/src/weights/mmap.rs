//! A file mapped read-only: the one piece of unsafe code of this crate.
#![allow(unsafe_code)]

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use memmap2::Mmap;

/// A mapped file; dereferences to its bytes. Pages come in when they are touched and can be dropped by the system.
#[derive(Debug)]
pub(super) struct MappedFile {
    map: Option<Mmap>,
    /// Kept where the map lives as long as the model: it holds the shared lock.
    file: Option<File>,
}

impl MappedFile {
    /// Maps a regular file. Folders, pipes and devices are refused: their length says nothing.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = open_regular(path)?;
        Ok(Self { map: map(&file)?, file: None })
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
        Ok(Self { map: map(&file)?, file: Some(file) })
    }

    /// Whether the file still has the length that was mapped, where the file is kept. A shorter one has lost pages.
    pub(super) fn has_its_length(&self) -> bool {
        let length = |file: &File| file.metadata().map(|metadata| metadata.len());
        self.file.as_ref().and_then(|file| length(file).ok()).is_none_or(|length| length == self.len() as u64)
    }
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

/// Maps a file; `None` for an empty one, since some systems refuse to map nothing.
fn map(file: &File) -> io::Result<Option<Mmap>> {
    if file.metadata()?.len() == 0 {
        return Ok(None);
    }
    // SAFETY: the map is read-only and lives as long as `Mmap`; no reference outlives it. What is left to the caller, as with
    // every mapped file, is that nobody writes to the file or cuts it meanwhile: bytes that change behind a reference are
    // undefined behaviour, and a lost page is a SIGBUS. Loading documents this duty. Sotto's own programs keep to it: the model
    // store and the packer never write in place, they rename finished files into position, which leaves existing maps
    // intact; packed models hold a shared lock and look at the length again before they are used. Should another program
    // write all the same, what is read later is checked again wherever it leads somewhere (the vocabulary looks tokens up
    // with bounds), and weights lead nowhere: wrong numbers are then the likely end.
    Ok(Some(unsafe { Mmap::map(file)? }))
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
        let (one, two) = (MappedFile::open_locked(file.path()).unwrap(), MappedFile::open_locked(file.path()).unwrap());
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
