//! A text found by a search, and how texts are ranked.

use super::repetition::looped_tail;

// Tokens of a passage: nobody says so many again within a window, but a text that repeats itself does.
const PASSAGE: usize = 6;

/// A text found by a search.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Candidate {
    /// Sampled tokens, without the end-of-text token.
    pub tokens: Vec<u32>,
    /// What each token added to the sums.
    shares: Vec<Share>,
    /// Sum of their log-probabilities, that of the end-of-text token included.
    pub sum_logprob: f64,
    /// Bonus of a [`Preference`](super::Preference): it counts when texts compete, not when the quality of one is
    /// judged.
    pub bonus: f64,
    /// Whether decoding stopped because the text loops; the loop is then cut to its first round.
    pub looped: bool,
}

/// What a token adds to the sums of a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Share {
    pub(super) logprob: f32,
    /// The bonus of a preference; negative if it is taken back.
    pub(super) bonus: f32,
    /// Log-probability of its rival; `-inf` without one.
    pub(super) rival: f32,
}

impl Share {
    /// The share of a token with this log-probability and score.
    pub(super) fn of(logprob: f32, score: f32) -> Self {
        // The difference of infinite values would be NaN.
        let bonus = if score == logprob { 0.0 } else { score - logprob };
        Self { logprob, bonus, rival: f32::NEG_INFINITY }
    }
}

/// Length normalisation: makes the log-probabilities of texts of different lengths comparable; the sum falls with every
/// token.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum LengthNorm {
    /// Divides by the length (openai/whisper, `MaximumLikelihoodRanker`).
    #[default]
    Mean,
    /// Divides by `((5 + length) / 6)^exponent` (Wu et al. 2016, equation 14).
    Gnmt(f32),
    /// Divides by `length^exponent` (Marian's `--normalize`).
    Power(f32),
}

impl LengthNorm {
    /// The divisor for a text of `length` tokens.
    fn divisor(self, length: usize) -> f64 {
        let length = length.max(1) as f64;
        match self {
            Self::Mean => length,
            Self::Gnmt(exponent) => libm::pow((5.0 + length) / 6.0, f64::from(exponent)),
            Self::Power(exponent) => libm::pow(length, f64::from(exponent)),
        }
    }
}

impl Candidate {
    /// An empty text with room for `max_tokens`.
    pub(super) fn with_room(max_tokens: usize) -> Self {
        let mut candidate = Self::default();
        candidate.reserve(max_tokens);
        candidate
    }

    /// Probability of each token.
    pub fn probabilities(&self) -> impl Iterator<Item = f32> {
        self.shares.iter().map(|share| sotto_kernels::exp(share.logprob))
    }

    /// Probability of each token's [`rival`](super::Scorer::rival) as a fraction of the token's; 0 without one, and for
    /// texts of a beam search.
    pub fn rivals(&self) -> impl Iterator<Item = f32> {
        self.shares.iter().map(|share| sotto_kernels::exp(share.rival - share.logprob))
    }

    /// Makes room for `max_tokens`.
    fn reserve(&mut self, max_tokens: usize) {
        self.tokens.reserve(max_tokens.saturating_sub(self.tokens.len()));
        self.shares.reserve(max_tokens.saturating_sub(self.shares.len()));
    }

    /// Copies `other` into its own memory, which has room for `max_tokens`.
    pub(super) fn become_copy_of(&mut self, other: &Self, max_tokens: usize) {
        let Self { tokens, shares, sum_logprob, bonus, looped } = other;
        self.tokens.clear();
        self.shares.clear();
        self.reserve(max_tokens);
        self.tokens.extend_from_slice(tokens);
        self.shares.extend_from_slice(shares);
        (self.sum_logprob, self.bonus, self.looped) = (*sum_logprob, *bonus, *looped);
    }

    /// Appends a token.
    pub(super) fn push(&mut self, token: u32, share: Share) {
        self.tokens.push(token);
        self.shares.push(share);
        self.end(share);
    }

    /// Adds the end-of-text token to the sums; the token itself is not kept.
    pub(super) fn end(&mut self, Share { logprob, bonus, .. }: Share) {
        self.sum_logprob += f64::from(logprob);
        self.bonus += f64::from(bonus);
    }

    /// Cuts a loop at the end to its first round and corrects the sums. Returns whether there was a loop.
    pub(super) fn cut_loop(&mut self) -> bool {
        let tail = looped_tail(&self.tokens);
        let kept = self.tokens.len() - tail;
        self.tokens.truncate(kept);
        for Share { logprob, bonus, .. } in self.shares.drain(kept..) {
            self.sum_logprob -= f64::from(logprob);
            self.bonus -= f64::from(bonus);
        }
        self.looped |= tail > 0;
        tail > 0
    }

    /// Whether the text ends by repeating a passage of `told`, the text before it, or of itself.
    pub(super) fn ends_with_passage_of(&self, told: &[u32]) -> bool {
        let Some((before, passage)) = self.tokens.split_last_chunk::<PASSAGE>() else { return false };
        [told, before].iter().any(|text| text.array_windows::<PASSAGE>().any(|said| said == passage))
    }

    /// Mean log-probability per token, the end-of-text token included.
    #[must_use]
    pub fn avg_logprob(&self) -> f32 {
        (self.sum_logprob / (self.tokens.len() + 1) as f64) as f32
    }

    /// Score by which complete texts are ranked.
    pub(super) fn rank(&self, length: LengthNorm) -> f64 {
        (self.sum_logprob + self.bonus) / length.divisor(self.tokens.len())
    }
}

/// The candidate with the highest [`Candidate::rank`]; of equal ones the first.
pub(super) fn best_of<'a>(
    candidates: impl IntoIterator<Item = &'a Candidate>,
    length: LengthNorm,
) -> Option<&'a Candidate> {
    let better = |best: &'a Candidate, candidate: &'a Candidate| {
        if candidate.rank(length) > best.rank(length) { candidate } else { best }
    };
    candidates.into_iter().reduce(better)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preference_decides_between_near_texts_but_not_how_a_text_is_judged() {
        let plain = Candidate { tokens: vec![1, 2], sum_logprob: -1.0, ..Candidate::default() };
        let favoured = Candidate { tokens: vec![1, 3], sum_logprob: -1.5, bonus: 2.0, ..Candidate::default() };
        let average = favoured.avg_logprob();
        for length in [LengthNorm::Mean, LengthNorm::Gnmt(1.0), LengthNorm::Power(0.5)] {
            assert_eq!(best_of([&plain, &favoured], length), Some(&favoured));
        }
        assert_eq!(Candidate { bonus: 0.0, ..favoured }.avg_logprob(), average);
    }

    #[test]
    fn the_stronger_the_norm_the_better_a_long_text_does() {
        let text =
            |length: usize, sum_logprob| Candidate { tokens: vec![0; length], sum_logprob, ..Candidate::default() };
        let (short, long) = (text(2, -2.0), text(8, -4.0));
        let best = |length| best_of([&short, &long], length).map(|best| best.tokens.len());
        assert_eq!(best(LengthNorm::Power(0.0)), Some(2));
        assert_eq!(best(LengthNorm::Power(0.4)), Some(2));
        assert_eq!(best(LengthNorm::Power(0.6)), Some(8));
        assert_eq!(best(LengthNorm::Mean), Some(8));
        // (13/6)^0.8 / (7/6)^0.8 = 1.64, and 2 / 1.64 > 1; with the exponent 1.2 it is 2.10.
        assert_eq!(best(LengthNorm::Gnmt(0.8)), Some(2));
        assert_eq!(best(LengthNorm::Gnmt(1.2)), Some(8));
    }

    #[test]
    fn a_text_whose_loop_was_cut_is_judged_by_what_is_left() {
        let text = |tokens: &[u32]| {
            let mut candidate = Candidate::default();
            // Each token has a different share; powers of two add up exactly.
            for (place, &token) in tokens.iter().enumerate() {
                candidate.push(token, Share { logprob: -0.25 * (place + 1) as f32, bonus: 0.5, ..Share::of(0.0, 0.0) });
            }
            candidate
        };
        let once = [9, 8, 1, 2, 3];
        let looped: Vec<u32> = once.iter().chain([1, 2, 3].iter().cycle().take(12)).copied().collect();
        let mut cut = text(&looped);
        let expected = text(&once);
        assert!(cut.cut_loop());
        assert_eq!(cut.avg_logprob(), expected.avg_logprob());
        assert_eq!(cut, Candidate { looped: true, ..expected });
        // Followed by the end of the text, which is not part of the loop.
        let end = Share::of(-3.0, -3.0);
        let [mut cut, mut expected] = [text(&looped), text(&once)];
        cut.end(end);
        expected.end(end);
        assert!(cut.cut_loop() && !expected.cut_loop());
        assert_eq!(cut.avg_logprob(), expected.avg_logprob());
    }

    #[test]
    fn a_passage_that_was_said_before_is_recognised_at_its_end() {
        let said = [7, 1, 2, 3, 4, 5, 6, 8];
        for (tokens, told, expected) in [
            (&[1, 2, 3, 4, 5, 6][..], &said[..], true),
            (&[9, 1, 2, 3, 4, 5, 6], &said, true),
            (&[1, 2, 3, 4, 5, 6, 9], &said, false),
            (&[2, 3, 4, 5, 6], &said, false),
            (&[1, 2, 3, 4, 5, 6], &[], false),
            (&[1, 2, 3, 4, 5, 6, 9, 1, 2, 3, 4, 5, 6], &[], true),
        ] {
            let text = Candidate { tokens: tokens.to_vec(), ..Candidate::default() };
            assert_eq!(text.ends_with_passage_of(told), expected, "{tokens:?} behind {told:?}");
        }
    }
}
