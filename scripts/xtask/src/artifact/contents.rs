//! The files of a package, whether it is an archive or a folder.

use std::collections::BTreeMap;
use std::path::Path;

use crate::failure::Failure;
use crate::workspace;
use crate::zip::Archive;

/// One file.
#[derive(Debug, Clone, Default)]
pub struct File {
    /// Its bytes, unpacked.
    pub data: Vec<u8>,
    /// Where it lies in the archive, for a file that is not compressed.
    pub stored_at: Option<u64>,
}

/// All files by their paths, with slashes. Symbolic links, as in frameworks for Macs, are kept apart.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    /// Plain files.
    pub files: BTreeMap<String, File>,
    /// Where each link leads to.
    pub links: BTreeMap<String, String>,
}

impl Contents {
    /// Reads an archive, or a folder with everything below it.
    ///
    /// # Errors
    /// [`Failure`] when a file cannot be read or an archive is damaged.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        if path.is_dir() { Self::of_folder(path) } else { Self::of_archive(path, workspace::read(path)?) }
    }

    /// Reads one file, under its own name.
    ///
    /// # Errors
    /// [`Failure::File`].
    pub fn of_file(path: &Path) -> Result<Self, Failure> {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let file = File { data: workspace::read(path)?, stored_at: None };
        Ok(Self { files: BTreeMap::from([(name, file)]), links: BTreeMap::new() })
    }

    /// Reads an archive in memory; `path` is its name in messages.
    ///
    /// # Errors
    /// [`Failure::Archive`].
    pub fn of_archive(path: &Path, bytes: Vec<u8>) -> Result<Self, Failure> {
        let damaged = |source| Failure::Archive { path: path.to_owned(), source };
        let archive = Archive::read(bytes).map_err(damaged)?;
        let mut contents = Self::default();
        for entry in archive.entries() {
            let data = archive.data(entry).map_err(damaged)?;
            if entry.is_link() {
                contents.links.insert(entry.name.clone(), String::from_utf8_lossy(&data).into_owned());
            } else {
                let stored_at = archive.stored_at(entry).map_err(damaged)?;
                contents.files.insert(entry.name.clone(), File { data, stored_at });
            }
        }
        Ok(contents)
    }

    fn of_folder(folder: &Path) -> Result<Self, Failure> {
        let mut contents = Self::default();
        for path in workspace::files_below(folder)? {
            let name = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            if path.is_symlink() {
                let to = std::fs::read_link(&path).map_err(Failure::file(&path))?;
                contents.links.insert(name, to.to_string_lossy().into_owned());
            } else {
                contents.files.insert(name, File { data: workspace::read(&path)?, stored_at: None });
            }
        }
        Ok(contents)
    }

    /// The bytes of a file.
    pub fn data(&self, name: &str) -> Option<&[u8]> {
        self.files.get(name).map(|file| file.data.as_slice())
    }

    /// A file as text; what is not UTF-8 in it is replaced.
    pub fn text(&self, name: &str) -> Option<String> {
        self.data(name).map(|data| String::from_utf8_lossy(data).into_owned())
    }

    /// The names of the files that a test holds for.
    pub fn names<'a>(&'a self, test: impl Fn(&str) -> bool + 'a) -> impl Iterator<Item = &'a str> {
        self.files.keys().map(String::as_str).filter(move |name| test(name))
    }
}
