//! Cooperative cancellation: one flag that the caller sets and that every long loop looks at.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The work was stopped because its [`CancelToken`] fired. Not a failure: nothing is wrong with the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cancelled")]
pub struct Cancelled;

/// A flag shared by the caller and the work it started.
///
/// Clones share one flag; a [`child`](Self::child) fires with its parent but can also be fired alone, so that a session
/// can be stopped without stopping the application that owns it. Checking costs one relaxed load per ancestor; engines
/// check at least once per decoded token, encoder layer and audio block.
///
/// ```
/// use sotto_runtime::CancelToken;
///
/// let app = CancelToken::new();
/// let session = app.child();
/// assert!(session.check().is_ok());
/// app.cancel();
/// assert!(session.is_cancelled());
/// ```
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<Flag>);

#[derive(Debug, Default)]
struct Flag {
    fired: AtomicBool,
    parent: Option<CancelToken>,
}

impl CancelToken {
    /// A token that has not fired and has no parent.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A token that fires when this one does, or when it is cancelled itself.
    #[must_use]
    pub fn child(&self) -> Self {
        Self(Arc::new(Flag { fired: AtomicBool::new(false), parent: Some(self.clone()) }))
    }

    /// Fires the token. Never blocks; further calls do nothing. Safe inside a signal handler's thread.
    pub fn cancel(&self) {
        self.0.fired.store(true, Ordering::Relaxed);
    }

    /// Whether this token or one of its ancestors has fired.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        let mut token = Some(self);
        while let Some(CancelToken(flag)) = token {
            if flag.fired.load(Ordering::Relaxed) {
                return true;
            }
            token = flag.parent.as_ref();
        }
        false
    }

    /// Returns early from a loop with `cancel.check()?`.
    ///
    /// # Errors
    /// [`Cancelled`] once the token has fired.
    pub fn check(&self) -> Result<(), Cancelled> {
        if self.is_cancelled() { Err(Cancelled) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_shares_the_flag() {
        let token = CancelToken::new();
        token.clone().cancel();
        assert_eq!(token.check(), Err(Cancelled));
    }

    #[test]
    fn a_child_can_be_cancelled_alone() {
        let parent = CancelToken::new();
        let child = parent.child();
        child.cancel();
        assert!(child.is_cancelled());
        assert!(!parent.is_cancelled());
    }

    #[test]
    fn a_grandchild_fires_with_its_ancestor() {
        let parent = CancelToken::new();
        let grandchild = parent.child().child();
        parent.cancel();
        assert!(grandchild.is_cancelled());
    }

    #[test]
    fn another_thread_sees_the_flag() {
        let token = CancelToken::new();
        let seen = token.clone();
        let waiter = std::thread::spawn(move || {
            while !seen.is_cancelled() {
                std::thread::yield_now();
            }
        });
        token.cancel();
        waiter.join().unwrap();
    }
}
