//! Cooperative cancellation: a shared flag that the caller sets and that every long loop polls. A thread that sleeps
//! cannot poll; it registers a callback instead.

use std::fmt;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::sync::{AtomicBool, Mutex, MutexGuard};

/// The work was stopped because its [`CancelToken`] fired. Not a failure: nothing is wrong with the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cancelled")]
pub struct Cancelled;

/// A flag shared by the caller and the work it started.
///
/// Clones share one flag; a [`child`](Self::child) fires with its parent but can also be fired alone, so that a session
/// can be stopped without stopping the application that owns it. Polling costs one relaxed load for the token and one
/// per ancestor; engines poll at least once per decoded token, encoder layer and audio block. A thread that waits
/// cannot poll: it registers a callback with [`on_cancel`](Self::on_cancel) that wakes it.
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
    /// Callbacks registered for this flag, by this token or a descendant.
    listeners: Mutex<Vec<Listener>>,
}

#[derive(Clone)]
struct Listener {
    registration: usize,
    tell: Arc<dyn Fn() + Send + Sync>,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Listener").field(&self.registration).finish()
    }
}

/// A callback registered with [`CancelToken::on_cancel`]; dropping this value removes it.
///
/// The drop does not wait: a call that is already running on another thread may end later, but no new one begins.
#[derive(Debug)]
#[must_use = "nobody is told once this is dropped"]
pub struct CancelListener {
    token: CancelToken,
    registration: usize,
}

impl Drop for CancelListener {
    fn drop(&mut self) {
        for CancelToken(flag) in self.token.lineage() {
            let mut listeners = flag.lock();
            // Dropped after unlocking: it may own anything.
            let mine = listeners.iter().position(|listener| listener.registration == self.registration);
            let gone = mine.map(|index| listeners.swap_remove(index));
            drop((listeners, gone));
        }
    }
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

    /// A token that fires by itself at the `look`th poll, counted from 1. Polls of clones and children count too.
    ///
    /// For tests: firing at each poll in turn shows, without a clock, that work stops at every one of them, and how
    /// often it polls ([`looks`](Self::looks)).
    #[must_use]
    pub fn firing_at_look(look: usize) -> Self {
        let looks = Looks { so_far: AtomicUsize::new(0), fire_at: look };
        Self(Arc::new(Flag { looks: Some(looks), ..Flag::default() }))
    }

    /// How often a token of [`firing_at_look`](Self::firing_at_look) was polled; 0 for any other.
    #[must_use]
    pub fn looks(&self) -> usize {
        self.0.looks.as_ref().map_or(0, |looks| looks.so_far.load(Ordering::Relaxed))
    }

    /// Fires the token and calls the callbacks registered with [`on_cancel`](Self::on_cancel), on this thread. Blocks
    /// until they return. Further calls do nothing. May be called from a thread that handles signals, not from inside a
    /// signal handler.
    pub fn cancel(&self) {
        if !self.0.fired.swap(true, Ordering::Relaxed) {
            self.0.tell();
        }
    }

    /// Registers `tell`, to be called when this token or an ancestor fires, on the thread that fires it. If one has
    /// fired already, `tell` is called at once. It may be called more than once (the token fires, then its parent
    /// does). It must return quickly, as waking a thread does, and must not panic.
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use sotto_runtime::CancelToken;
    ///
    /// let app = CancelToken::new();
    /// let session = app.child();
    /// let (sender, receiver) = mpsc::channel();
    /// let listener = session.on_cancel(move || drop(sender.send("fired")));
    /// app.cancel();
    /// assert_eq!(receiver.recv(), Ok("fired"));
    /// drop(listener);
    /// ```
    pub fn on_cancel(&self, tell: impl Fn() + Send + Sync + 'static) -> CancelListener {
        static REGISTRATIONS: AtomicUsize = AtomicUsize::new(0);
        let registration = REGISTRATIONS.fetch_add(1, Ordering::Relaxed);
        let tell: Arc<dyn Fn() + Send + Sync> = Arc::new(tell);
        let mut fired = false;
        for CancelToken(flag) in self.lineage() {
            let listener = Listener { registration, tell: Arc::clone(&tell) };
            flag.lock().push(listener);
            // Either this thread sees that the flag has fired, or the firing thread takes the lock later and sees the
            // listener.
            fired |= flag.has_fired();
        }
        if fired {
            tell();
        }
        CancelListener { token: self.clone(), registration }
    }

    /// Whether this token or one of its ancestors has fired.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.lineage().any(|CancelToken(flag)| {
            flag.fired.load(Ordering::Relaxed) || flag.looks.as_ref().is_some_and(|looks| looks.one_more(flag))
        })
    }

    /// This token, its parent, and so on.
    fn lineage(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |token| token.0.parent.as_ref())
    }

    /// Returns early from a loop with `cancel.check()?`.
    ///
    /// # Errors
    /// [`Cancelled`] once the token has fired.
    pub fn check(&self) -> Result<(), Cancelled> {
        if self.is_cancelled() { Err(Cancelled) } else { Ok(()) }
    }
}

impl Flag {
    fn lock(&self) -> MutexGuard<'_, Vec<Listener>> {
        // No caller's code runs while the lock is held.
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this flag has fired, without its ancestors. Does not count as a poll.
    fn has_fired(&self) -> bool {
        let by_looks = |looks: &Looks| looks.so_far.load(Ordering::Relaxed) >= looks.fire_at;
        self.fired.load(Ordering::Relaxed) || self.looks.as_ref().is_some_and(by_looks)
    }

    fn tell(&self) {
        let listeners = self.lock().clone();
        for listener in listeners {
            (listener.tell)();
        }
    }
}

impl Looks {
    /// Counts a poll of `flag`; returns whether the flag has fired.
    fn one_more(&self, flag: &Flag) -> bool {
        let looks = self.so_far.fetch_add(1, Ordering::Relaxed) + 1;
        if looks == self.fire_at {
            flag.tell();
        }
        looks >= self.fire_at
    }
}

#[cfg(all(test, not(loom)))]
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

    /// Registers a listener that counts its calls.
    fn listen(token: &CancelToken) -> (CancelListener, Arc<AtomicUsize>) {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let count = move || {
            counted.fetch_add(1, Ordering::Relaxed);
        };
        (token.on_cancel(count), calls)
    }

    #[test]
    fn a_listener_is_told_when_the_token_or_an_ancestor_fires() {
        for generation in 0..3 {
            let parent = CancelToken::new();
            let child = parent.child();
            let grandchild = child.child();
            let (_listener, calls) = listen(&grandchild);
            [&parent, &child, &grandchild][generation].cancel();
            assert_eq!(calls.load(Ordering::Relaxed), 1, "generation {generation}");
        }
    }

    #[test]
    fn a_listener_of_a_token_that_has_fired_is_told_at_once() {
        let parent = CancelToken::new();
        parent.cancel();
        let (_listener, calls) = listen(&parent.child());
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_listener_is_not_told_of_others_nor_once_it_is_gone() {
        let parent = CancelToken::new();
        let (child, sibling) = (parent.child(), parent.child());
        let (listener, calls) = listen(&child);
        sibling.cancel();
        drop(listener);
        parent.cancel();
        assert_eq!(calls.load(Ordering::Relaxed), 0);
        assert!(parent.0.lock().is_empty() && child.0.lock().is_empty());
    }

    #[test]
    fn a_counting_token_tells_when_it_fires() {
        let token = CancelToken::firing_at_look(2);
        let (_listener, calls) = listen(&token.child());
        assert!(token.check().is_ok());
        assert_eq!(calls.load(Ordering::Relaxed), 0);
        assert!(token.is_cancelled());
        assert_eq!((calls.load(Ordering::Relaxed), token.looks()), (1, 2));
        assert_eq!(listen(&token).1.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_listener_may_own_the_token() {
        // Dropping it would lock what telling holds.
        let token = CancelToken::new();
        let owned = token.child();
        let listener = token.on_cancel(move || owned.cancel());
        token.cancel();
        drop(listener);
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
