//! Where time goes, for the tracers of the platforms.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use sotto::profile::spans::{self, Attached, Begun, Counter};

/// What a span is about. Its name in traces and reports is `sotto.` and the word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum SpanKind {
    /// Reading a model until it can work.
    Load,
    /// Features of audio that has been read.
    Mel,
    /// The encoder over one window.
    Encode,
    /// The text of one window.
    Decode,
    /// Times of words.
    Align,
}

/// Hears spans as they begin and end, on the threads that work, as tracers take the time when they are called: it must
/// return at once, and neither block nor call into this library. Spans of one thread end in the reverse order of their
/// beginnings; `id` is another one for every span of the process.
#[uniffi::export(callback_interface)]
pub trait SpanListener: Send + Sync {
    /// A span begins.
    fn begin(&self, kind: SpanKind, id: u64);

    /// A span ends, on the thread where it began.
    fn end(&self, kind: SpanKind, id: u64);
}

/// The listener hears as long as somebody has this.
#[derive(Debug, uniffi::Object)]
pub struct SpanSubscription {
    _attached: Attached,
}

/// Tells `listener` of all spans of this process until what is returned is let go of, which waits until it is told
/// nothing any more. Several may listen; without one a span costs next to nothing.
#[uniffi::export]
#[must_use]
pub fn listen_to_spans(listener: Box<dyn SpanListener>) -> Arc<SpanSubscription> {
    Arc::new(SpanSubscription { _attached: spans::attach(Arc::new(AppListener(listener))) })
}

/// The listener of an app as one of ours.
struct AppListener(Box<dyn SpanListener>);

impl spans::SpanListener for AppListener {
    fn begin(&self, span: Begun) {
        if let Some(kind) = SpanKind::of(span.name) {
            self.0.begin(kind, span.id);
        }
    }

    fn end(&self, span: Begun, _: Instant) {
        if let Some(kind) = SpanKind::of(span.name) {
            self.0.end(kind, span.id);
        }
    }

    fn count(&self, _: Counter, _: u64) {}
}

impl fmt::Debug for AppListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AppListener")
    }
}

impl SpanKind {
    /// `None` for kinds that are younger than this surface.
    fn of(name: spans::SpanName) -> Option<Self> {
        Some(match name {
            spans::SpanName::Load => Self::Load,
            spans::SpanName::Mel => Self::Mel,
            spans::SpanName::Encode => Self::Encode,
            spans::SpanName::Decode => Self::Decode,
            spans::SpanName::Align => Self::Align,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::thread::{self, ThreadId};

    use sotto::profile::spans::{SpanName, span};

    use super::*;

    /// Whether it began, what it is, its number, and where.
    type Heard = Arc<Mutex<Vec<(bool, SpanKind, u64, ThreadId)>>>;

    struct Recording(Heard);

    impl SpanListener for Recording {
        fn begin(&self, kind: SpanKind, id: u64) {
            self.0.lock().unwrap().push((true, kind, id, thread::current().id()));
        }

        fn end(&self, kind: SpanKind, id: u64) {
            self.0.lock().unwrap().push((false, kind, id, thread::current().id()));
        }
    }

    #[test]
    fn spans_are_heard_in_pairs_while_somebody_listens() {
        let heard = Heard::default();
        drop(span(SpanName::Align));
        let subscription = listen_to_spans(Box::new(Recording(Arc::clone(&heard))));
        drop(span(SpanName::Align));
        drop(subscription);
        drop(span(SpanName::Align));
        // Other tests of this process work meanwhile, on threads of theirs.
        let here = thread::current().id();
        let heard: Vec<_> = heard.lock().unwrap().iter().filter(|(.., thread)| *thread == here).copied().collect();
        let [(true, SpanKind::Align, begun, _), (false, SpanKind::Align, ended, _)] = heard[..] else {
            panic!("{heard:?}");
        };
        assert_eq!(begun, ended);
    }
}
