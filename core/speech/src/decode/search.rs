//! The search for a window's text: greedy, sampled at a temperature, or with a beam (openai/whisper `decoding.py`).

use sotto_nn::sampling::{Rng, argmax, sample, top};
use sotto_runtime::Cancelled;

use super::inference::{Inference, Prepared};
use super::repetition::looped_tail;
use super::rules::Rules;
use crate::hotwords::Hotwords;

/// What every search needs to know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SearchContext<'a> {
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
    /// Sum of their log-probabilities, the end of the text included.
    pub(crate) sum_logprob: f64,
    /// What hotwords brought: counts where texts compete, not where one is judged.
    pub(crate) bonus: f64,
    /// Whether it was given up because it loops; the loop is cut to its first round.
    pub(crate) looped: bool,
}

impl Candidate {
    /// Cuts a loop at the end to its first round; `true` if there was one.
    fn cut_loop(&mut self) -> bool {
        let tail = looped_tail(&self.tokens);
        self.tokens.truncate(self.tokens.len() - tail);
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
            / length_penalty.map_or(length, |exponent| ((5.0 + length) / 6.0).powf(f64::from(exponent)))
    }
}

/// The best by [`Candidate::rank`]; the first of equals.
fn best_of(candidates: impl IntoIterator<Item = Candidate>, length_penalty: Option<f32>) -> Candidate {
    let mut best: Option<Candidate> = None;
    for candidate in candidates {
        if best.as_ref().is_none_or(|best| candidate.rank(length_penalty) > best.rank(length_penalty)) {
            best = Some(candidate);
        }
    }
    best.unwrap_or_default()
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

/// Draws `count` texts at a temperature and keeps the likeliest.
pub(crate) fn sampled(
    inference: &mut Inference<'_>,
    prepared: &Prepared,
    context: SearchContext<'_>,
    temperature: f32,
    count: usize,
    length_penalty: Option<f32>,
    rng: &mut Rng,
) -> Result<Candidate, Cancelled> {
    let mut choose = |scores: &[f32]| sample(scores, temperature, rng);
    Ok(best_of(sequences(inference, prepared, context, count, &mut choose)?, length_penalty))
}

/// `count` independent texts, each token picked by `choose` from log-probabilities.
fn sequences(
    inference: &mut Inference<'_>,
    prepared: &Prepared,
    context: SearchContext<'_>,
    count: usize,
    choose: &mut dyn FnMut(&[f32]) -> usize,
) -> Result<Vec<Candidate>, Cancelled> {
    let mut finished = Vec::new();
    // Reserved once: the steady state allocates nothing (tests/real_allocations.rs).
    let tokens = || Candidate { tokens: Vec::with_capacity(context.max_tokens), ..Candidate::default() };
    let mut active: Vec<Candidate> = (0..count).map(|_| tokens()).collect();
    let (mut next, mut sources, mut ongoing) = (Vec::new(), Vec::new(), Vec::with_capacity(count));
    let mut beams = inference.start(prepared, count);
    let vocabulary = beams.logits.len() / count;
    for step in 1..=context.max_tokens {
        next.clear();
        sources.clear();
        let scores = beams.logits.chunks_exact_mut(vocabulary);
        for (index, (mut candidate, scores)) in active.drain(..).zip(scores).enumerate() {
            let (token, bonus) = context.choose(&candidate.tokens, scores, choose);
            candidate.sum_logprob += f64::from(scores[token as usize]);
            candidate.bonus += f64::from(bonus);
            if token == context.eot {
                finished.push(candidate);
                continue;
            }
            candidate.tokens.push(token);
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
    /// Turns logits into log-probabilities in place and picks a token, with hotwords in its favour; with it comes what they
    /// brought.
    fn choose(&self, sampled: &[u32], scores: &mut [f32], choose: &mut dyn FnMut(&[f32]) -> usize) -> (u32, f32) {
        self.rules.log_probabilities(scores, sampled);
        match self.hotwords {
            None => (choose(scores) as u32, 0.0),
            Some(hotwords) => {
                let mut biased = scores.to_vec();
                hotwords.favour(sampled, &mut biased);
                let token = choose(&biased);
                (token as u32, biased[token] - scores[token])
            }
        }
    }
}

/// A hypothesis of the beam: complete or still growing.
#[derive(Debug, Clone, Default)]
struct Hypothesis {
    candidate: Candidate,
    /// Log-probability plus what hotwords brought; the beam is sorted by it.
    score: f64,
}

/// One way to continue a hypothesis.
struct Step {
    source: usize,
    token: u32,
    /// Score of the hypothesis with this token.
    score: f64,
    /// Log-probability of the token.
    logprob: f32,
    /// What hotwords bring, or take back, for the token.
    bonus: f32,
}

/// Follows the `width` best texts at once.
pub(crate) fn beam(
    inference: &mut Inference<'_>,
    prepared: &Prepared,
    context: SearchContext<'_>,
    width: usize,
    patience: f32,
    length_penalty: Option<f32>,
) -> Result<Candidate, Cancelled> {
    let wanted = ((width as f32 * patience).round() as usize).max(1);
    let mut finished: Vec<Hypothesis> = Vec::new();
    let mut active = vec![Hypothesis::default()];
    let mut beams = inference.start(prepared, 1);
    let vocabulary = beams.logits.len();
    for step in 1..=context.max_tokens {
        let (grown, complete) = context.extend(&active, &mut beams.logits, vocabulary, width);
        let room = wanted.saturating_sub(finished.len());
        finished.extend(complete.into_iter().take(room));
        if finished.len() >= wanted || grown.is_empty() || step == context.max_tokens {
            active = grown.into_iter().map(|(_, hypothesis)| hypothesis).collect();
            break;
        }
        let (sources, hypotheses): (Vec<usize>, Vec<Hypothesis>) = grown.into_iter().unzip();
        active = hypotheses;
        inference.reorder(&mut beams, &sources);
        let tokens: Vec<u32> = active.iter().filter_map(|h| h.candidate.tokens.last().copied()).collect();
        inference.step(&mut beams, &tokens)?;
    }
    inference.finish(beams);
    if finished.len() < width {
        active.sort_by(|a, b| b.score.total_cmp(&a.score));
        finished.extend(active.into_iter().take(width - finished.len()));
    }
    let mut best = best_of(finished.into_iter().map(|hypothesis| hypothesis.candidate), length_penalty);
    if context.stop_loops {
        best.cut_loop();
    }
    Ok(best)
}

impl SearchContext<'_> {
    /// The best continuations: those that go on, with the index of what they continue, and those that are complete.
    fn extend(
        &self,
        active: &[Hypothesis],
        logits: &mut [f32],
        vocabulary: usize,
        width: usize,
    ) -> (Vec<(usize, Hypothesis)>, Vec<Hypothesis>) {
        let mut candidates = Vec::with_capacity(active.len() * (width + 1));
        for (index, (hypothesis, scores)) in active.iter().zip(logits.chunks_exact_mut(vocabulary)).enumerate() {
            let sampled = &hypothesis.candidate.tokens;
            self.rules.log_probabilities(scores, sampled);
            let plain = self.hotwords.map(|hotwords| {
                let plain = scores.to_vec();
                hotwords.favour_with_refund(sampled, scores);
                plain
            });
            for (token, score) in top(scores, width + 1) {
                let logprob = plain.as_ref().map_or(score, |plain| plain[token]);
                candidates.push(Step {
                    source: index,
                    token: token as u32,
                    score: hypothesis.score + f64::from(score),
                    logprob,
                    bonus: score - logprob,
                });
            }
        }
        candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
        let (mut grown, mut complete) = (Vec::new(), Vec::new());
        for Step { source, token, score, logprob, bonus } in candidates {
            let mut hypothesis = Hypothesis { score, ..active[source].clone() };
            hypothesis.candidate.sum_logprob += f64::from(logprob);
            hypothesis.candidate.bonus += f64::from(bonus);
            if token == self.eot {
                complete.push(hypothesis);
                continue;
            }
            hypothesis.candidate.tokens.push(token);
            grown.push((source, hypothesis));
            if grown.len() == width {
                break;
            }
        }
        (grown, complete)
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
            assert_eq!(best_of([plain.clone(), favoured.clone()], length_penalty), favoured);
        }
        assert_eq!(Candidate { bonus: 0.0, ..favoured }.avg_logprob(), average);
    }
}
