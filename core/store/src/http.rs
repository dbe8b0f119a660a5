//! Requests to a hub: redirects followed by our own rules, answers handed over piece by piece, cancellation at any moment.
//!
//! A request runs on a thread of its own and sends what arrives through a short queue, so that the caller can stop
//! waiting at once even where the operating system cannot interrupt a read. The thread ends with its caller: the next
//! hand-over fails, or the socket's time limit (`Patience::silence`) ends a silent read.

use std::io::{self, Read as _};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use sotto_runtime::CancelToken;
use ureq::http::{HeaderMap, Response, StatusCode, Uri, header};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};

use crate::error::{NetworkFailure, StoreError};
use crate::hub::{Hub, configuration, is_loopback};

/// Hubs answer after at most three hops (renamed repository, cache, storage).
const MAX_REDIRECTS: usize = 8;
/// Size of the pieces that are handed over.
const PIECE: usize = 64 << 10;
/// Pieces in the queue before the network has to wait for the disk.
const QUEUE: usize = 8;
/// How soon a waiting caller notices that it was cancelled.
const POLL: Duration = Duration::from_millis(20);
/// A connection must be there within this time; `Patience::silence` may shorten it.
const CONNECT: Duration = Duration::from_secs(15);

/// A request that asks for a whole file, a part of it, or only its description.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fetch {
    pub(crate) address: String,
    /// First byte to send; zero means the whole file.
    pub(crate) from: u64,
    /// Send the part only if the file still has this entity tag, else the whole file.
    pub(crate) if_range: Option<String>,
    /// Ask for the headers only, and take those of the hub itself: the first that describe the file, and none of
    /// another host.
    pub(crate) describe: bool,
}

/// Status and headers of an answer.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Host that answered, after redirects.
    pub(crate) host: String,
    /// Whether that host is the hub itself, not the storage that it redirects to.
    pub(crate) from_hub: bool,
}

impl Head {
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.trim().parse().ok()
    }

    /// How long the server asks to wait: `Retry-After` in seconds, or the `t` of a `RateLimit` header
    /// (IETF draft-ietf-httpapi-ratelimit-headers).
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let reset = || self.text("ratelimit")?.split(';').find_map(|part| part.trim().strip_prefix("t=")?.parse().ok());
        self.number("retry-after").or_else(reset).map(Duration::from_secs)
    }
}

enum Message {
    Head(Box<Head>),
    Piece(Vec<u8>),
    End,
    Failed(StoreError),
}

/// An answer that is arriving.
pub(crate) struct Transfer {
    messages: Receiver<Message>,
    host: String,
}

impl Transfer {
    /// Waits for the next piece; none at the end. Returns within 20 ms once `cancel` fires.
    pub(crate) fn piece(&self, cancel: &CancelToken) -> Result<Option<Vec<u8>>, StoreError> {
        match self.message(cancel)? {
            Message::Piece(piece) => Ok(Some(piece)),
            Message::Failed(error) => Err(error),
            Message::End | Message::Head(_) => Ok(None),
        }
    }

    /// The whole answer, refused beyond `limit` bytes.
    pub(crate) fn read_to_end(&self, limit: u64, cancel: &CancelToken) -> Result<Vec<u8>, StoreError> {
        let mut body = Vec::new();
        while let Some(piece) = self.piece(cancel)? {
            if (body.len() + piece.len()) as u64 > limit {
                let reason = "the answer is longer than any that a hub sends".to_owned();
                return Err(StoreError::Reply { host: self.host.clone(), reason });
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    fn message(&self, cancel: &CancelToken) -> Result<Message, StoreError> {
        loop {
            cancel.check()?;
            match self.messages.recv_timeout(POLL) {
                Ok(message) => return Ok(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(StoreError::Network { host: self.host.clone(), failure: NetworkFailure::Cut });
                }
            }
        }
    }
}

/// Talks to one hub and to the storage that it redirects to. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Client {
    hub: Hub,
    /// Uses the proxy of the environment.
    outside: Agent,
    /// For this machine's own addresses, which no proxy can reach.
    inside: Agent,
}

impl Client {
    pub(crate) fn new(hub: &Hub) -> Result<Self, StoreError> {
        hub.check()?;
        let tls = TlsConfig::builder().root_certs(root_certificates(hub)?).build();
        let silence = Some(hub.patience.silence);
        let connect = Some(CONNECT.min(hub.patience.silence));
        let config = || {
            Agent::config_builder()
                .http_status_as_error(false)
                .max_redirects(0)
                .tls_config(tls.clone())
                .user_agent(concat!("sotto/", env!("CARGO_PKG_VERSION")))
                .timeout_resolve(connect)
                .timeout_connect(connect)
                .timeout_recv_response(silence)
                .timeout_per_read(silence)
                .timeout_per_write(silence)
        };
        Ok(Self { hub: hub.clone(), outside: config().build().into(), inside: config().proxy(None).build().into() })
    }

    pub(crate) fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Sends a request and waits for the head of the answer. Blocks; returns within 20 ms once `cancel` fires.
    pub(crate) fn send(&self, fetch: Fetch, cancel: &CancelToken) -> Result<(Head, Transfer), StoreError> {
        cancel.check()?;
        let (sender, messages) = sync_channel(QUEUE);
        let client = self.clone();
        std::thread::Builder::new()
            .name("sotto-store-http".to_owned())
            .spawn(move || client.run(&fetch, &sender))
            .map_err(|_| configuration("the system starts no more threads; close other programs and pull again"))?;
        let mut transfer = Transfer { messages, host: self.hub.host() };
        match transfer.message(cancel)? {
            Message::Head(head) => {
                transfer.host.clone_from(&head.host);
                Ok((*head, transfer))
            }
            Message::Failed(error) => Err(error),
            Message::Piece(_) | Message::End => {
                Err(StoreError::Network { host: transfer.host, failure: NetworkFailure::Cut })
            }
        }
    }

    /// The request's own thread. A failed hand-over means that nobody waits any more.
    fn run(&self, fetch: &Fetch, sender: &SyncSender<Message>) {
        let (response, address) = match self.follow(fetch) {
            Ok(found) => found,
            Err(error) => {
                let _ = sender.send(Message::Failed(error));
                return;
            }
        };
        let host = host(&address);
        let (parts, body) = response.into_parts();
        let from_hub = same_origin(&address, &self.hub.endpoint);
        let head = Head { status: parts.status, headers: parts.headers, host: host.clone(), from_hub };
        if sender.send(Message::Head(Box::new(head))).is_err() {
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
                Err(error) => Message::Failed(StoreError::Network { host: host.clone(), failure: io_failure(&error) }),
            };
            let more = matches!(message, Message::Piece(_));
            if sender.send(message).is_err() || !more {
                return;
            }
        }
    }

    /// Sends the request and follows redirects; the token goes to the hub's own origin only.
    fn follow(&self, fetch: &Fetch) -> Result<(Response<Body>, Uri), StoreError> {
        let mut address: Uri = fetch.address.parse().map_err(|_| StoreError::Reply {
            host: self.hub.host(),
            reason: "the address of a file cannot be formed".to_owned(),
        })?;
        for _ in 0..=MAX_REDIRECTS {
            let response = self.hop(fetch, &address)?;
            let redirected = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
            let location = response.headers().get(header::LOCATION).filter(|_| redirected);
            let Some(location) = location else { return Ok((response, address)) };
            let refused = |reason| StoreError::Redirect { host: host(&address), reason };
            let next = location.to_str().ok().and_then(|text| resolve(&address, text));
            let next = next.ok_or_else(|| refused("it redirects to something that is not a web address"))?;
            if address.scheme_str() == Some("https") && next.scheme_str() != Some("https") {
                return Err(refused("it redirects from https to plain http; not followed"));
            }
            let described = response.headers().contains_key("x-linked-etag");
            if fetch.describe && (described || !same_origin(&next, &self.hub.endpoint)) {
                return Ok((response, address));
            }
            address = next;
        }
        Err(StoreError::Redirect { host: host(&address), reason: "it redirects in a circle" })
    }

    fn hop(&self, fetch: &Fetch, address: &Uri) -> Result<Response<Body>, StoreError> {
        let agent = if is_loopback(address) { &self.inside } else { &self.outside };
        let mut request = if fetch.describe { agent.head(address.clone()) } else { agent.get(address.clone()) };
        // Hashes and ranges speak of the bytes as they are.
        request = request.header(header::ACCEPT_ENCODING, "identity");
        if let Some(token) = self.hub.token.as_ref().filter(|_| same_origin(address, &self.hub.endpoint)) {
            request = request.header(header::AUTHORIZATION, token.bearer());
        }
        if fetch.from > 0 {
            request = request.header(header::RANGE, format!("bytes={}-", fetch.from));
            if let Some(tag) = &fetch.if_range {
                request = request.header(header::IF_RANGE, tag);
            }
        }
        request.call().map_err(|error| StoreError::Network { host: host(address), failure: failure(error) })
    }
}

fn root_certificates(hub: &Hub) -> Result<RootCerts, StoreError> {
    let Some(path) = &hub.roots else { return Ok(RootCerts::WebPki) };
    let pem = std::fs::read(path).map_err(StoreError::io(path, "read the certificates (SSL_CERT_FILE)"))?;
    let found: Vec<_> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if found.is_empty() {
        return Err(configuration(&format!("{} (SSL_CERT_FILE) holds no certificates", path.display())));
    }
    Ok(RootCerts::new_with_certs(&found))
}

/// Scheme, host and port agree; only then may a secret that belongs to one address go to the other.
fn same_origin(a: &Uri, b: &Uri) -> bool {
    let port = |uri: &Uri| {
        uri.port_u16().or(match uri.scheme_str() {
            Some("https") => Some(443),
            Some("http") => Some(80),
            _ => None,
        })
    };
    a.scheme() == b.scheme() && host(a).eq_ignore_ascii_case(&host(b)) && port(a) == port(b)
}

fn host(uri: &Uri) -> String {
    uri.host().unwrap_or_default().to_owned()
}

/// Where a `Location` header leads from `base` (RFC 3986, §5.2, without dot segments, which hubs do not send).
fn resolve(base: &Uri, location: &str) -> Option<Uri> {
    let location = location.split('#').next().unwrap_or_default();
    let origin = format!("{}://{}", base.scheme_str()?, base.authority()?);
    let full = if location.starts_with("http://") || location.starts_with("https://") {
        location.to_owned()
    } else if let Some(rest) = location.strip_prefix("//") {
        format!("{}://{rest}", base.scheme_str()?)
    } else if location.starts_with('/') {
        format!("{origin}{location}")
    } else if location.is_empty() || location.split(['/', '?']).next()?.contains(':') {
        return None;
    } else {
        let folder = base.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{origin}{folder}/{location}")
    };
    let uri: Uri = full.parse().ok()?;
    let sound = uri.host().is_some_and(|host| !host.is_empty()) && !uri.authority()?.as_str().contains('@');
    sound.then_some(uri)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_lead_where_a_browser_would_go() {
        let base: Uri = "https://hub.example/a/b/resolve/c?x=1".parse().unwrap();
        let to = |location| resolve(&base, location).map(|uri| uri.to_string());
        assert_eq!(to("https://cdn.example/x?y=1#z").as_deref(), Some("https://cdn.example/x?y=1"));
        assert_eq!(to("//cdn.example/x").as_deref(), Some("https://cdn.example/x"));
        assert_eq!(to("/api/x").as_deref(), Some("https://hub.example/api/x"));
        assert_eq!(to("d").as_deref(), Some("https://hub.example/a/b/resolve/d"));
        for odd in ["", "file:///etc/passwd", "javascript:x", "https://", "https://user@cdn.example/", "ftp://x/y"] {
            assert_eq!(to(odd), None, "{odd}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let same = |a: &str, b: &str| same_origin(&a.parse().unwrap(), &b.parse().unwrap());
        assert!(same("https://hub.example/a", "https://HUB.example:443/b"));
        assert!(!same("https://hub.example", "http://hub.example"));
        assert!(!same("https://hub.example", "https://hub.example:8443"));
        assert!(!same("https://hub.example", "https://hub.example.evil.example"));
    }
}
