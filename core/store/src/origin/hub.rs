//! A model hub: descriptions of repositories by an API, files by addresses that redirect to its storage.

use sotto_runtime::CancelToken;

use super::client::{Client, Fetch, Head};
use super::server::{Patience, Server, Token, configuration};
use super::{Answer, Ask, Description, Identity, Source, stated};
use crate::api::{MAX_REPLY, RemoteFile, RepositoryInfo};
use crate::digest::Digest;
use crate::error::StoreError;
use crate::name::{Commit, ModelName, Revision, last_component};
use crate::retry::Attempts;
use crate::transport::Transport;

/// The hub that the official clients use when `HF_ENDPOINT` is not set.
pub const DEFAULT_ENDPOINT: &str = "https://huggingface.co";

/// A model hub: the public one, a mirror, or a company's own.
#[derive(Debug, Clone)]
pub struct Hub(pub(super) Server);

impl Hub {
    /// The hub at `endpoint`, such as `https://huggingface.co`; without a token.
    ///
    /// # Errors
    /// [`StoreError::Configuration`] when this is not an `http` or `https` address with a host.
    pub fn new(endpoint: &str) -> Result<Self, StoreError> {
        let invalid = "the hub's address must look like https://huggingface.co, without user or query";
        Ok(Self(Server::new(endpoint, true, invalid)?))
    }

    /// The hub of the environment, as the official clients read it: `HF_ENDPOINT` and `HF_TOKEN`.
    ///
    /// # Errors
    /// [`StoreError::Configuration`] when one of them is set to something that cannot be used.
    pub fn from_env() -> Result<Self, StoreError> {
        let set = |name| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let named = |name: &'static str| move |error: StoreError| configuration(&format!("{name}: {error}"));
        let endpoint = set("HF_ENDPOINT");
        let mut hub = Self::new(endpoint.as_deref().unwrap_or(DEFAULT_ENDPOINT)).map_err(named("HF_ENDPOINT"))?;
        hub.0.token = set("HF_TOKEN").as_deref().map(Token::new).transpose().map_err(named("HF_TOKEN"))?;
        Ok(hub)
    }

    /// The same hub with an access token.
    ///
    /// # Errors
    /// [`StoreError::Configuration`] when the address is plain `http` to another machine: the token could be read on
    /// the way.
    pub fn with_token(mut self, token: Token) -> Result<Self, StoreError> {
        self.0.token = Some(token);
        self.0.check().map(|()| self)
    }

    /// The same hub with other limits.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.0.patience = patience;
        self
    }
}

/// One repository of a hub at one revision.
pub(crate) struct Repository<'a> {
    client: Client<'a>,
    model: &'a ModelName,
    repository: String,
    revision: Revision,
}

impl<'a> Repository<'a> {
    pub(crate) fn new(
        hub: &'a Hub,
        transport: &'a dyn Transport,
        model: &'a ModelName,
        revision: Option<&Revision>,
    ) -> Result<Self, StoreError> {
        let client = Client::new(&hub.0, transport)?;
        let revision = revision.cloned().unwrap_or_else(Revision::main);
        Ok(Self { client, model, repository: model.repository(), revision })
    }

    /// Address of a file at a commit.
    fn file(&self, path: &str, commit: &Commit) -> String {
        format!("{}/{}/resolve/{commit}/{path}", self.client.server().address(), self.repository)
    }

    /// The error that a status other than success means; `file` is the file asked for, none for the repository itself.
    fn refusal(&self, head: &Head, file: Option<&str>) -> StoreError {
        let had_token = self.client.had_token();
        let (host, repository) = (head.host.clone(), self.repository.clone());
        let code = head.text("x-error-code").filter(|_| head.from_server);
        match (head.status, code) {
            (401 | 403, Some("GatedRepo")) => {
                let page = format!("{}/{repository}", self.client.server().address());
                StoreError::Gated { repository, page, had_token }
            }
            // A hub answers 401 for repositories that do not exist, so that private ones cannot be found out.
            (401 | 403 | 404, Some("RepoNotFound")) => StoreError::RepositoryNotFound { host, repository, had_token },
            (404, Some("RevisionNotFound")) => self.no_revision(),
            _ => self.client.refusal(head, || match file {
                Some(file) => StoreError::FileNotFound {
                    repository,
                    file: last_component(file).to_owned(),
                    alternatives: Vec::new(),
                },
                // Mirrors may leave the code out; the default branch of an existing repository always exists.
                None if code.is_none() && self.revision != Revision::main() => self.no_revision(),
                None => StoreError::RepositoryNotFound { host, repository, had_token },
            }),
        }
    }

    fn no_revision(&self) -> StoreError {
        StoreError::RevisionNotFound { repository: self.repository.clone(), revision: self.revision.to_string() }
    }

    /// The headers by which the hub itself describes a file.
    fn headers(&self, path: &str, commit: &Commit, cancel: &CancelToken) -> Result<Head, StoreError> {
        let mut attempts = Attempts::new(&self.client.server().patience);
        loop {
            let fetch = Fetch { address: self.file(path, commit), describe: true, ..Fetch::default() };
            let answer = self
                .client
                .send(&fetch, cancel)
                .and_then(|(head, _)| if head.status < 400 { Ok(head) } else { Err(self.refusal(&head, Some(path))) });
            match answer {
                Ok(head) => return Ok(head),
                Err(error) => attempts.failed(error, cancel)?,
            }
        }
    }
}

impl Source for Repository<'_> {
    fn identity(&self) -> Identity<'_> {
        self.client.server().identity()
    }

    fn describe(&self, cancel: &CancelToken) -> Result<Description, StoreError> {
        let address = format!(
            "{}/api/models/{}/revision/{}?blobs=true",
            self.client.server().address(),
            self.repository,
            self.revision.encoded()
        );
        let (body, host) = self.client.text(&address, MAX_REPLY, &|head| self.refusal(head, None), cancel)?;
        let info = RepositoryInfo::parse(&body).map_err(|reason| StoreError::Reply { host, reason })?;
        let single = self.model.file().map(str::to_owned);
        Ok(Description { info, revision: self.revision.clone(), single })
    }

    /// From the headers of the file's address, where the description lacks something.
    fn probe(&self, file: &RemoteFile, commit: &Commit, cancel: &CancelToken) -> Result<(u64, Digest), StoreError> {
        if file.size.is_some() && file.digest.is_some() {
            return stated(file, self.client.server().host());
        }
        let head = self.headers(&file.path, commit, cancel)?;
        // Headers of the storage behind a redirect speak of the pointer, not of the file.
        let own = (200..300).contains(&head.status);
        let size = head.number("x-linked-size").or_else(|| head.length().filter(|_| own));
        let tag = head.text("x-linked-etag").or_else(|| head.text("etag").filter(|_| own));
        let digest = tag.and_then(|tag| Digest::from_hex(tag.trim_start_matches("W/").trim_matches('"')));
        let (size, digest) = (file.size.or(size), file.digest.or(digest));
        stated(&RemoteFile { path: file.path.clone(), size, digest }, self.client.server().host())
    }

    fn open(&self, ask: &Ask<'_>, cancel: &CancelToken) -> Result<Answer, StoreError> {
        let address = self.file(ask.path, ask.commit);
        self.client.open(address, ask, &|head| self.refusal(head, Some(ask.path)), cancel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_never_shows_its_text() {
        let token = Token::new(" hf_secret \n").unwrap();
        assert_eq!(token.bearer(), "Bearer hf_secret");
        let hub = Hub::new(DEFAULT_ENDPOINT).unwrap().with_token(token).unwrap();
        assert!(!format!("{hub:?}").contains("secret"));
        let refused = Token::new("hf_secret\r\nX-Evil: 1").unwrap_err();
        assert!(!refused.to_string().contains("secret"));
    }

    #[test]
    fn a_token_is_not_sent_in_the_clear_to_another_machine() {
        let token = || Token::new("hf_x").unwrap();
        assert!(Hub::new("http://mirror.example").unwrap().with_token(token()).is_err());
        assert!(Hub::new("http://127.0.0.1:8080").unwrap().with_token(token()).is_ok());
        assert!(Hub::new("http://[::1]:8080/").unwrap().with_token(token()).is_ok());
        assert!(Hub::new("http://127.0.0.1.example").unwrap().with_token(token()).is_err());
    }

    #[test]
    fn only_web_addresses_are_hubs() {
        for address in ["", "huggingface.co", "ftp://x", "https://", "file:///x", "https://user:pw@x", "https://x?y=1"]
        {
            assert!(Hub::new(address).is_err(), "{address}");
        }
        assert_eq!(Hub::new("https://hub.example/mirror/").unwrap().0.address(), "https://hub.example/mirror");
        assert_eq!(Hub::new("https://hub.example/").unwrap().0.address(), "https://hub.example");
    }
}
