//! Whether two sources are the same model, without reading them.

use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sotto_speech::{FileRange, ModelSource};

/// The key of a source: its location and the state of its content, as far as the system tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    /// A file, or all files of a folder, with their stamps.
    Files(PathBuf, Vec<Stamp>),
    /// Bytes of an open file.
    Range(Stamp, u64, u64),
    /// Bytes in memory, by address and length.
    Memory(usize, usize),
}

/// Metadata that changes when a file is written or replaced.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp {
    name: PathBuf,
    length: u64,
    modified: Option<SystemTime>,
    /// Device and inode.
    place: Option<(u64, u64)>,
}

impl Key {
    /// `None` if the system gives no information; such a source is not shared.
    pub(super) fn of(source: &ModelSource) -> Option<Self> {
        let memory = |bytes: &[u8]| Some(Self::Memory(bytes.as_ptr() as usize, bytes.len()));
        match source {
            ModelSource::Path(path) => Self::of_path(path),
            ModelSource::Bytes(bytes) => memory(bytes.weights),
            ModelSource::PackedBytes { bytes, .. } => memory(bytes),
            ModelSource::Memory(file) => memory(file.bytes()),
            ModelSource::File(range) => Self::of_range(range),
            #[allow(unreachable_patterns, reason = "sources to come are shared with none until they have a key")]
            _ => None,
        }
    }

    fn of_path(path: &Path) -> Option<Self> {
        let path = fs::canonicalize(path).ok()?;
        let metadata = fs::metadata(&path).ok()?;
        if !metadata.is_dir() {
            let stamp = Stamp::of(PathBuf::new(), &metadata);
            return Some(Self::Files(path, vec![stamp]));
        }
        let mut stamps = Vec::new();
        for entry in fs::read_dir(&path).ok()? {
            let entry = entry.ok()?;
            // Follows links, because some download folders consist of them.
            let metadata = fs::metadata(entry.path()).ok()?;
            if metadata.is_file() {
                stamps.push(Stamp::of(entry.file_name().into(), &metadata));
            }
        }
        stamps.sort_unstable();
        Some(Self::Files(path, stamps))
    }

    fn of_range(range: &FileRange) -> Option<Self> {
        let stamp = Stamp::of(PathBuf::new(), &range.file().metadata().ok()?);
        // Without device and inode, two files of the same length and time could not be distinguished.
        stamp.place.is_some().then(|| Self::Range(stamp, range.offset(), range.length()))
    }
}

impl Stamp {
    fn of(name: PathBuf, metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let place = {
            use std::os::unix::fs::MetadataExt;
            Some((metadata.dev(), metadata.ino()))
        };
        #[cfg(not(unix))]
        let place = None;
        Self { name, length: metadata.len(), modified: metadata.modified().ok(), place }
    }
}
