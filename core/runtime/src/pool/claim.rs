//! The claim word: who may touch the current job, in one atomic number.
//!
//! ```text
//! bit   63             62 … 48                        47 … 0
//!       owner sleeps   helpers that hold the job      chunks that nobody has claimed
//! ```
//!
//! A helper joins a job by one compare-and-swap that takes a chunk **and** counts the helper. It needs nothing of the
//! job's description for that and reads it only afterwards. So there is no stale claim: whatever a helper read before,
//! a successful swap means that a job is open, has a chunk left, and that the chunk taken belongs to *that* job. A word
//! that went through other jobs and came back to the same value (the ABA problem) means the same again; a late helper
//! finds no chunk and touches nothing. So no epoch counter is needed.
//!
//! The owner may end the job when no chunk is unclaimed and no helper holds it, and only the owner opens the next one.
//!
//! Orderings: [`Claims::open`] releases the description; every later change of the word is a read-modify-write and
//! continues that release sequence, so that a joining helper (acquire) sees the description of the job it joined.
//! A helper leaves with release, and the owner that reads "over" with acquire sees everything that helpers wrote.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crate::sync::AtomicU64;

const CHUNKS: u64 = (1 << 48) - 1;
const ONE_HELPER: u64 = 1 << 48;
const HELPERS: u64 = 0x7fff << 48;
const OWNER_SLEEPS: u64 = 1 << 63;

/// Most chunks that one job may have.
pub(super) const MAX_CHUNKS: u64 = CHUNKS;
/// Most helpers that may share one claim word.
pub(super) const MAX_HELPERS: usize = (HELPERS >> 48) as usize;

// A cache line of its own; 128 bytes, because cores fetch lines in pairs.
#[repr(align(128))]
#[derive(Debug)]
pub(super) struct Claims(AtomicU64);

/// What a helper does after finishing a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// It claimed another chunk of the same job; the number is as for [`Claims::join`].
    Chunk(u64),
    /// It has left the job and must not touch it again.
    Left {
        /// Whether the owner sleeps, waiting for this helper, and has to be woken.
        wake_owner: bool,
    },
}

impl Claims {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Owner: lets helpers claim `chunks` chunks. The previous job must be over.
    pub(super) fn open(&self, chunks: u64) {
        debug_assert!(self.is_over(), "a job is open");
        debug_assert!((1..=MAX_CHUNKS).contains(&chunks), "{chunks} chunks");
        self.0.store(chunks & CHUNKS, Release);
    }

    /// Owner: claims a chunk for itself. Returns how many were unclaimed before, at least 1, or `None`.
    pub(super) fn claim(&self) -> Option<u64> {
        self.take_chunk(0)
    }

    /// Helper: joins the open job and claims one of its chunks. Returns how many were unclaimed before, at least 1, or
    /// `None` when there is none. From `Some` until [`Next::Left`] the job stays alive for this helper.
    pub(super) fn join(&self) -> Option<u64> {
        self.take_chunk(ONE_HELPER)
    }

    fn take_chunk(&self, joining: u64) -> Option<u64> {
        let mut word = self.0.load(Relaxed);
        while word & CHUNKS != 0 {
            match self.0.compare_exchange_weak(word, word - 1 + joining, Acquire, Relaxed) {
                Ok(_) => return Some(word & CHUNKS),
                Err(now) => word = now,
            }
        }
        None
    }

    /// Helper that holds the job: claims its next chunk, or leaves when there is none.
    pub(super) fn next_or_leave(&self) -> Next {
        let mut word = self.0.load(Relaxed);
        loop {
            debug_assert!(word & HELPERS != 0, "a helper leaves that never joined");
            let unclaimed = word & CHUNKS;
            let wanted = if unclaimed != 0 { word - 1 } else { word - ONE_HELPER };
            match self.0.compare_exchange_weak(word, wanted, Release, Relaxed) {
                Ok(_) if unclaimed != 0 => return Next::Chunk(unclaimed),
                Ok(_) => return Next::Left { wake_owner: wanted == OWNER_SLEEPS },
                Err(now) => word = now,
            }
        }
    }

    /// Owner, or a helper that holds the job: no further chunk of it can be claimed.
    pub(super) fn abandon(&self) {
        self.0.fetch_and(!CHUNKS, Relaxed);
    }

    /// Owner: announces that it will sleep until the last helper has left. Returns false when there is no helper to
    /// wait for.
    pub(super) fn owner_sleeps(&self) -> bool {
        self.0.fetch_or(OWNER_SLEEPS, Acquire) & HELPERS != 0
    }

    /// Whether a helper would find a chunk now.
    pub(super) fn has_chunks(&self) -> bool {
        self.0.load(Relaxed) & CHUNKS != 0
    }

    /// Whether all chunks are claimed and all helpers have left; true before the first job.
    pub(super) fn is_over(&self) -> bool {
        self.0.load(Acquire) & (CHUNKS | HELPERS) == 0
    }
}
