//! Decoder self-attention: one query row attends to the rows of a half-precision KV cache.

use crate::attention::Heads;
use crate::float::rows::softmax;
use crate::simd::{LANES, Simd};

/// Sixteen half-precision values.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(32))]
struct HalfBlock([u16; LANES]);

impl HalfBlock {
    const ZERO: Self = Self([0; LANES]);
}

/// Blocks of keys whose scores are summed at the same time, to hide the latency of the multiply-add.
const TOGETHER: usize = 4;

/// Keys and values of one layer and one hypothesis, in half precision: half the memory traffic of f32, which is the
/// limit of a decoder step.
///
/// Layout of the keys: `[key/value heads][blocks of 16 rows][head width][16 rows]`; of the values: `[key/value
/// heads][rows][head width, padded to a multiple of 16]`. Allocates once, for `capacity` rows.
#[derive(Debug, Clone)]
pub struct HalfCache {
    heads: Heads,
    capacity: usize,
    len: usize,
    keys: Vec<HalfBlock>,
    values: Vec<HalfBlock>,
    /// Scratch for one key and one value while they are appended.
    row: Vec<u16>,
}

impl HalfCache {
    /// An empty cache for at most `capacity` rows.
    #[must_use]
    pub fn new(heads: Heads, capacity: usize) -> Self {
        // A multiple of the rows that attention reads at once.
        let capacity = capacity.next_multiple_of(TOGETHER * LANES);
        let keys = heads.key_values() * capacity / LANES * heads.head_width();
        let values = heads.key_values() * capacity * heads.head_width().div_ceil(LANES);
        Self {
            heads,
            capacity,
            len: 0,
            keys: vec![HalfBlock::ZERO; keys],
            values: vec![HalfBlock::ZERO; values],
            row: vec![0; 2 * heads.key_value_width()],
        }
    }

    /// Bytes that a cache of this shape takes.
    #[must_use]
    pub fn bytes(heads: Heads, capacity: usize) -> usize {
        let capacity = capacity.next_multiple_of(TOGETHER * LANES);
        2 * heads.key_values() * capacity * (heads.head_width() + heads.head_width().next_multiple_of(LANES))
    }

    /// Maximum number of rows.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
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

    /// Forgets all rows from `len` on.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Copies the rows of another cache of the same shape: needed when a beam continues another hypothesis.
    ///
    /// # Panics
    /// When heads or capacity differ.
    pub fn copy_from(&mut self, other: &Self) {
        assert_eq!((self.heads, self.capacity), (other.heads, other.capacity), "caches of one shape");
        self.len = other.len;
        let (head_width, dims) = (self.heads.head_width(), self.dim_blocks());
        for h in 0..self.heads.key_values() {
            let start = h * self.capacity / LANES * head_width;
            let range = start..start + other.len.div_ceil(LANES) * head_width;
            self.keys[range.clone()].copy_from_slice(&other.keys[range]);
            let start = h * self.capacity * dims;
            let range = start..start + other.len * dims;
            self.values[range.clone()].copy_from_slice(&other.values[range]);
        }
    }

    /// Appends one key and one value, `[key/value width]` each, rounded by `narrow`.
    pub(crate) fn append_rounded(&mut self, key: &[f32], value: &[f32], narrow: impl Fn(&[f32], &mut [u16])) {
        // Checked before the scratch row is taken: a panic must not lose it.
        self.assert_room();
        let mut row = std::mem::take(&mut self.row);
        let (key_halves, value_halves) = row.split_at_mut(self.heads.key_value_width());
        narrow(key, key_halves);
        narrow(value, value_halves);
        self.append_half(key_halves, value_halves);
        self.row = row;
    }

    /// Appends one key and one value, `[key/value width]` each, as half-precision bit patterns, the form that products
    /// write to an [`OutputMut::F16`](crate::OutputMut::F16). For f32 rows see
    /// [`KernelSet::append`](crate::KernelSet::append).
    ///
    /// # Panics
    /// When the lengths differ, or the cache is full.
    pub fn append_half(&mut self, key: &[u16], value: &[u16]) {
        self.assert_room();
        assert_eq!(
            (key.len(), value.len()),
            (self.heads.key_value_width(), self.heads.key_value_width()),
            "a key and a value"
        );
        let (row, head_width) = (self.len, self.heads.head_width());
        let dims = head_width.div_ceil(LANES);
        for h in 0..self.heads.key_values() {
            let block = (h * self.capacity + row) / LANES * head_width;
            let key = &key[h * head_width..][..head_width];
            for (block, &key) in self.keys[block..block + head_width].iter_mut().zip(key) {
                block.0[row % LANES] = key;
            }
            let blocks = &mut self.values[(h * self.capacity + row) * dims..][..dims];
            for (block, value) in blocks.iter_mut().zip(value[h * head_width..][..head_width].chunks(LANES)) {
                block.0[..value.len()].copy_from_slice(value);
            }
        }
        self.len += 1;
    }

    fn assert_room(&self) {
        assert!(self.len < self.capacity, "the cache holds {} rows", self.capacity);
    }

    fn dim_blocks(&self) -> usize {
        self.heads.head_width().div_ceil(LANES)
    }
}

/// One query row and the cache that it attends to.
#[derive(Clone, Copy)]
pub(crate) struct CachedQuery<'a> {
    /// `[width]`.
    pub(crate) query: &'a [f32],
    pub(crate) cache: &'a HalfCache,
    /// How many of the cache's rows it attends to, from the first one on: at least one.
    pub(crate) seen: usize,
}

/// Attention of one query row, all heads. `weights` is `[heads, stride]`; the first `seen` values of each head receive
/// its attention weights. The caller has checked the shapes.
#[inline(always)]
pub(crate) fn attend_cached<S: Simd>(
    s: S,
    query: &CachedQuery<'_>,
    weights: &mut [f32],
    stride: usize,
    out: &mut [f32],
) {
    let CachedQuery { cache, seen, .. } = *query;
    let (head_width, dims) = (cache.heads.head_width(), cache.dim_blocks());
    for h in 0..cache.heads.count() {
        let query = &query.query[h * head_width..][..head_width];
        let weights = &mut weights[h * stride..][..seen];
        let first_row = cache.heads.key_value_of(h) * cache.capacity;
        let keys = &cache.keys[first_row / LANES * head_width..];
        let groups = weights.chunks_mut(TOGETHER * LANES).zip(keys.chunks_exact(TOGETHER * head_width));
        for (weights, keys) in groups {
            scores(s, query, cache.heads.scale(), keys, weights);
        }
        softmax(s, weights);
        let values = &cache.values[first_row * dims..][..seen * dims];
        weighted_sum(s, weights, values, dims, &mut out[h * head_width..][..head_width]);
    }
}

/// Scores of up to 64 keys: products summed in the order of the dimensions, then scaled.
#[inline(always)]
fn scores<S: Simd>(s: S, query: &[f32], scale: f32, keys: &[HalfBlock], out: &mut [f32]) {
    let depth = query.len();
    let mut acc = [s.splat(0.0); TOGETHER];
    let (first, rest) = keys.split_at(depth);
    let (second, rest) = rest.split_at(depth);
    let (third, rest) = rest.split_at(depth);
    let fourth = &rest[..depth];
    for k in 0..depth {
        let q = s.splat(query[k]);
        acc[0] = s.fma(q, s.load_f16(&first[k].0), acc[0]);
        acc[1] = s.fma(q, s.load_f16(&second[k].0), acc[1]);
        acc[2] = s.fma(q, s.load_f16(&third[k].0), acc[2]);
        acc[3] = s.fma(q, s.load_f16(&fourth[k].0), acc[3]);
    }
    let mut block = [0.0; LANES];
    for (acc, out) in acc.into_iter().zip(out.chunks_mut(LANES)) {
        s.store(s.mul(acc, s.splat(scale)), &mut block);
        out.copy_from_slice(&block[..out.len()]);
    }
}

/// `out = Σⱼ weights[j] · values[j]`, in the order of the rows.
#[inline(always)]
fn weighted_sum<S: Simd>(s: S, weights: &[f32], values: &[HalfBlock], dims: usize, out: &mut [f32]) {
    for (first, out) in (0..dims).step_by(TOGETHER).zip(out.chunks_mut(TOGETHER * LANES)) {
        let mut acc = [s.splat(0.0); TOGETHER];
        if dims - first >= TOGETHER {
            for (row, &weight) in values.chunks_exact(dims).zip(weights) {
                let (weight, row) = (s.splat(weight), &row[first..first + TOGETHER]);
                acc[0] = s.fma(weight, s.load_f16(&row[0].0), acc[0]);
                acc[1] = s.fma(weight, s.load_f16(&row[1].0), acc[1]);
                acc[2] = s.fma(weight, s.load_f16(&row[2].0), acc[2]);
                acc[3] = s.fma(weight, s.load_f16(&row[3].0), acc[3]);
            }
        } else {
            for (i, acc) in acc.iter_mut().enumerate().take(dims - first) {
                for (row, &weight) in values.chunks_exact(dims).zip(weights) {
                    *acc = s.fma(s.splat(weight), s.load_f16(&row[first + i].0), *acc);
                }
            }
        }
        let mut block = [0.0; LANES];
        for (acc, out) in acc.into_iter().zip(out.chunks_mut(LANES)) {
            s.store(acc, &mut block);
            out.copy_from_slice(&block[..out.len()]);
        }
    }
}
