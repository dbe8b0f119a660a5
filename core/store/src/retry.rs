//! When to try again, and how long to wait before.

use std::sync::mpsc::channel;
use std::time::Duration;

use sotto_runtime::CancelToken;

use crate::error::StoreError;
use crate::origin::Patience;

/// Counts failures in a row and decides what each one means.
pub(crate) struct Attempts<'a> {
    patience: &'a Patience,
    failed: u32,
}

impl<'a> Attempts<'a> {
    pub(crate) fn new(patience: &'a Patience) -> Self {
        Self { patience, failed: 0 }
    }

    /// The work moved on: earlier failures no longer count.
    pub(crate) fn progressed(&mut self) {
        self.failed = 0;
    }

    /// Waits before the next attempt, or gives the error back when there is none: it is not transient, attempts are
    /// used up, or the server asks for a longer wait than `Patience::longest_pause`. The wait ends at once on `cancel`.
    pub(crate) fn failed(&mut self, error: StoreError, cancel: &CancelToken) -> Result<(), StoreError> {
        self.failed += 1;
        if !error.is_transient() || self.failed >= self.patience.attempts.max(1) {
            return Err(error);
        }
        let asked = match error {
            StoreError::RateLimited { retry_after, .. } => retry_after,
            _ => None,
        };
        if asked.is_some_and(|asked| asked > self.patience.longest_pause) {
            return Err(error);
        }
        let doubled = self.patience.pause.saturating_mul(1 << (self.failed - 1).min(16));
        pause(asked.unwrap_or(doubled).min(self.patience.longest_pause), cancel)
    }
}

fn pause(length: Duration, cancel: &CancelToken) -> Result<(), StoreError> {
    let (sender, fired) = channel();
    let listener = cancel.on_cancel(move || {
        let _ = sender.send(());
    });
    // The sender lives in the listener: this ends when the token fires or the time is over.
    let _ = fired.recv_timeout(length);
    drop(listener);
    Ok(cancel.check()?)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::error::NetworkFailure;

    fn cut() -> StoreError {
        StoreError::Network { host: "h".to_owned(), failure: NetworkFailure::Cut }
    }

    fn limited(seconds: u64) -> StoreError {
        let retry_after = Some(Duration::from_secs(seconds));
        StoreError::RateLimited { host: "h".to_owned(), retry_after, had_token: false }
    }

    fn patience() -> Patience {
        Patience { attempts: 3, pause: Duration::from_millis(1), ..Patience::default() }
    }

    #[test]
    fn failures_without_progress_are_bounded_and_progress_forgives_them() {
        let (patience, cancel) = (patience(), CancelToken::new());
        let mut attempts = Attempts::new(&patience);
        assert!(attempts.failed(cut(), &cancel).is_ok());
        assert!(attempts.failed(cut(), &cancel).is_ok());
        attempts.progressed();
        assert!(attempts.failed(cut(), &cancel).is_ok());
        assert!(attempts.failed(cut(), &cancel).is_ok());
        assert!(attempts.failed(cut(), &cancel).is_err());
    }

    #[test]
    fn what_cannot_get_better_is_not_tried_again() {
        let (patience, cancel) = (patience(), CancelToken::new());
        let wrong = StoreError::WrongHash { file: "f".to_owned(), expected: "x".to_owned() };
        assert!(Attempts::new(&patience).failed(wrong, &cancel).is_err());
        assert!(matches!(
            Attempts::new(&patience).failed(limited(3600), &cancel),
            Err(StoreError::RateLimited { retry_after: Some(wait), .. }) if wait.as_secs() == 3600
        ));
    }

    #[test]
    fn a_wait_ends_when_cancelled() {
        let (patience, cancel) = (patience(), CancelToken::new());
        let stopper = cancel.clone();
        let start = Instant::now();
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            stopper.cancel();
        });
        let waited = Attempts::new(&patience).failed(limited(60), &cancel);
        assert!(matches!(waited, Err(StoreError::Cancelled(_))));
        assert!(start.elapsed() < Duration::from_secs(5));
        thread.join().unwrap();
    }
}
