//! What can go wrong between a publisher's server and a complete model on disk, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sotto_runtime::{Bytes, Cancelled, WorkerError};

/// Why a server could not be reached or a connection did not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkFailure {
    /// The name of the host could not be resolved.
    #[error("the host name cannot be resolved; is this machine online?")]
    Dns,
    /// Nothing answers at the address.
    #[error("the connection was refused; is the address right and the server running?")]
    Refused,
    /// No answer, or no further byte, within the time limit.
    #[error("no answer within the time limit")]
    Timeout,
    /// The connection ended before the answer was complete.
    #[error("the connection was cut")]
    Cut,
    /// The server's certificate or its encryption was not accepted.
    #[error("the secure connection failed ({0}); behind an inspecting proxy, trust its certificate")]
    Tls(String),
    /// The proxy of the environment did not let the request through.
    #[error("the proxy did not let the request through; check its settings")]
    Proxy,
    /// This device has no connection.
    #[error("this device is offline; connect it and pull again, it goes on where it stopped")]
    Offline,
    /// The platform lets this app make no such request, such as one without encryption or without a permission.
    #[error("the platform does not allow the request ({0})")]
    Forbidden(String),
    /// The app's end of a [`Relay`](crate::Relay) was closed.
    #[error("nobody carries out requests any more")]
    Closed,
    /// What came back is not HTTP.
    #[error("the answer is not valid HTTP ({0})")]
    Protocol(String),
}

/// A failure of the model store. Messages name the model, the file or the host and say what to do, in the words of the
/// store's operations: an app shows them too, where there is no command line. A token never appears.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The cancel token fired. What was downloaded stays on disk, and the next pull goes on from there.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),

    /// The job that did the work has no thread, or panicked.
    #[error(transparent)]
    Worker(#[from] WorkerError),

    /// The name cannot be the name of a model.
    #[error(
        "`{name}` is not a model name: {reason}; names look like openai/whisper-tiny.en or \
         ggerganov/whisper.cpp/ggml-tiny.en.bin, with an optional @revision"
    )]
    Name {
        /// The name as given, shortened where it is very long.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// No model of this name (or no such revision of it) lies in the store.
    #[error("{name} is not in the model store {dir}; pull it first")]
    NotInstalled {
        /// The name as asked for.
        name: String,
        /// The store's folder.
        dir: PathBuf,
    },
    /// A short name fits more than one model.
    #[error("{name} can mean {}; use the full name", candidates.join(" or "))]
    Ambiguous {
        /// The short name.
        name: String,
        /// Full names that it fits, sorted.
        candidates: Vec<String>,
    },
    /// Another process is changing this model.
    #[error("another process is fetching or changing {name}; wait for it or stop it")]
    Busy {
        /// The model.
        name: String,
    },
    /// A model on disk is not what its manifest says.
    #[error("{name} is damaged ({}); {}", problems.join(", "), if *imported {
        "import it again".to_owned()
    } else {
        "pull it again with an update, which repairs it".to_owned()
    })]
    Damaged {
        /// The model.
        name: String,
        /// One entry per damaged file.
        problems: Vec<String>,
        /// Whether it was imported, so that no hub can repair it.
        imported: bool,
    },
    /// No earlier version of the model is here to go back to.
    #[error("{name} has no earlier version to go back to; the store's list shows what is here")]
    NoEarlierVersion {
        /// The model.
        name: String,
    },
    /// What was to be imported is no model that the store can keep.
    #[error("{path} cannot be imported: {reason}")]
    Import {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A `sotto.json` could not be understood.
    #[error("{path}: {reason}; pull the model again with an update")]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// The server could not be reached, or the connection broke and retries did not help.
    #[error("{host}: {failure}")]
    Network {
        /// The server.
        host: String,
        /// What happened.
        failure: NetworkFailure,
    },
    /// The server wants a token, or does not accept the one it got.
    #[error("{host} {}", if *had_token {
        "refuses the access token; check that it is valid and may read this model"
    } else {
        "wants an access token; give it one"
    })]
    Unauthorized {
        /// The server.
        host: String,
        /// Whether a token was sent.
        had_token: bool,
    },
    /// The publisher gives the model only to those who accepted its terms.
    #[error("{repository} is gated: accept its terms at {page}{}", if *had_token {
        " with the account of this token"
    } else {
        ", then give the hub an access token"
    })]
    Gated {
        /// The repository.
        repository: String,
        /// Where the terms are accepted.
        page: String,
        /// Whether a token was sent.
        had_token: bool,
    },
    /// There is no such repository, or it is private and the token may not see it.
    #[error("{host} has no repository {repository}; check the spelling{}", if *had_token {
        ", or the token may not see it"
    } else {
        " (a private one needs an access token)"
    })]
    RepositoryNotFound {
        /// The server.
        host: String,
        /// The repository.
        repository: String,
        /// Whether a token was sent.
        had_token: bool,
    },
    /// The repository or folder has no such branch, tag or commit.
    #[error("{repository} has no revision `{revision}`; leave @{revision} out for its default")]
    RevisionNotFound {
        /// The repository.
        repository: String,
        /// The branch, tag or commit asked for.
        revision: String,
    },
    /// The repository has no such file.
    #[error("{repository} has no file {file}{}", list_hint(alternatives))]
    FileNotFound {
        /// The repository.
        repository: String,
        /// The file asked for.
        file: String,
        /// Files of the repository that would do, at most eight.
        alternatives: Vec<String>,
    },
    /// Too many requests, and the server asks for a longer wait than a caller should be kept for.
    #[error("{host} limits the number of requests; try again {}{}", wait_hint(*retry_after), if *had_token {
        ""
    } else {
        " (with an access token the limit is higher)"
    })]
    RateLimited {
        /// The server.
        host: String,
        /// How long the server asks to wait, where it said so.
        retry_after: Option<Duration>,
        /// Whether a token was sent.
        had_token: bool,
    },
    /// What a hub or a folder redirects to does not have the file, also after retries: the address was made a moment
    /// ago, so this should pass.
    #[error("{host}, which has the file, answered with status {status}; try again later")]
    Storage {
        /// The server that was redirected to.
        host: String,
        /// The HTTP status.
        status: u16,
    },
    /// The server failed, also after retries, or answered with a status that makes no sense here.
    #[error("{host} answered with status {status}; try again later")]
    Server {
        /// The server.
        host: String,
        /// The HTTP status.
        status: u16,
    },
    /// The answer is not what a server of models sends.
    #[error("{host}: {reason}; is the address right?")]
    Reply {
        /// The server.
        host: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// A redirect that leads nowhere or to an unsafe place was not followed.
    #[error("{host}: {reason}")]
    Redirect {
        /// The server that sent it.
        host: String,
        /// Why it was not followed.
        reason: &'static str,
    },
    /// An address, a token or a folder cannot be used.
    #[error("{reason}")]
    Configuration {
        /// What is wrong and what to do.
        reason: String,
    },

    /// A file came with another length than is stated.
    #[error("{file}: {found} bytes came, {expected} are stated; try again, or take it from elsewhere")]
    WrongSize {
        /// The file.
        file: String,
        /// Bytes that are stated.
        expected: u64,
        /// Bytes that came or were announced.
        found: u64,
    },
    /// A file came with other contents than are stated. It was deleted.
    #[error(
        "{file}: the contents do not match the hash that is stated for it ({expected}); deleted; \
         try again, or take it from elsewhere"
    )]
    WrongHash {
        /// The file.
        file: String,
        /// The hash that is stated.
        expected: String,
    },
    /// The server states no size or no hash, so the file could not be checked.
    #[error("{file}: {host} states no size or no hash for it, so it cannot be checked; use another mirror")]
    Unverifiable {
        /// The server.
        host: String,
        /// The file.
        file: String,
    },
    /// The file system has too little room. Nothing was downloaded.
    #[error("{path}: {needed} needed, {available} free; make room, or open the store on another disk")]
    NoSpace {
        /// The store's folder.
        path: PathBuf,
        /// What the download still needs.
        needed: Bytes,
        /// What the file system has for this user.
        available: Bytes,
    },
    /// The file system ran full while writing. What was downloaded stays, and the next pull goes on from there.
    #[error("{path}: the disk is full; make room and try again; a pull goes on where it stopped")]
    DiskFull {
        /// The file that was being written.
        path: PathBuf,
    },

    /// A repository lists a file whose name would leave its folder.
    #[error("{repository} lists the file name {file:?}, which is not safe on disk; nothing was fetched")]
    UnsafeFileName {
        /// The repository.
        repository: String,
        /// The name, shortened where it is very long.
        file: String,
    },
    /// The repository or folder holds a kind of model that the table of kinds does not know.
    #[error(
        "{repository} is no model of a kind that Sotto knows: {found}; known are {}{}",
        known.join(", "), list_hint(alternatives)
    )]
    UnknownKind {
        /// The repository.
        repository: String,
        /// What it has instead.
        found: String,
        /// Every kind that is known, and what it is known by.
        known: Vec<&'static str>,
        /// Files that can be pulled one by one instead, at most eight.
        alternatives: Vec<String>,
    },
    /// A folder to pull from has another model than the one that was asked for.
    #[error("{place} has {found}, not {asked}; pull it by its own name")]
    OtherModel {
        /// The folder.
        place: String,
        /// The model by its manifest.
        found: String,
        /// The model that was asked for.
        asked: String,
    },
    /// What was given to pull from is no folder with a manifest.
    #[error("{place}: {reason}; a folder to pull from is a copied revision of a store, with its sotto.json")]
    Folder {
        /// The folder.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The repository has its weights as pickles only, which run code when loaded.
    #[error(
        "{repository} has its weights only as {file}, a pickle that can run code when it is loaded; \
         look for a revision with safetensors (often @refs/pr/1) or convert it with transformers' save_pretrained"
    )]
    PickleOnly {
        /// The repository.
        repository: String,
        /// The pickle.
        file: String,
    },
    /// The repository lacks a file that every model of its kind needs.
    #[error("{repository} has no {file}, which {kind} needs{}", list_hint(alternatives))]
    MissingFile {
        /// The repository.
        repository: String,
        /// What is missing.
        file: &'static str,
        /// The kind of model.
        kind: &'static str,
        /// Files that can be pulled one by one instead, at most eight.
        alternatives: Vec<String>,
    },

    /// A file of the store could not be read or written.
    #[error("{path}: cannot {action}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The operating system's answer.
        source: io::Error,
    },
}

impl StoreError {
    /// An I/O error at `path`, with a full disk told apart.
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            _ => Self::Io { path, action, source },
        }
    }

    /// Whether the same request may succeed a moment later.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Network { failure, .. } => {
                !matches!(failure, NetworkFailure::Tls(_) | NetworkFailure::Forbidden(_) | NetworkFailure::Closed)
            }
            Self::RateLimited { .. } | Self::Storage { .. } => true,
            Self::Server { status, .. } => *status == 408 || *status >= 500,
            _ => false,
        }
    }
}

/// At most this many characters of a foreign name appear in a message.
const SHOWN: usize = 120;

/// A foreign string for a message: bounded, and without control characters that could steer a terminal.
pub(crate) fn shown(name: &str) -> String {
    let mut text: String =
        name.chars().take(SHOWN).map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect();
    if name.chars().nth(SHOWN).is_some() {
        text.push('…');
    }
    text
}

fn list_hint(alternatives: &[String]) -> String {
    if alternatives.is_empty() { String::new() } else { format!("; it has {}", alternatives.join(", ")) }
}

fn wait_hint(retry_after: Option<Duration>) -> String {
    retry_after.map_or_else(|| "later".to_owned(), |wait| format!("in {} s", wait.as_secs().max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_apart_from_other_write_errors() {
        let path = Path::new("store/x.part");
        assert!(matches!(
            StoreError::io(path, "write")(io::ErrorKind::StorageFull.into()),
            StoreError::DiskFull { .. }
        ));
        assert!(matches!(
            StoreError::io(path, "write")(io::ErrorKind::PermissionDenied.into()),
            StoreError::Io { action: "write", .. }
        ));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_write_to_a_full_device_is_a_full_disk() {
        use std::io::Write as _;
        let path = Path::new("/dev/full");
        let failed = std::fs::OpenOptions::new().write(true).open(path).and_then(|mut file| file.write_all(b"x"));
        assert!(matches!(StoreError::io(path, "write")(failed.unwrap_err()), StoreError::DiskFull { .. }));
    }

    #[test]
    fn foreign_names_are_shortened_and_cannot_steer_a_terminal() {
        let text = shown(&format!("\x1b[2J{}", "x".repeat(500)));
        assert!(!text.contains('\x1b'));
        assert!(text.chars().count() <= SHOWN + 1);
    }
}
