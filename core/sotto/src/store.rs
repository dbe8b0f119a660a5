//! Fetching models and keeping them: a [`Store`] is a folder of models with their versions.
//!
//! Apps fetch through a [`Relay`]: the platform does the HTTP, and this library has neither sockets nor TLS. With the cargo
//! feature `network` it has a network of its own (`Network`).
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

#[cfg(feature = "network")]
pub use sotto_store::Network;
pub use sotto_store::{
    Body, Commit, DEFAULT_ENDPOINT, HttpRequest, HttpResponse, Hub, ImportRequest, Imported, Installed, Manifest,
    ManifestFile, ModelName, NetworkFailure, Patience, PullRequest, Relay, RelayEvent, Revision, Store, StoreError,
    Token, Transport, sha256, sha256_of,
};
