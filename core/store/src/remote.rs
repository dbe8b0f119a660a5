//! What the store asks a hub: the description of a repository, and files of it at one commit.

use sotto_runtime::CancelToken;

use crate::api::{MAX_REPLY, RemoteFile, RepositoryInfo};
use crate::client::{Client, Fetch, Head, Transfer};
use crate::digest::Digest;
use crate::error::{NetworkFailure, StoreError};
use crate::hub::Hub;
use crate::name::{Commit, Revision, last_component};
use crate::retry::Attempts;
use crate::transport::Transport;

/// One repository of a hub at one revision.
pub(crate) struct Remote<'a> {
    client: Client<'a>,
    repository: String,
    revision: &'a Revision,
}

impl<'a> Remote<'a> {
    pub(crate) fn new(
        hub: &'a Hub,
        transport: &'a dyn Transport,
        repository: String,
        revision: &'a Revision,
    ) -> Result<Self, StoreError> {
        Ok(Self { client: Client::new(hub, transport)?, repository, revision })
    }

    pub(crate) fn hub(&self) -> &'a Hub {
        self.client.hub()
    }

    /// Asks for the commit, the licence and the files. No name or no connection at the very first request is reported
    /// at once: whoever is offline should not wait for retries.
    pub(crate) fn describe(&self, cancel: &CancelToken) -> Result<RepositoryInfo, StoreError> {
        let address = format!(
            "{}/api/models/{}/revision/{}?blobs=true",
            self.hub().address(),
            self.repository,
            self.revision.encoded()
        );
        let mut attempts = Attempts::new(&self.hub().patience);
        loop {
            let fetch = Fetch { address: address.clone(), ..Fetch::default() };
            match self.read_description(&fetch, cancel) {
                Err(StoreError::Network { host, failure })
                    if matches!(failure, NetworkFailure::Dns | NetworkFailure::Refused | NetworkFailure::Offline) =>
                {
                    return Err(StoreError::Network { host, failure });
                }
                Err(error) => attempts.failed(error, cancel)?,
                described => return described,
            }
        }
    }

    fn read_description(&self, fetch: &Fetch, cancel: &CancelToken) -> Result<RepositoryInfo, StoreError> {
        let (head, mut transfer) = self.client.send(fetch, cancel)?;
        if head.status != 200 {
            return Err(self.refusal(&head, None));
        }
        let stated = head.length();
        let body = transfer.read_to_end(MAX_REPLY, cancel)?;
        if stated.is_some_and(|stated| (body.len() as u64) < stated) {
            return Err(StoreError::Network { host: head.host, failure: NetworkFailure::Cut });
        }
        RepositoryInfo::parse(&body).map_err(|reason| StoreError::Reply { host: head.host, reason })
    }

    /// Size and hash of a file whose description lacks them, from the headers of its address.
    pub(crate) fn probe(
        &self,
        file: &RemoteFile,
        commit: &Commit,
        cancel: &CancelToken,
    ) -> Result<(u64, Digest), StoreError> {
        if let (Some(size), Some(digest)) = (file.size, file.digest) {
            return Ok((size, digest));
        }
        let mut attempts = Attempts::new(&self.hub().patience);
        let head = loop {
            let fetch = Fetch { describe: true, ..self.file(&file.path, commit) };
            let answer = self.client.send(&fetch, cancel).and_then(|(head, _)| {
                if head.status < 400 { Ok(head) } else { Err(self.refusal(&head, Some(&file.path))) }
            });
            match answer {
                Ok(head) => break head,
                Err(error) => attempts.failed(error, cancel)?,
            }
        };
        // Headers of the storage behind a redirect speak of the pointer, not of the file.
        let own = (200..300).contains(&head.status);
        let size = head.number("x-linked-size").or_else(|| head.length().filter(|_| own));
        let tag = head.text("x-linked-etag").or_else(|| head.text("etag").filter(|_| own));
        let digest = tag.and_then(|tag| Digest::from_hex(tag.trim_start_matches("W/").trim_matches('"')));
        match (file.size.or(size), file.digest.or(digest)) {
            (Some(size), Some(digest)) => Ok((size, digest)),
            _ => Err(StoreError::Unverifiable { host: self.hub().host(), file: file.path.clone() }),
        }
    }

    /// The request for a whole file at a commit.
    pub(crate) fn file(&self, path: &str, commit: &Commit) -> Fetch {
        let address = format!("{}/{}/resolve/{commit}/{path}", self.hub().address(), self.repository);
        Fetch { address, ..Fetch::default() }
    }

    pub(crate) fn send(&self, fetch: &Fetch, cancel: &CancelToken) -> Result<(Head, Transfer), StoreError> {
        self.client.send(fetch, cancel)
    }

    /// The error that a status other than success means; `file` is the file asked for, none for the repository itself.
    pub(crate) fn refusal(&self, head: &Head, file: Option<&str>) -> StoreError {
        let status = head.status;
        let had_token = self.hub().token.is_some();
        let host = head.host.clone();
        let repository = self.repository.clone();
        // Addresses of the storage are signed and expire: a fresh request to the hub gets a new one.
        if !head.from_hub && matches!(status, 401 | 403 | 404 | 410) {
            return StoreError::Server { host, status: 503 };
        }
        match (status, head.text("x-error-code")) {
            (401 | 403, Some("GatedRepo")) => {
                let page = format!("{}/{repository}", self.hub().address());
                StoreError::Gated { repository, page, had_token }
            }
            // A hub answers 401 for repositories that do not exist, so that private ones cannot be found out.
            (401 | 403 | 404, Some("RepoNotFound")) => StoreError::RepositoryNotFound { host, repository, had_token },
            (401 | 403, _) => StoreError::Unauthorized { host, had_token },
            (404, Some("RevisionNotFound")) => self.no_revision(),
            (404, code) => match file {
                Some(file) => StoreError::FileNotFound {
                    repository,
                    file: last_component(file).to_owned(),
                    alternatives: Vec::new(),
                },
                // Mirrors may leave the code out; the default branch of an existing repository always exists.
                None if code.is_none() && *self.revision != Revision::main() => self.no_revision(),
                None => StoreError::RepositoryNotFound { host, repository, had_token },
            },
            (429, _) => StoreError::RateLimited { host, retry_after: head.retry_after(), had_token },
            // A server under maintenance may say when it will be back.
            (503, _) if head.retry_after().is_some() => {
                StoreError::RateLimited { host, retry_after: head.retry_after(), had_token: true }
            }
            _ => StoreError::Server { host, status },
        }
    }

    fn no_revision(&self) -> StoreError {
        StoreError::RevisionNotFound { repository: self.repository.clone(), revision: self.revision.to_string() }
    }
}
