//! A work-claiming thread pool: threads claim chunks of a job when they are free, and no thread waits for an idle one.
//!
//! Fork-join pools divide a job among their threads and meet at a barrier: one thread that the system has descheduled
//! (a busy phone, a little core, another program) then delays all of them. Here the caller claims chunks like any
//! helper and finally waits only for chunks that helpers have **claimed and not finished**. A helper that sleeps, has
//! not started or was descheduled between jobs costs nothing; one that was descheduled inside a chunk costs that chunk.
//!
//! * `claim`: the claim word, one atomic number that says who may touch the current job;
//! * `board`: the job itself, all unsafe code, and why it is sound;
//! * `park`: short spin, then sleep;
//! * `place`: helpers are kept off their caller's core;
//! * `chunk`: how a job is cut.
//!
//! Waiting costs a spin of about 100 µs and then no CPU time. A run allocates nothing.
//!
//! Model tests (`model.rs`, loom) go through the interleavings of claiming, of sleeping and of whole pools; Miri checks
//! the unsafe code:
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test -p sotto-runtime --lib pool::model --target-dir target/loom
//! cargo +nightly miri test -p sotto-runtime --lib pool
//! ```

mod board;
mod chunk;
mod claim;
#[cfg(all(test, loom))]
mod model;
mod park;
mod place;
mod setup;
#[cfg(all(test, not(loom)))]
mod tests;

use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use self::board::Board;
pub use self::chunk::Chunk;
use self::chunk::Partition;
use self::park::{Bed, before_waking, spin_until};
pub use self::setup::HelperSetup;
use crate::Threads;
use crate::sync::{Arc, AtomicBool, thread};

// No device has more cores, and each helper costs a stack.
const MOST_HELPERS: usize = 255;
const _: () = assert!(MOST_HELPERS <= claim::MAX_HELPERS);

/// Threads that share the work of networks: the caller's own and helper threads.
///
/// An application makes one pool for all its models and calls [`run`](Self::run) for every part of a network. Pools are
/// independent of each other. Helpers start at the first job that has work for them, sleep between jobs, and end when
/// the pool is dropped.
///
/// A pool may be shared between threads. One caller at a time gets the helpers. A call that comes meanwhile, from
/// another thread or from inside a job, runs on its own thread alone and does not wait.
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use sotto_runtime::{Chunk, Pool, Threads};
///
/// let pool = Pool::new(Threads::new(2));
/// let sum = AtomicUsize::new(0);
/// pool.run(1000, Chunk::Automatic, |items| {
///     sum.fetch_add(items.sum(), Ordering::Relaxed);
/// });
/// assert_eq!(sum.into_inner(), 499_500);
/// ```
pub struct Pool {
    threads: usize,
    /// Most threads that a new job gets.
    allowed: AtomicUsize,
    shared: Arc<Shared>,
    helpers: OnceLock<Vec<thread::JoinHandle<()>>>,
}

/// State shared by the caller and the helpers.
#[derive(Debug)]
struct Shared {
    board: Board,
    stop: AtomicBool,
    setup: HelperSetup,
    /// One per helper.
    beds: Box<[Bed]>,
}

impl Pool {
    /// A pool of the caller's thread and `threads - 1` helpers, at most 255. Starts no thread yet.
    #[must_use]
    pub fn new(threads: Threads) -> Self {
        Self::with_setup(threads, HelperSetup::default())
    }

    /// As [`new`](Self::new); every helper calls `setup` when it starts.
    #[must_use]
    pub fn with_setup(threads: Threads, setup: HelperSetup) -> Self {
        let helpers = (threads.count() - 1).min(MOST_HELPERS);
        let beds = (0..helpers).map(|_| Bed::new()).collect();
        Self {
            threads: helpers + 1,
            allowed: AtomicUsize::new(usize::MAX),
            shared: Arc::new(Shared { board: Board::new(), stop: AtomicBool::new(false), setup, beds }),
            helpers: OnceLock::new(),
        }
    }

    /// Number of threads that may work on a job, the caller's included.
    ///
    /// There are fewer when the system refuses to start a thread.
    #[must_use]
    pub fn threads(&self) -> Threads {
        Threads::new(self.threads)
    }

    /// Lets at most `threads` work on new jobs, the caller's included; [`usize::MAX`] for all. For devices that are hot
    /// or short of power. Running jobs are not affected: a surplus helper leaves when it finds no more chunks.
    pub fn allow(&self, threads: usize) {
        self.allowed.store(threads.max(1), Relaxed);
    }

    /// How many threads may work on a new job.
    #[must_use]
    pub fn allowed(&self) -> usize {
        self.threads.min(self.allowed.load(Relaxed))
    }

    /// Calls `f` with ranges that cover `0..items`, each item once, and returns when all calls have ended.
    ///
    /// With [`Chunk::Items`] every range starts at a multiple of the chunk size and has that size, but for the last: so
    /// the ranges do not depend on the number of threads. Calls happen on this thread and on helpers, in no particular
    /// order. Everything that they wrote is visible afterwards.
    ///
    /// Blocks the calling thread. A job of one chunk is a plain call of `f`; otherwise a job costs well below a
    /// microsecond when the helpers are awake, a system call for each one that sleeps, and a compare-and-swap per
    /// chunk. Work below about 10 µs is best left in one chunk. Allocates nothing, except that the first job starts
    /// the helpers.
    ///
    /// # Panics
    /// When `f` panics, on any thread: unclaimed chunks are not run, and once the claimed ones have ended the first
    /// panic is resumed in the caller. The pool stays usable.
    pub fn run(&self, items: usize, chunk: Chunk, f: impl Fn(Range<usize>) + Sync) {
        let threads = self.allowed();
        let partition = Partition::new(items, chunk, threads);
        let chunks = partition.chunks();
        let wake = || self.wake((chunks - 1).min(threads - 1));
        let shared = chunks > 1 && threads > 1 && self.shared.board.run(partition, &f, wake).is_ok();
        if !shared {
            (0..chunks).for_each(|index| f(partition.range(index)));
        }
    }

    /// Like [`run`](Self::run) with the rows of `values`, `width` values each, as items: `f` gets a range of row
    /// numbers and those rows, to write to.
    ///
    /// # Panics
    /// When `values` does not hold a whole number of rows, and as `run` does.
    ///
    /// ```
    /// use sotto_runtime::{Chunk, Pool, Threads};
    ///
    /// let mut table = [0; 12];
    /// Pool::new(Threads::new(2)).run_rows(&mut table, 4, Chunk::of(1), |rows, values| {
    ///     values.fill(rows.start);
    /// });
    /// assert_eq!(table, [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]);
    /// ```
    pub fn run_rows<T: Send>(
        &self,
        values: &mut [T],
        width: usize,
        chunk: Chunk,
        f: impl Fn(Range<usize>, &mut [T]) + Sync,
    ) {
        board::run_rows(self, values, width, chunk, &f);
    }

    /// Wakes as many helpers as there is work for; starts them in the first job.
    fn wake(&self, wanted: usize) {
        let helpers = self.helpers.get_or_init(|| Shared::start_helpers(&self.shared));
        before_waking();
        for (bed, helper) in self.shared.beds.iter().zip(helpers).take(wanted) {
            bed.wake(helper.thread());
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // No job is running: each borrows the pool.
        self.shared.stop.store(true, Release);
        let helpers = self.helpers.take().unwrap_or_default();
        for helper in &helpers {
            helper.thread().unpark();
        }
        for helper in helpers {
            // A helper catches the panics of jobs; only a panicking set-up can end it.
            let _ = helper.join();
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let started = self.helpers.get().map_or(0, Vec::len);
        f.debug_struct("Pool").field("threads", &self.threads).field("started", &started).finish_non_exhaustive()
    }
}

impl Shared {
    /// Starts a helper for each bed; fewer when the system refuses more threads.
    fn start_helpers(shared: &Arc<Self>) -> Vec<thread::JoinHandle<()>> {
        let start = |number: usize| {
            let shared = Arc::clone(shared);
            // Linux keeps 15 characters of a name.
            let name = format!("sotto-helper-{}", number + 1);
            let life = move || {
                let bed = &shared.beds[number];
                bed.place.offer(|| shared.setup.call());
                shared.help(bed);
            };
            thread::Builder::new().name(name).spawn(life).ok()
        };
        (0..shared.beds.len()).map_while(start).collect()
    }

    /// The loop of a helper thread.
    fn help(&self, bed: &Bed) {
        loop {
            if self.board.help() || spin_until(|| self.board.has_chunks()) {
                continue;
            }
            if self.stop.load(Acquire) {
                return;
            }
            bed.sleep_unless(|| self.board.has_chunks() || self.stop.load(Acquire));
        }
    }
}
