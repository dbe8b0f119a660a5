//! The listener of profiles: keeps the most recent spans, and the sums of all.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Begun, Counter, SpanListener, SpanName};

/// A span that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// Name of the span.
    pub name: SpanName,
    /// When it began, relative to the start of the recording.
    pub start: Duration,
    /// How long it took.
    pub duration: Duration,
}

/// Totals of all spans of one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SpanTotal {
    /// How many spans have ended.
    pub count: u64,
    /// Sum of their durations; spans of several threads may overlap.
    pub total: Duration,
    /// Duration of the longest.
    pub longest: Duration,
}

/// Records spans and counts. Allocates its memory when it is made and never grows: when it is full, the oldest spans
/// are dropped, but [`total`](Self::total) and [`count_of`](Self::count_of) still include them.
#[derive(Debug)]
pub struct Recorder {
    origin: Instant,
    spans: Mutex<Ring>,
    totals: Mutex<[SpanTotal; SpanName::ALL.len()]>,
    counters: [AtomicU64; Counter::ALL.len()],
}

#[derive(Debug)]
struct Ring {
    /// Never longer than `capacity`.
    spans: Vec<Recorded>,
    capacity: usize,
    /// Index of the oldest span, once the ring is full.
    oldest: usize,
    lost: u64,
}

impl Recorder {
    /// Starts the clock of a recording that keeps `capacity` spans, 40 bytes each.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let ring = Ring { spans: Vec::with_capacity(capacity), capacity, oldest: 0, lost: 0 };
        Self { origin: Instant::now(), spans: Mutex::new(ring), totals: Mutex::default(), counters: Default::default() }
    }

    /// When the recording started.
    #[must_use]
    pub fn origin(&self) -> Instant {
        self.origin
    }

    /// The kept spans, in the order in which they ended.
    #[must_use]
    pub fn spans(&self) -> Vec<Recorded> {
        let ring = lock(&self.spans);
        ring.spans[ring.oldest..].iter().chain(&ring.spans[..ring.oldest]).copied().collect()
    }

    /// How many spans were dropped to make room.
    #[must_use]
    pub fn lost(&self) -> u64 {
        lock(&self.spans).lost
    }

    /// Number and durations of all spans of one name, dropped ones included.
    #[must_use]
    pub fn total(&self, name: SpanName) -> SpanTotal {
        lock(&self.totals)[name as usize]
    }

    /// The sum of a counter.
    #[must_use]
    pub fn count_of(&self, counter: Counter) -> u64 {
        self.counters[counter as usize].load(Ordering::Relaxed)
    }
}

impl SpanListener for Recorder {
    fn begin(&self, _: Begun) {}

    fn end(&self, span: Begun, at: Instant) {
        let duration = at.saturating_duration_since(span.at);
        let start = span.at.saturating_duration_since(self.origin);
        lock(&self.spans).push(Recorded { name: span.name, start, duration });
        let total = &mut lock(&self.totals)[span.name as usize];
        total.count += 1;
        total.total += duration;
        total.longest = total.longest.max(duration);
    }

    fn count(&self, counter: Counter, by: u64) {
        self.counters[counter as usize].fetch_add(by, Ordering::Relaxed);
    }
}

impl Ring {
    fn push(&mut self, span: Recorded) {
        if self.spans.len() < self.capacity {
            self.spans.push(span);
            return;
        }
        self.lost += 1;
        if let Some(oldest) = self.spans.get_mut(self.oldest) {
            *oldest = span;
            self.oldest = (self.oldest + 1) % self.capacity;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The data are sums and whole spans: no panic leaves them half-written.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
