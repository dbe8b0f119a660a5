//! The decoder at work on one encoded window: prompt once, then token by token for all hypotheses together.

use sotto_kernels::softmax;
use sotto_runtime::{CancelToken, Cancelled, Threads};

use super::memory::DecodingMemory;
use super::prompt::Prompt;
use crate::model::{CrossCache, Decoder, Recording, Row, SelfCache};

/// Runs the decoder over one window and counts what it did.
#[derive(Debug)]
pub(crate) struct Inference<'w> {
    decoder: &'w Decoder,
    cross: CrossCache,
    pub(super) memory: &'w mut DecodingMemory,
    threads: Threads,
    cancel: &'w CancelToken,
    /// Tokens sampled so far, all attempts and hypotheses.
    pub(crate) sampled: usize,
}

/// A window whose prompt was fed: every attempt at its text starts from here.
#[derive(Debug)]
pub(crate) struct Prepared {
    cache: SelfCache,
    logits: Vec<f32>,
    /// Probability of silence, where the vocabulary has a token for it.
    pub(crate) no_speech_prob: f32,
}

/// Hypotheses that advance together.
#[derive(Debug)]
pub(crate) struct Beams {
    caches: Vec<SelfCache>,
    spare: Vec<SelfCache>,
    /// Scores of the next token of each hypothesis, `[hypotheses, vocabulary]`.
    pub(super) logits: Vec<f32>,
}

impl<'w> Inference<'w> {
    pub(crate) fn new(
        decoder: &'w Decoder,
        cross: CrossCache,
        memory: &'w mut DecodingMemory,
        threads: Threads,
        cancel: &'w CancelToken,
    ) -> Self {
        Self { decoder, cross, memory, threads, cancel, sampled: 0 }
    }

    /// Feeds the prompt, which at most `max_tokens` will follow: caches have room for them.
    pub(crate) fn prepare(
        &mut self,
        prompt: &Prompt,
        max_tokens: usize,
        no_speech: Option<u32>,
    ) -> Result<Prepared, Cancelled> {
        let cache = self.feed_text(&prompt.tokens, max_tokens, None)?;
        let mut kept = self.memory.take_logits();
        let logits = self.logits(&[prompt.sot, prompt.tokens.len() - 1]);
        let (silence, next) = logits.split_at_mut(logits.len() / 2);
        softmax(silence);
        let no_speech_prob = no_speech.and_then(|token| silence.get(token as usize).copied()).unwrap_or(0.0);
        kept.extend_from_slice(next);
        Ok(Prepared { cache, logits: kept, no_speech_prob })
    }

    /// Logits after one start token: what language the audio is in.
    pub(crate) fn first_logits(&mut self, token: u32) -> Result<&mut [f32], Cancelled> {
        let cache = self.feed_text(&[token], 0, None)?;
        self.memory.caches.keep([cache]);
        Ok(self.logits(&[0]))
    }

    /// Feeds a whole text of its own and records the attention of chosen heads; [`logits`](Self::logits) are there for
    /// each of its tokens.
    pub(crate) fn record(&mut self, text: &[u32], recording: &mut Recording<'_>) -> Result<(), Cancelled> {
        let cache = self.feed_text(text, 0, Some(recording))?;
        self.memory.caches.keep([cache]);
        Ok(())
    }

    /// Scores of the next token after each of the rows `picked` of the text that was fed last: `[picked, vocabulary]`.
    pub(crate) fn logits(&mut self, picked: &[usize]) -> &mut [f32] {
        self.decoder.logits(picked, &mut self.memory.scratch, self.threads)
    }

    /// `count` hypotheses that all start after the prompt.
    pub(super) fn start(&mut self, prepared: &Prepared, count: usize) -> Beams {
        let mut fork = || {
            let mut cache = self.memory.caches.take(self.decoder);
            cache.copy_from(&prepared.cache);
            cache
        };
        let caches = (0..count).map(|_| fork()).collect();
        let mut logits = self.memory.take_logits();
        (0..count).for_each(|_| logits.extend_from_slice(&prepared.logits));
        Beams { caches, spare: Vec::new(), logits }
    }

    /// Feeds one token to each hypothesis; `beams.logits` are those of the next ones.
    pub(super) fn step(&mut self, beams: &mut Beams, tokens: &[u32]) -> Result<(), Cancelled> {
        self.sampled += tokens.len();
        let Self { decoder, cross, memory, threads, cancel, .. } = self;
        let DecodingMemory { scratch, rows, picked, .. } = &mut **memory;
        rows.clear();
        rows.extend(tokens.iter().enumerate().map(|(hypothesis, &token)| Row { hypothesis, token }));
        decoder.feed(rows, &mut beams.caches, cross, scratch, None, *threads, cancel)?;
        picked.clear();
        picked.extend(0..rows.len());
        beams.logits.clear();
        beams.logits.extend_from_slice(decoder.logits(picked, scratch, *threads));
        Ok(())
    }

    /// Hypothesis `i` continues what was hypothesis `sources[i]`; caches are copied only where lines of descent cross.
    pub(super) fn reorder(&mut self, beams: &mut Beams, sources: &[usize]) {
        let Beams { caches, spare, .. } = beams;
        if sources.is_sorted_by(|earlier, later| earlier < later) {
            // Each goes on at most once: those that do move up.
            sources.iter().enumerate().for_each(|(target, &source)| caches.swap(target, source));
            spare.extend(caches.drain(sources.len()..));
            return;
        }
        while spare.len() < sources.len() {
            spare.push(self.memory.caches.take(self.decoder));
        }
        for (target, &source) in spare.iter_mut().zip(sources) {
            target.copy_from(&caches[source]);
        }
        std::mem::swap(caches, spare);
        spare.extend(caches.drain(sources.len()..));
    }

    /// Keeps the memory of hypotheses for later ones.
    pub(super) fn finish(&mut self, beams: Beams) {
        self.memory.caches.keep(beams.caches.into_iter().chain(beams.spare));
        self.memory.keep_logits(beams.logits);
    }

    /// Keeps the memory of a prompt for the next window.
    pub(crate) fn leave(&mut self, prepared: Prepared) {
        self.memory.caches.keep([prepared.cache]);
        self.memory.keep_logits(prepared.logits);
    }

    /// A cache with room for `positions` tokens.
    pub(super) fn empty_cache(&mut self, positions: usize) -> SelfCache {
        self.memory.caches.fit(positions);
        self.memory.caches.take(self.decoder)
    }

    /// Gives the memory of caches back.
    pub(super) fn keep(&mut self, caches: impl IntoIterator<Item = SelfCache>) {
        self.memory.caches.keep(caches);
    }

    /// Feeds more tokens of one text and records the attention of chosen heads.
    pub(super) fn feed_more<'t>(
        &mut self,
        tokens: impl Iterator<Item = &'t u32>,
        cache: &mut [SelfCache; 1],
        recording: &mut Recording<'_>,
    ) -> Result<(), Cancelled> {
        let Self { decoder, cross, memory, threads, cancel, .. } = self;
        let DecodingMemory { scratch, rows, .. } = &mut **memory;
        rows.clear();
        rows.extend(tokens.map(|&token| Row { hypothesis: 0, token }));
        recording.expect(rows.len());
        decoder.feed(rows, cache, cross, scratch, Some(recording), *threads, cancel)
    }

    /// Feeds the start of a text to an empty cache that has room for `more` tokens behind it.
    fn feed_text(
        &mut self,
        text: &[u32],
        more: usize,
        recording: Option<&mut Recording<'_>>,
    ) -> Result<SelfCache, Cancelled> {
        let Self { decoder, cross, memory, threads, cancel, .. } = self;
        let DecodingMemory { scratch, rows, caches, .. } = &mut **memory;
        rows.clear();
        rows.extend(text.iter().map(|&token| Row { hypothesis: 0, token }));
        caches.fit(text.len().saturating_add(more));
        let mut cache = [caches.take(decoder)];
        decoder.feed(rows, &mut cache, cross, scratch, recording, *threads, cancel)?;
        let [cache] = cache;
        Ok(cache)
    }
}
