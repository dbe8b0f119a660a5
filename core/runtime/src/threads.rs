//! How many threads a task may use.

use std::num::NonZeroUsize;

/// Number of compute threads of one task.
///
/// The default is the number of big cores that this process may run on, at most 8: a phone's little cores slow a shared
/// matrix product down more than they help, and threads beyond the number of cores only cost battery. On Linux and
/// Android the CPU affinity of the calling thread is taken into account, on Linux also the CPU quota of its control
/// group (containers set it).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threads(NonZeroUsize);

// More threads only add overhead for networks of this size.
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
        // Respects affinity and control groups, but does not know which cores are big.
        let allowed = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let cores = big_cores().map_or(allowed, |big| big.min(allowed));
        Self(NonZeroUsize::new(cores.clamp(1, MAX)).unwrap_or(NonZeroUsize::MIN))
    }
}

/// Number of cores of the fastest kind.
#[cfg(target_vendor = "apple")]
fn big_cores() -> Option<usize> {
    use sysctl::Sysctl;
    // Level 0 is the fastest. Systems without levels have cores of one kind only.
    let cores = sysctl::Ctl::new("hw.perflevel0.physicalcpu").ok()?.value_string().ok()?;
    cores.trim().parse().ok().filter(|&cores| cores > 0)
}

/// Number of cores that this thread may run on and whose capacity is at least half of the best one's: prime and
/// performance cores, not efficiency cores.
#[cfg(not(target_vendor = "apple"))]
fn big_cores() -> Option<usize> {
    let cores = allowed(cores(), may_run_on());
    cores.iter().any(|core| core.capacity.is_some()).then(|| big(&cores).count())
}

/// The cores that `may_run_on` accepts; all cores when it accepts none of them or is `None`.
#[cfg_attr(target_vendor = "apple", allow(dead_code, reason = "there is no affinity"))]
fn allowed(cores: Vec<Core>, may_run_on: Option<impl Fn(usize) -> bool>) -> Vec<Core> {
    let Some(may_run_on) = may_run_on else { return cores };
    let kept: Vec<Core> = cores.iter().filter(|core| may_run_on(core.number)).copied().collect();
    if kept.is_empty() { cores } else { kept }
}

/// Which processors the system lets this thread run on: limited by `taskset`, containers, and Android for background
/// apps.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn may_run_on() -> Option<impl Fn(usize) -> bool> {
    use rustix::thread::CpuSet;
    let set = rustix::thread::sched_getaffinity(None).ok()?;
    Some(move |number| number < CpuSet::MAX_CPU && set.is_set(number))
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn may_run_on() -> Option<impl Fn(usize) -> bool> {
    None::<fn(usize) -> bool>
}

/// Whether the big cores execute instructions in program order, as all cores of the cheapest phones do. Kernels have a
/// different instruction schedule for them. `false` when the system does not say.
#[must_use]
pub fn big_cores_are_in_order() -> bool {
    are_in_order(&cores())
}

/// What Linux and Android report about a core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Core {
    /// The system's number.
    number: usize,
    /// Relative computing power; reported only where cores differ.
    capacity: Option<u32>,
    /// Main ID register of ARM cores.
    id: Option<u64>,
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn cores() -> Vec<Core> {
    let Ok(entries) = std::fs::read_dir("/sys/devices/system/cpu") else { return Vec::new() };
    let core = |folder: std::path::PathBuf| {
        let name = folder.file_name()?.to_str()?.strip_prefix("cpu")?;
        let number = name.parse().ok()?;
        let read = |name| std::fs::read_to_string(folder.join(name)).ok();
        let capacity = read("cpu_capacity").and_then(|capacity| capacity.trim().parse().ok());
        let id = read("regs/identification/midr_el1");
        let id = id.and_then(|id| u64::from_str_radix(id.trim().trim_start_matches("0x"), 16).ok());
        Some(Core { number, capacity, id })
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
        let core = |(number, &capacity): (usize, &u32)| Core { number, capacity: Some(capacity), id: None };
        capacities.iter().enumerate().map(core).collect()
    }

    #[test]
    fn little_cores_are_left_alone() {
        // Four A55, three A78, one X1.
        assert_eq!(big(&all(&[160, 160, 160, 160, 900, 900, 900, 1024])).count(), 4);
        assert_eq!(big(&all(&[1024, 1024])).count(), 2);
        assert_eq!(big(&[]).count(), 0);
    }

    #[test]
    fn cores_that_the_process_may_not_use_do_not_count() {
        // Four A55, three A78, one X1.
        let phone = all(&[160, 160, 160, 160, 900, 900, 900, 1024]);
        let of = |allowed_numbers: &'static [usize]| {
            let cores = allowed(phone.clone(), Some(|number: usize| allowed_numbers.contains(&number)));
            big(&cores).count()
        };
        assert_eq!(of(&[0, 1, 2, 3, 4, 5, 6, 7]), 4);
        assert_eq!(of(&[0, 1, 4, 7]), 2);
        assert_eq!(of(&[0, 1, 2, 3]), 4, "an app in the background has the little cores only");
        assert_eq!(of(&[2]), 1);
        assert_eq!(of(&[70]), 4, "an affinity that fits no known core says nothing");
        assert_eq!(allowed(phone.clone(), None::<fn(usize) -> bool>), phone);
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[test]
    fn a_thread_on_one_processor_gets_one_thread_by_default() {
        use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
        // On a thread of its own, because affinity belongs to a thread.
        let counted = std::thread::spawn(|| {
            let all = sched_getaffinity(None).unwrap();
            let first = (0..CpuSet::MAX_CPU).find(|&number| all.is_set(number)).unwrap();
            let mut one = CpuSet::new();
            one.set(first);
            sched_setaffinity(None, &one).unwrap();
            Threads::default().count()
        });
        assert_eq!(counted.join().unwrap(), 1);
    }

    #[test]
    fn a_phone_is_in_order_when_its_big_cores_are() {
        let core = |capacity, id| Core { number: 0, capacity: Some(capacity), id: Some(id) };
        let (a55, a75) = (0x412f_d050, 0x413f_d0a0);
        assert!(are_in_order(&[core(1024, a55), core(1024, a55), core(400, a55)]));
        assert!(!are_in_order(&[core(400, a55), core(1024, a75)]), "little cores do not count");
        assert!(!are_in_order(&[core(1024, a55), core(900, a75)]));
        assert!(
            are_in_order(&[Core { number: 0, capacity: None, id: Some(a55) }; 8]),
            "where cores are alike nobody says how fast"
        );
        assert!(!are_in_order(&all(&[1024])), "nothing is known");
        assert!(!are_in_order(&[]));
    }
}
