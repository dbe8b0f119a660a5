//! Models of the pool that loom runs through every interleaving, and through every value that a load may see under the
//! C11 memory model. How to run them: the top of `mod.rs`.
//!
//! The models use the pool's own code. `sync.rs` gives it loom's primitives, which report a race on the job's
//! description and a thread that nobody wakes. Counters live in the caller's frame and are read by `with_mut`, which
//! fails unless all accesses of helpers happened before: so the models check that no helper outlives a job.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use loom::model::Builder;

use super::board::{Board, Busy};
use super::chunk::{Chunk, Partition};
use super::park::{Bed, before_waking};
use super::{Pool, Threads};
use crate::sync::{Arc, AtomicBool, AtomicU64, thread};

/// Checks all interleavings with at most a given number of preemptions (switches away from a thread that could go on);
/// `LOOM_MAX_PREEMPTIONS` overrides the number. Loom's manual advises 2 or 3; the number of interleavings grows steeply
/// with it.
fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound.get_or_insert(3);
    builder.check(model);
}

struct Counts(Vec<AtomicU64>);

impl Counts {
    fn new(items: usize) -> Self {
        Self((0..items).map(|_| AtomicU64::new(0)).collect())
    }

    fn add(&self, range: Range<usize>) {
        for count in &self.0[range] {
            count.fetch_add(1, Relaxed);
        }
    }

    /// Ends the life of the counters; loom fails here when a helper could still use them.
    fn take(&mut self) -> Vec<u64> {
        self.0.iter_mut().map(|count| count.with_mut(|count| *count)).collect()
    }
}

/// A job of one item per chunk on the calling thread's stack.
fn run_job(board: &Board, items: usize) {
    let mut counts = Counts::new(items);
    let partition = Partition::new(items, Chunk::of(1), 2);
    assert_eq!(board.run(partition, &|range: Range<usize>| counts.add(range), || ()), Ok(()));
    assert_eq!(counts.take(), vec![1; items]);
}

fn spawn_helper(board: &Arc<Board>, visits: usize) -> thread::JoinHandle<()> {
    let board = Arc::clone(board);
    thread::spawn(move || {
        for _ in 0..visits {
            board.help();
        }
    })
}

#[test]
fn late_helpers_never_touch_a_dead_job() {
    // A job of the same size follows, so that the claim word takes the same values again.
    check(|| {
        let board = Arc::new(Board::new());
        let helper = spawn_helper(&board, 2);
        run_job(&board, 2);
        run_job(&board, 2);
        helper.join().unwrap();
    });
}

#[test]
fn two_helpers_and_the_owner_share_a_job() {
    check(|| {
        let board = Arc::new(Board::new());
        let helpers = [spawn_helper(&board, 1), spawn_helper(&board, 1)];
        run_job(&board, 3);
        run_job(&board, 1);
        helpers.into_iter().for_each(|helper| helper.join().unwrap());
    });
}

#[test]
fn of_two_callers_one_owns_the_board() {
    check(|| {
        let board = Arc::new(Board::new());
        let helper = spawn_helper(&board, 1);
        let other = {
            let board = Arc::clone(&board);
            thread::spawn(move || run_or_refuse(&board))
        };
        run_or_refuse(&board);
        other.join().unwrap();
        helper.join().unwrap();
    });
}

fn run_or_refuse(board: &Board) {
    let mut counts = Counts::new(2);
    let partition = Partition::new(2, Chunk::of(1), 2);
    let outcome = board.run(partition, &|range: Range<usize>| counts.add(range), || ());
    let expected = if outcome == Err(Busy) { 0 } else { 1 };
    assert_eq!(counts.take(), [expected; 2]);
}

#[test]
fn panics_end_the_job_like_any_other() {
    check(|| {
        let board = Arc::new(Board::new());
        let helper = spawn_helper(&board, 1);
        let mut counts = Counts::new(2);
        let partition = Partition::new(2, Chunk::of(1), 2);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            board.run(
                partition,
                &|range: Range<usize>| {
                    counts.add(range);
                    // Without a message on stderr in each of many thousand interleavings.
                    std::panic::resume_unwind(Box::new("chunk"));
                },
                || (),
            )
        }));
        assert_eq!(outcome.expect_err("the panic was swallowed").downcast_ref::<&str>(), Some(&"chunk"));
        assert!(matches!(counts.take()[..], [1, 0 | 1]));
        run_job(&board, 1);
        helper.join().unwrap();
    });
}

#[test]
fn a_helper_that_falls_asleep_is_woken() {
    check(|| {
        let shared = Arc::new((Bed::new(), AtomicBool::new(false)));
        let helper = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let (bed, work) = &*shared;
                while !work.load(Acquire) {
                    bed.sleep_unless(|| work.load(Acquire));
                }
            })
        };
        let (bed, work) = &*shared;
        work.store(true, Release);
        before_waking();
        bed.wake(helper.thread());
        // loom reports a deadlock when the helper sleeps on.
        helper.join().unwrap();
    });
}

#[test]
fn a_whole_pool_works_and_ends() {
    check(|| {
        let pool = Pool::new(Threads::new(2));
        for items in [2, 2] {
            let mut counts = Counts::new(items);
            pool.run(items, Chunk::of(1), |range| counts.add(range));
            assert_eq!(counts.take(), vec![1; items]);
        }
    });
}
