//! Rules on logits: which tokens may come next (openai/whisper `decoding.py`: `SuppressBlank`, `SuppressTokens`,
//! `ApplyTimestampRules`).

use sotto_kernels::log_softmax;
use sotto_text::whisper::SpecialTokens;

/// The rules of one window, applied to the logits before every choice.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// Never sampled.
    pub(crate) suppress: Vec<u32>,
    /// Never sampled first: a window does not begin with a space or the end of text.
    pub(crate) suppress_first: Vec<u32>,
    /// Rules for timestamps, if they are wanted.
    pub(crate) timestamps: Option<TimestampRules>,
    /// Size of the vocabulary; further rows of the embedding are never sampled.
    pub(crate) vocabulary: usize,
}

/// Timestamps come in pairs, never decrease, and win if together they are more likely than any text token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TimestampRules {
    pub(crate) begin: u32,
    pub(crate) eot: u32,
    pub(crate) no_timestamps: Option<u32>,
    /// Highest first timestamp, in steps after `begin`.
    pub(crate) max_initial: Option<u32>,
}

impl TimestampRules {
    /// The rules for a vocabulary, if it has timestamps.
    pub(crate) fn new(special: &SpecialTokens, max_initial: Option<usize>) -> Option<Self> {
        Some(Self {
            begin: special.timestamp_begin?,
            eot: special.eot,
            no_timestamps: special.no_timestamps,
            max_initial: max_initial.map(|index| index as u32),
        })
    }

    fn apply(&self, logits: &mut [f32], sampled: &[u32]) {
        let begin = self.begin as usize;
        if let Some(token) = self.no_timestamps {
            forbid(logits, token);
        }
        let is_timestamp = |token: &u32| *token >= self.begin;
        let last = sampled.last().is_some_and(is_timestamp);
        let penultimate = sampled.len() < 2 || is_timestamp(&sampled[sampled.len() - 2]);
        if last && penultimate {
            logits[begin..].fill(f32::NEG_INFINITY);
        } else if last {
            logits[..self.eot as usize].fill(f32::NEG_INFINITY);
        }
        if let Some(&latest) = sampled.iter().rev().find(|token| is_timestamp(token)) {
            // The end of a segment may equal its start; the start of the next may equal this end; nothing else repeats.
            let first_allowed = if last && !penultimate { latest } else { latest + 1 };
            let end = (first_allowed as usize).min(logits.len());
            logits[begin..end].fill(f32::NEG_INFINITY);
        }
        if sampled.is_empty() {
            logits[..begin].fill(f32::NEG_INFINITY);
            if let Some(max_initial) = self.max_initial {
                let after = (begin + max_initial as usize + 1).min(logits.len());
                logits[after..].fill(f32::NEG_INFINITY);
            }
        }
        self.prefer_timestamps(logits);
    }

    /// If all timestamps together are more likely than the best text token, only timestamps are allowed.
    fn prefer_timestamps(&self, logits: &mut [f32]) {
        let (text, timestamps) = logits.split_at_mut(self.begin as usize);
        let best_text = text.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let best = timestamps.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        if best == f32::NEG_INFINITY {
            return;
        }
        let sum: f64 = timestamps.iter().map(|&x| f64::from(sotto_kernels::exp(x - best))).sum();
        let total = best + libm::log(sum) as f32;
        if total > best_text {
            text.fill(f32::NEG_INFINITY);
        }
    }
}

impl Rules {
    /// Forbids tokens by setting their logits to `-inf`, given the tokens sampled in this window so far.
    pub(crate) fn apply(&self, logits: &mut [f32], sampled: &[u32]) {
        logits[self.vocabulary..].fill(f32::NEG_INFINITY);
        self.suppress.iter().for_each(|&token| forbid(logits, token));
        if sampled.is_empty() {
            self.suppress_first.iter().for_each(|&token| forbid(logits, token));
        }
        if let Some(timestamps) = &self.timestamps {
            timestamps.apply(logits, sampled);
        }
    }

    /// [`apply`](Self::apply), then log-probabilities.
    pub(crate) fn log_probabilities(&self, logits: &mut [f32], sampled: &[u32]) {
        self.apply(logits, sampled);
        log_softmax(logits);
    }
}

fn forbid(logits: &mut [f32], token: u32) {
    if let Some(logit) = logits.get_mut(token as usize) {
        *logit = f32::NEG_INFINITY;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A vocabulary of 10 words, eot 10, no_timestamps 11, timestamps 12..20.
    const RULES: TimestampRules = TimestampRules { begin: 12, eot: 10, no_timestamps: Some(11), max_initial: Some(3) };

    fn allowed(sampled: &[u32], favour: usize) -> Vec<usize> {
        let rules = Rules { suppress: vec![7], suppress_first: vec![0, 10], timestamps: Some(RULES), vocabulary: 20 };
        let mut logits = vec![0.0; 20];
        logits[favour] = 10.0;
        rules.apply(&mut logits, sampled);
        (0..20).filter(|&token| logits[token] > f32::NEG_INFINITY).collect()
    }

    #[test]
    fn a_window_begins_with_an_early_timestamp() {
        assert_eq!(allowed(&[], 1), [12, 13, 14, 15]);
    }

    #[test]
    fn text_follows_an_opening_timestamp() {
        assert_eq!(allowed(&[13], 1), [0, 1, 2, 3, 4, 5, 6, 8, 9, 10]);
    }

    #[test]
    fn after_a_closing_timestamp_comes_a_timestamp_or_the_end() {
        assert_eq!(allowed(&[12, 1, 15], 10), [10, 15, 16, 17, 18, 19]);
    }

    #[test]
    fn a_pair_is_followed_by_text_and_time_does_not_run_backwards() {
        assert_eq!(allowed(&[12, 1, 15, 15], 1), [0, 1, 2, 3, 4, 5, 6, 8, 9, 10]);
        assert_eq!(allowed(&[12, 1, 15, 15, 2], 1), [0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 16, 17, 18, 19]);
    }

    #[test]
    fn timestamps_win_when_together_they_are_likelier() {
        assert_eq!(allowed(&[12, 1], 14), [13, 14, 15, 16, 17, 18, 19]);
    }
}
