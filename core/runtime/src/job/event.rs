//! Events that a job reports.

use crate::Progress;

/// An event of a job. A lasting event (a segment, a final text, a result) is never lost; a passing one (progress,
/// volatile text) may be replaced by a newer one while it waits.
pub trait Event: Send + 'static {
    /// The kind of a passing event; `None`, the default, for an event that must not be lost.
    ///
    /// While it waits to be pulled, a passing event is replaced by a newer one of its kind, unless a lasting event was
    /// reported in between. So the queue of a reader that never comes grows with the lasting events, not with time.
    fn passing(&self) -> Option<Passing> {
        None
    }
}

/// Kinds of passing events: a newer one replaces an older one of the same kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Passing {
    /// How far the work is.
    Progress,
    /// Text that may still change.
    Volatile,
}

/// Events of a job whose result is one value: loading, packing or fetching a model.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step<T> {
    /// How far the work has come.
    Progress(Progress<'static>),
    /// The result, the last event.
    Done(T),
}

impl<T: Send + 'static> Event for Step<T> {
    fn passing(&self) -> Option<Passing> {
        matches!(self, Self::Progress(_)).then_some(Passing::Progress)
    }
}

impl<T> From<Progress<'static>> for Step<T> {
    fn from(progress: Progress<'static>) -> Self {
        Self::Progress(progress)
    }
}
