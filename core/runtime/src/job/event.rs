//! What a job reports.

use crate::Progress;

/// What a job reports. What has happened (a segment, a final text, a result) is never lost; how things stand may be
/// replaced by how they stand later.
pub trait Event: Send + 'static {
    /// What kind of passing state this is; `None`, the default, where it must not be lost.
    ///
    /// A passing event takes the place of the last one of its kind that waits to be pulled, if nothing lasting has been
    /// reported since: what waits for a reader that never comes grows with what happens, not with the time.
    fn passing(&self) -> Option<Passing> {
        None
    }
}

/// Kinds of events that newer ones of the same kind replace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Passing {
    /// How far the work is.
    Progress,
    /// Text that may still change.
    Volatile,
}

/// What a job reports whose result is one value: loading a model, packing or fetching one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step<T> {
    /// How far the work is.
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
