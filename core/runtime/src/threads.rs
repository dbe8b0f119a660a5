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

/// Cores of the fastest kind.
#[cfg(target_vendor = "apple")]
fn big_cores() -> Option<usize> {
    use sysctl::Sysctl;
    // Level 0 is the fastest. Systems without levels have cores of one kind.
    let cores = sysctl::Ctl::new("hw.perflevel0.physicalcpu").ok()?.value_string().ok()?;
    cores.trim().parse().ok().filter(|&cores| cores > 0)
}

/// Cores with at least half the capacity of the best one: prime and performance cores, not efficiency cores.
#[cfg(not(target_vendor = "apple"))]
fn big_cores() -> Option<usize> {
    let cores = cores();
    cores.iter().any(|core| core.capacity.is_some()).then(|| big(&cores).count())
}

/// Whether the big cores execute instructions in program order, as all cores of the cheapest phones do: kernels have other
/// schedules for them. `false` where the system does not say.
#[must_use]
pub fn big_cores_are_in_order() -> bool {
    are_in_order(&cores())
}

/// What Linux and Android say of a core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Core {
    /// Where cores differ.
    capacity: Option<u32>,
    /// Main ID register of ARM cores.
    id: Option<u64>,
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn cores() -> Vec<Core> {
    let Ok(entries) = std::fs::read_dir("/sys/devices/system/cpu") else { return Vec::new() };
    let core = |folder: std::path::PathBuf| {
        let name = folder.file_name()?.to_str()?.strip_prefix("cpu")?;
        name.parse::<u32>().ok()?;
        let read = |name| std::fs::read_to_string(folder.join(name)).ok();
        let capacity = read("cpu_capacity").and_then(|capacity| capacity.trim().parse().ok());
        let id = read("regs/identification/midr_el1");
        let id = id.and_then(|id| u64::from_str_radix(id.trim().trim_start_matches("0x"), 16).ok());
        Some(Core { capacity, id })
    };
    entries.filter_map(|entry| core(entry.ok()?.path())).collect()
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn cores() -> Vec<Core> {
    Vec::new()
}

fn big(cores: &[Core]) -> impl Iterator<Item = &Core> {
    let best = cores.iter().filter_map(|core| core.capacity).max().unwrap_or(0);
    cores.iter().filter(move |core| core.capacity.is_none_or(|capacity| capacity >= best / 2))
}

fn are_in_order(cores: &[Core]) -> bool {
    // Arm's Cortex-A35, A53, A55, A510 and A520, and Qualcomm's two names for cores made from the A55.
    const IN_ORDER: [(u64, u64); 7] =
        [(0x41, 0xd04), (0x41, 0xd03), (0x41, 0xd05), (0x41, 0xd46), (0x41, 0xd80), (0x51, 0x803), (0x51, 0x805)];
    let in_order = |core: &Core| core.id.is_some_and(|id| IN_ORDER.contains(&(id >> 24 & 0xff, id >> 4 & 0xfff)));
    !cores.is_empty() && big(cores).all(in_order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_asks_for_the_default() {
        assert_eq!(Threads::new(0), Threads::default());
        assert_eq!(Threads::new(3).count(), 3);
    }

    fn all(capacities: &[u32]) -> Vec<Core> {
        capacities.iter().map(|&capacity| Core { capacity: Some(capacity), id: None }).collect()
    }

    #[test]
    fn little_cores_are_left_alone() {
        // Four A55, three A78, one X1.
        assert_eq!(big(&all(&[160, 160, 160, 160, 900, 900, 900, 1024])).count(), 4);
        assert_eq!(big(&all(&[1024, 1024])).count(), 2);
        assert_eq!(big(&[]).count(), 0);
    }

    #[test]
    fn a_phone_is_in_order_when_its_big_cores_are() {
        let core = |capacity, id| Core { capacity: Some(capacity), id: Some(id) };
        let (a55, a75) = (0x412f_d050, 0x413f_d0a0);
        assert!(are_in_order(&[core(1024, a55), core(1024, a55), core(400, a55)]));
        assert!(!are_in_order(&[core(400, a55), core(1024, a75)]), "little cores do not count");
        assert!(!are_in_order(&[core(1024, a55), core(900, a75)]));
        assert!(
            are_in_order(&[Core { capacity: None, id: Some(a55) }; 8]),
            "where cores are alike nobody says how fast"
        );
        assert!(!are_in_order(&all(&[1024])), "nothing is known");
        assert!(!are_in_order(&[]));
    }
}
