//! Texts that are decoded independently, token by token: by the most likely next token, or by sampling.

use sotto_runtime::Cancelled;

use super::candidate::{Candidate, Share, best_of};
use super::sampling::{Rng, Sampling, argmax};
use super::{Scorer, Search};

impl Search<'_> {
    /// Greedy decoding: continues the prompt with always the most likely next token. `first` holds the logits after the
    /// prompt.
    ///
    /// # Errors
    /// [`Cancelled`] when the token fires.
    pub fn greedy(&mut self, first: &[f32]) -> Result<Candidate, Cancelled> {
        let mut choose = |scores: &[f32]| argmax(scores);
        Ok(self.sequences(first, 1, &mut choose)?.pop().unwrap_or_default())
    }

    /// Samples `count` texts and returns the most likely. `first` holds the logits after the prompt.
    ///
    /// # Errors
    /// [`Cancelled`] when the token fires.
    pub fn drawn(
        &mut self,
        first: &[f32],
        count: usize,
        sampling: &Sampling,
        rng: &mut Rng,
    ) -> Result<Candidate, Cancelled> {
        let mut choose = |scores: &[f32]| sampling.draw(scores, rng);
        let texts = self.sequences(first, count, &mut choose)?;
        Ok(best_of(&texts, self.settings.length).cloned().unwrap_or_default())
    }

    /// Greedy decoding of a batch: for each of `count` sources the text that follows the start token `first`. All texts
    /// advance in one pass; those that end leave it. The prompt is empty.
    ///
    /// # Errors
    /// [`Cancelled`] when the token fires.
    pub fn greedy_each(&mut self, first: u32, count: usize) -> Result<Vec<Candidate>, Cancelled> {
        let sources: Vec<usize> = (0..count).collect();
        self.hypotheses.fork(&sources);
        let begun = vec![first; count];
        let mut choose = |scores: &[f32]| argmax(scores);
        let Self { hypotheses, cancel, .. } = self;
        let scores = hypotheses.step(&begun, cancel)?;
        let mut memory = std::mem::take(&mut self.memory.first);
        memory.clear();
        memory.extend_from_slice(scores);
        let texts = self.advance(&mut memory, count, &mut choose);
        self.memory.first = memory;
        self.hypotheses.release();
        let mut texts = texts?;
        texts.sort_by_key(|&(index, _)| index);
        Ok(texts.into_iter().map(|(_, text)| text).collect())
    }

    /// `count` independent continuations of the prompt, in the order in which they ended; `choose` picks each token
    /// from its log-probabilities.
    fn sequences(
        &mut self,
        first: &[f32],
        count: usize,
        choose: &mut dyn FnMut(&[f32]) -> usize,
    ) -> Result<Vec<Candidate>, Cancelled> {
        self.hypotheses.fork(&vec![0; count]);
        let mut memory = std::mem::take(&mut self.memory.first);
        memory.clear();
        (0..count).for_each(|_| memory.extend_from_slice(first));
        let texts = self.advance(&mut memory, count, choose);
        self.memory.first = memory;
        self.hypotheses.release();
        Ok(texts?.into_iter().map(|(_, text)| text).collect())
    }

    /// Decodes `count` hypotheses, whose first tokens have the logits `first`, to their ends. Returns each with its
    /// number.
    fn advance(
        &mut self,
        first: &mut [f32],
        count: usize,
        choose: &mut dyn FnMut(&[f32]) -> usize,
    ) -> Result<Vec<(usize, Candidate)>, Cancelled> {
        let Self { hypotheses, memory, scorer, settings, cancel } = self;
        let max_tokens = settings.max_tokens;
        let mut finished = Vec::with_capacity(count);
        // Reserved once, so that the steady state allocates nothing.
        let mut active: Vec<(usize, Candidate)> =
            (0..count).map(|index| (index, Candidate::with_room(max_tokens))).collect();
        let mut next = Vec::with_capacity(count);
        let mut parents = Vec::with_capacity(count);
        let mut ongoing = Vec::with_capacity(count);
        let columns = first.len() / count.max(1);
        let mut logits = first;
        for step in 1..=max_tokens {
            next.clear();
            parents.clear();
            let rows = logits.chunks_exact_mut(columns);
            for (place, ((index, mut text), scores)) in active.drain(..).zip(rows).enumerate() {
                let (token, share) = pick(*scorer, &text.tokens, scores, &mut memory.weighed, choose);
                if token == scorer.end() {
                    text.end(share);
                    finished.push((index, text));
                    continue;
                }
                text.push(token, share);
                if settings.stop_loops && text.cut_loop() {
                    finished.push((index, text));
                    continue;
                }
                next.push(token);
                parents.push(place);
                ongoing.push((index, text));
            }
            std::mem::swap(&mut active, &mut ongoing);
            if active.is_empty() || step == max_tokens {
                break;
            }
            hypotheses.reorder(&parents);
            memory.sampled += next.len();
            logits = hypotheses.step(&next, cancel)?;
        }
        finished.extend(active);
        Ok(finished)
    }
}

/// Turns logits into log-probabilities in place and picks a token, with the bonus of the preference.
pub(super) fn pick(
    scorer: &dyn Scorer,
    text: &[u32],
    scores: &mut [f32],
    weighed: &mut Vec<f32>,
    choose: &mut dyn FnMut(&[f32]) -> usize,
) -> (u32, Share) {
    scorer.log_probabilities(scores, text);
    let preference = scorer.preference();
    let column = match preference {
        Some(preference) => {
            preference.favour(text, scores, weighed);
            choose(weighed)
        }
        None => choose(scores),
    };
    let token = scorer.token(column);
    let bonus = preference.map_or(0.0, |preference| preference.bonus(text, token));
    let rival = scorer.rival(token).and_then(|column| scores.get(column)).copied().unwrap_or(f32::NEG_INFINITY);
    (token, Share { logprob: scores[column], bonus, rival })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sotto_runtime::{CancelToken, Threads};

    use super::super::toy::Toy;
    use super::super::{Hypotheses, Inference, LengthNorm, Plain, SearchMemory, SearchSettings};
    use super::*;

    const SETTINGS: SearchSettings =
        SearchSettings { beam: 1, patience: 1.0, length: LengthNorm::Mean, max_tokens: 20, stop_loops: false };

    /// Columns 0 to 7 stand for the tokens 0, 5, 2, 3, 4, 1, 6 and 7.
    #[derive(Debug)]
    struct Shortlist;

    impl Scorer for Shortlist {
        fn end(&self) -> u32 {
            7
        }

        fn log_probabilities(&self, logits: &mut [f32], _text: &[u32]) {
            sotto_kernels::log_softmax(logits);
        }

        fn token(&self, column: usize) -> u32 {
            [0, 5, 2, 3, 4, 1, 6, 7][column]
        }
    }

    /// The texts of the sources after `first`, each alone or as a batch.
    fn texts(scorer: &dyn Scorer, sources: &[u32], first: u32) -> Vec<Vec<u32>> {
        candidates(scorer, sources, first).into_iter().map(|text| text.tokens).collect()
    }

    fn candidates(scorer: &dyn Scorer, sources: &[u32], first: u32) -> Vec<Candidate> {
        let mut inference = Inference::new(Arc::new(Toy { columns: 8 }), Threads::ONE);
        let cancel = CancelToken::new();
        let make = |_: &Toy, _: &mut _, kept: &mut Vec<u32>| -> Result<(), ()> {
            kept.extend(sources);
            Ok(())
        };
        inference.attend_to(make).unwrap();
        inference.begin(30);
        let mut memory = SearchMemory::default();
        let (hypotheses, memory) = (&mut inference, &mut memory);
        let mut search = Search { hypotheses, memory, scorer, settings: SETTINGS, cancel: &cancel };
        search.greedy_each(first, sources.len()).unwrap()
    }

    /// The next token's column is the rival; the last one has none.
    #[derive(Debug)]
    struct Neighbours(Plain);

    impl Scorer for Neighbours {
        fn end(&self) -> u32 {
            self.0.end()
        }

        fn log_probabilities(&self, logits: &mut [f32], text: &[u32]) {
            self.0.log_probabilities(logits, text);
        }

        fn rival(&self, token: u32) -> Option<usize> {
            (token < 7).then_some(token as usize + 1)
        }
    }

    #[test]
    fn the_probability_of_a_rival_is_noted_as_a_fraction() {
        let noted = |scorer: &dyn Scorer| candidates(scorer, &[2], 1).remove(0).rivals().collect::<Vec<f32>>();
        // Every token further away costs one in the logarithm.
        let rivals = noted(&Neighbours(Plain { end: 7 }));
        assert!(rivals.len() > 3 && rivals.iter().all(|rival| (rival - (-1.0f32).exp()).abs() < 1e-5), "{rivals:?}");
        assert!(noted(&Plain { end: 7 }).iter().all(|&rival| rival == 0.0));
    }

    #[test]
    fn a_batch_writes_what_each_source_alone_would_and_keeps_their_order() {
        // 3; 3+3=6; 12=4; 16=0, 0, … without an end; with 1: 4, 8=0, …; with 6: ends at once.
        let sources = [2, 0, 6, 5];
        let alone: Vec<Vec<u32>> = sources.iter().flat_map(|&source| texts(&Plain { end: 7 }, &[source], 1)).collect();
        assert_eq!(texts(&Plain { end: 7 }, &sources, 1), alone);
        assert_eq!(alone[2], [0; 0]);
        assert_eq!(alone[0][..4], [3, 6, 4, 0]);
    }

    #[test]
    fn columns_of_a_shortlist_are_tokens_of_the_vocabulary() {
        // Behind 1 column 1, which is token 5; behind 1 + 5 column 6; 12 is column 4; 16 column 0.
        assert_eq!(texts(&Shortlist, &[0], 1)[0][..4], [5, 6, 4, 0]);
    }
}
