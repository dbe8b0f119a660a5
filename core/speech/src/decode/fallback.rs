//! Temperature fallback: a text that repeats itself or has a low probability is decoded again at a higher temperature.

use sotto_nn::search::{Candidate, Rng, Sampling, stutters};
use sotto_runtime::Cancelled;
use sotto_text::Tokenizer;
use sotto_text::whisper::WhisperTokenizer;

use super::compression::Compressor;
use crate::options::{Search, Thresholds};

/// The text of a window, with measures of its quality.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Attempt {
    pub(crate) tokens: Vec<u32>,
    pub(crate) text: String,
    pub(crate) avg_logprob: f32,
    pub(crate) no_speech_prob: f32,
    pub(crate) compression_ratio: f32,
    pub(crate) temperature: f32,
    /// Whether the text looped and was cut to the loop's first round.
    pub(crate) looped: bool,
}

impl Attempt {
    /// Whether the window is silent: the no-speech probability is high and the text is improbable.
    pub(crate) fn is_silence(&self, thresholds: &Thresholds) -> bool {
        self.may_be_silence(thresholds) && thresholds.no_speech.is_some_and(|limit| self.no_speech_prob > limit)
    }

    /// Whether the no-speech probability decides if the window is silent: the text is improbable.
    pub(crate) fn may_be_silence(&self, thresholds: &Thresholds) -> bool {
        thresholds.no_speech.is_some() && !thresholds.logprob.is_some_and(|limit| self.avg_logprob > limit)
    }

    /// Whether the text should be decoded again (openai/whisper `transcribe.py`, `decode_with_fallback`).
    pub(crate) fn has_failed(&self, thresholds: &Thresholds) -> bool {
        let repeats = thresholds.compression_ratio.is_some_and(|limit| self.compression_ratio > limit);
        let doubtful = thresholds.logprob.is_some_and(|limit| self.avg_logprob < limit);
        let silent = doubtful && thresholds.no_speech.is_some_and(|limit| self.no_speech_prob > limit);
        (repeats || self.looped || doubtful) && !silent
    }
}

/// Tries the temperatures in turn until a result passes the thresholds and does not stutter.
///
/// If none does, returns the first one that only stutters, because a speaker may have spoken like that; else the last
/// one without a loop; if all loop, the first one with its loop cut.
pub(crate) fn decode_with_fallback(
    search: &mut sotto_nn::search::Search<'_>,
    window: &Window<'_>,
    compressor: &mut Compressor,
) -> Result<Attempt, Cancelled> {
    let mut rng = Rng::new(window.settings.seed);
    // Each with whether it only stutters.
    let mut doubted: Vec<(Attempt, bool)> = Vec::new();
    for &temperature in window.temperatures {
        let candidate = find(search, window, temperature, &mut rng)?;
        let attempt = judge(candidate, window.no_speech_prob, temperature, window.tokenizer, compressor);
        let passed = !attempt.has_failed(window.thresholds);
        if passed && !(window.thresholds.compression_ratio.is_some() && stutters(&attempt.tokens)) {
            return Ok(attempt);
        }
        doubted.push((attempt, passed));
    }
    let stuttered = doubted.iter().position(|&(_, stutters)| stutters);
    let whole = stuttered.or_else(|| doubted.iter().rposition(|(attempt, _)| !attempt.looped)).unwrap_or(0);
    Ok(if doubted.is_empty() {
        judge(Candidate::default(), window.no_speech_prob, 0.0, window.tokenizer, compressor)
    } else {
        doubted.swap_remove(whole).0
    })
}

/// A window whose prompt was fed: the start of every attempt, and what its text is judged with.
#[derive(Debug)]
pub(crate) struct Window<'a> {
    /// Logits after the prompt.
    pub(crate) first: &'a [f32],
    /// Probability of silence.
    pub(crate) no_speech_prob: f32,
    pub(crate) settings: &'a Search,
    pub(crate) temperatures: &'a [f32],
    pub(crate) thresholds: &'a Thresholds,
    pub(crate) tokenizer: &'a WhisperTokenizer,
}

fn find(
    search: &mut sotto_nn::search::Search<'_>,
    window: &Window<'_>,
    temperature: f32,
    rng: &mut Rng,
) -> Result<Candidate, Cancelled> {
    let &Window { first, settings, .. } = window;
    if temperature > 0.0 {
        search.drawn(first, settings.best_of, &Sampling::at(temperature), rng)
    } else if settings.beam > 1 {
        Ok(search.beam(first)?.into_iter().next().unwrap_or_default())
    } else {
        search.greedy(first)
    }
}

/// Computes the quality measures of a text.
pub(crate) fn judge(
    candidate: Candidate,
    no_speech_prob: f32,
    temperature: f32,
    tokenizer: &WhisperTokenizer,
    compressor: &mut Compressor,
) -> Attempt {
    let text = tokenizer.decode(&candidate.tokens).trim().to_owned();
    Attempt {
        avg_logprob: candidate.avg_logprob(),
        compression_ratio: compressor.ratio(&text),
        tokens: candidate.tokens,
        text,
        no_speech_prob,
        temperature,
        looped: candidate.looped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(compression_ratio: f32, avg_logprob: f32, no_speech_prob: f32) -> Attempt {
        Attempt {
            tokens: Vec::new(),
            text: String::new(),
            avg_logprob,
            no_speech_prob,
            compression_ratio,
            temperature: 0.0,
            looped: false,
        }
    }

    #[test]
    fn repetition_and_doubt_fail_but_silence_does_not() {
        let thresholds = Thresholds::default();
        assert!(!attempt(1.5, -0.3, 0.1).has_failed(&thresholds));
        assert!(attempt(3.0, -0.3, 0.1).has_failed(&thresholds));
        assert!(attempt(1.5, -1.3, 0.1).has_failed(&thresholds));
        assert!(!attempt(1.5, -1.3, 0.9).has_failed(&thresholds));
    }

    #[test]
    fn silence_needs_both_signs() {
        let thresholds = Thresholds::default();
        assert!(attempt(1.0, -1.5, 0.7).is_silence(&thresholds));
        assert!(!attempt(1.0, -0.5, 0.7).is_silence(&thresholds));
        assert!(!attempt(1.0, -1.5, 0.5).is_silence(&thresholds));
    }
}
