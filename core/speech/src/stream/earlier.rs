//! Utterances that are over: the next is heard behind them, as a window of a recording hears what was said before.
//!
//! A sentence alone is heard worse than one among others: what they talk of, and whose voice it is, are not in it. The
//! text of the earlier ones is the forced beginning of the next text, so nothing is decoded twice. Cost: the encoder
//! hears more at a time, so there is a bound.

use std::collections::VecDeque;

/// The last utterances, one after the other.
#[derive(Debug, Default)]
pub(super) struct Earlier {
    audio: Vec<f32>,
    tokens: Vec<u32>,
    /// Samples and tokens of each utterance.
    utterances: VecDeque<(usize, usize)>,
}

impl Earlier {
    /// Keeps an utterance with its text. One in which nothing was said tells nothing.
    pub(super) fn push(&mut self, audio: &[f32], said: &[u32]) {
        if !said.is_empty() {
            self.audio.extend_from_slice(audio);
            self.tokens.extend_from_slice(said);
            self.utterances.push_back((audio.len(), said.len()));
        }
    }

    /// Forgets the first utterances until there are `most` samples at most.
    pub(super) fn keep(&mut self, most: usize) {
        let (mut samples, mut tokens) = (0, 0);
        while self.audio.len() - samples > most
            && let Some((audio, said)) = self.utterances.pop_front()
        {
            (samples, tokens) = (samples + audio, tokens + said);
        }
        self.audio.drain(..samples);
        self.tokens.drain(..tokens);
    }

    pub(super) fn clear(&mut self) {
        self.keep(0);
    }

    pub(super) fn audio(&self) -> &[f32] {
        &self.audio
    }

    pub(super) fn tokens(&self) -> &[u32] {
        &self.tokens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_utterances_are_forgotten_as_a_whole() {
        let mut earlier = Earlier::default();
        for (samples, said) in [(3, &[1, 2][..]), (4, &[3]), (9, &[]), (5, &[4, 5, 6])] {
            earlier.push(&vec![said.len() as f32; samples], said);
        }
        for (most, samples, tokens) in
            [(12, 12, &[1, 2, 3, 4, 5, 6][..]), (11, 9, &[3, 4, 5, 6]), (8, 5, &[4, 5, 6]), (4, 0, &[])]
        {
            earlier.keep(most);
            assert_eq!((earlier.audio().len(), earlier.tokens()), (samples, tokens), "{most}");
        }
    }
}
