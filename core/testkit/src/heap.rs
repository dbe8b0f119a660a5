//! Counting what code asks of the allocator, for tests that promise memory.
//!
//! A test program that counts names the counter once:
//!
//! ```
//! # use sotto_testkit::heap::CountingAllocator;
//! #[global_allocator]
//! static ALLOCATOR: CountingAllocator = CountingAllocator;
//! ```
#![allow(unsafe_code, reason = "an allocator is an unsafe trait; it forwards everything unchanged")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The system's allocator with counters: bytes of each thread, calls and bytes of the whole program.
#[derive(Debug, Clone, Copy)]
pub struct CountingAllocator;

thread_local! {
    static NOW: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}
static CALLS: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);

// SAFETY: forwards to the system allocator unchanged; the counters are plain cells and atomics that never allocate.
// `realloc` is left to the trait's default, which comes back through these two.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Ordering::Relaxed);
        BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        let now = NOW.get().wrapping_add(layout.size());
        NOW.set(now);
        PEAK.set(PEAK.get().max(now));
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        NOW.set(NOW.get().saturating_sub(layout.size()));
        // SAFETY: the caller's promise about `block` and `layout` is passed on.
        unsafe { System.dealloc(block, layout) }
    }
}

/// What the whole program has asked for so far, all threads together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// Calls for memory.
    pub calls: usize,
    /// Bytes, also of what was given back since.
    pub bytes: usize,
}

/// The counters of the whole program.
#[must_use]
pub fn asked() -> Asked {
    Asked { calls: CALLS.load(Ordering::Relaxed), bytes: BYTES.load(Ordering::Relaxed) }
}

/// What `act` returns, and the most bytes that this thread held at once for it.
pub fn peak_of<T>(act: impl FnOnce() -> T) -> (T, usize) {
    NOW.set(0);
    PEAK.set(0);
    let value = act();
    (value, PEAK.get())
}

/// How soon bad input is refused, and the memory that this may take.
pub const REFUSAL_TIME: Duration = Duration::from_millis(100);
/// See [`REFUSAL_TIME`].
pub const REFUSAL_MEMORY: usize = 50 << 20;

/// What `act` returns, after a check that it kept to [`REFUSAL_TIME`] and [`REFUSAL_MEMORY`].
///
/// A first run fills what is made once per process. Time is the promise about a desk: it is not checked under an emulator,
/// and a run that other programs disturb may be slow a few times.
///
/// # Panics
/// When `act` takes longer each time or more memory once, and when the program's allocator does not count.
#[track_caller]
pub fn assert_soon<T>(mut act: impl FnMut() -> T) -> T {
    drop(act());
    assert!(asked().calls > 0, "the test program has no #[global_allocator] that counts");
    let mut fastest = Duration::MAX;
    for _ in 0..25 {
        let start = Instant::now();
        let (value, peak) = peak_of(&mut act);
        fastest = fastest.min(start.elapsed());
        assert!(peak < REFUSAL_MEMORY, "{peak} bytes were allocated");
        if fastest < REFUSAL_TIME || cfg!(not(target_arch = "x86_64")) {
            return value;
        }
    }
    panic!("took {fastest:?} at best");
}
