//! What the pool promises, tested on real threads.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Barrier, Mutex};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::board::Busy;
use super::*;

// Miri interprets every instruction: a few rounds show the same memory accesses.
const ROUNDS: usize = if cfg!(miri) { 8 } else { 2000 };
// Far longer than any wait below, even on a loaded machine.
const FOREVER: Duration = Duration::from_secs(60);

fn pool(threads: usize) -> Pool {
    Pool::new(Threads::new(threads))
}

fn wait_until(what: &str, ready: impl Fn() -> bool) {
    let started = Instant::now();
    while !ready() {
        assert!(started.elapsed() < FOREVER, "waited in vain: {what}");
        std::thread::yield_now();
    }
}

/// How often each item was handed out.
fn counts(pool: &Pool, items: usize, chunk: Chunk) -> Vec<usize> {
    let counts: Vec<AtomicUsize> = (0..items).map(|_| AtomicUsize::new(0)).collect();
    pool.run(items, chunk, |range| {
        for count in &counts[range] {
            count.fetch_add(1, SeqCst);
        }
    });
    counts.into_iter().map(AtomicUsize::into_inner).collect()
}

#[test]
fn every_item_comes_once_whatever_the_sizes() {
    let sizes: &[usize] = if cfg!(miri) { &[0, 1, 7] } else { &[0, 1, 2, 3, 7, 8, 63, 64, 65, 1000] };
    for threads in [1, 2, 3, 8] {
        let pool = pool(threads);
        for &items in sizes {
            for chunk in [0, 1, 2, 3, 64, 5000, usize::MAX] {
                let counts = counts(&pool, items, Chunk::of(chunk));
                assert_eq!(counts, vec![1; items], "{items} items by {chunk} on {threads} threads");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 256 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_item_comes_once_in_random_jobs(
        threads in 1_usize..6,
        jobs in proptest::collection::vec((0_usize..300, 0_usize..40), 1..20),
    ) {
        let pool = pool(threads);
        for (items, chunk) in jobs {
            prop_assert_eq!(counts(&pool, items, Chunk::of(chunk)), vec![1; items]);
        }
    }
}

#[test]
fn ranges_start_at_multiples_of_the_chunk_on_every_number_of_threads() {
    for threads in [1, 2, 4] {
        pool(threads).run(103, Chunk::of(10), |range| {
            assert_eq!(range.start % 10, 0);
            assert_eq!(range.len(), if range.start == 100 { 3 } else { 10 });
        });
    }
}

#[test]
fn what_helpers_wrote_is_visible_to_the_caller() {
    let pool = pool(4);
    for round in 0..ROUNDS {
        let mut values = [0; 64];
        pool.run_rows(&mut values, 4, Chunk::of(1), |rows, values| {
            values.iter_mut().enumerate().for_each(|(at, value)| *value = round + rows.start * 4 + at);
        });
        let expected: Vec<usize> = (round..round + 64).collect();
        assert_eq!(values[..], expected);
    }
}

#[test]
fn rows_need_not_have_values() {
    let pool = pool(2);
    pool.run_rows(&mut [0; 0], 0, Chunk::Automatic, |_, _| panic!("there are no rows"));
    pool.run_rows(&mut [0; 0], 3, Chunk::Automatic, |_, _| panic!("there are no rows"));
    let calls = AtomicUsize::new(0);
    pool.run_rows(&mut [(); 10], 5, Chunk::of(1), |_, values| {
        calls.fetch_add(values.len(), SeqCst);
    });
    assert_eq!(calls.into_inner(), 10);
}

#[test]
#[should_panic(expected = "10 values are no whole number of rows of 4")]
fn half_a_row_is_refused() {
    pool(2).run_rows(&mut [0; 10], 4, Chunk::Automatic, |_, _| ());
}

#[test]
fn helpers_take_part() {
    let pool = pool(3);
    let seen = Mutex::new(HashSet::<ThreadId>::new());
    // Three chunks that wait for each other need three threads.
    let together = Barrier::new(3);
    pool.run(3, Chunk::of(1), |_| {
        together.wait();
        seen.lock().unwrap().insert(std::thread::current().id());
    });
    assert_eq!(seen.into_inner().unwrap().len(), 3);
}

#[test]
fn a_pool_that_may_not_use_its_helpers_works_alone() {
    let pool = pool(4);
    pool.allow(0);
    assert_eq!(pool.allowed(), 1);
    let threads = Mutex::new(HashSet::new());
    let here = |items: usize| {
        pool.run(items, Chunk::of(1), |_| {
            threads.lock().unwrap().insert(std::thread::current().id());
        });
        std::mem::take(&mut *threads.lock().unwrap())
    };
    assert_eq!(here(100), HashSet::from([std::thread::current().id()]));
    assert_eq!(counts(&pool, 1000, Chunk::Automatic), [1; 1000]);
    pool.allow(2);
    assert_eq!(counts(&pool, 1000, Chunk::Automatic), [1; 1000]);
    assert_eq!((pool.allowed(), pool.threads().count()), (2, 4));
    pool.allow(usize::MAX);
    assert_eq!(pool.allowed(), 4);
    let more = || (0..ROUNDS).any(|_| here(1000).len() > 1);
    wait_until("helpers that may work again", more);
}

#[test]
fn sleeping_helpers_are_woken() {
    let pool = pool(2);
    for _ in 0..if cfg!(miri) { 2 } else { 20 } {
        let together = Barrier::new(2);
        pool.run(2, Chunk::of(1), |_| {
            together.wait();
        });
        // Long past the spin.
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn no_thread_starts_before_there_is_work_for_it() {
    let alone = pool(1);
    alone.run(100, Chunk::of(1), |_| ());
    assert!(alone.helpers.get().is_none_or(Vec::is_empty));

    let pool = pool(2);
    pool.run(100, Chunk::of(100), |_| ());
    assert!(pool.helpers.get().is_none(), "one chunk is the caller's");
    pool.run(2, Chunk::of(1), |_| ());
    assert_eq!(pool.helpers.get().unwrap().len(), 1);
}

#[test]
fn a_helper_stuck_in_its_chunk_delays_nothing_else() {
    const CHUNKS: usize = 64;
    let pool = pool(2);
    let caller = std::thread::current().id();
    let by_caller = AtomicUsize::new(0);
    let helper_came = AtomicBool::new(false);
    pool.run(CHUNKS, Chunk::of(1), |_| {
        if std::thread::current().id() == caller {
            // Wait until the helper has its chunk: otherwise the test would show nothing.
            wait_until("the helper's claim", || helper_came.load(SeqCst));
            by_caller.fetch_add(1, SeqCst);
        } else {
            helper_came.store(true, SeqCst);
            // Ends only if the caller runs all other chunks meanwhile.
            wait_until("the caller's share", || by_caller.load(SeqCst) == CHUNKS - 1);
        }
    });
    assert_eq!(by_caller.into_inner(), CHUNKS - 1);
}

#[test]
fn a_helper_that_never_comes_is_not_waited_for() {
    let board = Board::new();
    let done = AtomicUsize::new(0);
    let partition = Partition::new(100, Chunk::of(7), 4);
    let outcome = board.run(partition, &|range: Range<usize>| _ = done.fetch_add(range.len(), SeqCst), || ());
    assert_eq!((outcome, done.into_inner()), (Ok(()), 100));
    assert!(!board.help(), "a late helper finds a dead job");
}

#[test]
fn jobs_inside_jobs_run_on_their_thread() {
    let pool = pool(3);
    let inner = AtomicUsize::new(0);
    pool.run(6, Chunk::of(1), |_| {
        let outer = std::thread::current().id();
        pool.run(10, Chunk::of(1), |range| {
            assert_eq!(std::thread::current().id(), outer);
            inner.fetch_add(range.len(), SeqCst);
        });
    });
    assert_eq!(inner.into_inner(), 60);
}

#[test]
fn jobs_of_two_pools_inside_each_other_do_not_deadlock() {
    let (one, other) = (pool(2), pool(2));
    let inner = AtomicUsize::new(0);
    for _ in 0..ROUNDS / 8 {
        one.run(4, Chunk::of(1), |_| {
            other.run(4, Chunk::of(1), |_| one.run(4, Chunk::of(1), |range| _ = inner.fetch_add(range.len(), SeqCst)));
        });
    }
    assert_eq!(inner.into_inner(), ROUNDS / 8 * 64);
}

#[test]
fn callers_at_the_same_time_do_not_wait_for_each_other() {
    let pool = pool(2);
    let inside = AtomicBool::new(false);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            pool.run(2, Chunk::of(1), |_| {
                inside.store(true, SeqCst);
                wait_until("the other caller", || done.load(SeqCst));
            });
        });
        wait_until("the first caller", || inside.load(SeqCst));
        let me = std::thread::current().id();
        pool.run(10, Chunk::of(1), |_| assert_eq!(std::thread::current().id(), me));
        done.store(true, SeqCst);
    });
}

#[test]
fn every_helper_is_set_up_before_its_first_work_and_the_caller_never() {
    let set_up = Arc::new(Mutex::new(HashSet::new()));
    let helped = Mutex::new(HashSet::new());
    let setup = {
        let set_up = Arc::clone(&set_up);
        HelperSetup::new(move || assert!(set_up.lock().unwrap().insert(std::thread::current().id()), "twice"))
    };
    let pool = Pool::with_setup(Threads::new(3), setup);
    let caller = std::thread::current().id();
    let start = Instant::now();
    while helped.lock().unwrap().len() < 2 && start.elapsed() < FOREVER {
        pool.run(30, Chunk::of(1), |_| {
            let me = std::thread::current().id();
            assert_eq!(set_up.lock().unwrap().contains(&me), me != caller);
            if me != caller {
                helped.lock().unwrap().insert(me);
            }
            std::thread::yield_now();
        });
    }
    drop(pool);
    assert_eq!(helped.into_inner().unwrap().len(), 2, "no helper came");
    assert_eq!(set_up.lock().unwrap().len(), 2);
}

#[test]
fn a_helper_whose_setup_fails_is_done_without() {
    let pool = Pool::with_setup(Threads::new(3), HelperSetup::new(|| panic!("no such priority")));
    for _ in 0..ROUNDS / 4 {
        assert_eq!(counts(&pool, 20, Chunk::of(1)), vec![1; 20]);
    }
}

#[test]
fn callers_at_the_same_time_get_their_own_results() {
    let pool = pool(3);
    std::thread::scope(|scope| {
        for caller in 0..4 {
            let pool = &pool;
            scope.spawn(move || {
                for round in 0..ROUNDS / 4 {
                    let items = 1 + (caller * 7 + round) % 40;
                    assert_eq!(counts(pool, items, Chunk::of(1 + round % 5)), vec![1; items]);
                }
            });
        }
    });
}

/// The message of the panic that `run` resumed.
fn message_of(run: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(run)).expect_err("a panic was swallowed");
    payload.downcast::<&str>().map_or_else(|_| "another".into(), |message| (*message).into())
}

#[test]
fn a_panic_in_the_caller_goes_on_after_helpers_have_ended() {
    let pool = pool(2);
    let caller = std::thread::current().id();
    let helper_came = AtomicBool::new(false);
    let helper_ended = AtomicBool::new(false);
    let message = message_of(|| {
        pool.run(50, Chunk::of(1), |_| {
            if std::thread::current().id() == caller {
                wait_until("the helper's claim", || helper_came.load(SeqCst));
                panic!("caller");
            }
            helper_came.store(true, SeqCst);
            std::thread::sleep(Duration::from_millis(20));
            helper_ended.store(true, SeqCst);
        });
    });
    assert_eq!(message, "caller");
    assert!(helper_ended.load(SeqCst), "the closure was gone while the helper used it");
    assert_eq!(counts(&pool, 100, Chunk::of(1)), vec![1; 100]);
}

#[test]
fn a_panic_in_a_helper_goes_on_in_the_caller() {
    let pool = pool(2);
    let caller = std::thread::current().id();
    for _ in 0..3 {
        let helper_came = AtomicBool::new(false);
        let message = message_of(|| {
            pool.run(50, Chunk::of(1), |_| {
                if std::thread::current().id() != caller {
                    helper_came.store(true, SeqCst);
                    panic!("helper");
                }
                wait_until("the helper's claim", || helper_came.load(SeqCst));
            });
        });
        assert_eq!(message, "helper");
        // The same helper is still there.
        let together = Barrier::new(2);
        pool.run(2, Chunk::of(1), |_| _ = together.wait());
    }
}

#[test]
fn a_panic_leaves_out_what_nobody_has_claimed() {
    let pool = pool(2);
    let calls = AtomicUsize::new(0);
    let message = message_of(|| {
        pool.run(1_000_000, Chunk::of(1), |_| {
            calls.fetch_add(1, SeqCst);
            panic!("everywhere");
        });
    });
    assert_eq!(message, "everywhere");
    assert!((1..=2).contains(&calls.into_inner()), "one per thread at most");
}

#[test]
fn a_panic_in_a_job_inside_a_job_reaches_the_outer_caller() {
    let pool = pool(2);
    let message = message_of(|| pool.run(4, Chunk::of(1), |_| pool.run(4, Chunk::of(1), |_| panic!("inner"))));
    assert_eq!(message, "inner");
    assert_eq!(counts(&pool, 10, Chunk::of(1)), vec![1; 10]);
}

#[test]
fn a_panic_in_an_owned_board_frees_it() {
    let board = Board::new();
    let partition = Partition::new(2, Chunk::of(1), 2);
    let nothing = |_: Range<usize>| ();
    let nested = |_: Range<usize>| assert_eq!(board.run(partition, &nothing, || ()), Err(Busy));
    assert_eq!(board.run(partition, &nested, || ()), Ok(()));
    assert_eq!(message_of(|| _ = board.run(partition, &nothing, || panic!("while waking"))), "while waking");
    assert_eq!(board.run(partition, &nothing, || ()), Ok(()));
}

/// 32-bit systems cannot have so many items.
#[cfg(target_pointer_width = "64")]
#[test]
fn jobs_with_more_chunks_than_the_claim_word_counts_are_left_to_their_caller() {
    let partition = Partition::new(claim::MAX_CHUNKS as usize + 1, Chunk::of(1), 2);
    let ran = |_: Range<usize>| panic!("somebody began to run it");
    assert_eq!(Board::new().run(partition, &ran, || ()), Err(Busy));
}

#[test]
fn dropping_a_pool_ends_its_helpers() {
    for round in 0..if cfg!(miri) { 3 } else { 50 } {
        let pool = pool(3);
        pool.run(6, Chunk::of(1), |_| ());
        let shared = Arc::downgrade(&pool.shared);
        // While they spin, and while they sleep.
        std::thread::sleep(Duration::from_micros(round % 3 * 200));
        drop(pool);
        assert_eq!(shared.strong_count(), 0, "a helper is still there");
    }
}

#[test]
fn a_pool_crosses_threads_and_prints_no_job() {
    fn crosses<T: Send + Sync>(_: &T) {}
    let pool = pool(2);
    crosses(&pool);
    assert_eq!(format!("{pool:?}"), "Pool { threads: 2, started: 0, .. }");
    assert_eq!(pool.threads(), Threads::new(2));
    assert_eq!(Pool::new(Threads::new(usize::MAX)).threads().count(), 256);
}
