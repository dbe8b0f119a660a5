//! KV caches: keys and values of the positions that were already decoded.

use std::fmt::Debug;

use sotto_kernels::{HalfCache, Heads};

use crate::search::Memory;

/// Key/value cache of one attention layer and one hypothesis: `[len, width]` each, growing up to a fixed capacity.
///
/// Memory for the full capacity is allocated once; copying between hypotheses copies only the used rows.
#[derive(Debug)]
pub struct KvCache {
    keys: Vec<f32>,
    values: Vec<f32>,
    width: usize,
    capacity: usize,
}

impl KvCache {
    /// An empty cache for `capacity` positions of `width` values.
    #[must_use]
    pub fn new(capacity: usize, width: usize) -> Self {
        let room = capacity * width;
        Self { keys: Vec::with_capacity(room), values: Vec::with_capacity(room), width, capacity }
    }

    /// Stores the next position.
    ///
    /// # Panics
    /// When the cache is full or the rows have another width.
    pub fn push(&mut self, key: &[f32], value: &[f32]) {
        assert!(self.rows() < self.capacity && key.len() == self.width && value.len() == self.width);
        self.keys.extend_from_slice(key);
        self.values.extend_from_slice(value);
    }

    /// Keys of the first `len` positions, `[len, width]`.
    #[must_use]
    pub fn keys(&self, len: usize) -> &[f32] {
        &self.keys[..len * self.width]
    }

    /// Values of the first `len` positions, `[len, width]`.
    #[must_use]
    pub fn values(&self, len: usize) -> &[f32] {
        &self.values[..len * self.width]
    }
}

/// The KV cache of one layer and one hypothesis, in any precision: one element of a [`BlockMemory`].
pub trait LayerCache: Debug + Send {
    /// Positions stored.
    fn rows(&self) -> usize;

    /// Forgets all positions from `len` on.
    fn truncate(&mut self, len: usize);

    /// Becomes a copy of `other`, a cache of the same shape; allocates nothing.
    fn copy_from(&mut self, other: &Self);
}

impl LayerCache for KvCache {
    fn rows(&self) -> usize {
        self.keys.len() / self.width
    }

    fn truncate(&mut self, len: usize) {
        self.keys.truncate(len * self.width);
        self.values.truncate(len * self.width);
    }

    fn copy_from(&mut self, other: &Self) {
        self.keys.clear();
        self.keys.extend_from_slice(&other.keys);
        self.values.clear();
        self.values.extend_from_slice(&other.values);
    }
}

impl LayerCache for HalfCache {
    fn rows(&self) -> usize {
        self.rows()
    }

    fn truncate(&mut self, len: usize) {
        self.truncate(len);
    }

    fn copy_from(&mut self, other: &Self) {
        self.copy_from(other);
    }
}

/// The KV caches of one hypothesis: one per block.
#[derive(Debug)]
pub struct BlockMemory<C>(Vec<C>);

/// Keys and values in f32.
pub type KvMemory = BlockMemory<KvCache>;

/// Keys and values in half precision, for networks with quantized weights.
pub type HalfMemory = BlockMemory<HalfCache>;

impl KvMemory {
    /// Empty caches for `blocks` blocks, with room for `positions` tokens and rows of `width` values.
    #[must_use]
    pub fn new(blocks: usize, positions: usize, width: usize) -> Self {
        Self((0..blocks).map(|_| KvCache::new(positions, width)).collect())
    }
}

impl HalfMemory {
    /// Empty caches for `blocks` blocks, with room for `positions` tokens.
    #[must_use]
    pub fn new(blocks: usize, positions: usize, heads: Heads) -> Self {
        Self((0..blocks).map(|_| HalfCache::new(heads, positions)).collect())
    }
}

impl<C: LayerCache> BlockMemory<C> {
    /// The cache of one block.
    pub(super) fn block(&self, block: usize) -> &C {
        &self.0[block]
    }

    pub(super) fn block_mut(&mut self, block: usize) -> &mut C {
        &mut self.0[block]
    }
}

impl<C: LayerCache> Memory for BlockMemory<C> {
    fn len(&self) -> usize {
        self.0.first().map_or(0, C::rows)
    }

    fn clear(&mut self) {
        self.truncate(0);
    }

    fn copy_from(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(cache, other)| cache.copy_from(other));
    }

    fn truncate(&mut self, len: usize) {
        self.0.iter_mut().for_each(|cache| cache.truncate(len));
    }
}
