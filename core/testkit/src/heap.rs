//! What code asks of the allocator and of the clock, for tests that promise memory and time.
//!
//! Linking this replaces the allocator of the test program by the counting one of `allocation-counter`. It counts each
//! thread by itself: what a measured closure leaves to other threads is not in its figures.

use std::time::{Duration, Instant};

use allocation_counter::AllocationInfo;

/// How soon bad input is refused on a desk.
const REFUSAL_TIME: Duration = Duration::from_millis(100);
/// How long no refusal takes, be it on a busy machine or under an emulator.
const LONGEST_REFUSAL: Duration = Duration::from_secs(2);
/// The memory that a refusal may hold at once, in bytes.
const REFUSAL_MEMORY: u64 = 50 << 20;
/// Runs that other programs may disturb before a slow refusal counts as slow.
const DISTURBED: usize = 10;

/// What `act` returns, and what this thread allocated for it.
pub fn measured<T>(act: impl FnOnce() -> T) -> (T, AllocationInfo) {
    let mut value = None;
    let info = allocation_counter::measure(|| value = Some(act()));
    (value.expect("`measure` runs what it is given"), info)
}

/// What `act` returns, after a check that it took less than 100 ms and held less than 50 MiB.
///
/// A first run fills what is made once per process. 100 ms is the promise about a desk, and a run that other programs
/// disturb may be slower a few times; under an emulator, and for any run, the limit is 2 s.
///
/// # Panics
/// When `act` takes longer or holds more.
#[track_caller]
pub fn assert_soon<T>(mut act: impl FnMut() -> T) -> T {
    drop(refusal(&mut act));
    let mut took = Duration::MAX;
    for _ in 0..=DISTURBED {
        let (value, this) = refusal(&mut act);
        took = took.min(this);
        if took < REFUSAL_TIME || cfg!(not(target_arch = "x86_64")) {
            return value;
        }
    }
    panic!("took {took:?} at best");
}

/// [`assert_soon`] for what is so quick that the first run after one to warm up must keep to the limit.
///
/// # Panics
/// As [`assert_soon`], and when one run is slow.
#[track_caller]
pub fn assert_soon_at_once<T>(mut act: impl FnMut() -> T) -> T {
    drop(refusal(&mut act));
    let (value, took) = refusal(&mut act);
    assert!(took < REFUSAL_TIME || cfg!(not(target_arch = "x86_64")), "took {took:?}");
    value
}

/// What one run returns and how long it took.
#[track_caller]
fn refusal<T>(act: impl FnMut() -> T) -> (T, Duration) {
    let start = Instant::now();
    let (value, info) = measured(act);
    let took = start.elapsed();
    assert!(info.bytes_max < REFUSAL_MEMORY, "{} bytes were allocated", info.bytes_max);
    assert!(took < LONGEST_REFUSAL, "one run took {took:?}");
    (value, took)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_held_and_given_back_counts() {
        let (block, info) = measured(|| {
            drop(std::hint::black_box(vec![0u8; 1000]));
            std::hint::black_box(vec![0u8; 3000])
        });
        assert_eq!((info.count_total, info.bytes_total, info.bytes_max), (2, 4000, 3000));
        drop(block);
    }

    #[test]
    #[should_panic(expected = "bytes were allocated")]
    fn a_refusal_that_takes_what_a_header_claims_is_found() {
        assert_soon(|| std::hint::black_box(Vec::<u8>::with_capacity(64 << 20)));
    }

    #[test]
    #[should_panic(expected = "one run took")]
    fn a_slow_refusal_is_found() {
        assert_soon(|| std::thread::sleep(LONGEST_REFUSAL));
    }
}
