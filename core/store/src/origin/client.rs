//! Requests to one server, over any transport: redirects followed by our own rules, the token for the server's own
//! origin only.

use std::time::Duration;

use http::Uri;
use sotto_runtime::CancelToken;

use super::server::Server;
use crate::error::{NetworkFailure, StoreError};
use crate::transport::{Body, HttpRequest, HttpResponse, Transport};

/// Hubs answer after at most three hops (renamed repository, cache, storage).
const MAX_REDIRECTS: usize = 8;

/// A request that asks for a whole file, a part of it, or only its description.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fetch {
    pub(crate) address: String,
    /// First byte to send; zero means the whole file.
    pub(crate) from: u64,
    /// Send the part only if the file still has this entity tag, else the whole file.
    pub(crate) if_range: Option<String>,
    /// Ask for the headers only, and take those of the server itself: the first that describe the file, and none of
    /// another host.
    pub(crate) describe: bool,
}

/// Status and headers of an answer.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    /// Host that answered, after redirects.
    pub(crate) host: String,
    /// Whether that host is the server itself, not the storage that it redirects to.
    pub(crate) from_server: bool,
}

impl Head {
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.trim().parse().ok()
    }

    /// Bytes of the body, where they are stated and the body is not coded (a platform may have undone that, and the
    /// length then speaks of what it saw, not of what it hands over).
    pub(crate) fn length(&self) -> Option<u64> {
        let coded = self.text("content-encoding").is_some_and(|coding| !coding.trim().eq_ignore_ascii_case("identity"));
        self.number("content-length").filter(|_| !coded)
    }

    /// How long the server asks to wait: `Retry-After` in seconds, or the `t` of a `RateLimit` header
    /// (IETF draft-ietf-httpapi-ratelimit-headers).
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let reset = || self.text("ratelimit")?.split(';').find_map(|part| part.trim().strip_prefix("t=")?.parse().ok());
        self.number("retry-after").or_else(reset).map(Duration::from_secs)
    }
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// An answer that is arriving.
pub(crate) struct Transfer {
    body: Box<dyn Body>,
    host: String,
}

impl Transfer {
    /// Waits for the next piece; none at the end. Returns within 20 ms once `cancel` fires.
    pub(crate) fn piece(&mut self, cancel: &CancelToken) -> Result<Option<Vec<u8>>, StoreError> {
        self.body.piece(cancel)
    }

    pub(crate) fn into_body(self) -> Box<dyn Body> {
        self.body
    }

    /// The whole answer, refused beyond `limit` bytes.
    pub(crate) fn read_to_end(&mut self, limit: u64, cancel: &CancelToken) -> Result<Vec<u8>, StoreError> {
        let mut body = Vec::new();
        while let Some(piece) = self.piece(cancel)? {
            if (body.len() + piece.len()) as u64 > limit {
                let reason = "the answer is longer than any description of a model".to_owned();
                return Err(StoreError::Reply { host: self.host.clone(), reason });
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }
}

/// Talks to one server and to the storage that it redirects to.
#[derive(Clone, Copy)]
pub(crate) struct Client<'a> {
    server: &'a Server,
    transport: &'a dyn Transport,
}

impl<'a> Client<'a> {
    pub(crate) fn new(server: &'a Server, transport: &'a dyn Transport) -> Result<Self, StoreError> {
        server.check()?;
        Ok(Self { server, transport })
    }

    pub(crate) fn server(&self) -> &'a Server {
        self.server
    }

    pub(crate) fn had_token(&self) -> bool {
        self.server.token.is_some()
    }

    /// Sends a request, follows redirects and waits for the head of the answer; the token goes to the server's own
    /// origin only. Blocks; returns within 20 ms once `cancel` fires.
    pub(crate) fn send(&self, fetch: &Fetch, cancel: &CancelToken) -> Result<(Head, Transfer), StoreError> {
        let mut address: Uri = fetch.address.parse().map_err(|_| StoreError::Reply {
            host: self.server.host(),
            reason: "the address of a file cannot be formed".to_owned(),
        })?;
        for _ in 0..=MAX_REDIRECTS {
            let response = self.transport.send(self.request(fetch, &address), cancel)?;
            let redirected = matches!(response.status, 301 | 302 | 303 | 307 | 308);
            let location = header(&response.headers, "location").filter(|_| redirected);
            let Some(location) = location else { return self.answered(response, &address) };
            let refused = |reason| StoreError::Redirect { host: host(&address), reason };
            let next = resolve(&address, location)
                .ok_or_else(|| refused("it redirects to something that is not a web address"))?;
            if address.scheme_str() == Some("https") && next.scheme_str() != Some("https") {
                return Err(refused("it redirects from https to plain http; not followed"));
            }
            if !self.server.may_ask(&next) {
                return Err(refused("it redirects to plain http on another machine; not followed"));
            }
            let described = header(&response.headers, "x-linked-etag").is_some();
            if fetch.describe && (described || !same_origin(&next, &self.server.endpoint)) {
                return self.answered(response, &address);
            }
            address = next;
        }
        Err(StoreError::Redirect { host: host(&address), reason: "it redirects in a circle" })
    }

    fn answered(&self, response: HttpResponse, address: &Uri) -> Result<(Head, Transfer), StoreError> {
        let host = host(address);
        if !(100..600).contains(&response.status) {
            let failure = NetworkFailure::Protocol(format!("status {}", response.status));
            return Err(StoreError::Network { host, failure });
        }
        let from_server = same_origin(address, &self.server.endpoint);
        let head = Head { status: response.status, headers: response.headers, host: host.clone(), from_server };
        Ok((head, Transfer { body: response.body, host }))
    }

    fn request(&self, fetch: &Fetch, address: &Uri) -> HttpRequest {
        let mut headers = Vec::new();
        let mut set = |name: &str, value: String| headers.push((name.to_owned(), value));
        // Hashes and ranges speak of the bytes as they are.
        set("Accept-Encoding", "identity".to_owned());
        if let Some(token) = self.server.token.as_ref().filter(|_| same_origin(address, &self.server.endpoint)) {
            set("Authorization", token.bearer());
        }
        if fetch.from > 0 {
            set("Range", format!("bytes={}-", fetch.from));
            if let Some(tag) = &fetch.if_range {
                set("If-Range", tag.clone());
            }
        }
        HttpRequest {
            head: fetch.describe,
            url: address.to_string(),
            headers,
            from_byte: fetch.from,
            silence: self.server.patience.silence,
        }
    }
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
