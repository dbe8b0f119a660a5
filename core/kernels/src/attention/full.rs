//! Encoder attention in f32: every query row attends to every key, with a streaming softmax.
//!
//! `out = softmax(q · kᵀ / √head) · v`, head by head. Keys are processed in chunks of 128. Each row keeps its maximum
//! score so far, the sum of its exponentials and the weighted sum of its values, and rescales both sums when a larger
//! score comes (Milakov and Gimelshein 2018). Scores never leave the L1 cache.

use std::ops::Range;

use super::{FloatBlock, Heads};
use crate::activation::math;
use crate::float::reduce;
use crate::float::tile::{self, MAX_ROWS};
use crate::simd::{LANES, Simd};
use crate::{BlockMut, MatRef};

/// Keys per chunk. Part of the definition of the result, because the order of the sums depends on it.
const CHUNK: usize = 128;

/// Query rows per pass over keys and values: 48 rows · 64 values · 4 bytes and their scores fit the L1 cache.
const QUERY_BLOCK: usize = 48;

/// Keys and values of one layer, all heads, in the order in which attention reads them.
///
/// Layout of the keys: `[key/value heads][blocks of 16 keys][head width][16 keys]`; of the values: `[key/value
/// heads][blocks of 16 dimensions][keys][16 dimensions]`; padded with zeros. Memory grows to the longest sequence seen.
#[derive(Debug, Clone)]
pub struct KeyValuePanels {
    heads: Heads,
    len: usize,
    keys: Vec<FloatBlock>,
    values: Vec<FloatBlock>,
}

impl KeyValuePanels {
    /// Room for `len` rows.
    #[must_use]
    pub fn new(heads: Heads, len: usize) -> Self {
        let mut new = Self { heads, len: 0, keys: Vec::new(), values: Vec::new() };
        new.reshape(len);
        new.len = 0;
        new
    }

    fn reshape(&mut self, len: usize) {
        self.len = len;
        let blocks = self.key_blocks() * self.heads.head_width();
        self.keys.resize(self.heads.key_values() * blocks, FloatBlock::ZERO);
        let blocks = self.padded_len() * self.heads.head_width().div_ceil(LANES);
        self.values.resize(self.heads.key_values() * blocks, FloatBlock::ZERO);
    }

    /// Stores keys and values, both `[len, key/value width]`, and replaces the previous contents.
    ///
    /// # Panics
    /// When the shapes differ from each other, do not match the heads, or have no rows.
    pub fn fill(&mut self, keys: MatRef<'_>, values: MatRef<'_>) {
        let len = keys.rows();
        let width = self.heads.key_value_width();
        let head_width = self.heads.head_width();
        assert_eq!((keys.cols(), values.rows(), values.cols()), (width, len, width), "keys and values");
        self.reshape(len);
        if len == 0 || width == 0 {
            return;
        }
        let key_blocks = self.key_blocks();
        for (h, panel) in self.keys.chunks_exact_mut(key_blocks * head_width).enumerate() {
            for (first, block) in (0..len).step_by(LANES).zip(panel.chunks_exact_mut(head_width)) {
                if len - first < LANES {
                    block.fill(FloatBlock::ZERO);
                }
                for lane in 0..LANES.min(len - first) {
                    let key = &keys.row(first + lane)[h * head_width..][..head_width];
                    for (block, key) in block.iter_mut().zip(key) {
                        block.0[lane] = *key;
                    }
                }
            }
        }
        let dim_blocks = head_width.div_ceil(LANES);
        let padded_len = self.padded_len();
        for (h, panel) in self.values.chunks_exact_mut(dim_blocks * padded_len).enumerate() {
            for (first, rows) in (0..head_width).step_by(LANES).zip(panel.chunks_exact_mut(padded_len)) {
                let dims = LANES.min(head_width - first);
                for (row, block) in rows.iter_mut().enumerate() {
                    *block = FloatBlock::ZERO;
                    if row < len {
                        block.0[..dims].copy_from_slice(&values.row(row)[h * head_width + first..][..dims]);
                    }
                }
            }
        }
    }

    /// Rows stored.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.len
    }

    /// How rows are cut into heads.
    #[must_use]
    pub fn heads(&self) -> Heads {
        self.heads
    }

    fn key_blocks(&self) -> usize {
        self.len.div_ceil(LANES)
    }

    fn padded_len(&self) -> usize {
        self.key_blocks() * LANES
    }
}

/// Scratch memory of one thread; allocated once per head width.
#[derive(Debug, Clone)]
pub struct AttentionScratch {
    /// Scaled queries `[QUERY_BLOCK, head width]`.
    queries: Vec<f32>,
    /// Scores `[MAX_ROWS, CHUNK]`.
    scores: Vec<f32>,
    /// Weighted values `[QUERY_BLOCK, padded head width]`.
    values: Vec<f32>,
}

impl AttentionScratch {
    /// Scratch for heads of `head_width` values.
    #[must_use]
    pub fn new(head_width: usize) -> Self {
        Self {
            queries: vec![0.0; QUERY_BLOCK * head_width],
            scores: vec![0.0; MAX_ROWS * CHUNK],
            values: vec![0.0; QUERY_BLOCK * head_width.next_multiple_of(LANES)],
        }
    }

    /// Whether it was made for heads of this width.
    #[must_use]
    pub fn fits(&self, head_width: usize) -> bool {
        self.queries.len() == QUERY_BLOCK * head_width
    }
}

/// Query rows of one head, `[rows, head width]`, and the keys and values that they attend to.
#[derive(Clone, Copy)]
pub(crate) struct Query<'a> {
    pub(crate) rows: MatRef<'a>,
    pub(crate) panels: &'a KeyValuePanels,
    pub(crate) head: usize,
}

/// Attention of one head into `out`, `[rows, head width]`. The caller has checked the shapes; there is at least one
/// key.
#[inline(always)]
pub(crate) fn attend<S: Simd>(s: S, query: &Query<'_>, mut out: BlockMut<'_>, scratch: &mut AttentionScratch) {
    let panels = query.panels;
    let head_width = panels.heads.head_width();
    let padded_width = head_width.next_multiple_of(LANES);
    for start in (0..out.rows()).step_by(QUERY_BLOCK) {
        let count = QUERY_BLOCK.min(out.rows() - start);
        for (row, scaled) in scratch.queries.chunks_exact_mut(head_width).take(count).enumerate() {
            for (scaled, q) in scaled.iter_mut().zip(query.rows.row(start + row)) {
                *scaled = q * panels.heads.scale();
            }
        }
        let mut max = [f32::NEG_INFINITY; QUERY_BLOCK];
        let mut total = [0.0f32; QUERY_BLOCK];
        scratch.values.fill(0.0);
        for chunk in (0..panels.padded_len()).step_by(CHUNK) {
            for first in (0..count).step_by(S::ROWS) {
                let rows = first..count.min(first + S::ROWS);
                attend_chunk(s, query, chunk, rows, (&mut max, &mut total), scratch);
            }
        }
        for (row, total) in total[..count].iter().enumerate() {
            let factor = 1.0 / total;
            let values = &scratch.values[row * padded_width..];
            for (out, value) in out.row(start + row).iter_mut().zip(values) {
                *out = value * factor;
            }
        }
    }
}

/// Updates the maxima, totals and weighted values of some rows with one chunk of keys.
#[inline(always)]
fn attend_chunk<S: Simd>(
    s: S,
    query: &Query<'_>,
    chunk: usize,
    rows: Range<usize>,
    (max, total): (&mut [f32; QUERY_BLOCK], &mut [f32; QUERY_BLOCK]),
    scratch: &mut AttentionScratch,
) {
    let panels = query.panels;
    let (key_blocks, padded_len) = (panels.key_blocks(), panels.padded_len());
    let (head_width, key_value) = (panels.heads.head_width(), panels.heads.key_value_of(query.head));
    let dim_blocks = head_width.div_ceil(LANES);
    let columns = CHUNK.min(padded_len - chunk);
    let keys = tile::Columns {
        blocks: &panels.keys[(key_value * key_blocks + chunk / LANES) * head_width..],
        depth: head_width,
        stride: head_width,
        count: columns / LANES,
    };
    let queries =
        tile::Rows { values: &scratch.queries[rows.start * head_width..], stride: head_width, count: rows.len() };
    scratch.scores.fill(0.0);
    let mut scores = tile::Outputs { values: &mut scratch.scores, row: CHUNK, column: LANES };
    tile::product(s, queries, keys, &mut scores);
    for row in rows.clone() {
        let scores = &mut scratch.scores[(row - rows.start) * CHUNK..][..columns];
        scores[CHUNK.min(panels.len - chunk)..].fill(f32::NEG_INFINITY);
        if let Some(factor) = weigh(s, scores, (&mut max[row], &mut total[row])) {
            for block in scratch.values[row * dim_blocks * LANES..].as_chunks_mut().0[..dim_blocks].iter_mut() {
                let scaled = s.mul(s.load(block), s.splat(factor));
                s.store(scaled, block);
            }
        }
    }
    let values = tile::Columns {
        blocks: &panels.values[key_value * dim_blocks * padded_len + chunk..],
        depth: columns,
        stride: padded_len,
        count: dim_blocks,
    };
    let weights = tile::Rows { values: &scratch.scores, stride: CHUNK, count: rows.len() };
    let width = dim_blocks * LANES;
    let mut sums = tile::Outputs { values: &mut scratch.values[rows.start * width..], row: width, column: LANES };
    tile::product(s, weights, values, &mut sums);
}

/// Turns one row's scores into weights relative to the largest score so far, and updates maximum and total. Returns the
/// factor by which earlier sums must be rescaled; `None` when it is 1.
#[inline(always)]
fn weigh<S: Simd>(s: S, scores: &mut [f32], (max, total): (&mut f32, &mut f32)) -> Option<f32> {
    let greatest = reduce::row_max(s, scores);
    let mut factor = None;
    if greatest > *max {
        // e^-inf = 0 for the first chunk, before which nothing was summed.
        let mut lanes = [0.0; LANES];
        s.store(math::exp(s, s.splat(*max - greatest)), &mut lanes);
        factor = Some(lanes[0]);
        *total *= lanes[0];
        *max = greatest;
    }
    let shift = s.splat(*max);
    let mut sum = s.splat(0.0);
    let (blocks, _) = scores.as_chunks_mut::<LANES>();
    for block in blocks {
        let y = math::exp(s, s.sub(s.load(block), shift));
        sum = s.add(sum, y);
        s.store(y, block);
    }
    *total += reduce::sum(s, sum);
    factor
}
