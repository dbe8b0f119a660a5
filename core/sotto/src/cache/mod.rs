//! Models are packed once: what a folder or a ggml file becomes in int8 is kept in a folder of the user's, and from the
//! second load on that file is mapped instead of converting the weights again.
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
//! What holds at any moment, also after a crash, on a full disk and with several processes at once: a file called
//! `KEY.sotto` is whole, because it was written under another name, flushed and renamed. Nothing here makes a load fail
//! that would succeed without a cache: whoever cannot pack loads the source. The folder may be deleted at any time.

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

/// Most bytes of all models where nobody set a limit: the packed models of every size from tiny to large together.
pub const DEFAULT_CACHE_LIMIT: Bytes = Bytes(4 << 30);

/// How long another process that packs the same model is waited for; then this one loads the source as it is.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder of models that were packed when they were loaded. Cheap to clone; several processes may use one folder.
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
    /// Folder or file that it was packed from, as far as that is known; it may be gone.
    pub source: Option<PathBuf>,
    /// When it was loaded last.
    pub used: SystemTime,
}

/// How a model is packed and what that may take.
pub(crate) struct Packing<'a> {
    pub(crate) isa: Option<Isa>,
    pub(crate) budget: &'a MemoryBudget,
}

impl PackedCache {
    /// The cache in `folder`, which need not exist yet: an app on a phone names the folder that the system gives it for
    /// such files (`Context.getCacheDir()`, `.cachesDirectory`). Writes nothing.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), limit: None, patience: PATIENCE }
    }

    /// The same cache with a limit of this program's own, in place of the one in the folder.
    #[must_use]
    pub fn with_limit(self, limit: Bytes) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// `SOTTO_CACHE`, else `sotto/packed` in the user's cache folder: `$XDG_CACHE_HOME` or `~/.cache`,
    /// `~/Library/Caches` on macOS, `%LOCALAPPDATA%` on Windows. `None` where the environment names no such folder.
    #[must_use]
    pub fn default_dir() -> Option<PathBuf> {
        disk::default_dir(|name| std::env::var_os(name).map(PathBuf::from), std::env::consts::OS)
    }

    /// The folder of this cache.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.folder
    }

    /// Most bytes that all models together may have: this program's limit, else the one in the folder, else
    /// [`DEFAULT_CACHE_LIMIT`].
    #[must_use]
    pub fn limit(&self) -> Bytes {
        self.limit.or_else(|| self.shelf().limit()).unwrap_or(DEFAULT_CACHE_LIMIT)
    }

    /// Writes a limit into the folder, for every program that uses it, and removes what is beyond it, least recently
    /// used first. Returns the bytes that became free.
    ///
    /// # Errors
    /// [`CacheError::Io`].
    pub fn set_limit(&self, limit: Bytes) -> Result<Bytes, CacheError> {
        self.shelf().set_limit(limit)?;
        self.shelf().evict(limit, None)
    }

    /// All models, the last used first.
    ///
    /// # Errors
    /// [`CacheError::Io`] when the folder cannot be read; one that does not exist is empty.
    pub fn models(&self) -> Result<Vec<CachedModel>, CacheError> {
        self.shelf().models()
    }

    /// Removes all models and what is known of their sources; the limit stays. Returns the bytes that became free. A
    /// model that is in use goes on where the system allows to remove its file.
    ///
    /// # Errors
    /// [`CacheError::Io`] for the first file that could not be removed; the others are gone all the same.
    pub fn clear(&self) -> Result<Bytes, CacheError> {
        self.shelf().clear()
    }

    /// Removes the models that were packed from `source`, or from what lies in it. Returns the bytes that became free.
    ///
    /// # Errors
    /// As [`clear`](Self::clear).
    pub fn forget(&self, source: &Path) -> Result<Bytes, CacheError> {
        self.shelf().forget(source)
    }

    /// Packs a model for later loads, unless that was done before: the packed file, or `None` for a model that is not
    /// packed (it is packed already, is compiled into the application, or would be larger than the limit). Blocks for
    /// the time of reading and converting the weights: a second for base, a minute or two for large.
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

    /// Where the packed form of a model lies; without a hash of its weights where they are as they were the last time.
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

    /// After a model was packed: keeps what is known of it, and removes what is beyond the limit.
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
        // The new model is there: what could not be removed shows in the list and is tried again with the next one.
        let _ = shelf.evict(limit, Some(key));
        Ok(Some(file))
    }

    /// Removes a model that turned out to be damaged.
    pub(crate) fn discard(&self, file: &Path) {
        if let Some(key) = file.file_stem().and_then(|stem| stem.to_str()) {
            let _ = self.shelf().remove(key);
        }
    }

    /// The path of a source that is packed, and the limit; `None` where nothing is to be done.
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

/// Name of what a source of this content is packed to.
fn key(identity: &Identity, layout: Layout) -> String {
    let text = format!("sotto packed {PACKING_VERSION} int8 {} {}", layout.id(), identity.content());
    identity::short_hash(text.as_bytes())
}

/// Waits with short sleeps until `try_it` succeeds, the time is over or the caller cancels.
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
