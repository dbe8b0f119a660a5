//! What a relay promises to the app at its other end: it is told what to do, never has to ask again and again, and
//! cannot be made to hold more than it has room for.

// Helpers of tests may unwrap like the tests themselves.
#![allow(clippy::unwrap_used)]

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::JoinHandle;
use std::time::Duration;

use sotto_runtime::{CancelToken, NoProgress};
use sotto_store::{HttpRequest, Hub, NetworkFailure, Patience, PullRequest, Relay, RelayEvent, Store, StoreError};
use sotto_store::{Token, sha256_of};
use sotto_testkit::hub::ggml;
use tempfile::TempDir;

const NAME: &str = "ggerganov/whisper.cpp/ggml-nano.bin";
/// What a relay holds of one answer.
const ROOM: usize = 512 << 10;

/// A pull on a thread of its own, and this test as its app.
struct Pulling {
    relay: Relay,
    cancel: CancelToken,
    result: JoinHandle<Result<Vec<u8>, StoreError>>,
    store: Store,
    _dir: TempDir,
}

impl Pulling {
    fn start() -> Self {
        Self::with(|hub| hub)
    }

    fn with(settings: impl FnOnce(Hub) -> Hub) -> Self {
        let patience = Patience { attempts: 2, pause: Duration::ZERO, ..Patience::default() };
        let hub = settings(Hub::new("https://hub.example").unwrap().with_patience(patience));
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let (relay, cancel) = (Relay::new(), CancelToken::new());
        let result = std::thread::spawn({
            let (store, relay, cancel) = (store.clone(), relay.clone(), cancel.clone());
            move || {
                let request = PullRequest::new(NAME, hub).unwrap();
                let path = store.pull(&request, &relay, &NoProgress, &cancel)?;
                Ok(std::fs::read(path).unwrap())
            }
        });
        Self { relay, cancel, result, store, _dir: dir }
    }

    #[track_caller]
    fn fetch(&self) -> (u64, HttpRequest) {
        match self.relay.wait_event() {
            Some(RelayEvent::Fetch { id, request }) => (id, request),
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn abandoned(&self, expected: u64) {
        assert_eq!(self.relay.wait_event(), Some(RelayEvent::Abandon { id: expected }));
    }

    fn answer(&self, id: u64, body: &[u8]) {
        assert!(self.relay.respond(id, 200, vec![("Content-Length".to_owned(), body.len().to_string())]));
        assert!(self.relay.push_blocking(id, body));
        self.relay.end(id);
    }

    /// Answers the first request, for the description of the repository, and returns the request for the file.
    fn describe(&self, model: &[u8]) -> (u64, HttpRequest) {
        let (id, request) = self.fetch();
        assert!(request.url.starts_with("https://hub.example/api/models/ggerganov/whisper.cpp/revision/main"));
        self.answer(id, description(model).as_bytes());
        self.fetch()
    }

    fn failure(self) -> StoreError {
        self.result.join().unwrap().unwrap_err()
    }
}

fn description(model: &[u8]) -> String {
    let (commit, size, hash) = ("a".repeat(40), model.len(), sha256_of(model));
    format!(
        r#"{{"sha": "{commit}", "siblings": [{{"rfilename": "ggml-nano.bin", "size": {size},
            "lfs": {{"sha256": "{hash}", "size": {size}}}}}]}}"#
    )
}

fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Waits until a waker was called.
fn wait_for(woken: &Woken) {
    while woken.0.load(Ordering::SeqCst) == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_pull_asks_for_one_request_after_another_and_resumes_where_one_failed() {
    let model = ggml(1_500_000);
    let pulling = Pulling::start();
    let (id, request) = pulling.describe(&model);
    assert_eq!((request.head, request.from_byte, header(&request, "Range")), (false, 0, None));
    assert_eq!(header(&request, "Accept-Encoding"), Some("identity"));
    let headers = |extra: &[(&str, &str)]| {
        let with = extra.iter().chain(&[("ETAG", "\"x1\"")]);
        with.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Vec<_>>()
    };
    assert!(pulling.relay.respond(id, 200, headers(&[])));
    assert!(pulling.relay.push_blocking(id, &model[..1_200_000]));
    pulling.relay.fail(id, NetworkFailure::Offline);
    assert!(!pulling.relay.push_blocking(id, &model[1_200_000..]), "the exchange is over");

    let (next, request) = pulling.fetch();
    assert!(next > id);
    assert_eq!((request.from_byte, header(&request, "Range")), (1_200_000, Some("bytes=1200000-")));
    assert_eq!(header(&request, "If-Range"), Some("\"x1\""));
    assert!(pulling.relay.respond(next, 206, headers(&[("content-range", "bytes 1200000-1499999/1500000")])));
    assert!(pulling.relay.push_blocking(next, &model[1_200_000..]));
    pulling.relay.end(next);
    assert_eq!(pulling.result.join().unwrap().unwrap(), model);
}

#[test]
fn the_token_goes_to_the_hub_alone_and_shows_nowhere() {
    let model = ggml(100);
    let pulling = Pulling::with(|hub| hub.with_token(Token::new("hf_secret").unwrap()).unwrap());
    let (id, request) = pulling.describe(&model);
    assert_eq!(header(&request, "Authorization"), Some("Bearer hf_secret"));
    assert!(!format!("{request:?}").contains("hf_secret"));
    pulling.relay.respond(id, 302, vec![("location".to_owned(), "https://storage.example/x".to_owned())]);
    // The redirect is a request of its own; nobody reads the body of the answer.
    pulling.abandoned(id);
    let (id, request) = pulling.fetch();
    assert_eq!((request.url.as_str(), header(&request, "Authorization")), ("https://storage.example/x", None));
    pulling.answer(id, &model);
    assert_eq!(pulling.result.join().unwrap().unwrap(), model);
}

#[test]
fn a_fast_network_waits_for_a_slow_disk_and_holds_no_more_than_there_is_room_for() {
    let model = ggml(3 * ROOM);
    let pulling = Pulling::start();
    // No disk: the description is not read before its head is there, so its body can fill the room first.
    let (id, _) = pulling.fetch();
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut cx = Context::from_waker(&waker);
    assert!(pulling.relay.respond(id, 200, Vec::new()));
    // Far more than any description: what is taken at once is bounded, whatever is offered.
    let mut offered = 0;
    let endless = vec![b' '; 20 << 20];
    loop {
        match pulling.relay.poll_push(id, &endless[..], &mut cx) {
            Poll::Ready(Some(taken)) => {
                assert!(taken <= ROOM, "{taken}");
                offered += taken;
            }
            Poll::Pending => wait_for(&woken),
            Poll::Ready(None) => break,
        }
        woken.0.store(0, Ordering::SeqCst);
    }
    // The pull refused it and the app is told to stop.
    assert!(offered < 18 << 20, "{offered}");
    pulling.abandoned(id);
    assert!(matches!(pulling.failure(), StoreError::Reply { .. }));

    // Blocking and awaited pushes bring everything across.
    let pulling = Pulling::start();
    let (id, _) = pulling.describe(&model);
    pulling.answer(id, &model);
    assert_eq!(pulling.result.join().unwrap().unwrap(), model);
}

#[test]
fn an_app_waits_for_events_and_for_room_by_its_waker() {
    let relay = Relay::new();
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut cx = Context::from_waker(&waker);
    let mut event = pin!(relay.next_event());
    assert!(event.as_mut().poll(&mut cx).is_pending());
    let cancel = CancelToken::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let dir = tempfile::tempdir().unwrap();
            let request = PullRequest::new(NAME, Hub::new("https://hub.example").unwrap()).unwrap();
            let pulled = Store::open(dir.path()).unwrap().pull(&request, &relay, &NoProgress, &cancel);
            assert!(matches!(pulled, Err(StoreError::Cancelled(_))));
        });
        wait_for(&woken);
        let Poll::Ready(Some(RelayEvent::Fetch { id, .. })) = event.as_mut().poll(&mut cx) else { panic!() };
        // Dropped before it is ready, a wait takes nothing away.
        let mut dropped = Box::pin(relay.next_event());
        assert!(dropped.as_mut().poll(&mut cx).is_pending());
        drop(dropped);
        woken.0.store(0, Ordering::SeqCst);
        cancel.cancel();
        wait_for(&woken);
        assert_eq!(relay.poll_event(&mut cx), Poll::Ready(Some(RelayEvent::Abandon { id })));
        assert!(!relay.respond(id, 200, Vec::new()));
    });
    woken.0.store(0, Ordering::SeqCst);
    assert!(relay.poll_event(&mut cx).is_pending());
    relay.close();
    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    assert_eq!(relay.poll_event(&mut cx), Poll::Ready(None));
}

#[test]
fn a_request_that_nobody_has_read_is_taken_back_without_a_word() {
    let pulling = Pulling::start();
    while format!("{:?}", pulling.relay).contains("exchanges: 0") {
        std::thread::yield_now();
    }
    let relay = pulling.relay.clone();
    pulling.cancel.cancel();
    assert!(matches!(pulling.failure(), StoreError::Cancelled(_)));
    assert_eq!(relay.poll_event(&mut Context::from_waker(Waker::noop())), Poll::Pending);
}

#[test]
fn a_silent_app_is_left_after_its_time() {
    let silence = Duration::from_millis(50);
    let patience = Patience { attempts: 2, pause: Duration::ZERO, silence, ..Patience::default() };
    let pulling = Pulling::with(|hub| hub.with_patience(patience));
    let (id, request) = pulling.fetch();
    assert_eq!(request.silence, silence);
    pulling.abandoned(id);
    let (id, _) = pulling.fetch();
    pulling.abandoned(id);
    let error = pulling.failure();
    assert!(matches!(error, StoreError::Network { failure: NetworkFailure::Timeout, .. }), "{error:?}");
}

#[test]
fn a_closed_relay_ends_its_pulls_and_those_to_come() {
    let model = ggml(ROOM * 2);
    let pulling = Pulling::start();
    let (id, _) = pulling.describe(&model);
    assert!(pulling.relay.respond(id, 200, Vec::new()));
    assert!(pulling.relay.push_blocking(id, &model[..1000]));
    let (relay, store) = (pulling.relay.clone(), pulling.store.clone());
    relay.close();
    let error = pulling.failure();
    assert!(matches!(error, StoreError::Network { failure: NetworkFailure::Closed, .. }), "{error:?}");
    assert_eq!(relay.wait_event(), None);
    assert!(!relay.push_blocking(id, &model));
    let request = PullRequest::new(NAME, Hub::new("https://hub.example").unwrap()).unwrap();
    let error = store.pull(&request, &relay, &NoProgress, &CancelToken::new()).unwrap_err();
    assert!(matches!(error, StoreError::Network { failure: NetworkFailure::Closed, .. }), "{error:?}");
}

#[test]
fn what_no_server_does_fails_the_exchange_and_not_the_program() {
    type Misuse = fn(&Relay, u64);
    let misuses: [Misuse; 6] = [
        |relay, id| assert!(!relay.push_blocking(id, b"a body before its head")),
        |relay, id| relay.end(id),
        |relay, id| assert!(!relay.respond(id, 200, vec![("X".repeat(300_000), String::new())])),
        |relay, id| {
            assert!(relay.respond(id, 200, Vec::new()));
            assert!(!relay.respond(id, 200, Vec::new()));
        },
        |relay, id| assert!(relay.respond(id, 65_535, Vec::new())),
        |relay, id| assert!(relay.respond(id, 0, Vec::new())),
    ];
    for misuse in misuses {
        let pulling = Pulling::start();
        // Each is tried once more, as a broken server is.
        for _ in 0..2 {
            let (id, _) = loop {
                match pulling.relay.wait_event() {
                    Some(RelayEvent::Fetch { id, request }) => break (id, request),
                    Some(RelayEvent::Abandon { .. }) => {}
                    other => panic!("{other:?}"),
                }
            };
            misuse(&pulling.relay, id);
            misuse_of_others(&pulling.relay, id);
        }
        let error = pulling.failure();
        assert!(matches!(error, StoreError::Network { failure: NetworkFailure::Protocol(_), .. }), "{error:?}");
    }
}

/// Numbers that were never given out are nobody's.
fn misuse_of_others(relay: &Relay, id: u64) {
    for other in [0, id + 1000, u64::MAX] {
        assert!(!relay.respond(other, 200, Vec::new()));
        assert!(!relay.push_blocking(other, b"x"));
        relay.end(other);
        relay.fail(other, NetworkFailure::Cut);
    }
}

#[test]
fn failures_of_the_platform_keep_their_meaning() {
    // What cannot get better is not tried again; being offline at the first request is said at once.
    for (failure, attempts) in [
        (NetworkFailure::Forbidden("cleartext".to_owned()), 1),
        (NetworkFailure::Tls("expired".to_owned()), 1),
        (NetworkFailure::Offline, 1),
        (NetworkFailure::Dns, 1),
        (NetworkFailure::Timeout, 2),
        (NetworkFailure::Cut, 2),
    ] {
        let pulling = Pulling::start();
        for _ in 0..attempts {
            let (id, _) = pulling.fetch();
            pulling.relay.fail(id, failure.clone());
        }
        match pulling.failure() {
            StoreError::Network { host, failure: found } => assert_eq!((&*host, found), ("hub.example", failure)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn nothing_hangs_or_is_left_whatever_happens_at_whatever_moment() {
    let model = ggml(ROOM + 70_000);
    let mut state = 7_u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) % below
    };
    for round in 0..100 {
        let pulling = Pulling::start();
        // Reads events and answers, sometimes badly, until the relay is closed.
        let faults = [random(6), random(6)];
        let app = std::thread::spawn({
            let (relay, model) = (pulling.relay.clone(), model.clone());
            move || {
                let mut answered = 0;
                while let Some(event) = relay.wait_event() {
                    let RelayEvent::Fetch { id, request } = event else { continue };
                    let fault = faults.get(answered).copied();
                    answered += 1;
                    let body = match request.url.contains("/api/") {
                        true => description(&model).into_bytes(),
                        false => model[request.from_byte as usize..].to_vec(),
                    };
                    let status = if request.from_byte > 0 { 416 } else { 200 };
                    relay.respond(id, status, Vec::new());
                    match fault {
                        Some(0) => relay.fail(id, NetworkFailure::Cut),
                        Some(1) => {
                            relay.push_blocking(id, &body[..body.len() / 2]);
                        }
                        _ => {
                            relay.push_blocking(id, &body);
                        }
                    }
                    if fault != Some(2) {
                        relay.end(id);
                    }
                }
            }
        });
        let (relay, cancel) = (pulling.relay.clone(), pulling.cancel.clone());
        let (what, when) = (random(4), Duration::from_micros(random(3_000)));
        std::thread::sleep(when);
        match what {
            0 => cancel.cancel(),
            1 => relay.close(),
            2 => {
                let both = std::thread::spawn(move || cancel.cancel());
                relay.close();
                both.join().unwrap();
            }
            _ => {}
        }
        if what == 3 && faults.contains(&2) {
            // An answer without an end is waited for.
            pulling.cancel.cancel();
        }
        let left = pulling.relay.clone();
        match pulling.result.join().unwrap() {
            Ok(pulled) => assert!(pulled == model, "round {round}"),
            // Half a description is no description.
            Err(StoreError::Cancelled(_) | StoreError::Network { .. } | StoreError::Reply { .. }) => {}
            Err(other) => panic!("round {round}: {other:?}"),
        }
        left.close();
        app.join().unwrap();
        assert!(format!("{left:?}").contains("exchanges: 0"), "round {round}: {left:?}");
    }
}

#[test]
fn what_is_awaited_may_move_between_threads() {
    fn may_move(_: impl Send) {}
    let relay = Relay::new();
    may_move(relay.next_event());
    may_move(relay.push(1, b"x"));
}
