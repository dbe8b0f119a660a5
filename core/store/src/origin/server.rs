//! A web server that models come from: its address, the token that it may see, and how patient to be with it.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use http::Uri;

use super::Identity;
use crate::error::StoreError;

/// An access token. Its text appears neither in `Debug` nor in any message, and goes to the address that it was
/// given for only.
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

/// Address of a server, what it may see and how long it is waited for.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) endpoint: Uri,
    pub(crate) token: Option<Token>,
    pub(crate) patience: Patience,
    /// Whether plain `http` may lead to another machine, here and by redirects.
    plain: bool,
}

impl Server {
    /// The server at an `http` or `https` address with a host; without a token. `invalid` is the message for anything
    /// else.
    pub(crate) fn new(address: &str, plain: bool, invalid: &str) -> Result<Self, StoreError> {
        let uri: Uri = address.trim_end_matches('/').parse().map_err(|_| configuration(invalid))?;
        let sound = matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
            && !uri.authority().is_some_and(|authority| authority.as_str().contains('@'))
            && uri.query().is_none();
        let server = Self { endpoint: uri, token: None, patience: Patience::default(), plain };
        if sound && server.may_ask(&server.endpoint) { Ok(server) } else { Err(configuration(invalid)) }
    }

    /// Whether a request may go to this address, as far as its encryption is concerned.
    pub(crate) fn may_ask(&self, address: &Uri) -> bool {
        self.plain || address.scheme_str() == Some("https") || is_loopback(address)
    }

    /// The address without a trailing slash.
    pub(crate) fn address(&self) -> String {
        self.endpoint.to_string().trim_end_matches('/').to_owned()
    }

    /// The host, for messages.
    pub(crate) fn host(&self) -> String {
        self.endpoint.host().unwrap_or_default().to_owned()
    }

    /// Who answers there.
    pub(super) fn identity(&self) -> Identity<'_> {
        Identity { host: self.host(), address: self.address(), patience: &self.patience }
    }

    /// Whether the settings fit together; looked at before the first request.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        if self.token.is_some() && self.endpoint.scheme_str() == Some("http") && !is_loopback(&self.endpoint) {
            return Err(configuration("an access token is not sent over plain http; use an https address"));
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
