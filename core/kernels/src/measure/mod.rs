//! Speed of the kernels on this machine, compared with the limits of its processor and memory. Behind the cargo feature
//! `measure`, which is not enabled in phone builds.
//!
//! Everything runs on one thread, the caller's. A [`Case`] is one operation in a shape that occurs in a network.
//! [`peak`] and [`read_bandwidth`] are the limits to compare it with; measure them in the same run, because clock speed
//! and other load change.
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

/// Time and work of one call of a [`Case`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figure {
    /// Time of the fastest call: the least disturbed by other work.
    pub best: Duration,
    /// Median time over the repeats: includes disturbance by other work.
    pub median: Duration,
    /// Multiply-accumulates of one call.
    pub macs: u64,
    /// Bytes of weights, or of cached keys and values, that one call reads.
    pub bytes: u64,
}

impl Figure {
    /// Multiply-accumulates per second of the fastest call.
    #[must_use]
    pub fn macs_per_second(&self) -> f64 {
        self.macs as f64 / self.best.as_secs_f64()
    }

    /// Bytes per second of the fastest call.
    #[must_use]
    pub fn bytes_per_second(&self) -> f64 {
        self.bytes as f64 / self.best.as_secs_f64()
    }
}

/// Best read bandwidth of one thread, in bytes per second, over a buffer of `bytes` bytes: that of the cache that it
/// fits in, or of memory. Reads the buffer about 20 times.
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

/// Times `call`, which does `macs` multiply-accumulates and reads `bytes` bytes. Takes `repeats` measurements of at
/// least 2 ms.
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
