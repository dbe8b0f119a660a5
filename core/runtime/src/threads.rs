//! How many threads a task may use.

use std::num::NonZeroUsize;

/// Number of compute threads of one task.
///
/// The default is the number of big cores: little cores of a phone slow a shared matrix product down more than they
/// help, and every thread beyond the cores costs battery for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threads(NonZeroUsize);

// More threads than this only add hand-over cost to networks of this size.
const MAX: usize = 8;

impl Threads {
    /// One thread: the caller's own.
    pub const ONE: Self = Self(NonZeroUsize::MIN);

    /// Exactly `count` threads; zero means [`Threads::default`].
    #[must_use]
    pub fn new(count: usize) -> Self {
        NonZeroUsize::new(count).map_or_else(Self::default, Self)
    }

    /// The number of threads, at least 1.
    #[must_use]
    pub fn count(self) -> usize {
        self.0.get()
    }
}

impl Default for Threads {
    fn default() -> Self {
        let cores = big_cores().or_else(|| std::thread::available_parallelism().ok().map(NonZeroUsize::get));
        Self(NonZeroUsize::new(cores.unwrap_or(1).clamp(1, MAX)).unwrap_or(NonZeroUsize::MIN))
    }
}

/// Cores that share the highest capacity class, read from Linux and Android's `cpu_capacity`.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn big_cores() -> Option<usize> {
    let capacities: Vec<u32> = std::fs::read_dir("/sys/devices/system/cpu")
        .ok()?
        .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("cpu_capacity")).ok()?.trim().parse().ok())
        .collect();
    count_big(&capacities)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn big_cores() -> Option<usize> {
    None
}

/// Cores with at least half the capacity of the best one: prime and performance cores, not efficiency cores.
#[cfg(any(target_os = "linux", target_os = "android", test))]
fn count_big(capacities: &[u32]) -> Option<usize> {
    let best = *capacities.iter().max()?;
    Some(capacities.iter().filter(|&&capacity| capacity >= best / 2).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_asks_for_the_default() {
        assert_eq!(Threads::new(0), Threads::default());
        assert_eq!(Threads::new(3).count(), 3);
    }

    #[test]
    fn little_cores_are_left_alone() {
        // Four A55, three A78, one X1.
        assert_eq!(count_big(&[160, 160, 160, 160, 900, 900, 900, 1024]), Some(4));
        assert_eq!(count_big(&[1024, 1024]), Some(2));
        assert_eq!(count_big(&[]), None);
    }
}
