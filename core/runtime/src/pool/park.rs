//! Waiting: a short spin, then sleep until somebody wakes the thread.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use super::place::Place;
use crate::spans::{self, Counter};
use crate::sync::{AtomicBool, fence, thread};

// Longer than the gaps within a layer and most between tokens: with 20 µs a helper went to sleep 20 times per token of
// Whisper tiny, and waking it costs its caller 5 µs on a desk, up to 40 µs on a Cortex-A55.
#[cfg(not(all(test, loom)))]
const SPIN: std::time::Duration = std::time::Duration::from_micros(100);

/// Looks at `ready` for about 100 µs; returns whether it came true.
#[cfg(not(all(test, loom)))]
pub(super) fn spin_until(ready: impl Fn() -> bool) -> bool {
    // Looks between two looks at the clock, which costs as much as several of them.
    const LOOKS: usize = 8;
    let mut started = None;
    loop {
        for _ in 0..LOOKS {
            if ready() {
                return true;
            }
            std::hint::spin_loop();
        }
        if started.get_or_insert_with(std::time::Instant::now).elapsed() >= SPIN {
            return ready();
        }
    }
}

/// Spinning adds nothing to a model but states: one look.
#[cfg(all(test, loom))]
pub(super) fn spin_until(ready: impl Fn() -> bool) -> bool {
    ready()
}

/// The bed of one helper.
///
/// A waker first makes visible what there is to do, then calls [`before_waking`], then [`wake`](Self::wake). Either it
/// sees the helper asleep, or the helper sees the work: the two sequentially consistent fences leave no third way.
#[derive(Debug)]
pub(super) struct Bed {
    asleep: AtomicBool,
    pub(super) place: Place,
}

impl Bed {
    pub(super) fn new() -> Self {
        Self { asleep: AtomicBool::new(false), place: Place::default() }
    }

    /// Helper: sleeps unless `needed`. May return early; the caller looks for work and comes back.
    pub(super) fn sleep_unless(&self, needed: impl Fn() -> bool) {
        self.asleep.store(true, Relaxed);
        fence(SeqCst);
        if !needed() {
            thread::park();
        }
        self.asleep.store(false, Relaxed);
    }

    /// Wakes `helper`, whose bed this is, if it sleeps or is about to.
    pub(super) fn wake(&self, helper: &thread::Thread) {
        // One system call per sleep: a second waker finds the flag taken.
        if self.asleep.load(Relaxed) && self.asleep.swap(false, Relaxed) {
            self.place.apart();
            helper.unpark();
            spans::count(Counter::HelperWakeups, 1);
        }
    }
}

/// Comes between making work visible and [`Bed::wake`].
pub(super) fn before_waking() {
    fence(SeqCst);
}
