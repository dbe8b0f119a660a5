//! Memory that decoding keeps from window to window: an hour of live audio takes it from the allocator once.

use crate::model::{CrossCache, Decoder, DecoderScratch, Row, SelfCache};

use super::beam::BeamMemory;
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
    pub(super) beam: BeamMemory,
    /// A row of log-probabilities with what hotwords bring.
    pub(super) weighed: Vec<f32>,
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
            beam: BeamMemory::default(),
            weighed: Vec::new(),
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
    /// From here on caches have room for `positions` tokens at least. To be called while none is in use: those in use
    /// have the size that was asked for before.
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

#[cfg(test)]
mod tests {
    use sotto_runtime::{CancelToken, NoProgress, Threads};
    use sotto_testkit::heap::measured;
    use sotto_testkit::{data_dir, quick_tests};

    use crate::window::{Context, WindowDecoder};
    use crate::{LoadOptions, ModelSource, Precision, SpeechRecognizer, TranscribeOptions};

    /// Calls of the allocator by a second window: to encode it, and all in all; and the bytes of all.
    fn second_window(precision: Precision) -> Option<(u64, u64, u64)> {
        let source = ModelSource::Path(data_dir()?.join("openai-whisper-tiny.en"));
        let options = LoadOptions { precision: Some(precision), threads: Threads::ONE, ..LoadOptions::default() };
        let recognizer = SpeechRecognizer::load(&source, &options, &NoProgress, &CancelToken::new()).unwrap();
        let (model, cancel) = (recognizer.model().unwrap(), CancelToken::new());
        let options = TranscribeOptions { max_tokens: Some(20), ..TranscribeOptions::greedy() };
        let mels = model.dimensions.mels;
        let features: Vec<f32> = (0..3000 * mels).map(|i| (i as f32 * 0.37).sin()).collect();
        let mut scratch = model.encoder.scratch();
        let mut encode = || {
            model.encoder.encode(&features, &mut scratch, Threads::ONE, &cancel).unwrap();
        };
        encode();
        let ((), encoded) = measured(encode);
        let mut decoder = WindowDecoder::new(model.clone(), &options, Threads::ONE, &cancel).unwrap();
        let mut window = || drop(decoder.decode(&features, 3000, Context::default()).unwrap());
        window();
        let ((), all) = measured(window);
        Some((encoded.count_total, all.count_total, all.bytes_total))
    }

    #[test]
    fn a_further_window_allocates_no_more_than_its_text() {
        if quick_tests() {
            return;
        }
        for precision in [Precision::Int8, Precision::Mixed] {
            let Some((encoder, all, bytes)) = second_window(precision) else { return };
            println!("{precision:?}: {encoder} to encode, {all} in all, {bytes} bytes");
            assert_eq!(encoder, 0, "{precision:?}");
            assert!(all <= 20 && bytes <= 4 << 10, "{precision:?}: {all} of {bytes} bytes");
        }
    }
}
