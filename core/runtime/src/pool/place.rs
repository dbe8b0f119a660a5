//! Where threads run: a woken helper is kept off its caller's core.
//!
//! After a pause Linux may put a helper on the core on which the caller works, though others are idle, and leave it
//! there for tens of milliseconds: each waits for the other, and two threads are no faster than one. (Measured for a
//! clip of 5 s after a pause of a quarter of a second: `docs/PERFORMANCE.md`.) So before the caller wakes a helper, it
//! removes its own core from the helper's affinity. All other cores that the caller may use stay allowed. They are read
//! each time, because systems move apps between sets of cores.
//!
//! A helper whose setup has chosen cores for it keeps them. Systems other than Linux and Android place threads as they
//! see fit.

#[cfg(all(any(target_os = "linux", target_os = "android"), not(any(miri, loom))))]
mod system {
    use std::sync::atomic::AtomicI32;
    use std::sync::atomic::Ordering::Relaxed;

    use rustix::thread::{Pid, gettid, sched_getaffinity, sched_getcpu, sched_setaffinity};

    /// The system's number of a helper thread, so that callers can set its affinity.
    #[derive(Debug, Default)]
    pub(in super::super) struct Place {
        /// Thread number in the system; 0 when it is unknown or the app has placed the thread.
        thread: AtomicI32,
    }

    impl Place {
        /// Helper: lets callers place it from now on, unless `setup` chose cores for it.
        pub(in super::super) fn offer(&self, setup: impl FnOnce()) {
            let before = sched_getaffinity(None);
            setup();
            if before.is_ok() && before == sched_getaffinity(None) {
                self.thread.store(gettid().as_raw_nonzero().get(), Relaxed);
            }
        }

        /// Caller: keeps the helper off this core. Does nothing when there is no other core; ignores a refusal of the
        /// system.
        pub(in super::super) fn apart(&self) {
            let Some(thread) = Pid::from_raw(self.thread.load(Relaxed)) else { return };
            let Ok(mut others) = sched_getaffinity(None) else { return };
            others.unset(sched_getcpu());
            if others.count() > 0 {
                let _ = sched_setaffinity(Some(thread), &others);
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use std::sync::mpsc::channel;
        use std::thread;

        use rustix::thread::CpuSet;

        use super::*;

        /// The cores that a helper may use, before and after it was placed.
        fn placed(setup: impl FnOnce() + Send) -> (CpuSet, CpuSet) {
            let place = &Place::default();
            let (ready, is_ready) = channel();
            let (go, may_go) = channel();
            thread::scope(|scope| {
                let helper = scope.spawn(move || {
                    place.offer(setup);
                    ready.send(sched_getaffinity(None).unwrap()).unwrap();
                    may_go.recv().unwrap();
                    sched_getaffinity(None).unwrap()
                });
                let before = is_ready.recv().unwrap();
                place.apart();
                go.send(()).unwrap();
                (before, helper.join().unwrap())
            })
        }

        fn without(set: &CpuSet, core: usize) -> CpuSet {
            let mut others = *set;
            others.unset(core);
            others
        }

        #[test]
        fn a_helper_may_use_all_cores_but_its_callers() {
            let mine = sched_getaffinity(None).unwrap();
            let (before, after) = placed(|| {});
            assert_eq!(before, mine);
            let others = |core| without(&mine, core) == after;
            assert!(mine.count() < 2 || (0..CpuSet::MAX_CPU).filter(|&core| mine.is_set(core)).any(others));
        }

        #[test]
        fn where_the_app_has_chosen_a_core_the_helper_stays() {
            let mut one = CpuSet::new();
            one.set(sched_getcpu());
            let (before, after) = placed(|| sched_setaffinity(None, &one).unwrap());
            assert!(before == one || sched_getaffinity(None).unwrap().count() < 2);
            assert_eq!(after, before);
        }

        #[test]
        fn a_helper_of_a_caller_with_one_core_is_left_there() {
            let caller = thread::spawn(|| {
                let mut one = CpuSet::new();
                one.set(sched_getcpu());
                sched_setaffinity(None, &one).unwrap();
                (one, placed(|| {}))
            });
            let (one, (before, after)) = caller.join().unwrap();
            assert_eq!((before, after), (one, one));
        }
    }
}

#[cfg(not(all(any(target_os = "linux", target_os = "android"), not(any(miri, loom)))))]
mod system {
    /// Nothing to do on this system.
    #[derive(Debug, Default)]
    pub(in super::super) struct Place;

    impl Place {
        pub(in super::super) fn offer(&self, setup: impl FnOnce()) {
            setup();
        }

        pub(in super::super) fn apart(&self) {}
    }
}

pub(super) use system::Place;
