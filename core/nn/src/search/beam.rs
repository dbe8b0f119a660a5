//! Beam search: follows the most likely texts in parallel (openai/whisper `decoding.py`, `BeamSearchDecoder`).
//!
//! Cost per step: one comparison of a row of logits per hypothesis (with a [`Preference`](super::Preference) also a
//! copy), and a copy of the tokens per continuation. Nothing is allocated: hypotheses move between two sets.

use sotto_kernels::{KernelSet, Ranked, TopK};
use sotto_runtime::Cancelled;

use super::candidate::{Candidate, Share};
use super::{Scorer, Search, SearchSettings};

/// Buffers of a beam search, reused from step to step and from window to window.
#[derive(Debug, Default)]
pub(super) struct BeamMemory {
    /// Best first.
    active: Vec<Hypothesis>,
    /// The active hypotheses after the current step, best first.
    grown: Vec<Hypothesis>,
    /// Complete texts, in the order in which they ended.
    finished: Vec<Hypothesis>,
    /// Discarded hypotheses, kept to reuse their memory.
    spare: Vec<Hypothesis>,
    steps: Vec<Step>,
    /// For each active hypothesis, the index of the one that it continues; `tokens` has the token.
    parents: Vec<usize>,
    tokens: Vec<u32>,
}

/// A hypothesis of the beam: complete or still growing.
#[derive(Debug, Default)]
struct Hypothesis {
    candidate: Candidate,
    /// Log-probability plus the bonus of a preference; the beam is sorted by it.
    score: f64,
}

/// One way to continue a hypothesis.
#[derive(Debug, Clone, Copy)]
struct Step {
    parent: usize,
    token: u32,
    /// Score of the hypothesis with this token.
    score: f64,
    share: Share,
    /// Position before sorting: of equal steps the first wins.
    place: usize,
}

impl Search<'_> {
    /// The best continuations of the prompt, best first: up to the width of the beam. `first` holds the logits after
    /// the prompt.
    ///
    /// # Errors
    /// [`Cancelled`] when the token fires.
    pub fn beam(&mut self, first: &[f32]) -> Result<Vec<Candidate>, Cancelled> {
        let mut memory = std::mem::take(&mut self.memory.beam);
        let followed = self.follow(first, &mut memory);
        self.hypotheses.release();
        let texts = followed.map(|()| memory.best(self.settings));
        self.memory.beam = memory;
        texts
    }

    /// Searches until enough texts are complete or no hypothesis is left.
    fn follow(&mut self, first: &[f32], beam: &mut BeamMemory) -> Result<(), Cancelled> {
        let Self { hypotheses, memory, scorer, settings, cancel } = self;
        beam.start(settings.max_tokens);
        // One more than the width, because one of them may be the end of the text.
        let mut top = TopK::new(settings.beam + 1);
        hypotheses.fork(&[0]);
        memory.first.clear();
        memory.first.extend_from_slice(first);
        let columns = first.len();
        let mut logits: &mut [f32] = &mut memory.first;
        for step in 1..=settings.max_tokens {
            beam.weigh(*scorer, logits.chunks_exact_mut(columns), &mut top, &mut memory.weighed);
            beam.grow(scorer.end(), *settings);
            let BeamMemory { active, finished, parents, tokens, .. } = &*beam;
            if finished.len() >= settings.wanted() || active.is_empty() || step == settings.max_tokens {
                break;
            }
            hypotheses.reorder(parents);
            memory.sampled += tokens.len();
            logits = hypotheses.step(tokens, cancel)?;
        }
        Ok(())
    }
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

    /// Complete texts, and unfinished ones if there are too few; best first; of equal ones the first found.
    fn best(&mut self, settings: SearchSettings) -> Vec<Candidate> {
        let Self { active, finished, .. } = self;
        let missing = settings.beam.saturating_sub(finished.len()).min(active.len());
        finished.extend(active.drain(..missing));
        let mut texts: Vec<&Candidate> = finished.iter().map(|hypothesis| &hypothesis.candidate).collect();
        texts.sort_by(|a, b| b.rank(settings.length).total_cmp(&a.rank(settings.length)));
        let mut texts: Vec<Candidate> = texts.into_iter().take(settings.beam).cloned().collect();
        if settings.stop_loops {
            texts.iter_mut().for_each(|text| _ = text.cut_loop());
        }
        texts
    }

    /// Collects the best continuations of each active hypothesis, given the logits of its next token.
    fn weigh<'s>(
        &mut self,
        scorer: &dyn Scorer,
        rows: impl Iterator<Item = &'s mut [f32]>,
        top: &mut TopK,
        weighed: &mut Vec<f32>,
    ) {
        let Self { active, steps, .. } = self;
        steps.clear();
        for (parent, (hypothesis, scores)) in active.iter().zip(rows).enumerate() {
            let sampled = &hypothesis.candidate.tokens;
            scorer.log_probabilities(scores, sampled);
            let candidates = match scorer.preference() {
                None => &*scores,
                Some(preference) => {
                    preference.favour_with_refund(sampled, scores, weighed);
                    &*weighed
                }
            };
            KernelSet::best().rank(candidates, top);
            for &Ranked { index, value } in top.best().iter().filter(|best| best.value > f32::NEG_INFINITY) {
                let share = Share::of(scores[index as usize], value);
                let score = hypothesis.score + f64::from(value);
                let token = scorer.token(index as usize);
                steps.push(Step { parent, token, score, share, place: steps.len() });
            }
        }
        // Unstable, because a stable sort would allocate; `place` breaks ties.
        steps.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.place.cmp(&b.place)));
    }

    /// Takes the best steps: continued texts become the active ones, complete ones are added to the finished.
    fn grow(&mut self, end: u32, settings: SearchSettings) {
        let Self { active, grown, finished, spare, steps, parents, tokens, .. } = self;
        parents.clear();
        tokens.clear();
        for step in &*steps {
            let ends = step.token == end;
            if ends && finished.len() >= settings.wanted() {
                continue;
            }
            let mut hypothesis = spare.pop().unwrap_or_default();
            hypothesis.candidate.become_copy_of(&active[step.parent].candidate, settings.max_tokens);
            hypothesis.score = step.score;
            if ends {
                hypothesis.candidate.end(step.share);
                finished.push(hypothesis);
                continue;
            }
            hypothesis.candidate.push(step.token, step.share);
            grown.push(hypothesis);
            parents.push(step.parent);
            tokens.push(step.token);
            if grown.len() == settings.beam {
                break;
            }
        }
        spare.append(active);
        std::mem::swap(active, grown);
    }
}

impl SearchSettings {
    /// Number of complete texts that end a beam search.
    fn wanted(&self) -> usize {
        ((self.beam as f32 * self.patience).round() as usize).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Plain, Preference, Rng};
    use super::*;

    const VOCABULARY: usize = 300;

    /// A preference that gives a bonus for some tokens and takes it back for others, depending on the text.
    #[derive(Debug)]
    struct Wish;

    impl Preference for Wish {
        fn favour(&self, _text: &[u32], _scores: &[f32], _weighed: &mut Vec<f32>) {
            unreachable!("a beam refunds");
        }

        fn favour_with_refund(&self, text: &[u32], scores: &[f32], weighed: &mut Vec<f32>) {
            weighed.clear();
            weighed.extend((0u32..).zip(scores).map(|(token, score)| score + self.bonus(text, token)));
        }

        fn bonus(&self, text: &[u32], token: u32) -> f32 {
            match text.last() {
                Some(&last) if token == last + 1 => 0.7,
                Some(10) => -0.7,
                _ => 0.0,
            }
        }
    }

    #[derive(Debug)]
    struct Wishing(Plain);

    impl Scorer for Wishing {
        fn end(&self) -> u32 {
            self.0.end
        }

        fn log_probabilities(&self, logits: &mut [f32], text: &[u32]) {
            self.0.log_probabilities(logits, text);
        }

        fn preference(&self) -> Option<&dyn Preference> {
            Some(&Wish)
        }
    }

    #[test]
    fn the_best_steps_are_those_of_the_sorted_row_with_what_a_preference_brings() {
        let (plain, wishing) = (Plain { end: 299 }, Wishing(Plain { end: 299 }));
        let mut rng = Rng::new(3);
        let mut top = TopK::new(6);
        let mut weighed = Vec::new();
        for scorer in [&plain as &dyn Scorer, &wishing] {
            for text in [&[][..], &[10], &[10, 11], &[10, 11, 12], &[40], &[5]] {
                for _ in 0..100 {
                    // Coarse steps, so that there are equal values.
                    let coarse = |x: u64| if x == 0 { f32::NEG_INFINITY } else { -((x % 40) as f32) / 3.0 };
                    let mut scores: Vec<f32> = (0..VOCABULARY).map(|_| coarse(rng.next_u64() % 200)).collect();
                    let mut memory = BeamMemory::default();
                    memory.start(10);
                    memory.active[0].candidate.tokens = text.to_vec();
                    memory.weigh(scorer, std::iter::once(&mut scores[..]), &mut top, &mut weighed);
                    // `scores` holds log-probabilities now.
                    let mut expected = scores.clone();
                    if let Some(wish) = scorer.preference() {
                        wish.favour_with_refund(text, &scores, &mut expected);
                    }
                    let mut order: Vec<usize> =
                        (0..VOCABULARY).filter(|&token| scores[token] > f32::NEG_INFINITY).collect();
                    // A stable sort: the first of equal values stays first.
                    order.sort_by(|&a, &b| expected[b].total_cmp(&expected[a]));
                    order.truncate(6);
                    let step = |&token: &usize| (token as u32, f64::from(expected[token]), scores[token]);
                    let found: Vec<_> =
                        memory.steps.iter().map(|step| (step.token, step.score, step.share.logprob)).collect();
                    for step in &memory.steps {
                        let brought = expected[step.token as usize] - scores[step.token as usize];
                        assert!((step.share.bonus - brought).abs() < 1e-5, "{text:?} {step:?}");
                    }
                    assert_eq!(found, order.iter().map(step).collect::<Vec<_>>(), "{text:?}");
                }
            }
        }
    }
}
