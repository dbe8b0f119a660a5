//! A cache of packed models: the int8 form of a folder or a ggml file is stored in a folder of the user, and later
//! loads map that file instead of converting the weights again.
//!
//! ```text
//! CACHE/
//!   CACHEDIR.TAG          tells programs that make backups to leave it out
//!   limit                 most bytes of all models, where the user has set it
//!   models/KEY.sotto      a packed model; the key comes from what its source holds and from how it is packed
//!   models/KEY.json       where it comes from; its modification time is when the model was used last
//!   sources/PATH.json     what the files of a source held when they were read last (`identity`)
//!   locks/KEY.lock        held while a model is packed
//! ```
//!
//! A file `KEY.sotto` is always complete, also after a crash, on a full disk and with several processes at once,
//! because it is written under another name, flushed and renamed. The cache never makes a load fail that would succeed
//! without it: if packing fails, the source is loaded. The folder may be deleted at any time.

mod disk;
mod error;
mod identity;
mod shelf;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use sotto_kernels::{Isa, Layout};
use sotto_runtime::{Bytes, CancelToken, MemoryBudget, Progress, ProgressSink, Stage};
use sotto_speech::{
    LoadError, LoadOptions, ModelSource, PACKING_VERSION, Precision, Provenance, QuantizeOptions, SpeechRecognizer,
    quantize,
};

use disk::Lock;
pub use error::CacheError;
use identity::Identity;
use shelf::Shelf;

/// The default limit for all models together: enough for packed models of every size from tiny to large.
pub const DEFAULT_CACHE_LIMIT: Bytes = Bytes(4 << 30);

/// How long to wait for another process that packs the same model; then the source is loaded as it is.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder of models that were packed on loading. Cheap to clone; several processes may use the same folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedCache {
    folder: PathBuf,
    limit: Option<Bytes>,
    patience: Duration,
}

/// A model in a [`PackedCache`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CachedModel {
    /// The packed file.
    pub path: PathBuf,
    /// Its length.
    pub bytes: Bytes,
    /// Folder or file that it was packed from, if known; it may no longer exist.
    pub source: Option<PathBuf>,
    /// When it was loaded last.
    pub used: SystemTime,
}

/// How a model is packed, and with which resources.
pub(crate) struct Packing<'a> {
    pub(crate) isa: Option<Isa>,
    pub(crate) budget: &'a MemoryBudget,
}

impl PackedCache {
    /// A cache in `folder`, which need not exist yet. A phone app uses the system's folder for such files
    /// (`Context.getCacheDir()`, `.cachesDirectory`). Writes nothing.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), limit: None, patience: PATIENCE }
    }

    /// The same cache with a limit for this program, instead of the one stored in the folder.
    #[must_use]
    pub fn with_limit(self, limit: Bytes) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// `SOTTO_CACHE`, else `sotto/packed` in the user's cache folder: `$XDG_CACHE_HOME` or `~/.cache`,
    /// `~/Library/Caches` on macOS, `%LOCALAPPDATA%` on Windows. `None` if the environment names no such folder.
    #[must_use]
    pub fn default_dir() -> Option<PathBuf> {
        disk::default_dir(|name| std::env::var_os(name).map(PathBuf::from), std::env::consts::OS)
    }

    /// The folder of this cache.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.folder
    }

    /// The limit for all models together in bytes: this program's, else the one stored in the folder, else
    /// [`DEFAULT_CACHE_LIMIT`].
    #[must_use]
    pub fn limit(&self) -> Bytes {
        self.limit.or_else(|| self.shelf().limit()).unwrap_or(DEFAULT_CACHE_LIMIT)
    }

    /// Stores a limit in the folder, for every program that uses it, and removes models beyond it, the least recently
    /// used first. Returns the freed bytes.
    ///
    /// # Errors
    /// [`CacheError::Io`].
    pub fn set_limit(&self, limit: Bytes) -> Result<Bytes, CacheError> {
        self.shelf().set_limit(limit)?;
        self.shelf().evict(limit, None)
    }

    /// All models, the most recently used first.
    ///
    /// # Errors
    /// [`CacheError::Io`] when the folder cannot be read; one that does not exist is empty.
    pub fn models(&self) -> Result<Vec<CachedModel>, CacheError> {
        self.shelf().models()
    }

    /// Removes all models and the records of their sources; the limit stays. Returns the freed bytes. A model in use
    /// keeps working if the system allows removing its file.
    ///
    /// # Errors
    /// [`CacheError::Io`] for the first file that could not be removed; the others are removed all the same.
    pub fn clear(&self) -> Result<Bytes, CacheError> {
        self.shelf().clear()
    }

    /// Removes the models that were packed from `source`, or from files in it. Returns the freed bytes.
    ///
    /// # Errors
    /// As [`clear`](Self::clear).
    pub fn forget(&self, source: &Path) -> Result<Bytes, CacheError> {
        self.shelf().forget(source)
    }

    /// Packs a model for later loads, unless it is in the cache already. Returns the packed file, or `None` for a model
    /// that is not cached (a packed model, one compiled into the application, or one larger than the limit). Blocks
    /// while the weights are read and converted: a second for base, a minute or two for large.
    ///
    /// # Errors
    /// [`CacheError`]; the model can be loaded all the same, unless it is [`CacheError::Load`].
    pub fn pack(
        &self,
        source: &ModelSource,
        progress: &dyn ProgressSink,
        cancel: &CancelToken,
    ) -> Result<Option<PathBuf>, CacheError> {
        let packing = Packing { isa: None, budget: &MemoryBudget::unlimited() };
        self.packed(source, &packing, progress, cancel)
    }

    /// The packed file of a model. Does not hash the weights if their files have not changed.
    pub(crate) fn packed(
        &self,
        source: &ModelSource,
        packing: &Packing<'_>,
        progress: &dyn ProgressSink,
        cancel: &CancelToken,
    ) -> Result<Option<PathBuf>, CacheError> {
        let Some((path, limit)) = self.packs(source) else { return Ok(None) };
        let options = LoadOptions { precision: Some(Precision::Int8), isa: packing.isa, ..LoadOptions::default() };
        let (identity, layout) = (self.identify(path, progress, cancel)?, options.kernels()?.layout());
        let key = key(&identity, layout);
        let shelf = self.shelf();
        if let Some(file) = shelf.find(&key) {
            shelf.mark_used(&key, identity.path());
            return Ok(Some(file));
        }
        if identity.packed_bytes().is_some_and(|bytes| bytes > limit.0) {
            return Ok(None);
        }
        shelf.prepare()?;
        let Some(_lock) = Lock::take(&shelf.lock(&key), self.patience, cancel)? else {
            return Err(CacheError::Busy { path: path.to_owned() });
        };
        if let Some(file) = shelf.find(&key) {
            return Ok(Some(file));
        }
        let needed = SpeechRecognizer::estimate(source, &options)?.peak();
        let name = || path.display().to_string();
        let refused = |refused| LoadError::OutOfBudget { model: name(), refused };
        let _memory = packing.budget.reserve(needed).map_err(refused)?;
        let provenance = Provenance { sha256: identity.weights().map(str::to_owned), ..Provenance::default() };
        let options = QuantizeOptions { layout: Some(layout), replace: true, provenance, ..QuantizeOptions::default() };
        let file = shelf.file(&key);
        let quantized = quantize(source, &file, &options, progress, cancel)?;
        self.settle(&key, &identity, quantized.bytes, limit)
    }

    /// After packing: stores the record of the model, and removes models beyond the limit.
    fn settle(
        &self,
        key: &str,
        identity: &Identity,
        bytes: Bytes,
        limit: Bytes,
    ) -> Result<Option<PathBuf>, CacheError> {
        let (shelf, file) = (self.shelf(), self.shelf().file(key));
        identity.keep(&self.folder, Some(bytes.0));
        if bytes > limit {
            shelf.remove(key)?;
            return Ok(None);
        }
        shelf.mark_used(key, identity.path());
        // The new model is stored; models that could not be removed stay in the list and are tried again with the next
        // one.
        let _ = shelf.evict(limit, Some(key));
        Ok(Some(file))
    }

    /// Removes a model that turned out to be damaged.
    pub(crate) fn discard(&self, file: &Path) {
        if let Some(key) = file.file_stem().and_then(|stem| stem.to_str()) {
            let _ = self.shelf().remove(key);
        }
    }

    /// The path of a source to be packed, and the limit; `None` if it is not cached.
    fn packs<'s>(&self, source: &'s ModelSource) -> Option<(&'s Path, Bytes)> {
        let ModelSource::Path(path) = source else { return None };
        let limit = self.limit();
        (limit.0 > 0 && (path.is_dir() || disk::is_ggml(path))).then_some((path, limit))
    }

    fn identify(&self, path: &Path, progress: &dyn ProgressSink, cancel: &CancelToken) -> Result<Identity, CacheError> {
        let subject = path.file_name().unwrap_or_default().to_string_lossy();
        let read = |done, total| {
            let subject = subject.clone();
            progress.report(&Progress { stage: Stage::Verify, done, total: Some(total), subject });
        };
        Identity::of(path, &self.folder, &read, cancel)
    }

    fn shelf(&self) -> Shelf<'_> {
        Shelf::new(&self.folder)
    }
}

/// Key of the packed model of this content.
fn key(identity: &Identity, layout: Layout) -> String {
    let text = format!("sotto packed {PACKING_VERSION} int8 {} {}", layout.id(), identity.content());
    identity::short_hash(text.as_bytes())
}

/// Polls `try_it` with short sleeps until it succeeds, the time is over or the caller cancels.
fn poll<T>(
    patience: Duration,
    cancel: &CancelToken,
    mut try_it: impl FnMut() -> Result<Option<T>, CacheError>,
) -> Result<Option<T>, CacheError> {
    const PAUSE: Duration = Duration::from_millis(20);
    let start = Instant::now();
    loop {
        cancel.check().map_err(CacheError::Cancelled)?;
        match try_it()? {
            Some(value) => return Ok(Some(value)),
            None if start.elapsed() >= patience => return Ok(None),
            None => std::thread::sleep(PAUSE),
        }
    }
}

#[cfg(test)]
mod tests;
