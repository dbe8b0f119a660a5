//! Where time goes: spans with stable names and monotonic times, and counters, reported to attached listeners.
//!
//! Code that does work opens a [`Span`] and drops it at the end; every [`SpanListener`] that is [attached](attach) is
//! called when a span begins and ends. Platform tracers connect here: a listener maps [`SpanName::name`] to
//! `ATrace_beginSection` and `ATrace_endSection` (Perfetto), or [`Begun::id`] to an `OSSignpostID`. [`Recorder`] is the
//! listener of profiles.
//!
//! Listeners hear the whole process: spans of two models that run at once differ only in their threads.
//!
//! Cost without a listener: one relaxed load per span and per count. With one: a read lock, two readings of the clock,
//! and the listener's own work. Nothing is allocated in either case. Spans are coarse, some tens per second of audio.
//!
//! ```
//! use std::sync::Arc;
//! use sotto_runtime::spans::{Counter, Recorder, SpanName, attach, count, span};
//!
//! let recorder = Arc::new(Recorder::new(100));
//! let listening = attach(recorder.clone());
//! {
//!     let _encode = span(SpanName::Encode);
//!     count(Counter::LoadedBytes, 512);
//! }
//! drop(listening);
//! assert_eq!(recorder.total(SpanName::Encode).count, 1);
//! assert_eq!(recorder.count_of(Counter::LoadedBytes), 512);
//! ```

mod recorder;

use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

pub use recorder::{Recorded, Recorder, SpanTotal};

/// What a span is about. Names are stable: traces and stored profiles rely on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SpanName {
    /// Loading a model, until it is ready.
    Load,
    /// Log-mel features of audio that has been read.
    Mel,
    /// The encoder over one window, and the keys and values of its output that the decoder keeps.
    Encode,
    /// Decoding the text of one window, with all attempts.
    Decode,
    /// Word times, by one more pass of the decoder when none was recorded. Lies inside no other span.
    Align,
}

impl SpanName {
    /// All names, in the order in which the work is done.
    pub const ALL: [Self; 5] = [Self::Load, Self::Mel, Self::Encode, Self::Decode, Self::Align];

    /// The name in tracers and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Load => "sotto.load",
            Self::Mel => "sotto.mel",
            Self::Encode => "sotto.encode",
            Self::Decode => "sotto.decode",
            Self::Align => "sotto.align",
        }
    }
}

/// What is counted. Names are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Counter {
    /// Bytes of model files that were read or mapped while loading.
    LoadedBytes,
    /// Bytes of weights, and of the audio's keys and values, that decoding had to read: computed per token, not
    /// measured.
    DecoderBytes,
    /// Bytes reserved from memory budgets.
    ReservedBytes,
    /// Bytes given back to memory budgets.
    ReleasedBytes,
    /// Helper threads that were woken from sleep; each costs a system call.
    HelperWakeups,
}

impl Counter {
    /// All counters.
    pub const ALL: [Self; 5] =
        [Self::LoadedBytes, Self::DecoderBytes, Self::ReservedBytes, Self::ReleasedBytes, Self::HelperWakeups];

    /// The name in tracers and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LoadedBytes => "sotto.bytes.loaded",
            Self::DecoderBytes => "sotto.bytes.decoder",
            Self::ReservedBytes => "sotto.bytes.reserved",
            Self::ReleasedBytes => "sotto.bytes.released",
            Self::HelperWakeups => "sotto.helpers.woken",
        }
    }
}

/// A span that has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begun {
    /// What it is about.
    pub name: SpanName,
    /// Different for every span of the process.
    pub id: u64,
    /// When it began, on the monotonic clock.
    pub at: Instant,
}

/// Receives spans and counts, on the threads that do the work. Methods must return at once, never block, and neither
/// call [`attach`] nor drop an [`Attached`].
///
/// Spans of one thread end in the reverse order of their beginnings. A listener receives the end of every span whose
/// beginning it received, unless it is detached before, and of no span that began before it was attached.
pub trait SpanListener: Send + Sync {
    /// A span begins on this thread.
    fn begin(&self, span: Begun);

    /// A span ends, on the thread where it began.
    fn end(&self, span: Begun, at: Instant);

    /// A counter grew by `by`.
    fn count(&self, counter: Counter, by: u64);
}

/// Number of listeners: the only thing that is read while there are none.
static LISTENING: AtomicUsize = AtomicUsize::new(0);
static LISTENERS: RwLock<Vec<Listener>> = RwLock::new(Vec::new());
/// Numbers of listeners and spans, from one sequence.
static NEXT: AtomicU64 = AtomicU64::new(1);

struct Listener {
    /// Spans with smaller numbers began before this listener was attached.
    number: u64,
    listener: Arc<dyn SpanListener>,
}

/// Reports all spans and counts of this process to `listener` until the returned value is dropped. Several listeners
/// may be attached.
#[must_use = "the listener is detached when this is dropped"]
pub fn attach(listener: Arc<dyn SpanListener>) -> Attached {
    let mut listeners = LISTENERS.write().unwrap_or_else(PoisonError::into_inner);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    listeners.push(Listener { number, listener });
    LISTENING.store(listeners.len(), Ordering::Relaxed);
    Attached { number }
}

/// Keeps a listener attached. Dropping it waits until no thread is calling a listener.
#[derive(Debug)]
pub struct Attached {
    number: u64,
}

impl Drop for Attached {
    fn drop(&mut self) {
        let mut listeners = LISTENERS.write().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| listener.number != self.number);
        LISTENING.store(listeners.len(), Ordering::Relaxed);
    }
}

/// Begins a span, which ends when the returned value is dropped, on this thread.
#[inline]
#[must_use = "the span ends when this is dropped"]
pub fn span(name: SpanName) -> Span {
    let begun = if LISTENING.load(Ordering::Relaxed) == 0 { None } else { Some(begin(name)) };
    Span { begun, on_this_thread: PhantomData }
}

/// Adds `by` to a counter.
#[inline]
pub fn count(counter: Counter, by: u64) {
    if LISTENING.load(Ordering::Relaxed) != 0 {
        tell(|_, listener| listener.count(counter, by));
    }
}

/// A running span; ends on drop.
pub struct Span {
    begun: Option<Begun>,
    /// Not `Send`: tracers stack spans by thread.
    on_this_thread: PhantomData<*const ()>,
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Span").field(&self.begun.map(|begun| begun.name)).finish()
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(span) = self.begun {
            let at = Instant::now();
            tell(|number, listener| {
                if number < span.id {
                    listener.end(span, at);
                }
            });
        }
    }
}

#[cold]
fn begin(name: SpanName) -> Begun {
    // The number is taken under the lock: a listener in the list receives the beginning and has a smaller number.
    let listeners = LISTENERS.read().unwrap_or_else(PoisonError::into_inner);
    let span = Begun { name, id: NEXT.fetch_add(1, Ordering::Relaxed), at: Instant::now() };
    listeners.iter().for_each(|entry| entry.listener.begin(span));
    span
}

#[cold]
fn tell(each: impl Fn(u64, &dyn SpanListener)) {
    let listeners = LISTENERS.read().unwrap_or_else(PoisonError::into_inner);
    listeners.iter().for_each(|entry| each(entry.number, &*entry.listener));
}
