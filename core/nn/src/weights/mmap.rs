//! A file mapped read-only: the one piece of unsafe code of this crate.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::path::Path;

use memmap2::Mmap;

/// A mapped file; dereferences to its bytes. Pages come in when they are touched and can be dropped by the system.
#[derive(Debug)]
pub(super) struct MappedFile(Option<Mmap>);

impl MappedFile {
    /// Maps a regular file. Folders, pipes and devices are refused: their length says nothing.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "this is a folder, not a file"));
        }
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        // Some systems refuse to map nothing.
        if metadata.len() == 0 {
            return Ok(Self(None));
        }
        // SAFETY: the map is read-only and lives as long as `Mmap`; no reference outlives it. What the language cannot
        // rule out is another process that writes to the file or cuts it meanwhile. A write changes the values read
        // later: offsets were checked against the length of the map, which never changes, and every value is checked
        // when it is converted, so the worst is wrong numbers or an error. A cut makes the next touch of a lost page a
        // SIGBUS that ends this process, as with every mapped file; the model store therefore never writes in place,
        // it renames finished files into position, which leaves existing maps intact.
        let map = unsafe { Mmap::map(&file)? };
        Ok(Self(Some(map)))
    }
}

impl std::ops::Deref for MappedFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
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
    fn the_bytes_are_those_of_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"weights").unwrap();
        assert_eq!(&*MappedFile::open(file.path()).unwrap(), b"weights");
    }
}
