//! Memory that decoding keeps from window to window: an hour of live audio takes it from the allocator once.

use crate::model::{CrossCache, Decoder, DecoderScratch, Row, SelfCache};

use super::compression::Compressor;

/// Caches have room for multiples of this many tokens, so that those of one window fit the next.
const CACHE_STEP: usize = 128;

/// What decoding one window leaves behind for the next one.
#[derive(Debug)]
pub(crate) struct DecodingMemory {
    pub(crate) scratch: DecoderScratch,
    /// The rows of a step, and all their numbers.
    pub(super) rows: Vec<Row>,
    pub(super) picked: Vec<usize>,
    pub(super) caches: CachePool,
    pub(super) compressor: Compressor,
    logits: Vec<Vec<f32>>,
    /// Keys and values of the last window's audio.
    audio: Option<CrossCache>,
}

/// Caches that no hypothesis uses, all of one size.
#[derive(Debug, Default)]
pub(super) struct CachePool {
    positions: usize,
    free: Vec<SelfCache>,
}

impl DecodingMemory {
    pub(crate) fn new(decoder: &Decoder) -> Self {
        Self {
            scratch: decoder.scratch(),
            rows: Vec::new(),
            picked: Vec::new(),
            caches: CachePool::default(),
            compressor: Compressor::new(),
            logits: Vec::new(),
            audio: None,
        }
    }

    /// Keys and values of an earlier window, to be overwritten, where nobody reads them any more.
    pub(crate) fn take_audio(&mut self) -> Option<CrossCache> {
        self.audio.take()
    }

    pub(crate) fn keep_audio(&mut self, audio: CrossCache) {
        self.audio = Some(audio);
    }

    /// An empty vector of logits.
    pub(super) fn take_logits(&mut self) -> Vec<f32> {
        let mut logits = self.logits.pop().unwrap_or_default();
        logits.clear();
        logits
    }

    pub(super) fn keep_logits(&mut self, logits: Vec<f32>) {
        self.logits.push(logits);
    }
}

impl CachePool {
    /// From here on caches have room for `positions` tokens at least. To be called while none is in use: those in use have
    /// the size that was asked for before.
    pub(super) fn fit(&mut self, positions: usize) {
        let positions = positions.next_multiple_of(CACHE_STEP);
        if positions > self.positions {
            self.positions = positions;
            self.free.clear();
        }
    }

    /// An empty cache.
    pub(super) fn take(&mut self, decoder: &Decoder) -> SelfCache {
        match self.free.pop() {
            Some(mut cache) => {
                cache.clear();
                cache
            }
            None => decoder.self_cache(self.positions),
        }
    }

    pub(super) fn keep(&mut self, caches: impl IntoIterator<Item = SelfCache>) {
        self.free.extend(caches);
    }
}
