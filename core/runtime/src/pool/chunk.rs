//! How a job is cut into chunks.

use std::num::NonZeroUsize;
use std::ops::Range;

/// How many items of a job one thread takes at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Chunk {
    /// About a quarter of a thread's share: with four chunks per thread, a slow or busy core can do less than its
    /// share.
    #[default]
    Automatic,
    /// Exactly this many; the last chunk may have fewer.
    Items(NonZeroUsize),
}

// Chunks per thread under `Chunk::Automatic`.
const PER_THREAD: usize = 4;

impl Chunk {
    /// Chunks of exactly `count` items; zero means [`Chunk::Automatic`].
    #[must_use]
    pub fn of(count: usize) -> Self {
        NonZeroUsize::new(count).map_or(Self::Automatic, Self::Items)
    }
}

/// Items `0..items` cut into chunks of one size; the last one may be smaller.
#[derive(Debug, Clone, Copy)]
pub(super) struct Partition {
    items: usize,
    chunk: usize,
}

impl Partition {
    pub(super) fn new(items: usize, chunk: Chunk, threads: usize) -> Self {
        let chunk = match chunk {
            Chunk::Items(count) => count.get(),
            Chunk::Automatic if threads == 1 => items,
            Chunk::Automatic => items.div_ceil(threads.saturating_mul(PER_THREAD)),
        };
        Self { items, chunk: chunk.max(1) }
    }

    /// Number of chunks.
    pub(super) fn chunks(self) -> usize {
        self.items.div_ceil(self.chunk)
    }

    /// Items of chunk `index`, never empty for `index < chunks()`.
    pub(super) fn range(self, index: usize) -> Range<usize> {
        debug_assert!(index < self.chunks(), "chunk {index} of {}", self.chunks());
        // `index < chunks` keeps the product below `items`; only adding a huge chunk size could overflow.
        let start = index * self.chunk;
        start..start.saturating_add(self.chunk).min(self.items)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn zero_items_per_chunk_means_automatic() {
        assert_eq!(Chunk::of(0), Chunk::Automatic);
        assert_eq!(Partition::new(80, Chunk::of(0), 2).range(0), 0..10);
        assert_eq!(Partition::new(80, Chunk::Automatic, 1).range(0), 0..80);
    }

    #[test]
    fn no_size_overflows() {
        let all = usize::MAX;
        assert_eq!(Partition::new(all, Chunk::of(all), 2).range(0), 0..all);
        assert_eq!(Partition::new(all, Chunk::of(all - 1), 2).range(1), all - 1..all);
        assert_eq!(Partition::new(all, Chunk::Automatic, all).range(all - 1), all - 1..all);
        assert_eq!(Partition::new(0, Chunk::Automatic, all).chunks(), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn chunks_follow_each_other_without_gap(items in 0_usize..5000, chunk in 0_usize..600, threads in 1_usize..20) {
            let partition = Partition::new(items, Chunk::of(chunk), threads);
            let mut next = 0;
            for index in 0..partition.chunks() {
                let range = partition.range(index);
                prop_assert_eq!(range.start, next);
                prop_assert!(!range.is_empty());
                prop_assert!(chunk == 0 || range.len() <= chunk);
                next = range.end;
            }
            prop_assert_eq!(next, items);
        }
    }
}
