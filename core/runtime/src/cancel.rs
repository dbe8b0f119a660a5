//! Cooperative cancellation: one flag that the caller sets and that every long loop looks at.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

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
    looks: Option<Looks>,
}

#[derive(Debug)]
struct Looks {
    so_far: AtomicUsize,
    fire_at: usize,
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
        Self(Arc::new(Flag { parent: Some(self.clone()), ..Flag::default() }))
    }

    /// A token that fires by itself when it is looked at for the `look`th time, counted from 1; its own clones count,
    /// children count too. For tests: cancelling at every look in turn shows, without a clock, that work stops at each and
    /// how often it looks ([`looks`](Self::looks)).
    #[must_use]
    pub fn firing_at_look(look: usize) -> Self {
        let looks = Looks { so_far: AtomicUsize::new(0), fire_at: look };
        Self(Arc::new(Flag { looks: Some(looks), ..Flag::default() }))
    }

    /// How often a token of [`firing_at_look`](Self::firing_at_look) was looked at; 0 for any other.
    #[must_use]
    pub fn looks(&self) -> usize {
        self.0.looks.as_ref().map_or(0, |looks| looks.so_far.load(Ordering::Relaxed))
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
            if flag.fired.load(Ordering::Relaxed) || flag.looks.as_ref().is_some_and(Looks::one_more) {
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

impl Looks {
    /// Counts a look; whether the token has fired by it.
    fn one_more(&self) -> bool {
        self.so_far.fetch_add(1, Ordering::Relaxed) + 1 >= self.fire_at
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
    fn a_counting_token_fires_at_its_look_and_stays_fired() {
        let token = CancelToken::firing_at_look(3);
        let child = token.child();
        let looks = [token.is_cancelled(), child.is_cancelled(), token.is_cancelled(), child.is_cancelled()];
        assert_eq!(looks, [false, false, true, true]);
        assert_eq!((token.looks(), child.looks()), (4, 0));
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
