//! This process's own network: ureq and rustls.
//!
//! A request runs on a thread of its own and sends what arrives through a short queue, so that the caller can stop
//! waiting at once even where the operating system cannot interrupt a read. The thread ends with its caller: the next
//! hand-over fails, or the socket's time limit ([`HttpRequest::silence`]) ends a silent read.

use std::io::{self, Read as _};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::Uri;
use sotto_runtime::CancelToken;
use ureq::http::Response;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body as UreqBody};

use super::{Body, HttpRequest, HttpResponse, PIECE, QUEUE, Transport, host};
use crate::error::{NetworkFailure, StoreError};
use crate::origin::{configuration, is_loopback};

/// How soon a waiting caller notices that its token was cancelled.
const POLL: Duration = Duration::from_millis(20);
/// A connection must be there within this time; [`HttpRequest::silence`] may shorten it.
const CONNECT: Duration = Duration::from_secs(15);

/// The network of this process. Opens nothing and reads nothing before the first request.
#[derive(Debug, Default)]
pub struct Network {
    roots: Option<PathBuf>,
    agents: Mutex<Option<Agents>>,
}

/// Connections that are kept for the next request.
#[derive(Debug, Clone)]
struct Agents {
    /// Uses the proxy of the environment.
    outside: Agent,
    /// For this machine's own addresses, which no proxy can reach.
    inside: Agent,
}

impl Network {
    /// With the certificates that come with the library, and the proxy of the environment (`HTTPS_PROXY`, `NO_PROXY`).
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// As [`new`](Self::new), with the certificates in the file that `SSL_CERT_FILE` names, where it is set.
    #[must_use]
    pub fn from_env() -> Self {
        let roots = std::env::var_os("SSL_CERT_FILE").filter(|value| !value.is_empty()).map(PathBuf::from);
        Self { roots, ..Self::default() }
    }

    fn agents(&self) -> Result<Agents, StoreError> {
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ready) = &*agents {
            return Ok(ready.clone());
        }
        let tls = TlsConfig::builder().root_certs(self.root_certificates()?).build();
        let config = || {
            Agent::config_builder()
                .http_status_as_error(false)
                .max_redirects(0)
                .tls_config(tls.clone())
                .user_agent(concat!("sotto/", env!("CARGO_PKG_VERSION")))
        };
        let made = Agents { outside: config().build().into(), inside: config().proxy(None).build().into() };
        *agents = Some(made.clone());
        Ok(made)
    }

    fn root_certificates(&self) -> Result<RootCerts, StoreError> {
        let Some(path) = &self.roots else { return Ok(RootCerts::WebPki) };
        let pem = std::fs::read(path).map_err(StoreError::io(path, "read the certificates"))?;
        let found: Vec<_> = parse_pem(&pem)
            .filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                _ => None,
            })
            .collect();
        if found.is_empty() {
            return Err(configuration(&format!("{} holds no certificates", path.display())));
        }
        Ok(RootCerts::new_with_certs(&found))
    }
}

impl Transport for Network {
    fn send(&self, request: HttpRequest, cancel: &CancelToken) -> Result<HttpResponse, StoreError> {
        cancel.check()?;
        let agents = self.agents()?;
        let (sender, messages) = sync_channel(QUEUE / PIECE);
        let mut arriving = Arriving { messages, host: host(&request.url) };
        std::thread::Builder::new()
            .name("sotto-store-http".to_owned())
            .spawn(move || run(&agents, &request, &sender))
            .map_err(|_| configuration("the system starts no more threads; close other programs and pull again"))?;
        match arriving.message(cancel)? {
            Message::Head(status, headers) => Ok(HttpResponse::new(status, headers, Box::new(arriving))),
            Message::Failed(error) => Err(error),
            Message::Piece(_) | Message::End => Err(arriving.cut()),
        }
    }
}

enum Message {
    Head(u16, Vec<(String, String)>),
    Piece(Vec<u8>),
    End,
    Failed(StoreError),
}

/// An answer that is arriving.
struct Arriving {
    messages: Receiver<Message>,
    host: String,
}

impl Arriving {
    fn message(&mut self, cancel: &CancelToken) -> Result<Message, StoreError> {
        loop {
            cancel.check()?;
            match self.messages.recv_timeout(POLL) {
                Ok(message) => return Ok(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(self.cut()),
            }
        }
    }

    fn cut(&self) -> StoreError {
        StoreError::Network { host: self.host.clone(), failure: NetworkFailure::Cut }
    }
}

impl Body for Arriving {
    fn piece(&mut self, cancel: &CancelToken) -> Result<Option<Vec<u8>>, StoreError> {
        match self.message(cancel)? {
            Message::Piece(piece) => Ok(Some(piece)),
            Message::Failed(error) => Err(error),
            Message::End | Message::Head(..) => Ok(None),
        }
    }
}

/// The request's own thread. A failed hand-over means that nobody waits any more.
fn run(agents: &Agents, request: &HttpRequest, sender: &SyncSender<Message>) {
    let lost = |failure| Message::Failed(StoreError::Network { host: host(&request.url), failure });
    let response = match call(agents, request) {
        Ok(response) => response,
        Err(failure) => {
            let _ = sender.send(lost(failure));
            return;
        }
    };
    let (parts, body) = response.into_parts();
    // A value that is no text says nothing that the store understands.
    let header = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    let headers = parts.headers.iter().filter_map(header).collect();
    if sender.send(Message::Head(parts.status.as_u16(), headers)).is_err() {
        return;
    }
    let mut reader = body.into_reader();
    loop {
        let mut piece = vec![0; PIECE];
        let message = match reader.read(&mut piece) {
            Ok(0) => Message::End,
            Ok(read) => {
                piece.truncate(read);
                Message::Piece(piece)
            }
            Err(error) => lost(io_failure(&error)),
        };
        let more = matches!(message, Message::Piece(_));
        if sender.send(message).is_err() || !more {
            return;
        }
    }
}

fn call(agents: &Agents, request: &HttpRequest) -> Result<Response<UreqBody>, NetworkFailure> {
    let address: Uri =
        request.url.parse().map_err(|_| NetworkFailure::Protocol("the address cannot be formed".to_owned()))?;
    let agent = if is_loopback(&address) { &agents.inside } else { &agents.outside };
    let mut builder = if request.head { agent.head(address) } else { agent.get(address) };
    for (name, value) in &request.headers {
        builder = builder.header(name, value);
    }
    let (silence, connect) = (Some(request.silence), Some(CONNECT.min(request.silence)));
    builder
        .config()
        .timeout_resolve(connect)
        .timeout_connect(connect)
        .timeout_recv_response(silence)
        .timeout_per_read(silence)
        .timeout_per_write(silence)
        .build()
        .call()
        .map_err(failure)
}

fn failure(error: ureq::Error) -> NetworkFailure {
    match error {
        ureq::Error::Io(error) => io_failure(&error),
        ureq::Error::Timeout(_) => NetworkFailure::Timeout,
        ureq::Error::HostNotFound => NetworkFailure::Dns,
        ureq::Error::ConnectionFailed => NetworkFailure::Refused,
        ureq::Error::InvalidProxyUrl | ureq::Error::ConnectProxyFailed(_) => NetworkFailure::Proxy,
        ureq::Error::Tls(reason) => NetworkFailure::Tls(reason.to_owned()),
        ureq::Error::Rustls(error) => NetworkFailure::Tls(error.to_string()),
        other => NetworkFailure::Protocol(other.to_string()),
    }
}

fn io_failure(error: &io::Error) -> NetworkFailure {
    use io::ErrorKind as Kind;
    // ureq wraps its own errors into I/O errors while a body is read.
    if let Some(ureq::Error::Timeout(_)) = error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>()) {
        return NetworkFailure::Timeout;
    }
    match error.kind() {
        Kind::ConnectionRefused | Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::AddrNotAvailable => {
            NetworkFailure::Refused
        }
        Kind::TimedOut | Kind::WouldBlock => NetworkFailure::Timeout,
        // rustls reports its errors as invalid data.
        Kind::InvalidData => NetworkFailure::Tls(error.to_string()),
        _ => NetworkFailure::Cut,
    }
}
