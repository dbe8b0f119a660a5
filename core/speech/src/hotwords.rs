//! Words that are likelier than the model thinks: a trie over their tokens favours them while they are written.

use std::collections::{BTreeMap, HashMap};

use sotto_text::whisper::WhisperTokenizer;

use crate::error::SpeechError;

/// A vocabulary of the caller's own: names, products, jargon.
///
/// Decoding adds `strength` to the log-probability of a token that begins or continues one of the words. The beam takes
/// the bonus of a word back when the word is not finished (shallow fusion with a context graph, as in icefall), greedy
/// decoding cannot. Built once, used by any number of transcriptions; the cost per token grows with the length of the
/// longest word, not with their number. They serve every model whose vocabulary spells them with the same tokens.
#[derive(Debug, Clone)]
pub struct Hotwords {
    nodes: Vec<Node>,
    /// Every token of the words with its bytes: another model's token of that number may be something else, or not exist.
    spelled: BTreeMap<u32, Box<[u8]>>,
    strength: f32,
    depth: usize,
}

#[derive(Debug, Clone, Default)]
struct Node {
    next: HashMap<u32, usize>,
    ends: bool,
}

const ROOT: usize = 0;

impl Hotwords {
    /// A sensible strength for OpenAI's weights: enough for a word that sounds right but is rare, too little to invent one.
    pub const DEFAULT_STRENGTH: f32 = 2.0;

    /// Builds the trie. Empty words are left out; each counts as a word of its own, with the space in front of it.
    ///
    /// `strength` is added to log-probabilities (natural logarithm). `tokenizer` is that of the model that will transcribe;
    /// a transcription refuses words of another vocabulary and a strength that is not finite with
    /// [`SpeechError::Option`].
    #[must_use]
    pub fn new<S: AsRef<str>>(words: impl IntoIterator<Item = S>, strength: f32, tokenizer: &WhisperTokenizer) -> Self {
        let mut hotwords = Self { nodes: vec![Node::default()], spelled: BTreeMap::new(), strength, depth: 0 };
        for word in words {
            let word = word.as_ref().trim();
            if !word.is_empty() {
                let tokens = tokenizer.encode(&format!(" {word}"));
                hotwords.insert(&tokens);
                hotwords.spelled.extend(tokens.iter().map(|&token| (token, tokenizer.token_bytes(token).into())));
            }
        }
        hotwords
    }

    /// Whether a model with this vocabulary can be told of them.
    ///
    /// # Errors
    /// [`SpeechError::Option`] when the strength is not finite or the words are spelled with other tokens.
    pub(crate) fn check(&self, tokenizer: &WhisperTokenizer) -> Result<(), SpeechError> {
        let problem = |problem: &str| Err(SpeechError::Option { option: "hotwords", problem: problem.into() });
        if !self.strength.is_finite() {
            return problem("the strength must be a finite number");
        }
        let same = |token: u32, bytes: &[u8]| tokenizer.is_text(token) && tokenizer.token_bytes(token) == bytes;
        if !self.spelled.iter().all(|(&token, bytes)| same(token, bytes)) {
            return problem("made for the vocabulary of another model; make them with this model's tokenizer");
        }
        Ok(())
    }

    /// Words as tokens, for tests without a tokenizer.
    #[cfg(test)]
    pub(crate) fn of_tokens(words: &[&[u32]], strength: f32) -> Self {
        let mut hotwords = Self { nodes: vec![Node::default()], spelled: BTreeMap::new(), strength, depth: 0 };
        words.iter().for_each(|word| hotwords.insert(word));
        hotwords
    }

    fn insert(&mut self, tokens: &[u32]) {
        let mut at = ROOT;
        for &token in tokens {
            let new = self.nodes.len();
            let next = *self.nodes[at].next.entry(token).or_insert(new);
            if next == new {
                self.nodes.push(Node::default());
            }
            at = next;
        }
        self.nodes[at].ends = true;
        self.depth = self.depth.max(tokens.len());
    }

    /// The longest begun word that the sampled tokens end in: its node and how many of its tokens are written.
    fn begun(&self, sampled: &[u32]) -> (usize, usize) {
        for length in (1..=self.depth.min(sampled.len())).rev() {
            let tail = &sampled[sampled.len() - length..];
            let node = tail.iter().try_fold(ROOT, |at, token| self.nodes[at].next.get(token).copied());
            if let Some(node) = node.filter(|&node| !self.nodes[node].next.is_empty()) {
                return (node, length);
            }
        }
        (ROOT, 0)
    }

    /// Writes a row of log-probabilities to `weighed`, with the bonus added to every token that begins or continues a word.
    pub(crate) fn favour(&self, sampled: &[u32], scores: &[f32], weighed: &mut Vec<f32>) {
        self.weigh(self.begun(sampled).0, 0.0, scores, weighed);
    }

    /// As [`favour`](Self::favour); a token that breaks a begun word off also loses what the word had brought so far.
    pub(crate) fn favour_with_refund(&self, sampled: &[u32], scores: &[f32], weighed: &mut Vec<f32>) {
        let (node, written) = self.begun(sampled);
        let refund = if node == ROOT || self.nodes[node].ends { 0.0 } else { self.strength * written as f32 };
        self.weigh(node, refund, scores, weighed);
    }

    fn weigh(&self, node: usize, refund: f32, scores: &[f32], weighed: &mut Vec<f32>) {
        weighed.clear();
        weighed.extend(scores.iter().map(|score| score - refund));
        for &token in self.nodes[node].next.keys() {
            if let Some(continuing) = weighed.get_mut(token as usize) {
                *continuing = scores[token as usize];
            }
        }
        self.add(node, weighed);
        if node != ROOT {
            self.add(ROOT, weighed);
        }
    }

    fn add(&self, node: usize, weighed: &mut [f32]) {
        for &token in self.nodes[node].next.keys() {
            if let Some(score) = weighed.get_mut(token as usize) {
                *score += self.strength;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trie() -> Hotwords {
        Hotwords::of_tokens(&[&[1, 2, 3], &[1, 4], &[5]], 2.0)
    }

    fn scores(sampled: &[u32], refund: bool) -> Vec<f32> {
        let mut weighed = vec![9.0; 3];
        if refund {
            trie().favour_with_refund(sampled, &[0.0; 6], &mut weighed)
        } else {
            trie().favour(sampled, &[0.0; 6], &mut weighed)
        }
        weighed
    }

    #[test]
    fn the_first_token_of_every_word_is_favoured() {
        assert_eq!(scores(&[], false), [0.0, 2.0, 0.0, 0.0, 0.0, 2.0]);
        assert_eq!(scores(&[0, 3], false), [0.0, 2.0, 0.0, 0.0, 0.0, 2.0]);
    }

    #[test]
    fn a_begun_word_is_favoured_on_every_path() {
        assert_eq!(scores(&[0, 1], false), [0.0, 2.0, 2.0, 0.0, 2.0, 2.0]);
        assert_eq!(scores(&[1, 2], false), [0.0, 2.0, 0.0, 2.0, 0.0, 2.0]);
    }

    #[test]
    fn breaking_a_word_off_costs_what_it_brought() {
        assert_eq!(scores(&[1, 2], true), [-4.0, -2.0, -4.0, 2.0, -4.0, -2.0]);
    }

    #[test]
    fn a_finished_word_keeps_its_bonus() {
        assert_eq!(scores(&[1, 2, 3], true), [0.0, 2.0, 0.0, 0.0, 0.0, 2.0]);
    }
}
