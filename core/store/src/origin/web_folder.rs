//! A folder on any web server: a revision of a store, copied there as it is.

use sotto_runtime::CancelToken;

use super::client::Client;
use super::server::{Patience, Server, Token};
use super::{Answer, Ask, Description, Identity, Source, folder};
use crate::error::StoreError;
use crate::manifest::{FILE_NAME, MAX_BYTES};
use crate::name::{ModelName, Revision};
use crate::transport::Transport;

/// A folder on a web server that holds one version of a model: what a store keeps under `revisions/COMMIT`, with its
/// `sotto.json`, copied to where any server of static files finds it.
///
/// The files are whatever the manifest says, and the manifest is whatever the server sends: `https` is what tells that
/// it is the publisher's, so plain `http` is for this machine only.
#[derive(Debug, Clone)]
pub struct WebFolder(pub(super) Server);

impl WebFolder {
    /// The folder at `address`, such as `https://example.org/models/dictation`; without a token.
    ///
    /// # Errors
    /// [`StoreError::Configuration`] when this is not an `https` address with a host, or `http` to this machine.
    pub fn new(address: &str) -> Result<Self, StoreError> {
        let invalid = "the address of a folder must look like https://example.org/models/dictation, without user or \
                       query; plain http is for this machine only";
        Ok(Self(Server::new(address, false, invalid)?))
    }

    /// The same folder with an access token, which is sent as `Authorization: Bearer` to its own server only.
    #[must_use]
    pub fn with_token(mut self, token: Token) -> Self {
        self.0.token = Some(token);
        self
    }

    /// The same folder with other limits.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.0.patience = patience;
        self
    }
}

/// A folder on a web server, asked for one model.
pub(crate) struct Served<'a> {
    client: Client<'a>,
    model: &'a ModelName,
    revision: Option<&'a Revision>,
}

impl<'a> Served<'a> {
    pub(crate) fn new(
        folder: &'a WebFolder,
        transport: &'a dyn Transport,
        model: &'a ModelName,
        revision: Option<&'a Revision>,
    ) -> Result<Self, StoreError> {
        Ok(Self { client: Client::new(&folder.0, transport)?, model, revision })
    }

    fn file(&self, name: &str) -> String {
        format!("{}/{name}", self.client.server().address())
    }
}

impl Source for Served<'_> {
    fn identity(&self) -> Identity<'_> {
        self.client.server().identity()
    }

    fn describe(&self, cancel: &CancelToken) -> Result<Description, StoreError> {
        let place = self.client.server().address();
        let missing = || folder::refused(&place, "there is no sotto.json");
        let refusal = |head: &_| self.client.refusal(head, missing);
        let (text, _) = self.client.text(&self.file(FILE_NAME), MAX_BYTES, &refusal, cancel)?;
        folder::describe(&text, &place, self.model, self.revision)
    }

    fn open(&self, ask: &Ask<'_>, cancel: &CancelToken) -> Result<Answer, StoreError> {
        let refusal =
            |head: &_| self.client.refusal(head, || folder::missing(&self.client.server().address(), ask.path));
        self.client.open(self.file(ask.path), ask, &refusal, cancel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine_only() {
        for address in ["http://example.org/m", "ftp://x", "https://", "https://user@x/m", "https://x/m?sig=1", "x/y"] {
            assert!(matches!(WebFolder::new(address), Err(StoreError::Configuration { .. })), "{address}");
        }
        for address in ["https://example.org/m/", "http://127.0.0.1:8080/m", "http://[::1]:80", "http://localhost/m"] {
            assert!(WebFolder::new(address).is_ok(), "{address}");
        }
        assert_eq!(WebFolder::new("https://example.org/m/").unwrap().0.address(), "https://example.org/m");
    }
}
