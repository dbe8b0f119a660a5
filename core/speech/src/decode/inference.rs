//! The decoder at work on one encoded window: prompt once, then token by token for all hypotheses together.

use sotto_kernels::softmax;
use sotto_runtime::{CancelToken, Cancelled, Threads};

use super::prompt::Prompt;
use crate::model::{CrossCache, Decoder, DecoderScratch, Row, SelfCache};

/// Caches have room for multiples of this many tokens.
const CACHE_STEP: usize = 128;

/// Runs the decoder over one window and counts what it did.
#[derive(Debug)]
pub(crate) struct Inference<'m> {
    decoder: &'m Decoder,
    cross: CrossCache,
    scratch: DecoderScratch,
    threads: Threads,
    cancel: &'m CancelToken,
    vocabulary: usize,
    /// The rows of a step, and all their numbers: kept, so that a step allocates nothing.
    rows: Vec<Row>,
    picked: Vec<usize>,
    /// Tokens sampled so far, all attempts and hypotheses.
    pub(crate) sampled: usize,
}

/// A window whose prompt was fed: every attempt at its text starts from here.
#[derive(Debug)]
pub(crate) struct Prepared {
    cache: SelfCache,
    /// Tokens that a hypothesis may have, prompt included.
    positions: usize,
    logits: Vec<f32>,
    /// Probability of silence, where the vocabulary has a token for it.
    pub(crate) no_speech_prob: f32,
}

/// Caches of the hypotheses that advance together.
#[derive(Debug)]
pub(crate) struct Beams {
    caches: Vec<SelfCache>,
    spare: Vec<SelfCache>,
    positions: usize,
}

impl<'m> Inference<'m> {
    pub(crate) fn new(
        decoder: &'m Decoder,
        cross: CrossCache,
        vocabulary: usize,
        threads: Threads,
        cancel: &'m CancelToken,
    ) -> Self {
        let scratch = decoder.scratch();
        Self { decoder, cross, scratch, threads, cancel, vocabulary, rows: Vec::new(), picked: Vec::new(), sampled: 0 }
    }

    /// Feeds the prompt, which at most `max_tokens` will follow: caches have room for them, rounded up.
    pub(crate) fn prepare(
        &mut self,
        prompt: &Prompt,
        max_tokens: usize,
        no_speech: Option<u32>,
    ) -> Result<Prepared, Cancelled> {
        let rows: Vec<Row> = prompt.tokens.iter().map(|&token| Row { hypothesis: 0, token }).collect();
        // Few sizes, so that the memory of one window's caches fits the next one's.
        let positions = rows.len().saturating_add(max_tokens).next_multiple_of(CACHE_STEP);
        let mut caches = [self.decoder.self_cache(positions)];
        self.feed(&rows, &mut caches)?;
        let logits = self.decoder.logits(&[prompt.sot, rows.len() - 1], &mut self.scratch, self.threads);
        let (silence, next) = logits.split_at_mut(self.vocabulary);
        softmax(silence);
        let no_speech_prob = no_speech.and_then(|token| silence.get(token as usize).copied()).unwrap_or(0.0);
        let logits = next.to_vec();
        let [cache] = caches;
        Ok(Prepared { cache, positions, logits, no_speech_prob })
    }

    /// Logits after one start token: what language the audio is in.
    pub(crate) fn first_logits(&mut self, token: u32) -> Result<Vec<f32>, Cancelled> {
        let mut caches = [self.decoder.self_cache(1)];
        self.feed(&[Row { hypothesis: 0, token }], &mut caches)?;
        Ok(self.decoder.logits(&[0], &mut self.scratch, self.threads).to_vec())
    }

    /// `count` hypotheses that all start after the prompt, and the logits of their first token.
    pub(crate) fn start(&mut self, prepared: &Prepared, count: usize) -> (Beams, Vec<f32>) {
        let fork = || {
            let mut cache = self.decoder.self_cache(prepared.positions);
            cache.copy_from(&prepared.cache);
            cache
        };
        let caches = (0..count).map(|_| fork()).collect();
        let beams = Beams { caches, spare: Vec::new(), positions: prepared.positions };
        (beams, prepared.logits.clone())
    }

    /// Feeds one token to each hypothesis and gives the logits of the next ones, `[hypotheses, vocabulary]`.
    pub(crate) fn step(&mut self, beams: &mut Beams, tokens: &[u32]) -> Result<&mut [f32], Cancelled> {
        self.sampled += tokens.len();
        let Self { decoder, cross, scratch, threads, cancel, rows, picked, .. } = self;
        rows.clear();
        rows.extend(tokens.iter().enumerate().map(|(hypothesis, &token)| Row { hypothesis, token }));
        decoder.feed(rows, &mut beams.caches, cross, scratch, None, *threads, cancel)?;
        picked.clear();
        picked.extend(0..rows.len());
        Ok(decoder.logits(picked, scratch, *threads))
    }

    fn feed(&mut self, rows: &[Row], caches: &mut [SelfCache]) -> Result<(), Cancelled> {
        self.decoder.feed(rows, caches, &self.cross, &mut self.scratch, None, self.threads, self.cancel)
    }
}

impl Beams {
    /// Hypothesis `i` continues what was hypothesis `sources[i]`; caches are copied only where lines of descent cross.
    pub(crate) fn reorder(&mut self, sources: &[usize], decoder: &Inference<'_>) {
        if sources.len() == self.caches.len() && sources.iter().enumerate().all(|(i, &source)| i == source) {
            return;
        }
        while self.spare.len() < sources.len() {
            self.spare.push(decoder.decoder.self_cache(self.positions));
        }
        for (target, &source) in self.spare.iter_mut().zip(sources) {
            target.copy_from(&self.caches[source]);
        }
        std::mem::swap(&mut self.caches, &mut self.spare);
        let left = self.caches.split_off(sources.len());
        self.spare.extend(left);
    }
}
