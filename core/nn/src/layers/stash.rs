//! Scratch that threads take and give back.

use std::sync::{Mutex, PoisonError};

/// Scratch of threads that work on one job: each takes a piece and gives it back, so that the steady state allocates
/// nothing. As many pieces are kept as were ever used at once.
#[derive(Debug, Default)]
pub struct Stash<T>(Mutex<Vec<T>>);

impl<T> Stash<T> {
    /// An empty stash.
    #[must_use]
    pub const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// A stash of pieces that are there from the start.
    #[must_use]
    pub fn of(pieces: impl IntoIterator<Item = T>) -> Self {
        Self(Mutex::new(pieces.into_iter().collect()))
    }

    /// Calls `f` with every piece that is not in use.
    pub fn for_each(&self, f: impl FnMut(&mut T)) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter_mut().for_each(f);
    }

    /// Calls `work` with a piece that nobody else uses meanwhile; `make` makes one where all are in use.
    pub fn with<R>(&self, make: impl FnOnce() -> T, work: impl FnOnce(&mut T) -> R) -> R {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut piece = kept.unwrap_or_else(make);
        let result = work(&mut piece);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(piece);
        result
    }
}
