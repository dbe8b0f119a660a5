//! Decoder self-attention over the KV caches: the position of each token and, for half-precision caches, the attention
//! itself on all threads.

use sotto_kernels::{HalfCache, Heads};

use super::{Backend, BlockMemory, Stash};
use crate::search::{Memory, Row};

/// Tokens that attend to the KV caches of their texts, up to and including themselves; `C` is the cache of one block.
#[derive(Debug)]
pub struct SeenRows<'a, C> {
    /// The tokens; those of one text are in order.
    pub rows: &'a [Row],
    /// The position of each: see [`Positions`].
    pub positions: &'a [usize],
    /// The KV caches of the texts.
    pub memories: &'a mut [BlockMemory<C>],
    /// The block that attends.
    pub block: usize,
}

/// Positions of the tokens of a pass: each follows the cached tokens of its text and the earlier rows of that text in
/// the pass. Reuses its memory from pass to pass.
#[derive(Debug, Default)]
pub struct Positions {
    /// Position of the next token of each text.
    next: Vec<usize>,
    of_rows: Vec<usize>,
}

impl Positions {
    /// Computes the position of each row. Call it before feeding the rows.
    ///
    /// # Panics
    /// When a row continues a text that has no cache.
    pub fn place(&mut self, rows: &[Row], memories: &[impl Memory]) -> &[usize] {
        self.next.clear();
        self.next.extend(memories.iter().map(Memory::len));
        self.of_rows.clear();
        for row in rows {
            self.of_rows.push(self.next[row.hypothesis]);
            self.next[row.hypothesis] += 1;
        }
        &self.of_rows
    }

    /// The positions computed by the last [`place`](Self::place).
    #[must_use]
    pub fn placed(&self) -> &[usize] {
        &self.of_rows
    }
}

impl Backend {
    /// Appends keys and values to the caches of the texts, then lets every row attend to its text up to itself, on the
    /// threads of the pool if there is enough work. `projected` has queries, keys and values of each row side by side;
    /// `out` is `[rows, width]`; `weights` is scratch memory of the threads.
    ///
    /// # Panics
    /// When the lengths do not match, or a cache is full.
    pub fn attend_seen(
        &self,
        projected: &[f32],
        heads: Heads,
        seen: SeenRows<'_, HalfCache>,
        weights: &Stash<Vec<f32>>,
        out: &mut [f32],
    ) {
        let SeenRows { rows, positions, memories, block } = seen;
        let width = heads.width();
        let kv_width = heads.key_value_width();
        let kernels = self.kernels();
        let stride = width + 2 * kv_width;
        for (row, parts) in rows.iter().zip(projected.chunks_exact(stride)) {
            let (key, value) = parts[width..].split_at(kv_width);
            kernels.append(memories[row.hypothesis].block_mut(block), key, value);
        }
        let memories = &*memories;
        let longest = positions.iter().max().map_or(0, |last| last + 1);
        let work = |range: std::ops::Range<usize>, out: &mut [f32]| {
            weights.with(Vec::new, |weights| {
                weights.resize(weights.len().max(heads.count() * longest), 0.0);
                for (index, out) in range.zip(out.chunks_exact_mut(width)) {
                    let query = &projected[index * stride..][..width];
                    let cache = memories[rows[index].hypothesis].block(block);
                    kernels.attend_first(positions[index] + 1, query, cache, weights, out);
                }
            });
        };
        // Keys and values take two bytes each.
        let bytes = positions.iter().map(|position| 4 * kv_width * (position + 1)).sum();
        self.blocks(out, width, self.chunk_of_reading(rows.len(), bytes), work);
    }
}

#[cfg(test)]
mod tests {
    use sotto_kernels::KernelSet;
    use sotto_runtime::Threads;

    use super::super::HalfMemory;
    use super::*;

    fn values(len: usize) -> Vec<f32> {
        (0..len).map(|i| ((i * 7919) % 613) as f32 / 306.5 - 1.0).collect()
    }

    /// The outputs of rows of two texts, fed in pieces of the given size.
    fn attended(pieces: usize, threads: usize) -> Vec<f32> {
        let heads = Heads::grouped(6, 2, 64);
        let (width, stride) = (heads.width(), heads.width() + 2 * heads.key_value_width());
        let rows: Vec<Row> = (0..160).map(|i| Row { hypothesis: i / 3 % 2, source: 0, token: 0 }).collect();
        let projected = values(rows.len() * stride);
        let mut out = vec![0.0; rows.len() * width];
        let backend = Backend::with_kernels(KernelSet::best(), Threads::new(threads));
        let mut memories = [0, 0].map(|_| HalfMemory::new(1, rows.len(), heads));
        let weights = Stash::new();
        let mut positions = Positions::default();
        let parts = projected.chunks(pieces * stride).zip(out.chunks_mut(pieces * width));
        for (rows, (projected, out)) in rows.chunks(pieces).zip(parts) {
            let positions = positions.place(rows, &memories);
            let seen = SeenRows { rows, positions, memories: &mut memories, block: 0 };
            backend.attend_seen(projected, heads, seen, &weights, out);
        }
        assert_eq!(memories.map(|memory| memory.len()).iter().sum::<usize>(), rows.len());
        out
    }

    #[test]
    fn a_text_that_is_fed_at_once_attends_as_token_by_token_on_any_number_of_threads() {
        let expected = attended(1, 1);
        for (pieces, threads) in [(7, 1), (160, 1), (160, 2), (33, 3)] {
            assert!(attended(pieces, threads) == expected, "{pieces} at once, {threads} threads");
        }
    }
}
