//! Fetches models from their publishers and keeps them.
//!
//! A [`Store`] is a folder of models. [`Store::pull`] fetches a model of a known kind from its [`Origin`]: a Hugging
//! Face hub (a repository, or one file of it), or a copied revision of a store on any web server or on this machine.
//! [`Store::import`] takes in what the user already has, of any kind, [`Store::resolve`] finds it again without a
//! network. [`Store::list`], [`Store::verify`] and [`Store::remove`] look after it, [`Store::activate`] and
//! [`Store::rollback`] switch between its versions. Engines only ever see paths.
//!
//! Where a pull's bytes come from is a [`Transport`]: `Network`, all network code of Sotto, behind the cargo feature
//! `network`; or a [`Relay`], through which an app fetches with what its platform has.
//!
//! What holds at any moment, also after a crash, a power cut or two processes at once: a path that the store gives out
//! has exactly the files of one commit, and each had the size and the hash that the publisher states, or that it had
//! when it was imported.
//!
//! ```no_run
//! use sotto_runtime::{CancelToken, NoProgress};
//! use sotto_store::{Hub, PullRequest, Relay, Store};
//!
//! let store = Store::open(Store::default_dir()?)?;
//! let request = PullRequest::new("openai/whisper-tiny.en", Hub::from_env()?)?;
//! let relay = Relay::new(); // a clone of it is read by the app
//! let folder = store.pull(&request, &relay, &NoProgress, &CancelToken::new())?;
//! assert_eq!(store.resolve("whisper-tiny.en")?, folder);
//! # Ok::<(), sotto_store::StoreError>(())
//! ```

#![forbid(unsafe_code)]

mod api;
mod digest;
mod download;
mod error;
mod import;
mod kind;
mod layout;
mod manifest;
mod name;
mod origin;
mod pull;
mod range;
mod retry;
mod store;
mod transport;
mod verify;

pub use api::{RemoteFile, RepositoryInfo};
pub use digest::{Digest, sha256, sha256_of};
pub use error::{NetworkFailure, StoreError};
pub use import::{ImportRequest, Imported};
pub use manifest::{Manifest, ManifestFile};
pub use name::{Commit, ModelName, Revision};
pub use origin::{DEFAULT_ENDPOINT, Hub, LocalFolder, Origin, Patience, Token, WebFolder};
pub use pull::PullRequest;
pub use range::ContentRange;
pub use store::{Installed, Store};
#[cfg(feature = "network")]
pub use transport::Network;
pub use transport::{Body, HttpRequest, HttpResponse, Relay, RelayEvent, Transport};
