//! An app that carries out a relay's requests with an HTTP client of its own, as the platform's would: plain HTTP/1.1
//! on sockets, no redirects, failures in the platform's words.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use sotto_runtime::CancelToken;
use sotto_store::{HttpRequest, HttpResponse, NetworkFailure, Relay, RelayEvent, StoreError, Transport};

/// A relay with somebody at its other end, until it is dropped.
pub struct App {
    relay: Relay,
    reader: Option<JoinHandle<()>>,
}

impl App {
    pub fn start() -> Self {
        let relay = Relay::new();
        let reader = std::thread::spawn({
            let relay = relay.clone();
            move || read_events(&relay)
        });
        Self { relay, reader: Some(reader) }
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.relay.close();
        self.reader.take().unwrap().join().unwrap();
    }
}

impl Transport for App {
    fn send(&self, request: HttpRequest, cancel: &CancelToken) -> Result<HttpResponse, StoreError> {
        self.relay.send(request, cancel)
    }
}

fn read_events(relay: &Relay) {
    let sockets: Arc<Mutex<BTreeMap<u64, TcpStream>>> = Arc::default();
    while let Some(event) = relay.wait_event() {
        match event {
            RelayEvent::Fetch { id, request } => {
                let (relay, sockets) = (relay.clone(), Arc::clone(&sockets));
                std::thread::spawn(move || {
                    if let Err(failure) = carry_out(&relay, id, &request, &sockets) {
                        relay.fail(id, failure);
                    }
                    sockets.lock().unwrap().remove(&id);
                });
            }
            RelayEvent::Abandon { id } => {
                if let Some(socket) = sockets.lock().unwrap().remove(&id) {
                    let _ = socket.shutdown(Shutdown::Both);
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

fn carry_out(
    relay: &Relay,
    id: u64,
    request: &HttpRequest,
    sockets: &Mutex<BTreeMap<u64, TcpStream>>,
) -> Result<(), NetworkFailure> {
    let lost = |error: std::io::Error| match error.kind() {
        ErrorKind::ConnectionRefused => NetworkFailure::Refused,
        ErrorKind::WouldBlock | ErrorKind::TimedOut => NetworkFailure::Timeout,
        _ => NetworkFailure::Cut,
    };
    let (authority, path) = request.url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut socket = TcpStream::connect(authority).map_err(lost)?;
    sockets.lock().unwrap().insert(id, socket.try_clone().unwrap());
    let method = if request.head { "HEAD" } else { "GET" };
    let mut text = format!("{method} /{path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n");
    for (name, value) in &request.headers {
        text += &format!("{name}: {value}\r\n");
    }
    socket.write_all((text + "\r\n").as_bytes()).map_err(lost)?;

    let mut reader = BufReader::new(socket);
    let mut line = String::new();
    reader.read_line(&mut line).map_err(lost)?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| NetworkFailure::Protocol("no status".to_owned()))?;
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line).map_err(lost)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let mut left = length.map(|(_, value)| value.parse::<usize>().unwrap());
    if !relay.respond(id, status, headers) {
        return Ok(());
    }
    let mut piece = vec![0; 7_000];
    while !request.head && left != Some(0) {
        let wanted = left.map_or(piece.len(), |left| left.min(piece.len()));
        match reader.read(&mut piece[..wanted]).map_err(lost)? {
            0 if left.is_none() => break,
            0 => return Err(NetworkFailure::Cut),
            read => {
                left = left.map(|left| left - read);
                if !relay.push_blocking(id, &piece[..read]) {
                    return Ok(());
                }
            }
        }
    }
    relay.end(id);
    Ok(())
}
