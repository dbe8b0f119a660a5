//! Earlier utterances: the next one is decoded together with them, which gives it the context that a window of a
//! recording has.
//!
//! A sentence alone is recognised less well than with its context, which shows the subject and the voice. The text of
//! the earlier utterances is a forced prefix of the next text, so nothing is decoded twice. Cost: the encoder processes
//! more audio at a time, so the amount is limited.

use std::collections::VecDeque;

/// The last utterances in order.
#[derive(Debug, Default)]
pub(super) struct Earlier {
    audio: Vec<f32>,
    tokens: Vec<u32>,
    /// Number of samples and of tokens of each utterance.
    utterances: VecDeque<(usize, usize)>,
}

impl Earlier {
    /// Keeps an utterance with its text, unless the text is empty.
    pub(super) fn push(&mut self, audio: &[f32], said: &[u32]) {
        if !said.is_empty() {
            self.audio.extend_from_slice(audio);
            self.tokens.extend_from_slice(said);
            self.utterances.push_back((audio.len(), said.len()));
        }
    }

    /// Drops the oldest utterances until at most `most` samples are left.
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
