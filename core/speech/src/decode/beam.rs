//! Beam search: the likeliest texts of a window, followed at once (openai/whisper `decoding.py`, `BeamSearchDecoder`).
//!
//! Cost per step: one row of the vocabulary is compared per hypothesis, a text is copied per continuation. Nothing is
//! allocated: hypotheses change places between two sets.

use sotto_nn::sampling::Top;
use sotto_runtime::Cancelled;

use super::inference::{Inference, Prepared};
use super::search::{Candidate, SearchContext, Share, best_of};
use crate::hotwords::Favoured;

/// What a beam search fills again at every step, kept from window to window.
#[derive(Debug, Default)]
pub(super) struct BeamMemory {
    /// Best first.
    active: Vec<Hypothesis>,
    /// What the active ones become in the step at hand, best first.
    grown: Vec<Hypothesis>,
    /// Texts that reached their end, in the order in which they did.
    finished: Vec<Hypothesis>,
    /// Hypotheses that were given up, for their memory.
    spare: Vec<Hypothesis>,
    steps: Vec<Step>,
    top: Top,
    /// For each of the active hypotheses: which one it continues, and by which token.
    sources: Vec<usize>,
    tokens: Vec<u32>,
}

/// A hypothesis of the beam: complete or still growing.
#[derive(Debug, Default)]
struct Hypothesis {
    candidate: Candidate,
    /// Log-probability plus what hotwords brought; the beam is sorted by it.
    score: f64,
}

/// One way to continue a hypothesis.
#[derive(Debug, Clone, Copy)]
struct Step {
    source: usize,
    token: u32,
    /// Score of the hypothesis with this token.
    score: f64,
    share: Share,
    /// Place among all before they are sorted: of equals the first counts.
    place: usize,
}

/// How many texts a search follows, and how many complete ones end it.
#[derive(Debug, Clone, Copy)]
struct Beam {
    width: usize,
    wanted: usize,
}

/// Follows the `width` best texts at once.
pub(super) fn beam(
    inference: &mut Inference<'_>,
    prepared: &Prepared,
    context: SearchContext<'_>,
    width: usize,
    patience: f32,
    length_penalty: Option<f32>,
) -> Result<Candidate, Cancelled> {
    let wanted = ((width as f32 * patience).round() as usize).max(1);
    let mut memory = std::mem::take(&mut inference.memory.beam);
    follow(inference, prepared, context, Beam { width, wanted }, &mut memory)?;
    let BeamMemory { active, finished, .. } = &mut memory;
    let missing = width.saturating_sub(finished.len()).min(active.len());
    finished.extend(active.drain(..missing));
    let texts = finished.iter().map(|hypothesis| &hypothesis.candidate);
    let mut best = best_of(texts, length_penalty).cloned().unwrap_or_default();
    inference.memory.beam = memory;
    if context.stop_loops {
        best.cut_loop();
    }
    Ok(best)
}

/// Searches until enough texts are complete, or none goes on.
fn follow(
    inference: &mut Inference<'_>,
    prepared: &Prepared,
    context: SearchContext<'_>,
    beam: Beam,
    memory: &mut BeamMemory,
) -> Result<(), Cancelled> {
    memory.start(context.max_tokens);
    let mut beams = inference.start(prepared, 1);
    let vocabulary = beams.logits.len();
    for step in 1..=context.max_tokens {
        let rows = beams.logits.chunks_exact_mut(vocabulary);
        memory.weigh(context, rows, beam.width, &mut inference.memory.favoured);
        memory.grow(context, beam);
        let BeamMemory { active, finished, sources, tokens, .. } = &*memory;
        if finished.len() >= beam.wanted || active.is_empty() || step == context.max_tokens {
            break;
        }
        inference.reorder(&mut beams, sources);
        inference.step(&mut beams, tokens)?;
    }
    inference.finish(beams);
    Ok(())
}

impl BeamMemory {
    /// One empty hypothesis.
    fn start(&mut self, max_tokens: usize) {
        let Self { active, grown, finished, spare, .. } = self;
        spare.extend(active.drain(..).chain(grown.drain(..)).chain(finished.drain(..)));
        let mut first = spare.pop().unwrap_or_default();
        first.candidate.become_copy_of(&Candidate::default(), max_tokens);
        first.score = 0.0;
        active.push(first);
    }

    /// The best ways to continue each active hypothesis, given the logits of its next token.
    fn weigh<'s>(
        &mut self,
        context: SearchContext<'_>,
        rows: impl Iterator<Item = &'s mut [f32]>,
        width: usize,
        favoured: &mut Vec<Favoured>,
    ) {
        let Self { active, steps, top, .. } = self;
        steps.clear();
        for (source, (hypothesis, scores)) in active.iter().zip(rows).enumerate() {
            let sampled = &hypothesis.candidate.tokens;
            context.rules.log_probabilities(scores, sampled);
            // One more than the width: one of them may be the end of the text.
            top.clear(width + 1);
            context.offer(sampled, scores, top, favoured);
            for &(token, score) in top.best() {
                let (logprob, place) = (scores[token], steps.len());
                let share = Share { logprob, bonus: score - logprob };
                let score = hypothesis.score + f64::from(score);
                steps.push(Step { source, token: token as u32, score, share, place });
            }
        }
        // In place, where a stable sort would allocate.
        steps.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.place.cmp(&b.place)));
    }

    /// Takes the best steps: the texts that go on are active now, complete ones join those that are wanted.
    fn grow(&mut self, context: SearchContext<'_>, beam: Beam) {
        let Self { active, grown, finished, spare, steps, sources, tokens, .. } = self;
        sources.clear();
        tokens.clear();
        for step in &*steps {
            let ends = step.token == context.eot;
            if ends && finished.len() >= beam.wanted {
                continue;
            }
            let mut hypothesis = spare.pop().unwrap_or_default();
            hypothesis.candidate.become_copy_of(&active[step.source].candidate, context.max_tokens);
            hypothesis.score = step.score;
            if ends {
                hypothesis.candidate.end(step.share);
                finished.push(hypothesis);
                continue;
            }
            hypothesis.candidate.push(step.token, step.share);
            grown.push(hypothesis);
            sources.push(step.source);
            tokens.push(step.token);
            if grown.len() == beam.width {
                break;
            }
        }
        spare.append(active);
        std::mem::swap(active, grown);
    }
}

impl SearchContext<'_> {
    /// Offers the scores of one row of log-probabilities, with what hotwords bring or take back. The row is the same
    /// afterwards.
    fn offer(&self, sampled: &[u32], scores: &mut [f32], top: &mut Top, favoured: &mut Vec<Favoured>) {
        let Some(hotwords) = self.hotwords else {
            return top.offer_row(scores.iter().copied());
        };
        let refund = hotwords.favour_with_refund(sampled, scores, favoured);
        // What is not favoured all loses the same, and nobody needs the difference but of the best.
        favoured.iter().for_each(|favoured| scores[favoured.token] = f32::NEG_INFINITY);
        top.offer_row(scores.iter().map(|score| score - refund));
        for favoured in &*favoured {
            scores[favoured.token] = favoured.plain;
            top.offer(favoured.token, favoured.score);
        }
    }
}

#[cfg(test)]
mod tests {
    use sotto_nn::sampling::Rng;

    use super::*;
    use crate::decode::Rules;
    use crate::hotwords::Hotwords;

    const VOCABULARY: usize = 300;

    /// The best scores, as a copy of the row gives them: `(token, score, log-probability)`.
    fn on_a_copy(hotwords: &Hotwords, sampled: &[u32], plain: &[f32], count: usize) -> Vec<(usize, f32, f32)> {
        let (mut scores, mut favoured) = (plain.to_vec(), Vec::new());
        let refund = hotwords.favour_with_refund(sampled, plain, &mut favoured);
        scores.iter_mut().for_each(|score| *score -= refund);
        favoured.iter().for_each(|favoured| scores[favoured.token] = favoured.score);
        let mut all: Vec<_> = (0..plain.len()).map(|token| (token, scores[token], plain[token])).collect();
        all.retain(|&(_, score, _)| score > f32::NEG_INFINITY);
        // Stable: the first of equals stays first.
        all.sort_by(|a, b| b.1.total_cmp(&a.1));
        all.truncate(count);
        all
    }

    #[test]
    fn hotwords_weigh_a_row_as_a_copy_of_it_would() {
        let hotwords = Hotwords::of_tokens(&[&[10, 11, 12], &[10, 20], &[11, 30], &[40, 10]], 0.7);
        let rules =
            Rules { suppress: Vec::new(), suppress_first: Vec::new(), timestamps: None, vocabulary: VOCABULARY };
        let context =
            SearchContext { rules: &rules, hotwords: Some(&hotwords), eot: 299, max_tokens: 10, stop_loops: false };
        let (mut rng, mut top, mut favoured) = (Rng::new(3), Top::default(), Vec::new());
        for sampled in [&[][..], &[10], &[10, 11], &[10, 11, 12], &[40], &[5]] {
            for _ in 0..100 {
                // Coarse, so that there are equals, and some that subtraction makes equal.
                let coarse = |x: u64| if x == 0 { f32::NEG_INFINITY } else { -((x % 40) as f32) / 3.0 };
                let mut scores: Vec<f32> = (0..VOCABULARY).map(|_| coarse(rng.next_u64() % 200)).collect();
                scores[7] = 1e-8;
                scores[3] = 2e-8;
                let plain = scores.clone();
                top.clear(6);
                context.offer(sampled, &mut scores, &mut top, &mut favoured);
                assert_eq!(scores, plain, "the row is as it was");
                let ours: Vec<_> = top.best().iter().map(|&(token, score)| (token, score, scores[token])).collect();
                assert_eq!(ours, on_a_copy(&hotwords, sampled, &plain, 6), "{sampled:?}");
            }
        }
    }
}
