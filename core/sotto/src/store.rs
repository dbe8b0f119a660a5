//! Downloading and storing models: a [`Store`] is a folder of models with their versions.
//!
//! Apps fetch through a [`Relay`]: the platform does the HTTP, and this library has neither sockets nor TLS. With the
//! cargo feature `network` it has its own HTTP client (`Network`).
//!
//! ```
//! use sotto::store::{ImportRequest, Store};
//! use sotto::{CancelToken, NoProgress};
//!
//! # let dir = tempfile::tempdir()?;
//! # let (models, downloaded) = (dir.path().join("models"), dir.path().join("my model.sotto"));
//! # std::fs::write(&downloaded, "weights")?;
//! let store = Store::open(models)?;
//! let mut request = ImportRequest::new("dictation@1.0")?;
//! request.take = true; // moved, not copied
//! store.import(&request, &downloaded, &NoProgress, &CancelToken::new())?;
//! assert!(store.resolve("dictation")?.is_file());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! These calls block. Long ones are also available as jobs: [`Engine::pull`], [`Engine::import`], [`Engine::verify`].

use std::io::Read;
use std::path::PathBuf;

use sotto_runtime::{CancelToken, Job, Step};

use crate::Engine;

#[cfg(feature = "network")]
pub use sotto_store::Network;
pub use sotto_store::{
    Body, Commit, DEFAULT_ENDPOINT, HttpRequest, HttpResponse, Hub, ImportRequest, Imported, Installed, LocalFolder,
    Manifest, ManifestFile, ModelName, NetworkFailure, Origin, Patience, PullRequest, Relay, RelayEvent, Revision,
    Store, StoreError, Token, Transport, WebFolder, sha256, sha256_of,
};

/// A job that downloads a model. Its progress counts bytes, downloaded and then verified.
pub type PullJob = Job<Step<Installed>, StoreError>;
/// A job that imports a model. Its progress counts bytes.
pub type ImportJob = Job<Step<Imported>, StoreError>;
/// A job that verifies a model. Its progress counts bytes.
pub type VerifyJob = Job<Step<Manifest>, StoreError>;

/// The source of [`Engine::import`].
pub enum ImportSource {
    /// A file, or a folder whose files are the model.
    Path(PathBuf),
    /// One file that is read to its end: from a document provider, or a file descriptor as a [`File`](std::fs::File).
    Stream {
        /// Name of the file; its extension is kept.
        name: String,
        /// Its contents.
        contents: Box<dyn Read + Send>,
    },
}

impl Engine {
    /// Fetches a model as [`Store::pull`] does. `transport` is a [`Relay`] whose clone the app reads, or `Network`.
    ///
    /// A cancelled or dropped job keeps the received bytes, and the next pull resumes there.
    #[must_use]
    pub fn pull(
        &self,
        store: &Store,
        request: PullRequest,
        transport: impl Transport + 'static,
        cancel: &CancelToken,
    ) -> PullJob {
        let store = store.clone();
        Job::start(&self.job("sotto-pull"), cancel, move |reporter| {
            let path = store.pull(&request, &transport, reporter, reporter.cancel())?;
            let pulled = store.list()?.into_iter().find(|installed| installed.path == path);
            let gone = || StoreError::NotInstalled { name: request.model.to_string(), dir: store.dir().to_owned() };
            Ok(Some(Step::Done(pulled.ok_or_else(gone)?)))
        })
    }

    /// Imports a model that the user already has, as [`Store::import`] and [`Store::import_stream`] do. A cancelled or
    /// dropped job changes neither store nor source.
    #[must_use]
    pub fn import(
        &self,
        store: &Store,
        request: ImportRequest,
        source: ImportSource,
        cancel: &CancelToken,
    ) -> ImportJob {
        let store = store.clone();
        Job::start(&self.job("sotto-import"), cancel, move |reporter| {
            let imported = match source {
                ImportSource::Path(path) => store.import(&request, &path, reporter, reporter.cancel()),
                ImportSource::Stream { name, mut contents } => {
                    store.import_stream(&request, &name, &mut *contents, reporter, reporter.cancel())
                }
            };
            Ok(Some(Step::Done(imported?)))
        })
    }

    /// Reads every file of a model and compares it with its hash, as [`Store::verify`] does.
    #[must_use]
    pub fn verify(&self, store: &Store, name: impl Into<String>, cancel: &CancelToken) -> VerifyJob {
        let (store, name) = (store.clone(), name.into());
        Job::start(&self.job("sotto-verify"), cancel, move |reporter| {
            Ok(Some(Step::Done(store.verify(&name, reporter, reporter.cancel())?)))
        })
    }
}

impl std::fmt::Debug for ImportSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path(path) => f.debug_tuple("Path").field(path).finish(),
            Self::Stream { name, .. } => f.debug_struct("Stream").field("name", name).finish_non_exhaustive(),
        }
    }
}
