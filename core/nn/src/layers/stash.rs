//! Scratch memory that threads borrow and give back.

use std::sync::{Mutex, PoisonError};

/// Scratch memory for the threads of one job: each borrows a piece and gives it back, so that the steady state
/// allocates nothing. Keeps as many pieces as were ever in use at the same time.
#[derive(Debug, Default)]
pub struct Stash<T>(Mutex<Vec<T>>);

impl<T> Stash<T> {
    /// An empty stash.
    #[must_use]
    pub const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// A stash with these pieces.
    #[must_use]
    pub fn of(pieces: impl IntoIterator<Item = T>) -> Self {
        Self(Mutex::new(pieces.into_iter().collect()))
    }

    /// Calls `f` with every piece that is not in use.
    pub fn for_each(&self, f: impl FnMut(&mut T)) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter_mut().for_each(f);
    }

    /// Calls `work` with a piece for its exclusive use; calls `make` for a new one if all are in use.
    pub fn with<R>(&self, make: impl FnOnce() -> T, work: impl FnOnce(&mut T) -> R) -> R {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut piece = kept.unwrap_or_else(make);
        let result = work(&mut piece);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(piece);
        result
    }
}
