//! Another program's load, for figures beside it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

// Steps between two looks at the flag: some microseconds.
const STRETCH: u64 = 10_000;

/// A thread that wants a core for itself until it is dropped.
pub(super) struct BusyThread {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    /// Steps that the thread has done.
    work: AtomicU64,
}

impl BusyThread {
    /// Returns once the thread runs: what is measured after that is measured beside it.
    pub(super) fn start() -> Self {
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let mut x = 1u64;
            while !of_thread.stop.load(Ordering::Relaxed) {
                for _ in 0..STRETCH {
                    // Something that no compiler can leave out and no other thread waits for.
                    x = std::hint::black_box(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
                }
                of_thread.work.fetch_add(STRETCH, Ordering::Relaxed);
            }
        });
        let busy = Self { shared, thread: Some(thread) };
        while busy.work() == 0 {
            std::thread::yield_now();
        }
        busy
    }

    /// Steps that the thread has done so far: above zero, and growing while it has a core.
    pub(super) fn work(&self) -> u64 {
        self.shared.work.load(Ordering::Relaxed)
    }
}

impl Drop for BusyThread {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It does nothing that could fail.
            let _ = thread.join();
        }
    }
}
