//! Where time goes: spans with stable names and monotonic times, and counters, for whoever listens.
//!
//! Code that works opens a [`Span`] and lets it drop; a [`SpanListener`] that is [attached](attach) hears when each
//! begins and ends. That is the seam for the tracers of the platforms: a listener maps [`SpanName::name`] to
//! `ATrace_beginSection` and `ATrace_endSection` (Perfetto), or [`Begun::id`] to an `OSSignpostID`. [`Recorder`] is the
//! listener of profiles.
//!
//! Listeners hear the whole process: two models at work at once are told apart by nothing but their threads.
//!
//! Cost: one relaxed load for each span and each count while nobody listens, nothing is allocated then or later. With a
//! listener a read lock, the clock twice and what the listener does. Spans are coarse, some tens per second of audio.
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
    /// Reading a model until it can work.
    Load,
    /// Log-mel features of audio that has been read.
    Mel,
    /// The encoder over one window, with what the decoder keeps of it.
    Encode,
    /// The text of one window, all attempts.
    Decode,
    /// Times of words, by one more pass of the decoder where none was recorded; lies inside no other span.
    Align,
}

impl SpanName {
    /// All names, in the order in which the work is done.
    pub const ALL: [Self; 5] = [Self::Load, Self::Mel, Self::Encode, Self::Decode, Self::Align];

    /// What tracers and reports show.
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
    /// Bytes of model files that loads have read or mapped.
    LoadedBytes,
    /// Bytes of weights, and of keys and values of the audio, that decoding had to read: by reckoning, per token.
    DecoderBytes,
    /// Bytes that were taken out of memory budgets.
    ReservedBytes,
    /// Bytes that were given back to memory budgets.
    ReleasedBytes,
    /// Helper threads that were woken from sleep, a system call each.
    HelperWakeups,
}

impl Counter {
    /// All counters.
    pub const ALL: [Self; 5] =
        [Self::LoadedBytes, Self::DecoderBytes, Self::ReservedBytes, Self::ReleasedBytes, Self::HelperWakeups];

    /// What tracers and reports show.
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

/// Hears spans and counts, on the threads that work: return at once, never block, and call neither [`attach`] nor drop
/// an [`Attached`].
///
/// Spans of one thread end in the reverse order of their beginnings. A listener hears the end of every span whose
/// beginning it heard, unless it is detached before; and of none that began before it was attached.
pub trait SpanListener: Send + Sync {
    /// A span begins on this thread.
    fn begin(&self, span: Begun);

    /// A span ends, on the thread where it began.
    fn end(&self, span: Begun, at: Instant);

    /// `by` more of something.
    fn count(&self, counter: Counter, by: u64);
}

/// How many listeners there are: all that is looked at while there are none.
static LISTENING: AtomicUsize = AtomicUsize::new(0);
static LISTENERS: RwLock<Vec<Listener>> = RwLock::new(Vec::new());
/// Numbers for listeners and spans alike.
static NEXT: AtomicU64 = AtomicU64::new(1);

struct Listener {
    /// Spans with smaller numbers began before it was attached.
    number: u64,
    listener: Arc<dyn SpanListener>,
}

/// Tells `listener` of all spans and counts of this process until what is returned is dropped. Several may listen.
#[must_use = "the listener is detached when this is dropped"]
pub fn attach(listener: Arc<dyn SpanListener>) -> Attached {
    let mut listeners = LISTENERS.write().unwrap_or_else(PoisonError::into_inner);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    listeners.push(Listener { number, listener });
    LISTENING.store(listeners.len(), Ordering::Relaxed);
    Attached { number }
}

/// A listener hears as long as this lives. Dropping it waits until no thread is telling the listener anything.
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

/// Begins a span that ends when what is returned is dropped, on this thread.
#[inline]
#[must_use = "the span ends when this is dropped"]
pub fn span(name: SpanName) -> Span {
    let begun = if LISTENING.load(Ordering::Relaxed) == 0 { None } else { Some(begin(name)) };
    Span { begun, on_this_thread: PhantomData }
}

/// Counts `by` more of something.
#[inline]
pub fn count(counter: Counter, by: u64) {
    if LISTENING.load(Ordering::Relaxed) != 0 {
        tell(|_, listener| listener.count(counter, by));
    }
}

/// A piece of work that goes on; ends on drop.
pub struct Span {
    begun: Option<Begun>,
    /// Tracers stack spans by thread.
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
    // The number is taken under the lock: whoever is in the list hears the beginning and has a smaller one.
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
