//! A model hub on this machine that behaves like the public one: a description of the repository as JSON, file
//! addresses that redirect (large files to a second server, small ones to a cache path of the same server), entity
//! tags, ranges, error codes; and the same files as a plain folder. Faults can be queued per path.
#![allow(clippy::unwrap_used, reason = "a test fails where its hub does")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use sha1::{Digest as _, Sha1};
use sha2::Sha256;

/// The only repository of the hub.
pub const REPOSITORY: &str = "openai/whisper-nano";

/// One thing that goes wrong, once.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The connection ends after this many bytes of the body.
    CutAfter(usize),
    /// Status and extra header lines instead of the answer.
    Status(u16, &'static str),
    /// One byte of the body is another.
    WrongByte,
    /// The body is this much longer (or shorter) than it should be, and says so.
    Length(i64),
    /// Endless bytes without a stated length.
    Endless,
    /// The body stops after this many bytes, the connection stays open.
    StallAfter(usize),
    /// Redirects to this address.
    Redirect(String),
    /// The whole file, whatever range was asked for.
    IgnoreRange,
    /// A part that starts at another byte than asked for.
    ShiftedRange,
    /// This body instead of the answer.
    Body(Vec<u8>),
    /// No entity tag, size or hash in the headers.
    Bare,
    /// The entity tag of this answer is another one: the file has changed.
    NewTag,
    /// Waits before each kilobyte.
    Slow(Duration),
}

/// A request as a server saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Whether the storage server got it, not the hub.
    pub storage: bool,
    /// `GET` or `HEAD`.
    pub method: String,
    /// Path with its query.
    pub path: String,
    /// Headers by their names in lower case.
    pub headers: BTreeMap<String, String>,
}

#[derive(Default)]
struct State {
    files: Mutex<BTreeMap<String, Vec<u8>>>,
    commit: Mutex<String>,
    faults: Mutex<Vec<(String, Fault)>>,
    log: Mutex<Vec<Seen>>,
    /// The description leaves sizes and hashes out, as some mirrors do.
    sparse: AtomicBool,
    /// Requests without this token are refused with the given code.
    gate: Mutex<Option<(String, &'static str)>>,
    stop: AtomicBool,
    storage: Mutex<String>,
}

/// Two servers, the hub and its storage, until it is dropped.
pub struct FakeHub {
    state: Arc<State>,
    address: String,
    threads: Vec<JoinHandle<()>>,
    ports: [u16; 2],
}

impl FakeHub {
    /// A hub with one small Whisper-shaped repository.
    #[must_use]
    pub fn start() -> Self {
        let state = Arc::new(State::default());
        let hub = TcpListener::bind("127.0.0.1:0").unwrap();
        let storage = TcpListener::bind("127.0.0.1:0").unwrap();
        let ports = [hub.local_addr().unwrap().port(), storage.local_addr().unwrap().port()];
        *state.storage.lock().unwrap() = format!("http://127.0.0.1:{}", ports[1]);
        let threads = [(hub, false), (storage, true)].map(|(listener, is_storage)| serve(listener, is_storage, &state));
        let fake = Self { state, address: format!("http://127.0.0.1:{}", ports[0]), threads: threads.into(), ports };
        fake.set_commit('a');
        fake.put("config.json", br#"{"model_type": "whisper", "d_model": 8}"#);
        fake.put("tokenizer.json", b"{}");
        fake.put("generation_config.json", b"{\"x\": 1}");
        fake.put("README.md", b"A model for tests.");
        fake.put("model.safetensors", &weights(200_000));
        fake.put("pytorch_model.bin", b"a pickle");
        fake.put("onnx/model.onnx", b"another framework");
        fake
    }

    /// Address of the hub, as `HF_ENDPOINT` takes it.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Address of the same files as a plain folder, as any server of static files has them.
    #[must_use]
    pub fn folder(&self) -> String {
        format!("{}/folder", self.address)
    }

    /// Adds or replaces a file of the repository.
    pub fn put(&self, path: &str, contents: &[u8]) {
        self.state.files.lock().unwrap().insert(path.to_owned(), contents.to_vec());
    }

    /// Takes a file out of the repository.
    pub fn delete(&self, path: &str) {
        self.state.files.lock().unwrap().remove(path);
    }

    /// The repository moves to another commit: forty times this digit.
    pub fn set_commit(&self, digit: char) {
        *self.state.commit.lock().unwrap() = digit.to_string().repeat(40);
    }

    /// The commit that `main` stands at.
    #[must_use]
    pub fn commit(&self) -> String {
        self.state.commit.lock().unwrap().clone()
    }

    /// From now on the description names files without sizes and hashes.
    pub fn leave_sizes_out(&self) {
        self.state.sparse.store(true, Ordering::Relaxed);
    }

    /// From now on requests without this token get 401 with this error code.
    pub fn require_token(&self, token: &str, code: &'static str) {
        *self.state.gate.lock().unwrap() = Some((token.to_owned(), code));
    }

    /// The next request whose path contains `path` and that is not a mere redirect goes wrong in this way. `storage:`
    /// in front means the storage server (which knows files by name too).
    pub fn fail(&self, path: &str, fault: Fault) {
        self.state.faults.lock().unwrap().push((path.to_owned(), fault));
    }

    /// All requests so far, to both servers.
    #[must_use]
    pub fn log(&self) -> Vec<Seen> {
        self.state.log.lock().unwrap().clone()
    }

    /// Requests to the plain folder for this file.
    #[must_use]
    pub fn reads(&self, file: &str) -> Vec<Seen> {
        let path = format!("/folder/{file}");
        self.log().into_iter().filter(|seen| seen.path == path).collect()
    }

    /// Requests to the storage server for this file.
    #[must_use]
    pub fn fetches(&self, file: &str) -> Vec<Seen> {
        let named = |seen: &Seen| seen.path.split('?').next().is_some_and(|path| path.ends_with(file));
        self.log().into_iter().filter(|seen| seen.storage && named(seen)).collect()
    }

    /// How many requests both servers got.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.state.log.lock().unwrap().len()
    }
}

impl Drop for FakeHub {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::Relaxed);
        for port in self.ports {
            drop(TcpStream::connect(("127.0.0.1", port)));
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Bytes that repeat nowhere, so that a wrong splice changes the hash.
#[must_use]
pub fn weights(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let step = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..length).map(step).collect()
}

/// As [`weights`], with the beginning of a file of whisper.cpp.
#[must_use]
pub fn ggml(length: usize) -> Vec<u8> {
    let mut bytes = weights(length);
    bytes[..4].copy_from_slice(b"lmgg");
    bytes
}

fn serve(listener: TcpListener, storage: bool, state: &Arc<State>) -> JoinHandle<()> {
    let state = Arc::clone(state);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            if state.stop.load(Ordering::Relaxed) {
                return;
            }
            let (Ok(stream), state) = (stream, Arc::clone(&state)) else { continue };
            // A client that hangs up is part of the tests.
            std::thread::spawn(move || drop(answer(stream, storage, &state)));
        }
    })
}

fn read_request(stream: &TcpStream, storage: bool) -> std::io::Result<Seen> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().unwrap_or_else(|| Err(std::io::ErrorKind::UnexpectedEof.into()))?;
    let mut words = first.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = BTreeMap::new();
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    Ok(Seen { storage, method, path, headers })
}

fn answer(mut stream: TcpStream, storage: bool, state: &State) -> std::io::Result<()> {
    let seen = read_request(&stream, storage)?;
    state.log.lock().unwrap().push(seen.clone());
    let path = seen.path.split('?').next().unwrap_or_default().to_owned();
    let fault = take_fault(state, storage, &path);
    match fault {
        Some(Fault::Status(status, extra)) => return reply(&mut stream, status, extra, b"", &seen),
        Some(Fault::Redirect(to)) => return reply(&mut stream, 302, &format!("Location: {to}\r\n"), b"", &seen),
        Some(Fault::Body(body)) => return reply(&mut stream, 200, "", &body, &seen),
        _ => {}
    }
    if storage || path.starts_with("/cache/") {
        let name = path.split_once("/blob/").map_or("", |(_, name)| name).to_owned();
        let body = state.files.lock().unwrap().get(&name).cloned();
        return match body {
            Some(body) => send_file(&mut stream, &body, &seen, fault, state),
            None => reply(&mut stream, 404, "", b"", &seen),
        };
    }
    let gate = state.gate.lock().unwrap().clone();
    if let Some((token, code)) = gate
        && seen.headers.get("authorization") != Some(&format!("Bearer {token}"))
    {
        return reply(&mut stream, 401, &format!("X-Error-Code: {code}\r\n"), b"", &seen);
    }
    if let Some(name) = path.strip_prefix("/folder/") {
        let body = state.files.lock().unwrap().get(name).cloned();
        return match body {
            Some(body) => send_file(&mut stream, &body, &seen, fault, state),
            None => reply(&mut stream, 404, "", b"", &seen),
        };
    }
    if let Some(rest) = path.strip_prefix("/api/models/") {
        return describe(&mut stream, rest, state, &seen);
    }
    resolve(&mut stream, &path, fault, state, &seen)
}

fn take_fault(state: &State, storage: bool, path: &str) -> Option<Fault> {
    let mut faults = state.faults.lock().unwrap();
    let fits = |pattern: &str| match pattern.strip_prefix("storage:") {
        Some(pattern) => storage && path.contains(pattern),
        None => !storage && path.contains(pattern),
    };
    let at = faults.iter().position(|(pattern, _)| fits(pattern))?;
    Some(faults.remove(at).1)
}

fn describe(stream: &mut TcpStream, rest: &str, state: &State, seen: &Seen) -> std::io::Result<()> {
    let commit = state.commit.lock().unwrap().clone();
    let (repository, revision) = rest.split_once("/revision/").unwrap_or((rest, "main"));
    if repository != REPOSITORY {
        // The public hub does not say whether a repository is missing or private.
        return reply(stream, 401, "X-Error-Code: RepoNotFound\r\n", b"", seen);
    }
    if !["main", "v1", "refs%2Fpr%2F1", &commit].contains(&revision) {
        return reply(stream, 404, "X-Error-Code: RevisionNotFound\r\n", b"", seen);
    }
    let sparse = state.sparse.load(Ordering::Relaxed);
    let files = state.files.lock().unwrap();
    let siblings: Vec<_> = files
        .iter()
        .map(|(path, body)| {
            if sparse {
                serde_json::json!({"rfilename": path})
            } else if is_large(path) {
                serde_json::json!({"rfilename": path, "size": body.len(), "blobId": "0".repeat(40),
                    "lfs": {"sha256": sha256(body), "size": body.len(), "pointerSize": 134}})
            } else {
                serde_json::json!({"rfilename": path, "size": body.len(), "blobId": git_blob(body)})
            }
        })
        .collect();
    let body = serde_json::json!({
        "id": REPOSITORY, "sha": commit, "gated": false, "cardData": {"license": "mit"}, "siblings": siblings,
    });
    reply(stream, 200, "", body.to_string().as_bytes(), seen)
}

fn resolve(
    stream: &mut TcpStream,
    path: &str,
    fault: Option<Fault>,
    state: &State,
    seen: &Seen,
) -> std::io::Result<()> {
    let commit = state.commit.lock().unwrap().clone();
    let prefix = format!("/{REPOSITORY}/resolve/{commit}/");
    let Some(file) = path.strip_prefix(&prefix) else {
        return reply(stream, 404, "X-Error-Code: RevisionNotFound\r\n", b"", seen);
    };
    let Some(body) = state.files.lock().unwrap().get(file).cloned() else {
        return reply(stream, 404, "X-Error-Code: EntryNotFound\r\n", b"", seen);
    };
    let (location, tag) = if is_large(file) {
        (format!("{}/{commit}/blob/{file}?Signature=x", state.storage.lock().unwrap()), sha256(&body))
    } else {
        (format!("/cache/{commit}/blob/{file}"), git_blob(&body))
    };
    let linked = match fault {
        Some(Fault::Bare) => String::new(),
        _ => format!("X-Repo-Commit: {commit}\r\nX-Linked-Size: {}\r\nX-Linked-Etag: \"{tag}\"\r\n", body.len()),
    };
    reply(stream, if is_large(file) { 302 } else { 307 }, &format!("Location: {location}\r\n{linked}"), b"", seen)
}

/// Sends a file, or the part that was asked for, with at most one fault.
fn send_file(
    stream: &mut TcpStream,
    body: &[u8],
    seen: &Seen,
    fault: Option<Fault>,
    state: &State,
) -> std::io::Result<()> {
    let fresh = matches!(fault, Some(Fault::NewTag));
    let tag = format!("\"{}{}\"", if fresh { "new-" } else { "" }, &sha256(body)[..16]);
    let asked =
        seen.headers.get("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    let unchanged = seen.headers.get("if-range").is_none_or(|stated| *stated == tag);
    let from = asked.filter(|_| unchanged && !matches!(fault, Some(Fault::IgnoreRange))).unwrap_or(0_usize);
    if from > 0 && from >= body.len() {
        return reply(stream, 416, &format!("Content-Range: bytes */{}\r\n", body.len()), b"", seen);
    }
    let mut part = body[from..].to_vec();
    let mut first = from;
    match fault {
        Some(Fault::WrongByte) => part[0] ^= 1,
        Some(Fault::Length(more)) => part.resize((part.len() as i64 + more) as usize, 7),
        Some(Fault::ShiftedRange) => first += 1,
        _ => {}
    }
    let mut head = if from > 0 {
        let last = body.len() - 1;
        format!("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {first}-{last}/{}\r\n", body.len())
    } else {
        "HTTP/1.1 200 OK\r\n".to_owned()
    };
    if !matches!(fault, Some(Fault::Endless)) {
        head += &format!("Content-Length: {}\r\n", part.len());
    }
    head += &format!("ETag: {tag}\r\nAccept-Ranges: bytes\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    if seen.method == "HEAD" {
        return Ok(());
    }
    match fault {
        Some(Fault::CutAfter(bytes)) => stream.write_all(&part[..bytes.min(part.len())]),
        Some(Fault::StallAfter(bytes)) => {
            stream.write_all(&part[..bytes.min(part.len())])?;
            while !state.stop.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(10));
            }
            Ok(())
        }
        Some(Fault::Endless) => loop {
            stream.write_all(&[7; 4096])?;
        },
        Some(Fault::Slow(pause)) => part.chunks(1024).try_for_each(|piece| {
            std::thread::sleep(pause);
            stream.write_all(piece)
        }),
        _ => stream.write_all(&part),
    }
}

fn reply(stream: &mut impl Write, status: u16, extra: &str, body: &[u8], seen: &Seen) -> std::io::Result<()> {
    let length = body.len();
    write!(stream, "HTTP/1.1 {status} X\r\n{extra}Content-Length: {length}\r\nConnection: close\r\n\r\n")?;
    if seen.method == "HEAD" { Ok(()) } else { stream.write_all(body) }
}

fn is_large(path: &str) -> bool {
    [".safetensors", ".bin", ".onnx"].iter().any(|ending| path.ends_with(ending))
}

/// The hash by which the hub names large files, in hexadecimal digits.
#[must_use]
pub fn sha256(body: &[u8]) -> String {
    hex(&Sha256::digest(body))
}

fn git_blob(body: &[u8]) -> String {
    let mut hash = Sha1::new();
    hash.update(format!("blob {}\0", body.len()));
    hash.update(body);
    hex(&hash.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
