//! Waiting: a short spin, then sleep until another thread wakes this one.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use super::place::Place;
use crate::spans::{self, Counter};
use crate::sync::{AtomicBool, fence, thread};

// Longer than the gaps within a layer and than most gaps between tokens. With 20 µs a helper fell asleep 20 times per
// token of Whisper tiny; waking it costs its caller 5 µs on a desktop and up to 40 µs on a Cortex-A55.
#[cfg(not(all(test, loom)))]
const SPIN: std::time::Duration = std::time::Duration::from_micros(100);

/// Polls `ready` for about 100 µs; returns whether it became true.
#[cfg(not(all(test, loom)))]
pub(super) fn spin_until(ready: impl Fn() -> bool) -> bool {
    // Polls between two readings of the clock, which cost as much as several polls.
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

/// In a model, spinning only adds states: poll once.
#[cfg(all(test, loom))]
pub(super) fn spin_until(ready: impl Fn() -> bool) -> bool {
    ready()
}

/// Where one helper sleeps.
///
/// A waker first makes the work visible, then calls [`before_waking`], then [`wake`](Self::wake). Either the waker sees
/// the helper asleep, or the helper sees the work: the two sequentially consistent fences exclude a third case.
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
        // One system call per sleep: a second waker finds the flag cleared.
        if self.asleep.load(Relaxed) && self.asleep.swap(false, Relaxed) {
            self.place.apart();
            helper.unpark();
            spans::count(Counter::HelperWakeups, 1);
        }
    }
}

/// Called between making work visible and [`Bed::wake`].
pub(super) fn before_waking() {
    fence(SeqCst);
}
