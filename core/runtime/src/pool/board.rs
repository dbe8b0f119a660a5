//! The board: an owner posts one job at a time, and helpers claim chunks of it. Holds all unsafe code of the pool.
//!
//! A job is a closure that borrows from the owner's stack, and helpers reach it through a raw pointer. Why that is
//! sound:
//!
//! 1. **One owner.** `Board::owned` is taken by an atomic swap and given back when [`Board::run`] ends, so at most one
//!    thread writes the description and opens the claim word. A thread that finds it taken gets [`Busy`].
//! 2. **The description is stable while it is read.** It is written only by the owner and only while the claim word
//!    says "over": no chunk unclaimed, no helper inside. A helper reads it only between [`Claims::join`] and
//!    [`Next::Left`], when the word does not say "over".
//! 3. **The closure outlives every use.** [`Open`] exists from the moment the job can be joined; its destructor waits
//!    until the word says "over", and it runs on every way out of [`Board::run`], unwinding included. The borrow of the
//!    closure is longer than that. After "over" no helper can join: the word has no chunk to claim.
//! 4. **Every chunk runs once.** The number of unclaimed chunks only falls, one per successful compare-and-swap, and
//!    each value belongs to one chunk.
//! 5. **A panic of the closure** is caught on the thread where it happened and closes the job to further claims. The
//!    owner resumes it after all claimed chunks have ended. A helper survives it.

#![allow(unsafe_code)]

use std::any::Any;
use std::marker::PhantomData;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::PoisonError;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::Pool;
use super::chunk::{Chunk, Partition};
use super::claim::{Claims, MAX_CHUNKS, Next};
use super::park::spin_until;
use crate::sync::{AtomicBool, Condvar, Mutex, UnsafeCell};

/// The board has an owner already, or the job has more chunks than the claim word can count. Nothing was run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Busy;

/// What helpers need to know about a job, without its type and lifetime.
#[derive(Debug, Clone, Copy)]
struct Job {
    /// Calls the closure, which must be alive.
    call: unsafe fn(*const (), Range<usize>),
    closure: *const (),
    partition: Partition,
}

// SAFETY: `closure` points to a value that is `Sync` (`Job::new`) and is only used through a shared reference; the rest
// is plain data. A `Job` alone does nothing: the caller of `call` guarantees that the closure is alive.
unsafe impl Send for Job {}

impl Job {
    fn new<F: Fn(Range<usize>) + Sync>(partition: Partition, closure: &F) -> Self {
        /// # Safety
        /// `closure` points to a living `F`.
        unsafe fn call<F: Fn(Range<usize>)>(closure: *const (), range: Range<usize>) {
            // SAFETY: by this function's contract; `Job::new` cast the pointer from `&F`.
            let closure = unsafe { &*closure.cast::<F>() };
            closure(range);
        }
        Self { call: call::<F>, closure: std::ptr::from_ref(closure).cast(), partition }
    }

    /// The placeholder before the first job; no claim leads to it.
    fn none() -> Self {
        Self::new(Partition::new(0, Chunk::Automatic, 1), &|_| {})
    }

    /// The items of the chunk that was claimed when `unclaimed` chunks were left.
    fn range(&self, unclaimed: u64) -> Range<usize> {
        // Chunks were counted as a `usize` and `unclaimed` is at most that.
        self.partition.range(self.partition.chunks() - unclaimed as usize)
    }
}

/// One job at a time, offered by its owner to any number of helpers.
#[derive(Debug)]
pub(super) struct Board {
    claims: Claims,
    owned: AtomicBool,
    job: UnsafeCell<Job>,
    panicked: AtomicBool,
    /// The first panic of the current job.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    /// Where the owner sleeps until the last helper has left.
    owner: Mutex<()>,
    over: Condvar,
}

// SAFETY: all fields but `job` synchronise themselves. `job` is written by the one owner while no helper may read it,
// and the claim word orders that write before every read and every read before the next write (points 1 and 2 above).
unsafe impl Sync for Board {}

impl Board {
    pub(super) fn new() -> Self {
        Self {
            claims: Claims::new(),
            owned: AtomicBool::new(false),
            job: UnsafeCell::new(Job::none()),
            panicked: AtomicBool::new(false),
            panic: Mutex::new(None),
            owner: Mutex::new(()),
            over: Condvar::new(),
        }
    }

    /// Whether a helper would find a chunk to run.
    pub(super) fn has_chunks(&self) -> bool {
        self.claims.has_chunks()
    }

    /// Owner: runs `closure` once for each chunk, on this thread and on the helpers that come, and returns when all
    /// chunks have ended. Calls `wake` once, as soon as helpers can join.
    ///
    /// A panic of `closure` is resumed on this thread after all claimed chunks have ended; unclaimed chunks are not
    /// run.
    ///
    /// # Errors
    /// [`Busy`] when the board is owned, by another thread or by an outer call on this thread, or the job has no chunk
    /// or too many.
    pub(super) fn run<F>(&self, partition: Partition, closure: &F, wake: impl FnOnce()) -> Result<(), Busy>
    where
        F: Fn(Range<usize>) + Sync,
    {
        let chunks = partition.chunks() as u64;
        if !(1..=MAX_CHUNKS).contains(&chunks) {
            return Err(Busy);
        }
        let owned = Owned::take(self)?;
        let job = Job::new(partition, closure);
        {
            let open = Open::new(&owned, job, chunks);
            wake();
            while let Some(unclaimed) = self.claims.claim() {
                // SAFETY: the chunk was just claimed, and `closure` is borrowed by this function.
                unsafe { self.execute(job, unclaimed) };
            }
            drop(open);
        }
        // Helpers wrote the flag before they left.
        if self.panicked.load(Relaxed) {
            self.panicked.store(false, Relaxed);
            let payload = self.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
            drop(owned);
            if let Some(payload) = payload {
                resume_unwind(payload);
            }
        }
        Ok(())
    }

    /// Helper: claims and runs chunks until none is left. Returns whether it ran any.
    pub(super) fn help(&self) -> bool {
        let Some(mut unclaimed) = self.claims.join() else { return false };
        // SAFETY: this thread has joined the job: the owner writes no other before it has left (point 2).
        let job = self.job.with(|job| unsafe { *job });
        loop {
            // SAFETY: the chunk was claimed, by `join` or `next_or_leave`, and while this helper has not left, the
            // owner keeps the closure alive (point 3).
            unsafe { self.execute(job, unclaimed) };
            match self.claims.next_or_leave() {
                Next::Chunk(next) => unclaimed = next,
                Next::Left { wake_owner: true } => {
                    // Taking the lock makes sure that the owner either sleeps already or has yet to read the word.
                    drop(self.owner.lock().unwrap_or_else(PoisonError::into_inner));
                    self.over.notify_one();
                    return true;
                }
                Next::Left { wake_owner: false } => return true,
            }
        }
    }

    /// Runs one chunk and stores its panic.
    ///
    /// # Safety
    /// The calling thread has claimed the chunk, and the closure of `job` is alive.
    unsafe fn execute(&self, job: Job, unclaimed: u64) {
        let range = job.range(unclaimed);
        // As with a plain call, only code that survives the panic sees what the closure left half-done: the owner's
        // caller, in which the panic is resumed.
        // SAFETY: the closure is alive by this function's contract.
        let outcome = catch_unwind(AssertUnwindSafe(|| unsafe { (job.call)(job.closure, range) }));
        if let Err(payload) = outcome {
            self.claims.abandon();
            let later = {
                let mut first = self.panic.lock().unwrap_or_else(PoisonError::into_inner);
                if first.is_some() { Some(payload) } else { first.replace(payload) }
            };
            // Dropping a panic payload runs foreign code; a panic of that must not leave a helper.
            if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(later))) {
                std::mem::forget(again);
            }
            self.panicked.store(true, Relaxed);
        }
    }

    /// Owner: waits until every claimed chunk has ended.
    fn wait(&self) {
        if spin_until(|| self.claims.is_over()) {
            return;
        }
        let mut asleep = self.owner.lock().unwrap_or_else(PoisonError::into_inner);
        if self.claims.owner_sleeps() {
            while !self.claims.is_over() {
                asleep = self.over.wait(asleep).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

/// The right to put a job on the board; given back on drop.
struct Owned<'a>(&'a Board);

impl<'a> Owned<'a> {
    fn take(board: &'a Board) -> Result<Self, Busy> {
        // A load before the swap: callers that will run alone anyway do not take the cache line from the owner.
        if board.owned.load(Relaxed) || board.owned.swap(true, Acquire) { Err(Busy) } else { Ok(Self(board)) }
    }
}

impl Drop for Owned<'_> {
    fn drop(&mut self) {
        self.0.owned.store(false, Release);
    }
}

/// A job that helpers can join. On drop it is closed, and the owner waits until no helper holds it.
struct Open<'a>(&'a Board);

impl<'a> Open<'a> {
    fn new(owned: &'a Owned<'_>, job: Job, chunks: u64) -> Self {
        let board = owned.0;
        // SAFETY: `owned` proves that this thread alone writes, and the last owner left the word at "over", so that no
        // helper reads (points 1 and 2).
        board.job.with_mut(|slot| unsafe { *slot = job });
        board.claims.open(chunks);
        Self(board)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if self.0.claims.has_chunks() {
            self.0.claims.abandon();
        }
        self.0.wait();
    }
}

/// A slice of rows that several threads may write at once, each to its own rows.
struct Rows<'a, T> {
    first: *mut T,
    count: usize,
    width: usize,
    slice: PhantomData<&'a mut [T]>,
}

// SAFETY: a shared `Rows` hands out `&mut` to values of `T` on other threads, as a split `&mut [T]` would; that
// requires `T: Send`.
unsafe impl<T: Send> Sync for Rows<'_, T> {}

impl<'a, T> Rows<'a, T> {
    /// Rows of `width` values.
    ///
    /// # Panics
    /// When the slice does not hold a whole number of them.
    fn new(slice: &'a mut [T], width: usize) -> Self {
        let length = slice.len();
        let count = length.checked_div(width).unwrap_or(0);
        assert_eq!(count * width, length, "{length} values are no whole number of rows of {width}");
        Self { first: slice.as_mut_ptr(), count, width, slice: PhantomData }
    }

    /// The values of some rows.
    ///
    /// # Safety
    /// The range lies within `0..count`, and no two ranges that are in use at the same time overlap.
    #[expect(clippy::mut_from_ref, reason = "that is its purpose; the contract forbids overlaps")]
    unsafe fn get(&self, rows: &Range<usize>) -> &mut [T] {
        debug_assert!(rows.start <= rows.end && rows.end <= self.count, "rows {rows:?} of {}", self.count);
        // SAFETY: by this function's contract the values lie in the slice borrowed for `'a`, and no other reference to
        // them exists.
        unsafe { std::slice::from_raw_parts_mut(self.first.add(rows.start * self.width), rows.len() * self.width) }
    }
}

/// [`Pool::run_rows`].
pub(super) fn run_rows<T: Send>(
    pool: &Pool,
    values: &mut [T],
    width: usize,
    chunk: Chunk,
    f: &(impl Fn(Range<usize>, &mut [T]) + Sync),
) {
    let rows = Rows::new(values, width);
    pool.run(rows.count, chunk, |range| {
        // SAFETY: `Pool::run` hands out ranges of `0..count`, and each row once (point 4), so no two calls overlap.
        let values = unsafe { rows.get(&range) };
        f(range, values);
    });
}
