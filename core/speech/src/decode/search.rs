//! The search for a window's text, token by token: greedy, or sampled at a temperature (openai/whisper `decoding.py`).

use sotto_nn::sampling::{Rng, argmax, sample};
use sotto_runtime::Cancelled;

use super::inference::{Inference, Prepared};
use super::repetition::looped_tail;
use super::rules::Rules;
use crate::hotwords::Hotwords;
use crate::options::Search;

/// What every search needs to know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SearchContext<'a> {
    pub(crate) settings: &'a Search,
    pub(crate) rules: &'a Rules,
    pub(crate) hotwords: Option<&'a Hotwords>,
    pub(crate) eot: u32,
    /// Most tokens to sample, the end of the text included.
    pub(crate) max_tokens: usize,
    /// Whether a text that loops is given up.
    pub(crate) stop_loops: bool,
}

/// A text that a search came up with.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Candidate {
    /// Sampled tokens without the end of the text.
    pub(crate) tokens: Vec<u32>,
    /// What each of them added to the sums.
    shares: Vec<Share>,
    /// Sum of their log-probabilities, the end of the text included.
    pub(crate) sum_logprob: f64,
    /// What hotwords brought: counts where texts compete, not where one is judged.
    pub(crate) bonus: f64,
    /// Whether it was given up because it loops; the loop is cut to its first round.
    pub(crate) looped: bool,
}

/// What a token adds to the sums of a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Share {
    pub(super) logprob: f32,
    /// What hotwords bring, or take back.
    pub(super) bonus: f32,
}

impl Share {
    /// Of a token with this log-probability and this score.
    pub(super) fn of(logprob: f32, score: f32) -> Self {
        // Infinite ones have no difference.
        Self { logprob, bonus: if score == logprob { 0.0 } else { score - logprob } }
    }
}

impl Candidate {
    /// An empty text with room for `max_tokens`.
    pub(super) fn with_room(max_tokens: usize) -> Self {
        let mut candidate = Self::default();
        candidate.reserve(max_tokens);
        candidate
    }

    /// Probabilities of the tokens.
    pub(crate) fn probabilities(&self) -> impl Iterator<Item = f32> {
        self.shares.iter().map(|share| sotto_kernels::exp(share.logprob))
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

    /// Counts the end of the text, which is not kept.
    pub(super) fn end(&mut self, Share { logprob, bonus }: Share) {
        self.sum_logprob += f64::from(logprob);
        self.bonus += f64::from(bonus);
    }

    /// Cuts a loop at the end to its first round, and what it added; `true` if there was one.
    pub(super) fn cut_loop(&mut self) -> bool {
        let tail = looped_tail(&self.tokens);
        let kept = self.tokens.len() - tail;
        self.tokens.truncate(kept);
        for Share { logprob, bonus } in self.shares.drain(kept..) {
            self.sum_logprob -= f64::from(logprob);
            self.bonus -= f64::from(bonus);
        }
        self.looped |= tail > 0;
        tail > 0
    }

    /// Mean log-probability per token, the end of the text counted as one.
    pub(crate) fn avg_logprob(&self) -> f32 {
        (self.sum_logprob / (self.tokens.len() + 1) as f64) as f32
    }

    /// Score for ranking complete texts (`MaximumLikelihoodRanker`).
    fn rank(&self, length_penalty: Option<f32>) -> f64 {
        let length = self.tokens.len().max(1) as f64;
        (self.sum_logprob + self.bonus)
            / length_penalty.map_or(length, |exponent| libm::pow((5.0 + length) / 6.0, f64::from(exponent)))
    }
}

/// The best by [`Candidate::rank`]; the first of equals.
pub(super) fn best_of<'a>(
    candidates: impl IntoIterator<Item = &'a Candidate>,
    length_penalty: Option<f32>,
) -> Option<&'a Candidate> {
    let better = |best: &'a Candidate, candidate: &'a Candidate| {
        if candidate.rank(length_penalty) > best.rank(length_penalty) { candidate } else { best }
    };
    candidates.into_iter().reduce(better)
}

/// Always the likeliest next token.
pub(crate) fn greedy(
    inference: &mut Inference<'_>,
    prepared: &Prepared,
    context: SearchContext<'_>,
) -> Result<Candidate, Cancelled> {
    let mut choose = |scores: &[f32]| argmax(scores);
    Ok(sequences(inference, prepared, context, 1, &mut choose)?.remove(0))
}

/// Draws `best_of` texts at a temperature and keeps the likeliest.
pub(crate) fn sampled(
    inference: &mut Inference<'_>,
    prepared: &Prepared,
    context: SearchContext<'_>,
    temperature: f32,
    rng: &mut Rng,
) -> Result<Candidate, Cancelled> {
    let mut choose = |scores: &[f32]| sample(scores, temperature, rng);
    let texts = sequences(inference, prepared, context, context.settings.best_of, &mut choose)?;
    Ok(best_of(&texts, context.settings.length_penalty).cloned().unwrap_or_default())
}

/// `count` independent texts, each token picked by `choose` from log-probabilities.
fn sequences(
    inference: &mut Inference<'_>,
    prepared: &Prepared,
    context: SearchContext<'_>,
    count: usize,
    choose: &mut dyn FnMut(&[f32]) -> usize,
) -> Result<Vec<Candidate>, Cancelled> {
    let mut finished = Vec::with_capacity(count);
    // Reserved once: the steady state allocates nothing (tests/real_allocations.rs).
    let mut active: Vec<Candidate> = (0..count).map(|_| Candidate::with_room(context.max_tokens)).collect();
    let (mut next, mut sources, mut ongoing) =
        (Vec::with_capacity(count), Vec::with_capacity(count), Vec::with_capacity(count));
    let mut beams = inference.start(prepared, count);
    let vocabulary = beams.logits.len() / count;
    for step in 1..=context.max_tokens {
        next.clear();
        sources.clear();
        let scores = beams.logits.chunks_exact_mut(vocabulary);
        for (index, (mut candidate, scores)) in active.drain(..).zip(scores).enumerate() {
            let (token, share) = context.choose(&candidate.tokens, scores, &mut inference.memory.weighed, choose);
            if token == context.eot {
                candidate.end(share);
                finished.push(candidate);
                continue;
            }
            candidate.push(token, share);
            if context.stop_loops && candidate.cut_loop() {
                finished.push(candidate);
                continue;
            }
            next.push(token);
            sources.push(index);
            ongoing.push(candidate);
        }
        std::mem::swap(&mut active, &mut ongoing);
        if active.is_empty() || step == context.max_tokens {
            break;
        }
        inference.reorder(&mut beams, &sources);
        inference.step(&mut beams, &next)?;
    }
    inference.finish(beams);
    finished.extend(active);
    Ok(finished)
}

impl SearchContext<'_> {
    /// Turns logits into log-probabilities in place and picks a token, with hotwords in its favour.
    pub(super) fn choose(
        &self,
        sampled: &[u32],
        scores: &mut [f32],
        weighed: &mut Vec<f32>,
        choose: &mut dyn FnMut(&[f32]) -> usize,
    ) -> (u32, Share) {
        self.rules.log_probabilities(scores, sampled);
        let Some(hotwords) = self.hotwords else {
            let token = choose(scores);
            return (token as u32, Share { logprob: scores[token], bonus: 0.0 });
        };
        hotwords.favour(sampled, scores, weighed);
        let token = choose(weighed);
        (token as u32, Share { logprob: scores[token], bonus: hotwords.bonus(sampled, token as u32) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hotword_decides_between_near_texts_but_not_how_a_text_is_judged() {
        let plain = Candidate { tokens: vec![1, 2], sum_logprob: -1.0, ..Candidate::default() };
        let favoured = Candidate { tokens: vec![1, 3], sum_logprob: -1.5, bonus: 2.0, ..Candidate::default() };
        let average = favoured.avg_logprob();
        for length_penalty in [None, Some(1.0)] {
            assert_eq!(best_of([&plain, &favoured], length_penalty), Some(&favoured));
        }
        assert_eq!(Candidate { bonus: 0.0, ..favoured }.avg_logprob(), average);
    }

    #[test]
    fn a_text_whose_loop_was_cut_is_judged_by_what_is_left() {
        let text = |tokens: &[u32]| {
            let mut candidate = Candidate::default();
            // Each token has a share of its own; powers of two add up exactly.
            for (place, &token) in tokens.iter().enumerate() {
                candidate.push(token, Share { logprob: -0.25 * (place + 1) as f32, bonus: 0.5 });
            }
            candidate
        };
        let once = [9, 8, 1, 2, 3];
        let looped: Vec<u32> = once.iter().chain([1, 2, 3].iter().cycle().take(12)).copied().collect();
        let (mut cut, expected) = (text(&looped), text(&once));
        assert!(cut.cut_loop());
        assert_eq!(cut.avg_logprob(), expected.avg_logprob());
        assert_eq!(cut, Candidate { looped: true, ..expected });
        // With the end of the text, which is no part of the loop.
        let end = Share { logprob: -3.0, bonus: 0.0 };
        let [mut cut, mut expected] = [text(&looped), text(&once)];
        cut.end(end);
        expected.end(end);
        assert!(cut.cut_loop() && !expected.cut_loop());
        assert_eq!(cut.avg_logprob(), expected.avg_logprob());
    }
}
