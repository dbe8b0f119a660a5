//! File system operations of the cache.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sotto_runtime::CancelToken;

use super::error::CacheError;
use super::poll;

/// [`PackedCache::default_dir`](super::PackedCache::default_dir) for a given platform and environment. Empty variables
/// count as unset.
pub(super) fn default_dir(variable: impl Fn(&str) -> Option<PathBuf>, os: &str) -> Option<PathBuf> {
    let set = |name| variable(name).filter(|path| !path.as_os_str().is_empty());
    if let Some(explicit) = set("SOTTO_CACHE") {
        return Some(explicit);
    }
    let cache = match os {
        "windows" => set("LOCALAPPDATA")?,
        "macos" => set("HOME")?.join("Library/Caches"),
        // The specification ignores a relative XDG_CACHE_HOME.
        _ => match set("XDG_CACHE_HOME").filter(|path| path.is_absolute()) {
            Some(cache) => cache,
            None => set("HOME")?.join(".cache"),
        },
    };
    Some(cache.join("sotto").join("packed"))
}

/// Whether a file begins like a whisper.cpp file.
pub(super) fn is_ggml(path: &Path) -> bool {
    let mut start = [0; 4];
    path.is_file() && File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start == *b"lmgg"
}

pub(super) fn create_folder(path: &Path) -> Result<(), CacheError> {
    fs::create_dir_all(path).map_err(CacheError::io(path, "create the folder"))
}

/// Reads a small file; `None` if there is none, or if it is larger than any file of the cache.
pub(super) fn read_small(path: &Path) -> Option<Vec<u8>> {
    const LIMIT: u64 = 1 << 20;
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(LIMIT + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= LIMIT).then_some(bytes)
}

/// Writes a small file so that a reader sees the old contents or the new, never a mixture.
pub(super) fn write_small(path: &Path, contents: &[u8]) -> Result<(), CacheError> {
    static WRITTEN: AtomicU64 = AtomicU64::new(0);
    let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let part = path.with_file_name(format!(".{name}.{}.{number}.part", std::process::id()));
    let write = || {
        let mut file = File::create(&part)?;
        file.write_all(contents)?;
        file.sync_all()?;
        fs::rename(&part, path)
    };
    write().map_err(|error| {
        let _ = fs::remove_file(&part);
        CacheError::io(path, "write")(error)
    })
}

/// Removes a file; returns its size in bytes, 0 if it does not exist.
pub(super) fn remove(path: &Path) -> Result<u64, CacheError> {
    let bytes = fs::symlink_metadata(path).map_or(0, |metadata| metadata.len());
    match fs::remove_file(path) {
        Ok(()) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(CacheError::io(path, "remove")(error)),
    }
}

/// Files of a folder; none if there is no folder.
pub(super) fn files_in(folder: &Path) -> Result<Vec<PathBuf>, CacheError> {
    match fs::read_dir(folder) {
        Ok(entries) => Ok(entries.filter_map(|entry| Some(entry.ok()?.path())).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(CacheError::io(folder, "list")(error)),
    }
}

/// The lock for packing one model; released on drop, and by the system when the process ends.
///
/// On file systems without locks everybody gets the lock: then a model may be packed twice, and the last result stays.
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits at most `patience`; `None` if another process still has the lock.
    pub(super) fn take(path: &Path, patience: Duration, cancel: &CancelToken) -> Result<Option<Self>, CacheError> {
        let file = File::options().create(true).truncate(false).write(true).open(path);
        let file = file.map_err(CacheError::io(path, "open"))?;
        let locked = poll(patience, cancel, || match file.try_lock() {
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Some(())),
            Err(TryLockError::WouldBlock) => Ok(None),
        })?;
        Ok(locked.map(|()| Self { _file: file }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_folder_follows_each_platform() {
        let with = |pairs: &'static [(&str, &str)], os| {
            default_dir(move |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()), os)
        };
        let is = |path: &str| Some(PathBuf::from(path));
        assert_eq!(with(&[("SOTTO_CACHE", "/c"), ("HOME", "/h")], "linux"), is("/c"));
        assert_eq!(with(&[("SOTTO_CACHE", ""), ("HOME", "/h")], "linux"), is("/h/.cache/sotto/packed"));
        assert_eq!(with(&[("XDG_CACHE_HOME", "/x"), ("HOME", "/h")], "linux"), is("/x/sotto/packed"));
        assert_eq!(with(&[("XDG_CACHE_HOME", "x"), ("HOME", "/h")], "linux"), is("/h/.cache/sotto/packed"));
        assert_eq!(with(&[("HOME", "/h")], "macos"), is("/h/Library/Caches/sotto/packed"));
        assert_eq!(with(&[("LOCALAPPDATA", "/l")], "windows"), is("/l/sotto/packed"));
        assert_eq!(with(&[], "linux"), None);
    }

    #[test]
    fn a_lock_is_waited_for_no_longer_than_allowed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, cancel) = (folder.path().join("x.lock"), CancelToken::new());
        let held = Lock::take(&path, Duration::ZERO, &cancel).unwrap().unwrap();
        assert!(Lock::take(&path, Duration::from_millis(30), &cancel).unwrap().is_none());
        drop(held);
        assert!(Lock::take(&path, Duration::ZERO, &cancel).unwrap().is_some());
        cancel.cancel();
        assert!(matches!(Lock::take(&path, Duration::ZERO, &cancel), Err(CacheError::Cancelled(_))));
    }

    #[test]
    fn a_small_file_is_replaced_whole_and_nothing_stays_of_a_failure() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("limit");
        write_small(&path, b"1").unwrap();
        write_small(&path, b"22").unwrap();
        assert_eq!(read_small(&path).unwrap(), b"22");
        // A folder cannot be replaced by a file.
        let taken = folder.path().join("taken");
        fs::create_dir_all(taken.join("x")).unwrap();
        assert!(write_small(&taken, b"1").is_err());
        assert_eq!(files_in(folder.path()).unwrap().len(), 2);
    }
}
