//! A value shared by many handles that can be taken away while they exist. This is how a model is unloaded.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

/// The model was unloaded, by `unload`, or by `trim` while nothing ran on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the model was unloaded, by `unload` or by `trim`; load it again to go on")]
pub struct Unloaded;

/// A handle to a value. Clones share the value; [`unload`](Self::unload) takes it from all of them.
///
/// Work borrows the value with a [`Lease`], which keeps it alive until the lease is dropped, whatever happens to the
/// handles.
///
/// ```
/// use sotto_runtime::{Shared, Unloaded};
///
/// let model = Shared::new(vec![1, 2, 3]);
/// let other = model.clone();
/// let work = other.lease()?;
/// assert!(model.unload());
/// assert_eq!(work.len(), 3, "work under way ends in peace");
/// assert!(matches!(other.lease(), Err(Unloaded)));
/// # Ok::<(), Unloaded>(())
/// ```
pub struct Shared<T> {
    slot: Arc<Slot<T>>,
    /// Its reference count is the number of handles.
    handle: Arc<()>,
}

struct Slot<T> {
    /// `None` once the value was unloaded.
    value: Mutex<Option<Arc<T>>>,
    used: Mutex<Instant>,
}

impl<T> Slot<T> {
    fn value(&self) -> MutexGuard<'_, Option<Arc<T>>> {
        // No code that can panic runs while a lock of this module is held.
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touch(&self) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

impl<T> Shared<T> {
    /// The first handle to a value.
    #[must_use]
    pub fn new(value: T) -> Self {
        let value = Mutex::new(Some(Arc::new(value)));
        Self { slot: Arc::new(Slot { value, used: Mutex::new(Instant::now()) }), handle: Arc::new(()) }
    }

    /// Borrows the value for some work. Never blocks for long.
    ///
    /// # Errors
    /// [`Unloaded`] when the value was unloaded.
    pub fn lease(&self) -> Result<Lease<T>, Unloaded> {
        let value = self.slot.value().clone().ok_or(Unloaded)?;
        self.slot.touch();
        Ok(Lease { value, slot: Arc::clone(&self.slot) })
    }

    /// Takes the value from all handles. Its memory is freed when the last lease ends, or at once if there is none.
    /// Returns `false` if the value had been unloaded before.
    pub fn unload(&self) -> bool {
        // Dropped after unlocking: freeing may take a while.
        let taken = self.slot.value().take();
        taken.is_some()
    }

    /// As [`unload`](Self::unload), but does nothing and returns `false` while a lease exists.
    pub fn unload_if_idle(&self) -> bool {
        let taken = {
            let mut value = self.slot.value();
            // Leases are made under this lock, so none can appear between the check and the take.
            if value.as_ref().is_some_and(|value| Arc::strong_count(value) == 1) { value.take() } else { None }
        };
        taken.is_some()
    }

    /// Whether the value has not been unloaded.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        self.slot.value().is_some()
    }

    /// Calls `f` with the value, or returns `None` if it was unloaded. Does not count as a use. `f` should be short: it
    /// runs under the lock, and new leases wait for it.
    pub fn peek<R>(&self, f: impl FnOnce(&T) -> R) -> Option<R> {
        self.slot.value().as_deref().map(f)
    }

    /// Number of handles, this one included.
    #[must_use]
    pub fn handles(&self) -> usize {
        Arc::strong_count(&self.handle)
    }

    /// Number of leases.
    #[must_use]
    pub fn leases(&self) -> usize {
        self.slot.value().as_ref().map_or(0, |value| Arc::strong_count(value) - 1)
    }

    /// When the last lease began or ended.
    #[must_use]
    pub fn last_used(&self) -> Instant {
        *self.slot.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A reference that keeps neither the value nor a handle alive.
    #[must_use]
    pub fn downgrade(&self) -> WeakShared<T> {
        WeakShared { slot: Arc::downgrade(&self.slot), handle: Arc::downgrade(&self.handle) }
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self { slot: Arc::clone(&self.slot), handle: Arc::clone(&self.handle) }
    }
}

impl<T> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Shared");
        shown.field("loaded", &self.is_loaded()).field("leases", &self.leases()).finish_non_exhaustive()
    }
}

/// Upgrades to a [`Shared`] as long as a handle to it exists.
pub struct WeakShared<T> {
    slot: Weak<Slot<T>>,
    handle: Weak<()>,
}

impl<T> WeakShared<T> {
    /// A new handle; `None` when no handle is left or the value was unloaded.
    #[must_use]
    pub fn upgrade(&self) -> Option<Shared<T>> {
        let shared = Shared { handle: self.handle.upgrade()?, slot: self.slot.upgrade()? };
        shared.is_loaded().then_some(shared)
    }
}

impl<T> Clone for WeakShared<T> {
    fn clone(&self) -> Self {
        Self { slot: Weak::clone(&self.slot), handle: Weak::clone(&self.handle) }
    }
}

impl<T> fmt::Debug for WeakShared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WeakShared(..)")
    }
}

/// The value of a [`Shared`], borrowed for some work; dereferences to it.
pub struct Lease<T> {
    value: Arc<T>,
    slot: Arc<Slot<T>>,
}

impl<T> Clone for Lease<T> {
    fn clone(&self) -> Self {
        Self { value: Arc::clone(&self.value), slot: Arc::clone(&self.slot) }
    }
}

impl<T> Deref for Lease<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Drop for Lease<T> {
    fn drop(&mut self) {
        self.slot.touch();
    }
}

impl<T: fmt::Debug> fmt::Debug for Lease<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lease").field(&self.value).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Counts its living instances.
    struct Counted<'a>(&'a AtomicUsize);

    impl<'a> Counted<'a> {
        fn new(living: &'a AtomicUsize) -> Self {
            living.fetch_add(1, Ordering::SeqCst);
            Self(living)
        }
    }

    impl Drop for Counted<'_> {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn an_unloaded_value_is_gone_for_every_handle_and_freed_with_the_last_lease() {
        let living = AtomicUsize::new(0);
        let shared = Shared::new(Counted::new(&living));
        let (other, lease) = (shared.clone(), shared.lease().unwrap());
        assert!(shared.unload());
        assert!(!other.unload(), "there is nothing left to take");
        assert!(!shared.is_loaded() && matches!(other.lease(), Err(Unloaded)));
        assert_eq!(living.load(Ordering::SeqCst), 1, "work goes on");
        drop(lease);
        assert_eq!(living.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn a_value_that_is_borrowed_is_not_idle() {
        let shared = Shared::new(7);
        let lease = shared.lease().unwrap();
        let second = lease.clone();
        assert_eq!((shared.leases(), shared.handles()), (2, 1), "leases are no handles");
        drop(lease);
        assert!(!shared.unload_if_idle());
        drop(second);
        assert!(shared.unload_if_idle());
        assert_eq!((shared.leases(), shared.peek(|value| *value)), (0, None));
    }

    #[test]
    fn handles_are_counted_and_found_again_while_one_exists() {
        let shared = Shared::new(7);
        let weak = shared.downgrade();
        let second = weak.clone().upgrade().unwrap();
        assert_eq!(shared.handles(), 2);
        let lease = second.lease().unwrap();
        drop((shared, second));
        assert!(weak.upgrade().is_none(), "work alone keeps no handle");
        assert_eq!(*lease, 7);
        let unloaded = Shared::new(7);
        let weak = unloaded.downgrade();
        unloaded.unload();
        assert!(weak.upgrade().is_none());
    }

    #[test]
    fn beginning_and_ending_work_is_a_use_and_looking_is_none() {
        let shared = Shared::new(7);
        let made = shared.last_used();
        shared.peek(|_| ());
        assert_eq!(shared.last_used(), made);
        let lease = shared.lease().unwrap();
        let began = shared.last_used();
        assert!(began >= made);
        std::thread::sleep(std::time::Duration::from_millis(2));
        drop(lease);
        assert!(shared.last_used() > began);
    }

    #[test]
    fn unloading_from_many_threads_takes_the_value_once() {
        for _ in 0..200 {
            let living = AtomicUsize::new(0);
            let shared = Shared::new(Counted::new(&living));
            let taken = AtomicUsize::new(0);
            std::thread::scope(|scope| {
                for number in 0..4 {
                    let (shared, taken) = (shared.clone(), &taken);
                    scope.spawn(move || {
                        let lease = shared.lease();
                        let did = if number % 2 == 0 { shared.unload() } else { shared.unload_if_idle() };
                        taken.fetch_add(usize::from(did), Ordering::SeqCst);
                        drop(lease);
                    });
                }
            });
            assert_eq!((taken.load(Ordering::SeqCst), living.load(Ordering::SeqCst)), (1, 0));
        }
    }
}
