//! Which hub a pull talks to, with which token, and how patient it is.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use http::Uri;

use crate::error::StoreError;

/// The hub that the official clients use when `HF_ENDPOINT` is not set.
pub const DEFAULT_ENDPOINT: &str = "https://huggingface.co";

/// An access token. Its text appears neither in `Debug` nor in any message, and goes to the hub's own address only.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A token from its text; surrounding white space is dropped.
    ///
    /// # Errors
    /// [`StoreError::Configuration`] when the text is empty, longer than 4,096 characters or cannot stand in an HTTP
    /// header.
    pub fn new(text: &str) -> Result<Self, StoreError> {
        let text = text.trim();
        if (1..=4096).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(configuration("the access token is empty or has characters that no token has"))
        }
    }

    /// Reads a token from the first line of a file.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the file cannot be read, else as [`new`](Self::new).
    pub fn from_file(path: &Path) -> Result<Self, StoreError> {
        let text = std::fs::read_to_string(path).map_err(StoreError::io(path, "read the token"))?;
        Self::new(text.lines().next().unwrap_or_default())
    }

    /// Value of the `Authorization` header.
    pub(crate) fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// How often a request is repeated after a transient failure, and how long each step may take.
#[derive(Debug, Clone)]
pub struct Patience {
    /// Attempts in a row that bring no progress before a request is given up; at least one is made.
    pub attempts: u32,
    /// Pause after the first failure; doubles with each further one.
    pub pause: Duration,
    /// Longest pause, also when the server asks for more (`Retry-After`): then the pull fails and says so.
    pub longest_pause: Duration,
    /// Longest silence of a server, while connecting or between two pieces of an answer.
    pub silence: Duration,
    /// How long to wait for another process that is fetching the same model.
    pub lock: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            attempts: 5,
            pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(60),
            silence: Duration::from_secs(30),
            lock: Duration::from_secs(30 * 60),
        }
    }
}

/// A model hub: the public one, a mirror, or a company's own.
#[derive(Debug, Clone)]
pub struct Hub {
    pub(crate) endpoint: Uri,
    pub(crate) token: Option<Token>,
    pub(crate) patience: Patience,
}

impl Hub {
    /// The hub at `endpoint`, such as `https://huggingface.co`; without a token.
    ///
    /// # Errors
    /// [`StoreError::Configuration`] when this is not an `http` or `https` address with a host.
    pub fn new(endpoint: &str) -> Result<Self, StoreError> {
        let invalid =
            || configuration("the hub's address must look like https://huggingface.co, without user or query");
        let uri: Uri = endpoint.trim_end_matches('/').parse().map_err(|_| invalid())?;
        let sound = matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
            && !uri.authority().is_some_and(|authority| authority.as_str().contains('@'))
            && uri.query().is_none();
        if sound { Ok(Self { endpoint: uri, token: None, patience: Patience::default() }) } else { Err(invalid()) }
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
        hub.token = set("HF_TOKEN").as_deref().map(Token::new).transpose().map_err(named("HF_TOKEN"))?;
        Ok(hub)
    }

    /// The same hub with an access token.
    ///
    /// # Errors
    /// [`StoreError::Configuration`] when the address is plain `http` to another machine: the token could be read on
    /// the way.
    pub fn with_token(mut self, token: Token) -> Result<Self, StoreError> {
        self.token = Some(token);
        self.check().map(|()| self)
    }

    /// The same hub with other limits.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// The address without a trailing slash.
    pub(crate) fn address(&self) -> String {
        self.endpoint.to_string().trim_end_matches('/').to_owned()
    }

    /// The host, for messages.
    pub(crate) fn host(&self) -> String {
        self.endpoint.host().unwrap_or_default().to_owned()
    }

    /// Whether the settings fit together; looked at before the first request.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        if self.token.is_some() && self.endpoint.scheme_str() == Some("http") && !is_loopback(&self.endpoint) {
            return Err(configuration("an access token is not sent over plain http; use an https address of the hub"));
        }
        Ok(())
    }
}

/// Whether an address is this machine.
pub(crate) fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

pub(crate) fn configuration(reason: &str) -> StoreError {
    StoreError::Configuration { reason: reason.to_owned() }
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
        assert_eq!(Hub::new("https://hub.example/mirror/").unwrap().address(), "https://hub.example/mirror");
        assert_eq!(Hub::new("https://hub.example/").unwrap().address(), "https://hub.example");
    }
}
