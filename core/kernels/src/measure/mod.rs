//! Speed of the kernels on this machine, beside what its processor and its memory allow. With the cargo feature
//! `measure`: nothing that ships to phones has it.
//!
//! One thread, the caller's. A [`Case`] is one operation in a shape that a network has; [`peak`] and [`read_bandwidth`]
//! are the two limits that it is held against, to be measured in the same run: clocks and neighbours change.
//!
//! ```
//! use sotto_kernels::{KernelSet, measure};
//!
//! let set = KernelSet::best();
//! let case = measure::Case::all().into_iter().find(|case| case.to_string().contains("int4")).unwrap();
//! let figure = case.measure(set, 1);
//! println!("{case}: {:.1} GMAC/s", figure.macs_per_second() / 1e9);
//! # assert!(figure.macs_per_second() > 0.0);
//! ```

mod cases;
mod peak;

use std::hint::black_box;
use std::time::{Duration, Instant};

pub use cases::Case;
pub use peak::peak;

/// What one call of a [`Case`] took and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figure {
    /// Time of the fastest call: what the code can do.
    pub best: Duration,
    /// Median over the repeats: what it got beside the machine's other work.
    pub median: Duration,
    /// Multiply-accumulates of one call.
    pub macs: u64,
    /// Bytes of weights, or of cached keys and values, that one call reads.
    pub bytes: u64,
}

impl Figure {
    /// Multiply-accumulates per second at best.
    #[must_use]
    pub fn macs_per_second(&self) -> f64 {
        self.macs as f64 / self.best.as_secs_f64()
    }

    /// Bytes of weights per second at best.
    #[must_use]
    pub fn bytes_per_second(&self) -> f64 {
        self.bytes as f64 / self.best.as_secs_f64()
    }
}

/// Bytes per second that one thread reads from `bytes` bytes, over and over, at best: from the cache that they fit in,
/// or from memory. Takes about 20 times as long as one reading.
#[must_use]
pub fn read_bandwidth(bytes: usize) -> f64 {
    let words: Vec<u64> = (0..bytes.max(64) as u64 / 8).collect();
    let mut fastest = Duration::MAX;
    for _ in 0..20 {
        let started = Instant::now();
        // Independent sums, so that no addition waits for another.
        let mut sums = [0u64; 8];
        for chunk in words.as_chunks::<8>().0 {
            for (sum, word) in sums.iter_mut().zip(chunk) {
                *sum = sum.wrapping_add(*word);
            }
        }
        black_box(sums);
        fastest = fastest.min(started.elapsed());
    }
    (words.len() * 8) as f64 / fastest.as_secs_f64()
}

/// Times `call`, which does `macs` and reads `bytes`: `repeats` times, each at least 2 ms long.
fn timed(repeats: usize, macs: u64, bytes: u64, mut call: impl FnMut()) -> Figure {
    call();
    let started = Instant::now();
    call();
    let calls = (0.002 / started.elapsed().as_secs_f64()).ceil().clamp(1.0, 1e5) as u32;
    let mut times: Vec<Duration> = (0..repeats.max(1))
        .map(|_| {
            let started = Instant::now();
            (0..calls).for_each(|_| call());
            started.elapsed() / calls
        })
        .collect();
    times.sort_unstable();
    Figure { best: times[0].max(Duration::from_nanos(1)), median: times[times.len() / 2], macs, bytes }
}
