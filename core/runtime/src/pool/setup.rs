//! What a thread started by Sotto does before its first work.

use std::fmt;
use std::sync::Arc;

/// Called once on every helper thread of a pool and on the thread of every job, before its first work. An app sets
/// thread properties of its system there, such as priority or quality of service. It is never called on the caller's
/// own thread.
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use sotto_runtime::{Chunk, HelperSetup, Pool, Threads};
///
/// static STARTED: AtomicUsize = AtomicUsize::new(0);
/// // On Android `Process.setThreadPriority`, on Apple's systems `pthread_set_qos_class_self_np`.
/// let setup = HelperSetup::new(|| drop(STARTED.fetch_add(1, Ordering::Relaxed)));
/// let pool = Pool::with_setup(Threads::new(2), setup);
/// // A job does not wait for a helper: repeat until one has started.
/// while STARTED.load(Ordering::Relaxed) == 0 {
///     pool.run(1000, Chunk::of(10), |_| std::thread::yield_now());
/// }
/// drop(pool);
/// assert_eq!(STARTED.load(Ordering::Relaxed), 1);
/// ```
#[derive(Clone, Default)]
pub struct HelperSetup(Option<Arc<dyn Fn() + Send + Sync>>);

impl HelperSetup {
    /// Calls `setup`, which should be short. If it panics on a helper, that helper ends and the pool works with the
    /// others; if it panics on the thread of a job, the job fails.
    #[must_use]
    pub fn new(setup: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(setup)))
    }

    pub(crate) fn call(&self) {
        if let Some(setup) = &self.0 {
            setup();
        }
    }
}

impl fmt::Debug for HelperSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "HelperSetup(..)" } else { "HelperSetup(nothing)" })
    }
}
