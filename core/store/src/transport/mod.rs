//! Where a pull's bytes come from: one HTTP exchange at a time.
//!
//! The store decides what is asked, of whom, with which headers, how often and after which pause; a [`Transport`] only
//! carries one request and brings back what one server answered. So redirects, tokens, ranges, retries and hashes are
//! the same whether this process has a network of its own ([`Network`], cargo feature `network`) or the platform
//! fetches for it ([`Relay`]).

#[cfg(feature = "network")]
mod network;
mod relay;

use std::fmt;
use std::time::Duration;

use sotto_runtime::CancelToken;

use crate::error::StoreError;

#[cfg(feature = "network")]
pub use network::Network;
pub use relay::{Relay, RelayEvent};

/// Size of the pieces that are handed over.
const PIECE: usize = 64 << 10;
/// Bytes that wait for the disk before the sender has to wait.
const QUEUE: usize = 8 * PIECE;

/// One request, complete: nothing may be added to it, and what it names may not be changed.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpRequest {
    /// `HEAD` instead of `GET`: only status and headers are wanted.
    pub head: bool,
    /// The address, `http` or `https`.
    pub url: String,
    /// Names and values. `Authorization` is among them where the address may see the token: it goes to this address
    /// only, which is why **redirects must not be followed**.
    pub headers: Vec<(String, String)>,
    /// First byte that is asked for, as the `Range` header says it; zero for the whole file.
    pub from_byte: u64,
    /// Longest silence of the server, while connecting or between two pieces of the answer.
    pub silence: Duration,
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may be secret; names tell enough.
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("HttpRequest")
            .field("head", &self.head)
            .field("url", &self.url)
            .field("headers", &names)
            .finish()
    }
}

/// What one server answered; the body is still arriving.
#[non_exhaustive]
pub struct HttpResponse {
    /// The status, also of a redirect or a failure.
    pub status: u16,
    /// Names, in any case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Box<dyn Body>,
}

impl HttpResponse {
    /// An answer from its parts.
    #[must_use]
    pub fn new(status: u16, headers: Vec<(String, String)>, body: Box<dyn Body>) -> Self {
        Self { status, headers, body }
    }
}

impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpResponse").field("status", &self.status).finish_non_exhaustive()
    }
}

/// The body of an answer. Dropping it ends the exchange.
pub trait Body: Send {
    /// Waits for the next piece, which is not empty and as long as the transport likes; none at the end. Returns within
    /// about 20 ms once `cancel` fires.
    ///
    /// # Errors
    /// [`StoreError::Cancelled`], [`StoreError::Network`].
    fn piece(&mut self, cancel: &CancelToken) -> Result<Option<Vec<u8>>, StoreError>;
}

/// Carries requests. Used by one pull or by several at once.
pub trait Transport: Send + Sync {
    /// Sends one request and waits for status and headers. Follows no redirect, repeats nothing, adds no credentials,
    /// undoes no content coding. Blocks; returns within about 20 ms once `cancel` fires.
    ///
    /// # Errors
    /// [`StoreError::Cancelled`], [`StoreError::Network`] where no answer came, [`StoreError::Configuration`] where
    /// this transport cannot work as it was set up.
    fn send(&self, request: HttpRequest, cancel: &CancelToken) -> Result<HttpResponse, StoreError>;
}

/// Host of an address, for messages.
fn host(url: &str) -> String {
    url.parse::<http::Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default()
}
