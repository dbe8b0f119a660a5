//! Keys and values of the positions that were decoded already.

use sotto_kernels::{HalfCache, Heads};

use crate::search::Memory;

/// Key/value cache of one attention layer and one hypothesis: `[len, width]` each, growing up to a fixed capacity.
///
/// Memory is taken once, at the capacity; copying between hypotheses copies the used rows only.
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

    /// Positions stored.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len() / self.width
    }

    /// Whether nothing is stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Stores the next position.
    ///
    /// # Panics
    /// When the cache is full or the rows have another width.
    pub fn push(&mut self, key: &[f32], value: &[f32]) {
        assert!(self.len() < self.capacity && key.len() == self.width && value.len() == self.width);
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

    /// Forgets all positions from `len` on.
    pub fn truncate(&mut self, len: usize) {
        self.keys.truncate(len * self.width);
        self.values.truncate(len * self.width);
    }

    /// Becomes a copy of `other` without new memory.
    pub fn copy_from(&mut self, other: &Self) {
        self.keys.clear();
        self.keys.extend_from_slice(&other.keys);
        self.values.clear();
        self.values.extend_from_slice(&other.values);
    }
}

/// Keys and values of one hypothesis, one cache per block: what a network in f32 keeps of a text.
#[derive(Debug)]
pub struct KvMemory(Vec<KvCache>);

impl KvMemory {
    /// Empty caches for `blocks` blocks, with room for `positions` tokens and rows of `width` values.
    #[must_use]
    pub fn new(blocks: usize, positions: usize, width: usize) -> Self {
        Self((0..blocks).map(|_| KvCache::new(positions, width)).collect())
    }

    /// The cache of one block.
    pub(super) fn block(&self, block: usize) -> &KvCache {
        &self.0[block]
    }

    pub(super) fn block_mut(&mut self, block: usize) -> &mut KvCache {
        &mut self.0[block]
    }
}

impl Memory for KvMemory {
    fn len(&self) -> usize {
        self.0.first().map_or(0, KvCache::len)
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

/// Keys and values of one hypothesis in half precision, one cache per block: what a network with quantized weights
/// keeps of a text.
#[derive(Debug)]
pub struct HalfMemory(Vec<HalfCache>);

impl HalfMemory {
    /// Empty caches for `blocks` blocks, with room for `positions` tokens.
    #[must_use]
    pub fn new(blocks: usize, positions: usize, heads: Heads) -> Self {
        Self((0..blocks).map(|_| HalfCache::new(heads, positions)).collect())
    }

    /// The cache of one block.
    pub(super) fn block(&self, block: usize) -> &HalfCache {
        &self.0[block]
    }

    pub(super) fn block_mut(&mut self, block: usize) -> &mut HalfCache {
        &mut self.0[block]
    }
}

impl Memory for HalfMemory {
    fn len(&self) -> usize {
        self.0.first().map_or(0, HalfCache::len)
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
