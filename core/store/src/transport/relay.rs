//! The platform fetches, the store is fed: for apps, whose library has no network of its own.
//!
//! The store asks for requests as [`RelayEvent`]s; the app carries each one out with what the platform has
//! (`HttpURLConnection`, `URLSession`) and hands back status, headers and bytes under the request's number. What it
//! hands back is trusted no more than a server is: lengths, ranges and hashes are checked as ever.
//!
//! Nothing here polls the app, and the app polls nothing: events and room for bytes are waited for with a waker or
//! blocking, as the app likes. At most 512 KiB of each answer wait for the disk; a faster network has to wait.

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use sotto_runtime::CancelToken;

use super::{Body, HttpRequest, HttpResponse, PIECE, QUEUE, Transport, host};
use crate::error::{NetworkFailure, StoreError};

/// Longest headers that are taken of one answer; servers themselves stop at 8 to 16 KiB for each.
const MAX_HEADERS: usize = 256 << 10;

/// What the app has to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RelayEvent {
    /// Carry out this request. **Follow no redirect**, add no credentials or cookies, keep no copy in a cache, and undo
    /// no content coding; the answer of a redirect or a failure goes back like any other.
    Fetch {
        /// Number of the exchange, for everything that is handed back.
        id: u64,
        /// The request.
        request: HttpRequest,
    },
    /// Stop the exchange of this number: nobody waits for it any more. What is still handed back is ignored.
    Abandon {
        /// Number of the exchange.
        id: u64,
    },
}

/// A [`Transport`] whose other end is the app. Clones are the same relay; any number of pulls may use it at once.
///
/// The app reads [events](Self::next_event) on one task and answers each request from wherever it likes:
/// [`respond`](Self::respond) once, [`push`](Self::push) for every piece, then [`end`](Self::end); or
/// [`fail`](Self::fail) at any time. Calls for an exchange that is over do nothing and say so. All of it is
/// thread-safe.
#[derive(Clone, Default)]
pub struct Relay(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Something arrived, or there is room again.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    closed: bool,
    /// Number of the latest exchange.
    latest: u64,
    exchanges: BTreeMap<u64, Exchange>,
    events: VecDeque<RelayEvent>,
    /// Tasks that wait for an event.
    readers: Vec<Waker>,
}

#[derive(Default)]
struct Exchange {
    head: Option<(u16, Vec<(String, String)>)>,
    responded: bool,
    pieces: VecDeque<Vec<u8>>,
    /// Bytes in `pieces`.
    queued: usize,
    end: Option<Result<(), NetworkFailure>>,
    /// Tasks that wait for room.
    writers: Vec<Waker>,
}

impl Exchange {
    fn is_open(&self) -> bool {
        self.end.is_none()
    }

    /// The app did something that no exchange allows.
    fn spoil(&mut self, what: &str) {
        self.end = Some(Err(NetworkFailure::Protocol(what.to_owned())));
    }
}

fn remember(wakers: &mut Vec<Waker>, cx: &Context<'_>) {
    if !wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
        wakers.push(cx.waker().clone());
    }
}

impl Relay {
    /// A relay without exchanges.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The next thing to do, or none once the relay is [closed](Self::close). The waker of `cx` is woken when there is
    /// something.
    pub fn poll_event(&self, cx: &mut Context<'_>) -> Poll<Option<RelayEvent>> {
        let mut state = self.0.lock();
        match state.events.pop_front() {
            Some(event) => Poll::Ready(Some(event)),
            None if state.closed => Poll::Ready(None),
            None => {
                remember(&mut state.readers, cx);
                Poll::Pending
            }
        }
    }

    /// [`poll_event`](Self::poll_event) to be awaited. An event is taken out only when this is ready: dropping it
    /// earlier loses none.
    pub async fn next_event(&self) -> Option<RelayEvent> {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    /// [`poll_event`](Self::poll_event) that blocks its thread.
    #[must_use]
    pub fn wait_event(&self) -> Option<RelayEvent> {
        let mut state = self.0.lock();
        loop {
            if let Some(event) = state.events.pop_front() {
                return Some(event);
            }
            if state.closed {
                return None;
            }
            state = self.0.wait(state);
        }
    }

    /// Status and headers of an answer; names in any case. Returns whether the body is wanted.
    pub fn respond(&self, id: u64, status: u16, headers: Vec<(String, String)>) -> bool {
        self.0.with(id, false, |exchange| {
            let length: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
            if exchange.responded {
                exchange.spoil("two answers to one request");
            } else if length > MAX_HEADERS {
                exchange.spoil("headers without end");
            } else {
                exchange.responded = true;
                exchange.head = Some((status, headers));
            }
            exchange.is_open()
        })
    }

    /// Takes as many of these bytes of the body as there is room for, and says how many; none when no more are wanted.
    /// Without room the waker of `cx` is woken as soon as there is some.
    pub fn poll_push(&self, id: u64, bytes: &[u8], cx: &mut Context<'_>) -> Poll<Option<usize>> {
        self.0.with(id, Poll::Ready(None), |exchange| match exchange.take(bytes) {
            Some(0) if !bytes.is_empty() => {
                remember(&mut exchange.writers, cx);
                Poll::Pending
            }
            taken => Poll::Ready(taken),
        })
    }

    /// Hands over bytes of the body, waiting for room. Returns whether more are wanted; dropped before it is ready,
    /// it may have handed over some of them, so the exchange has to [fail](Self::fail) then.
    pub async fn push(&self, id: u64, mut bytes: &[u8]) -> bool {
        loop {
            match poll_fn(|cx| self.poll_push(id, bytes, cx)).await {
                Some(taken) if taken == bytes.len() => return true,
                Some(taken) => bytes = &bytes[taken..],
                None => return false,
            }
        }
    }

    /// [`push`](Self::push) that blocks its thread.
    pub fn push_blocking(&self, id: u64, mut bytes: &[u8]) -> bool {
        let mut state = self.0.lock();
        loop {
            let Some(taken) = state.exchanges.get_mut(&id).and_then(|exchange| exchange.take(bytes)) else {
                self.0.changed.notify_all();
                return false;
            };
            bytes = &bytes[taken..];
            self.0.changed.notify_all();
            if bytes.is_empty() {
                return true;
            }
            state = self.0.wait(state);
        }
    }

    /// The body is complete.
    pub fn end(&self, id: u64) {
        self.0.with(id, (), |exchange| {
            if exchange.responded {
                exchange.end = Some(Ok(()));
            } else {
                exchange.spoil("an end without an answer");
            }
        });
    }

    /// The exchange failed. What came before it counts; a passing failure is tried again, by a new request.
    pub fn fail(&self, id: u64, failure: NetworkFailure) {
        self.0.with(id, (), |exchange| exchange.end = Some(Err(failure)));
    }

    /// Ends everything: pulls that use this relay fail at once with [`NetworkFailure::Closed`], events end. Parts
    /// stay on disk. To be called when the app's end goes away.
    pub fn close(&self) {
        let mut state = self.0.lock();
        state.closed = true;
        state.events.clear();
        let mut wakers = std::mem::take(&mut state.readers);
        for exchange in state.exchanges.values_mut() {
            exchange.end = Some(Err(NetworkFailure::Closed));
            exchange.pieces.clear();
            wakers.append(&mut exchange.writers);
        }
        drop(state);
        self.0.changed.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.0.lock();
        f.debug_struct("Relay").field("exchanges", &state.exchanges.len()).field("closed", &state.closed).finish()
    }
}

impl Exchange {
    /// Takes what there is room for; none when the body is not wanted.
    fn take(&mut self, bytes: &[u8]) -> Option<usize> {
        if !self.is_open() {
            return None;
        }
        if !self.responded {
            self.spoil("a body without an answer");
            return None;
        }
        let taken = bytes.len().min(QUEUE - self.queued);
        self.pieces.extend(bytes[..taken].chunks(PIECE).map(<[u8]>::to_vec));
        self.queued += taken;
        Some(taken)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change of the state is complete before anything can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes an open exchange and tells its pull; `over` where it is not open.
    fn with<R>(&self, id: u64, over: R, change: impl FnOnce(&mut Exchange) -> R) -> R {
        let mut state = self.lock();
        match state.exchanges.get_mut(&id).filter(|exchange| exchange.is_open()) {
            Some(exchange) => {
                let result = change(exchange);
                drop(state);
                self.changed.notify_all();
                result
            }
            None => over,
        }
    }

    /// Waits for what `look` finds in the exchange; for `silence` at most, and not beyond the cancellation of `cancel`.
    fn await_some<R>(
        self: &Arc<Self>,
        id: u64,
        silence: Duration,
        cancel: &CancelToken,
        mut look: impl FnMut(&mut Exchange) -> Option<Result<R, NetworkFailure>>,
    ) -> Result<Result<R, NetworkFailure>, StoreError> {
        let start = Instant::now();
        let mut listener = None;
        let mut state = self.lock();
        loop {
            cancel.check()?;
            let Some(exchange) = state.exchanges.get_mut(&id) else { return Ok(Err(NetworkFailure::Closed)) };
            if let Some(found) = look(exchange) {
                let writers = std::mem::take(&mut exchange.writers);
                drop(state);
                self.changed.notify_all();
                writers.into_iter().for_each(Waker::wake);
                return Ok(found);
            }
            let left = silence.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Ok(Err(NetworkFailure::Timeout));
            }
            if listener.is_none() {
                // It may be called at once, and takes the lock.
                drop(state);
                let shared = Arc::clone(self);
                listener = Some(cancel.on_cancel(move || {
                    // Between this thread's look and its wait nobody else holds the lock.
                    drop(shared.lock());
                    shared.changed.notify_all();
                }));
                state = self.lock();
                continue;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn begin(&self, request: HttpRequest) -> Option<u64> {
        let mut state = self.lock();
        if state.closed {
            return None;
        }
        state.latest += 1;
        let id = state.latest;
        state.exchanges.insert(id, Exchange::default());
        state.events.push_back(RelayEvent::Fetch { id, request });
        self.tell_readers(state);
        Some(id)
    }

    /// The pull is done with an exchange. The app hears of it where it still works on it.
    fn finish(&self, id: u64) {
        let mut state = self.lock();
        let Some(exchange) = state.exchanges.remove(&id) else { return };
        let unread = |event: &RelayEvent| matches!(event, RelayEvent::Fetch { id: other, .. } if *other == id);
        if let Some(at) = state.events.iter().position(unread) {
            state.events.remove(at);
        } else if exchange.is_open() && !state.closed {
            state.events.push_back(RelayEvent::Abandon { id });
        }
        self.tell_readers(state);
        exchange.writers.into_iter().for_each(Waker::wake);
    }

    fn tell_readers(&self, mut state: MutexGuard<'_, State>) {
        let readers = std::mem::take(&mut state.readers);
        drop(state);
        self.changed.notify_all();
        readers.into_iter().for_each(Waker::wake);
    }
}

impl Transport for Relay {
    fn send(&self, request: HttpRequest, cancel: &CancelToken) -> Result<HttpResponse, StoreError> {
        cancel.check()?;
        let (host, silence) = (host(&request.url), request.silence);
        let Some(id) = self.0.begin(request) else {
            return Err(StoreError::Network { host, failure: NetworkFailure::Closed });
        };
        // Ends the exchange also where no answer comes.
        let body = RelayBody { shared: Arc::clone(&self.0), id, host, silence };
        let head = self.0.await_some(id, silence, cancel, |exchange| match (exchange.head.take(), &exchange.end) {
            (Some(head), _) => Some(Ok(head)),
            (None, Some(Err(failure))) => Some(Err(failure.clone())),
            (None, _) => None,
        })?;
        let (status, headers) = head.map_err(|failure| body.lost(failure))?;
        Ok(HttpResponse::new(status, headers, Box::new(body)))
    }
}

/// The body of an answer that the app feeds.
struct RelayBody {
    shared: Arc<Shared>,
    id: u64,
    host: String,
    silence: Duration,
}

impl RelayBody {
    fn lost(&self, failure: NetworkFailure) -> StoreError {
        StoreError::Network { host: self.host.clone(), failure }
    }
}

impl Body for RelayBody {
    fn piece(&mut self, cancel: &CancelToken) -> Result<Option<Vec<u8>>, StoreError> {
        let piece = self.shared.await_some(self.id, self.silence, cancel, |exchange| {
            if let Some(piece) = exchange.pieces.pop_front() {
                exchange.queued -= piece.len();
                return Some(Ok(Some(piece)));
            }
            exchange.end.as_ref().map(|end| end.clone().map(|()| None))
        })?;
        piece.map_err(|failure| self.lost(failure))
    }
}

impl Drop for RelayBody {
    fn drop(&mut self) {
        self.shared.finish(self.id);
    }
}
