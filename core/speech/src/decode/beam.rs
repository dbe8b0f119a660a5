//! Beam search: the likeliest texts of a window, followed at once (openai/whisper `decoding.py`, `BeamSearchDecoder`).
//!
//! Cost per step: one row of the vocabulary is compared per hypothesis, with hotwords copied as well, and a text is copied per
//! continuation. Nothing is allocated: hypotheses change places between two sets.

use sotto_kernels::{KernelSet, Ranked, TopK};
use sotto_runtime::Cancelled;

use super::inference::{Inference, Prepared};
use super::search::{Candidate, SearchContext, Share, best_of};

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

/// Follows the `beam` best texts at once.
pub(super) fn beam(
    inference: &mut Inference<'_>,
    prepared: &Prepared,
    context: SearchContext<'_>,
) -> Result<Candidate, Cancelled> {
    let mut memory = std::mem::take(&mut inference.memory.beam);
    follow(inference, prepared, context, &mut memory)?;
    let BeamMemory { active, finished, .. } = &mut memory;
    let missing = context.settings.beam.saturating_sub(finished.len()).min(active.len());
    finished.extend(active.drain(..missing));
    let texts = finished.iter().map(|hypothesis| &hypothesis.candidate);
    let mut best = best_of(texts, context.settings.length_penalty).cloned().unwrap_or_default();
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
    memory: &mut BeamMemory,
) -> Result<(), Cancelled> {
    memory.start(context.max_tokens);
    // One more than the width: one of them may be the end of the text.
    let mut top = TopK::new(context.settings.beam + 1);
    let mut beams = inference.start(prepared, 1);
    let vocabulary = beams.logits.len();
    for step in 1..=context.max_tokens {
        let rows = beams.logits.chunks_exact_mut(vocabulary);
        memory.weigh(context, rows, &mut top, &mut inference.memory.weighed);
        memory.grow(context);
        let BeamMemory { active, finished, sources, tokens, .. } = &*memory;
        if finished.len() >= context.wanted() || active.is_empty() || step == context.max_tokens {
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
        top: &mut TopK,
        weighed: &mut Vec<f32>,
    ) {
        let Self { active, steps, .. } = self;
        steps.clear();
        for (source, (hypothesis, scores)) in active.iter().zip(rows).enumerate() {
            let sampled = &hypothesis.candidate.tokens;
            context.rules.log_probabilities(scores, sampled);
            let candidates = match context.hotwords {
                None => &*scores,
                Some(hotwords) => {
                    hotwords.favour_with_refund(sampled, scores, weighed);
                    &*weighed
                }
            };
            KernelSet::best().rank(candidates, top);
            for &Ranked { index, value } in top.best().iter().filter(|best| best.value > f32::NEG_INFINITY) {
                let share = Share::of(scores[index as usize], value);
                let score = hypothesis.score + f64::from(value);
                steps.push(Step { source, token: index, score, share, place: steps.len() });
            }
        }
        // In place, where a stable sort would allocate.
        steps.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.place.cmp(&b.place)));
    }

    /// Takes the best steps: the texts that go on are active now, complete ones join those that are wanted.
    fn grow(&mut self, context: SearchContext<'_>) {
        let Self { active, grown, finished, spare, steps, sources, tokens, .. } = self;
        sources.clear();
        tokens.clear();
        for step in &*steps {
            let ends = step.token == context.eot;
            if ends && finished.len() >= context.wanted() {
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
            if grown.len() == context.settings.beam {
                break;
            }
        }
        spare.append(active);
        std::mem::swap(active, grown);
    }
}

impl SearchContext<'_> {
    /// Complete texts that end a beam.
    fn wanted(&self) -> usize {
        ((self.settings.beam as f32 * self.settings.patience).round() as usize).max(1)
    }
}

#[cfg(test)]
mod tests {
    use sotto_nn::sampling::Rng;

    use super::*;
    use crate::decode::Rules;
    use crate::hotwords::Hotwords;
    use crate::options::Search;

    const VOCABULARY: usize = 300;

    #[test]
    fn the_best_steps_are_those_of_the_sorted_row_with_what_hotwords_bring() {
        let hotwords = Hotwords::of_tokens(&[&[10, 11, 12], &[10, 20], &[11, 30], &[40, 10]], 0.7);
        let rules =
            Rules { suppress: Vec::new(), suppress_first: Vec::new(), timestamps: None, vocabulary: VOCABULARY };
        let settings = Search { beam: 5, ..Search::default() };
        let (mut rng, mut top, mut weighed) = (Rng::new(3), TopK::new(6), Vec::new());
        for hotwords in [None, Some(&hotwords)] {
            let context = SearchContext {
                settings: &settings,
                rules: &rules,
                hotwords,
                eot: 299,
                max_tokens: 10,
                stop_loops: false,
            };
            for sampled in [&[][..], &[10], &[10, 11], &[10, 11, 12], &[40], &[5]] {
                for _ in 0..100 {
                    // Coarse, so that there are equals.
                    let coarse = |x: u64| if x == 0 { f32::NEG_INFINITY } else { -((x % 40) as f32) / 3.0 };
                    let mut scores: Vec<f32> = (0..VOCABULARY).map(|_| coarse(rng.next_u64() % 200)).collect();
                    let mut memory = BeamMemory::default();
                    memory.start(10);
                    memory.active[0].candidate.tokens = sampled.to_vec();
                    memory.weigh(context, std::iter::once(&mut scores[..]), &mut top, &mut weighed);
                    // Log-probabilities now.
                    let mut expected = scores.clone();
                    if let Some(hotwords) = hotwords {
                        hotwords.favour_with_refund(sampled, &scores, &mut expected);
                    }
                    let mut order: Vec<usize> =
                        (0..VOCABULARY).filter(|&token| scores[token] > f32::NEG_INFINITY).collect();
                    // Stable: the first of equals stays first.
                    order.sort_by(|&a, &b| expected[b].total_cmp(&expected[a]));
                    order.truncate(6);
                    let step = |&token: &usize| (token as u32, f64::from(expected[token]), scores[token]);
                    let found: Vec<_> =
                        memory.steps.iter().map(|step| (step.token, step.score, step.share.logprob)).collect();
                    for step in &memory.steps {
                        let brought = expected[step.token as usize] - scores[step.token as usize];
                        assert!((step.share.bonus - brought).abs() < 1e-5, "{sampled:?} {step:?}");
                    }
                    assert_eq!(found, order.iter().map(step).collect::<Vec<_>>(), "{sampled:?}");
                }
            }
        }
    }
}
