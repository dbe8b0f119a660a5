//! Words that are likelier than the model thinks: a trie over their tokens favours them while they are written.

use std::collections::HashMap;

use sotto_text::whisper::WhisperTokenizer;

/// A vocabulary of the caller's own: names, products, jargon.
///
/// Decoding adds `strength` to the log-probability of a token that begins or continues one of the words. The beam takes
/// the bonus of a word back when the word is not finished (shallow fusion with a context graph, as in icefall), greedy
/// decoding cannot. Built once, used by any number of transcriptions; the cost per token grows with the length of the
/// longest word, not with their number.
#[derive(Debug, Clone)]
pub struct Hotwords {
    nodes: Vec<Node>,
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
    /// `strength` is added to log-probabilities (natural logarithm).
    #[must_use]
    pub fn new<S: AsRef<str>>(words: impl IntoIterator<Item = S>, strength: f32, tokenizer: &WhisperTokenizer) -> Self {
        let mut hotwords = Self { nodes: vec![Node::default()], strength, depth: 0 };
        for word in words {
            let word = word.as_ref().trim();
            if !word.is_empty() {
                hotwords.insert(&tokenizer.encode(&format!(" {word}")));
            }
        }
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

    /// Adds the bonus to every token that begins or continues a word.
    pub(crate) fn favour(&self, sampled: &[u32], scores: &mut [f32]) {
        let (node, _) = self.begun(sampled);
        self.add(node, scores);
        if node != ROOT {
            self.add(ROOT, scores);
        }
    }

    /// As [`favour`](Self::favour); a token that breaks a begun word off also loses what the word had brought so far.
    pub(crate) fn favour_with_refund(&self, sampled: &[u32], scores: &mut [f32]) {
        let (node, written) = self.begun(sampled);
        if node != ROOT && !self.nodes[node].ends {
            let refund = self.strength * written as f32;
            let continuing: Vec<(usize, f32)> =
                self.nodes[node].next.keys().map(|&token| (token as usize, scores[token as usize])).collect();
            scores.iter_mut().for_each(|score| *score -= refund);
            for (token, score) in continuing {
                scores[token] = score;
            }
        }
        self.favour(sampled, scores);
    }

    fn add(&self, node: usize, scores: &mut [f32]) {
        for &token in self.nodes[node].next.keys() {
            if let Some(score) = scores.get_mut(token as usize) {
                *score += self.strength;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trie() -> Hotwords {
        let mut hotwords = Hotwords { nodes: vec![Node::default()], strength: 2.0, depth: 0 };
        hotwords.insert(&[1, 2, 3]);
        hotwords.insert(&[1, 4]);
        hotwords.insert(&[5]);
        hotwords
    }

    fn scores(sampled: &[u32], refund: bool) -> Vec<f32> {
        let mut scores = vec![0.0; 6];
        if refund {
            trie().favour_with_refund(sampled, &mut scores)
        } else {
            trie().favour(sampled, &mut scores)
        }
        scores
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
