//! Where models come from: a hub, a folder on any web server, a folder on this machine.
//!
//! A [`Source`] says what there is and hands over files from any byte on. Everything that makes a pull safe stands
//! above it and is the same for all: staging, hashes, going on where it stopped, one rename at the end.

mod client;
mod folder;
mod hub;
mod local;
mod server;
mod web;
mod web_folder;

use sotto_runtime::CancelToken;

use crate::api::{RemoteFile, RepositoryInfo};
use crate::digest::Digest;
use crate::error::StoreError;
use crate::name::{Commit, ModelName, Revision};
use crate::transport::{Body, Transport};

pub use hub::{DEFAULT_ENDPOINT, Hub};
pub use local::LocalFolder;
pub(crate) use server::configuration;
#[cfg(feature = "network")]
pub(crate) use server::is_loopback;
pub use server::{Patience, Token};
pub use web_folder::WebFolder;

/// Where a model is pulled from.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Origin {
    /// A model hub.
    Hub(Hub),
    /// A folder on a web server.
    Web(WebFolder),
    /// A folder on this machine.
    Local(LocalFolder),
}

impl From<Hub> for Origin {
    fn from(hub: Hub) -> Self {
        Self::Hub(hub)
    }
}

impl From<WebFolder> for Origin {
    fn from(folder: WebFolder) -> Self {
        Self::Web(folder)
    }
}

impl From<LocalFolder> for Origin {
    fn from(folder: LocalFolder) -> Self {
        Self::Local(folder)
    }
}

impl Origin {
    /// The folder that a user names: an `https` address, or a path on this machine.
    ///
    /// # Errors
    /// [`StoreError::Configuration`] for an address that is none of a [`WebFolder`].
    pub fn folder(place: &str) -> Result<Self, StoreError> {
        if place.contains("://") { Ok(WebFolder::new(place)?.into()) } else { Ok(LocalFolder::new(place).into()) }
    }

    /// The same origin with an access token, which goes to the address of the hub or the folder only.
    ///
    /// # Errors
    /// [`StoreError::Configuration`] for a folder on this machine, which takes none, and for plain `http` to another
    /// machine.
    pub fn with_token(self, token: Token) -> Result<Self, StoreError> {
        match self {
            Self::Hub(hub) => Ok(hub.with_token(token)?.into()),
            Self::Web(folder) => Ok(folder.with_token(token).into()),
            Self::Local(_) => Err(configuration("a folder on this machine takes no access token; leave it out")),
        }
    }

    /// The same origin with other limits.
    #[must_use]
    pub fn with_patience(self, patience: Patience) -> Self {
        match self {
            Self::Hub(hub) => hub.with_patience(patience).into(),
            Self::Web(folder) => folder.with_patience(patience).into(),
            Self::Local(folder) => folder.with_patience(patience).into(),
        }
    }

    pub(crate) fn patience(&self) -> &Patience {
        match self {
            Self::Hub(hub) => &hub.0.patience,
            Self::Web(folder) => &folder.0.patience,
            Self::Local(folder) => &folder.patience,
        }
    }

    /// What it has of `model`. Asks nothing yet.
    pub(crate) fn source<'a>(
        &'a self,
        model: &'a ModelName,
        revision: Option<&'a Revision>,
        transport: &'a dyn Transport,
    ) -> Result<Box<dyn Source + 'a>, StoreError> {
        Ok(match self {
            Self::Hub(hub) => Box::new(hub::Repository::new(hub, transport, model, revision)?),
            Self::Web(folder) => Box::new(web_folder::Served::new(folder, transport, model, revision)?),
            Self::Local(folder) => Box::new(local::Present { folder, model, revision }),
        })
    }
}

/// Where one model comes from. Every call may be repeated.
pub(crate) trait Source {
    /// Who this is.
    fn identity(&self) -> Identity<'_>;

    /// What the revision that was asked for consists of, now.
    fn describe(&self, cancel: &CancelToken) -> Result<Description, StoreError>;

    /// Size and hash of a file, by which it is checked.
    fn probe(&self, file: &RemoteFile, _: &Commit, _: &CancelToken) -> Result<(u64, Digest), StoreError> {
        stated(file, self.identity().host)
    }

    /// The contents of a file, from the byte on that `ask` names. Tries once.
    fn open(&self, ask: &Ask<'_>, cancel: &CancelToken) -> Result<Answer, StoreError>;
}

/// Who an origin is.
pub(crate) struct Identity<'a> {
    /// For messages: a host or a folder.
    pub(crate) host: String,
    /// What the manifest of a pulled model notes.
    pub(crate) address: String,
    pub(crate) patience: &'a Patience,
}

/// A revision of a model as its origin describes it.
pub(crate) struct Description {
    pub(crate) info: RepositoryInfo,
    /// What this version is called.
    pub(crate) revision: Revision,
    /// The file that is the model, where one is; one of `info.files`, unless the origin does not have it.
    pub(crate) single: Option<String>,
}

/// Which bytes of which file.
pub(crate) struct Ask<'a> {
    pub(crate) path: &'a str,
    pub(crate) commit: &'a Commit,
    /// Length that the whole file should have.
    pub(crate) size: u64,
    /// First byte that is wanted; zero for the whole file.
    pub(crate) from: u64,
    /// Entity tag of the file that the bytes before `from` are of.
    pub(crate) tag: Option<String>,
}

/// What an origin answers.
pub(crate) enum Answer {
    /// The file from its first byte, whatever was asked for.
    Whole(Part),
    /// The file from the byte on that was asked for.
    Rest(Part),
    /// What is here cannot be continued.
    Lost,
}

/// Bytes that are arriving.
pub(crate) struct Part {
    /// How many, where that is stated.
    pub(crate) length: Option<u64>,
    pub(crate) tag: Option<String>,
    /// Who sends them, for messages.
    pub(crate) host: String,
    pub(crate) body: Box<dyn Body>,
}

/// Size and hash that the description of a file states.
fn stated(file: &RemoteFile, host: String) -> Result<(u64, Digest), StoreError> {
    match (file.size, file.digest) {
        (Some(size), Some(digest)) => Ok((size, digest)),
        _ => Err(StoreError::Unverifiable { host, file: file.path.clone() }),
    }
}
