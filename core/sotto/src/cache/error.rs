//! Why a model could not be packed into the cache.

use std::io;
use std::path::{Path, PathBuf};

use sotto_runtime::Cancelled;
use sotto_speech::{LoadError, QuantizeError, WriteError};

/// A failure of the cache of packed models. It never prevents a model from being loaded, only makes loading slower.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// The caller cancelled.
    #[error(transparent)]
    Cancelled(Cancelled),
    /// The model itself cannot be loaded.
    #[error(transparent)]
    Load(LoadError),
    /// Another process packs the same model and did not finish in time.
    #[error("another process is still packing {path}; its result is used the next time")]
    Busy {
        /// The model.
        path: PathBuf,
    },
    /// A file of the model was modified while it was read.
    #[error("{path}: was changed while it was read; load the model again once it is complete")]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The disk has no room for the packed model.
    #[error("{path}: no room for the packed model; make room, or choose another folder for the cache, or none")]
    DiskFull {
        /// The file that was being written.
        path: PathBuf,
    },
    /// A file of the cache, or of the model, cannot be read or written.
    #[error("{path}: cannot {action}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The attempted operation.
        action: &'static str,
        /// The system's error.
        source: io::Error,
    },
}

impl CacheError {
    /// An I/O error at `path`; a full disk becomes [`CacheError::DiskFull`].
    pub(super) fn io(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            _ => Self::Io { path, action, source },
        }
    }
}

impl From<LoadError> for CacheError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Cancelled(cancelled) => Self::Cancelled(cancelled),
            other => Self::Load(other),
        }
    }
}

impl From<QuantizeError> for CacheError {
    fn from(error: QuantizeError) -> Self {
        match error {
            QuantizeError::Load(error) => error.into(),
            QuantizeError::Write(WriteError::Cancelled(cancelled)) => Self::Cancelled(cancelled),
            QuantizeError::Write(WriteError::Io { path, source }) => Self::io(&path, "write")(source),
            other => {
                let source = io::Error::other(other.to_string());
                Self::Io { path: PathBuf::new(), action: "pack the model", source }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_apart_and_what_the_model_lacks_is_the_models_own_error() {
        let path = PathBuf::from("cache/x.sotto");
        let written = |kind: io::ErrorKind| {
            CacheError::from(QuantizeError::Write(WriteError::Io { path: path.clone(), source: kind.into() }))
        };
        assert!(matches!(written(io::ErrorKind::StorageFull), CacheError::DiskFull { .. }));
        assert!(matches!(written(io::ErrorKind::QuotaExceeded), CacheError::DiskFull { .. }));
        assert!(matches!(written(io::ErrorKind::PermissionDenied), CacheError::Io { action: "write", .. }));
        let missing = LoadError::NotAModel { path, problem: "there is nothing".into(), expected: "a model" };
        assert!(matches!(CacheError::from(QuantizeError::Load(missing)), CacheError::Load(_)));
        assert!(matches!(CacheError::from(LoadError::Cancelled(Cancelled)), CacheError::Cancelled(_)));
    }
}
