//! The packed models on disk: found, marked as used, listed, and removed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use sotto_runtime::Bytes;

use super::CachedModel;
use super::disk::{create_folder, files_in, read_small, remove, write_small};
use super::error::CacheError;

/// Ending of packed models.
const PACKED: &str = "sotto";

/// Unfinished files of a crash are removed after this time; newer ones may still be in use.
const UNFINISHED: Duration = Duration::from_secs(3600);

// https://bford.info/cachedir/
const TAG: &[u8] =
    b"Signature: 8a477f597d28d172789f06886806bc55\n# Packed speech models of Sotto; they can be made again.\n";

/// The note of a packed model.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    /// Path of its source, lossily as text.
    source: String,
}

/// The folder of a cache.
pub(super) struct Shelf<'a> {
    folder: &'a Path,
}

impl<'a> Shelf<'a> {
    pub(super) fn new(folder: &'a Path) -> Self {
        Self { folder }
    }

    /// Path of the packed model with this key.
    pub(super) fn file(&self, key: &str) -> PathBuf {
        self.models_folder().join(format!("{key}.{PACKED}"))
    }

    pub(super) fn lock(&self, key: &str) -> PathBuf {
        self.folder.join("locks").join(format!("{key}.lock"))
    }

    fn note(&self, key: &str) -> PathBuf {
        self.models_folder().join(format!("{key}.json"))
    }

    fn models_folder(&self) -> PathBuf {
        self.folder.join("models")
    }

    fn limit_file(&self) -> PathBuf {
        self.folder.join("limit")
    }

    /// Creates the folders.
    pub(super) fn prepare(&self) -> Result<(), CacheError> {
        create_folder(&self.models_folder())?;
        create_folder(&self.folder.join("locks"))?;
        let tag = self.folder.join("CACHEDIR.TAG");
        if !tag.exists() {
            write_small(&tag, TAG)?;
        }
        Ok(())
    }

    /// The packed model with this key, if it exists.
    pub(super) fn find(&self, key: &str) -> Option<PathBuf> {
        let file = self.file(key);
        file.is_file().then_some(file)
    }

    /// Records that a model is used now. If that cannot be written, the model only counts as old.
    pub(super) fn mark_used(&self, key: &str, source: &Path) {
        let note = self.note(key);
        let source = source.to_string_lossy().into_owned();
        // The note is rewritten if the source has moved.
        let known = read_small(&note).and_then(|json| serde_json::from_slice::<Note>(&json).ok());
        if known.is_some_and(|known| known.source == source) {
            let file = File::options().write(true).open(&note);
            if file.and_then(|file| file.set_modified(SystemTime::now())).is_ok() {
                return;
            }
        }
        let json = serde_json::to_vec(&Note { source }).unwrap_or_default();
        let _ = write_small(&note, &json);
    }

    /// The limit stored in the folder.
    pub(super) fn limit(&self) -> Option<Bytes> {
        let text = read_small(&self.limit_file())?;
        std::str::from_utf8(&text).ok()?.trim().parse().ok().map(Bytes)
    }

    pub(super) fn set_limit(&self, limit: Bytes) -> Result<(), CacheError> {
        create_folder(self.folder)?;
        write_small(&self.limit_file(), format!("{}\n", limit.0).as_bytes())
    }

    /// All models, the most recently used first.
    pub(super) fn models(&self) -> Result<Vec<CachedModel>, CacheError> {
        let mut models: Vec<CachedModel> =
            files_in(&self.models_folder())?.into_iter().filter_map(|path| self.model(path)).collect();
        models.sort_by(|a, b| b.used.cmp(&a.used).then_with(|| a.path.cmp(&b.path)));
        Ok(models)
    }

    fn model(&self, path: PathBuf) -> Option<CachedModel> {
        let is_hidden = path.file_name()?.to_str()?.starts_with('.');
        if is_hidden || path.extension()? != PACKED {
            return None;
        }
        let metadata = path.metadata().ok().filter(fs::Metadata::is_file)?;
        let note = path.with_extension("json");
        let source = read_small(&note).and_then(|json| serde_json::from_slice::<Note>(&json).ok());
        // After a crash there may be no note.
        let used = note.metadata().and_then(|note| note.modified()).or_else(|_| metadata.modified());
        Some(CachedModel {
            path,
            bytes: Bytes(metadata.len()),
            source: source.map(|note| note.source.into()),
            used: used.unwrap_or(SystemTime::UNIX_EPOCH),
        })
    }

    /// Removes the least recently used models until all together have at most `limit` bytes, except `keep`; also
    /// removes unfinished files of crashes. Returns the freed bytes.
    pub(super) fn evict(&self, limit: Bytes, keep: Option<&str>) -> Result<Bytes, CacheError> {
        let mut failed = None;
        let mut freed = self.sweep(UNFINISHED, &mut failed)?;
        let (models, keep) = (self.models()?, keep.map(|key| self.file(key)));
        let mut total: u64 = models.iter().map(|model| model.bytes.0).sum();
        for model in models.iter().rev().filter(|model| Some(&model.path) != keep.as_ref()) {
            if total <= limit.0 {
                break;
            }
            match self.remove_file(&model.path) {
                Ok(bytes) => freed += bytes,
                Err(error) => drop(failed.get_or_insert(error)),
            }
            total -= model.bytes.0;
        }
        failed.map_or(Ok(Bytes(freed)), Err)
    }

    /// Removes unfinished files of writers that no longer run.
    fn sweep(&self, age: Duration, failed: &mut Option<CacheError>) -> Result<u64, CacheError> {
        let mut freed = 0;
        for folder in [self.models_folder(), super::identity::folder(self.folder), self.folder.to_owned()] {
            for path in files_in(&folder)? {
                let is_part = path.extension().is_some_and(|extension| extension == "part");
                let modified = path.symlink_metadata().and_then(|metadata| metadata.modified());
                let is_old = modified.is_ok_and(|time| time.elapsed().is_ok_and(|elapsed| elapsed >= age));
                if is_part && is_old {
                    match remove(&path) {
                        Ok(bytes) => freed += bytes,
                        Err(error) => drop(failed.get_or_insert(error)),
                    }
                }
            }
        }
        Ok(freed)
    }

    /// Removes one model.
    pub(super) fn remove(&self, key: &str) -> Result<u64, CacheError> {
        self.remove_file(&self.file(key))
    }

    /// Removes a packed file and its note: the file first, since a note alone is not a model.
    fn remove_file(&self, path: &Path) -> Result<u64, CacheError> {
        let bytes = remove(path)?;
        remove(&path.with_extension("json"))?;
        Ok(bytes)
    }

    /// Removes the models that were packed from `source` or from files in it.
    pub(super) fn forget(&self, source: &Path) -> Result<Bytes, CacheError> {
        let canonical = fs::canonicalize(source);
        let is_of = |model: &CachedModel| {
            let of = model.source.as_ref();
            of.is_some_and(|of| of.starts_with(source) || canonical.as_ref().is_ok_and(|path| of.starts_with(path)))
        };
        let models = self.models()?;
        let freed = models.iter().filter(|model| is_of(model)).map(|model| self.remove_file(&model.path));
        Ok(Bytes(freed.sum::<Result<u64, _>>()?))
    }

    /// Removes all models, records of their sources, locks and unfinished files.
    pub(super) fn clear(&self) -> Result<Bytes, CacheError> {
        let mut failed = None;
        let mut freed = self.sweep(Duration::ZERO, &mut failed)?;
        let is_ours = |path: &Path| {
            let extension = path.extension().and_then(|extension| extension.to_str());
            matches!(extension, Some(PACKED | "json" | "lock"))
        };
        for folder in [self.models_folder(), super::identity::folder(self.folder), self.folder.join("locks")] {
            for path in files_in(&folder)?.iter().filter(|path| is_ours(path)) {
                match remove(path) {
                    Ok(bytes) => freed += bytes,
                    Err(error) => drop(failed.get_or_insert(error)),
                }
            }
        }
        failed.map_or(Ok(Bytes(freed)), Err)
    }
}
