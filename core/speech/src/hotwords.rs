//! Hotwords: an automaton over the tokens of words that makes these words more likely while they are decoded.
//!
//! A trie of the words' tokens with failure links (Aho and Corasick 1975), like the context graphs of icefall and k2.
//! The bonus of a text depends only on its tokens: every token counts once, if it is part of a complete word or of the
//! longest word that is begun.

use std::collections::{BTreeMap, HashMap, VecDeque};

use sotto_nn::search::Preference;
use sotto_text::Tokenizer;

use crate::error::SpeechError;

/// Words that the caller expects: names, products, jargon.
///
/// Decoding adds `strength` to the log-probability of a token that begins or continues one of the words: once, even if
/// it belongs to several ("Francisco" ends "San Francisco"). If a word is broken off, the bonus of its tokens is taken
/// back, except for tokens of a complete word or of the beginning of another one. A beam search takes that into account
/// when it chooses; greedy decoding, which has only one text, ignores it until texts are compared. Built once, used by
/// any number of transcriptions. The cost per token grows with the length of the longest word, not with the number of
/// words. Valid for every model whose vocabulary spells the words with the same tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Hotwords {
    nodes: Vec<Node>,
    /// Every token of the words with its bytes, because in another model's vocabulary the same id may be another token
    /// or none.
    spelled: BTreeMap<u32, Box<[u8]>>,
    strength: f32,
    /// Number of tokens of the longest word.
    depth: usize,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Node {
    next: HashMap<u32, usize>,
    /// Failure link: the longest other beginning of a word that the tokens up to here end in.
    fail: usize,
    /// Number of tokens from the root.
    depth: usize,
    /// Number of tokens of the longest word that ends here; 0 if none does.
    complete: usize,
}

const ROOT: usize = 0;

/// Maximum number of tokens of a word: the open tokens of a text must fit the bits of a u128.
const LONGEST: usize = 128;

/// The automaton's state after a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    node: usize,
    /// Tokens of the begun word that are not part of a complete word; bit 0 is the last token of the text.
    open: u128,
}

impl State {
    const START: Self = Self { node: ROOT, open: 0 };

    /// Tokens whose bonus is taken back if only the last `kept` tokens remain begun.
    fn lost(self, kept: usize) -> u32 {
        (self.open & !low_bits(kept)).count_ones()
    }
}

/// The lowest `count` bits.
fn low_bits(count: usize) -> u128 {
    u128::MAX.checked_shl(count as u32).map_or(u128::MAX, |high| !high)
}

impl Hotwords {
    /// A good strength for OpenAI's weights: enough for a rare word that matches the audio, too little to invent one.
    pub const DEFAULT_STRENGTH: f32 = 2.0;

    /// Builds the automaton. Empty words and words of more than 128 tokens are left out. Each entry is matched as a
    /// whole, with a space in front of it.
    ///
    /// `strength` is added to log-probabilities (natural logarithm). `tokenizer` is that of the model that will
    /// transcribe; a transcription refuses words of another vocabulary and a strength that is not finite with
    /// [`SpeechError::Option`].
    #[must_use]
    pub fn new<S: AsRef<str>>(words: impl IntoIterator<Item = S>, strength: f32, tokenizer: &dyn Tokenizer) -> Self {
        let mut hotwords = Self::empty(strength);
        for word in words {
            let word = word.as_ref().trim();
            let tokens = if word.is_empty() { Vec::new() } else { tokenizer.encode(&format!(" {word}")) };
            if hotwords.insert(&tokens) {
                hotwords.spelled.extend(tokens.iter().map(|&token| (token, tokenizer.token_bytes(token).into())));
            }
        }
        hotwords.link();
        hotwords
    }

    /// Checks that the words can be used with a model of this vocabulary.
    ///
    /// # Errors
    /// [`SpeechError::Option`] when the strength is not finite or the words are spelled with other tokens.
    pub(crate) fn check(&self, tokenizer: &dyn Tokenizer) -> Result<(), SpeechError> {
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
        let mut hotwords = Self::empty(strength);
        for word in words {
            hotwords.insert(word);
        }
        hotwords.link();
        hotwords
    }

    fn empty(strength: f32) -> Self {
        Self { nodes: vec![Node::default()], spelled: BTreeMap::new(), strength, depth: 0 }
    }

    /// Adds a word; returns whether it was accepted.
    fn insert(&mut self, tokens: &[u32]) -> bool {
        if tokens.is_empty() || tokens.len() > LONGEST {
            return false;
        }
        let mut at = ROOT;
        for (index, &token) in tokens.iter().enumerate() {
            let new = self.nodes.len();
            let next = *self.nodes[at].next.entry(token).or_insert(new);
            if next == new {
                self.nodes.push(Node { depth: index + 1, ..Node::default() });
            }
            at = next;
        }
        self.nodes[at].complete = tokens.len();
        self.depth = self.depth.max(tokens.len());
        true
    }

    /// Computes the failure link of each node, and the words that end inside it; nodes near the root first.
    fn link(&mut self) {
        let mut queue: VecDeque<usize> = self.nodes[ROOT].next.values().copied().collect();
        while let Some(at) = queue.pop_front() {
            let children: Vec<(u32, usize)> =
                self.nodes[at].next.iter().map(|(&token, &child)| (token, child)).collect();
            for (token, child) in children {
                let fail = self.go_on(self.nodes[at].fail, token);
                self.nodes[child].fail = fail;
                if self.nodes[child].complete == 0 {
                    self.nodes[child].complete = self.nodes[fail].complete;
                }
                queue.push_back(child);
            }
        }
    }

    /// The node after `node` and `token`: the longest beginning of a word that these tokens end in.
    fn go_on(&self, mut node: usize, token: u32) -> usize {
        loop {
            match self.nodes[node].next.get(&token) {
                Some(&next) => return next,
                None if node == ROOT => return ROOT,
                None => node = self.nodes[node].fail,
            }
        }
    }

    /// The state after a text. Tokens further back than two words cannot affect it.
    fn state(&self, sampled: &[u32]) -> State {
        let tail = &sampled[sampled.len().saturating_sub(2 * self.depth)..];
        tail.iter().fold(State::START, |state, &token| {
            let node = self.go_on(state.node, token);
            let Node { depth, complete, .. } = self.nodes[node];
            State { node, open: (state.open << 1 | 1) & low_bits(depth) & !low_bits(complete) }
        })
    }

    /// The bonus of a token after which `depth` tokens, itself included, are a begun word.
    fn step(&self, state: State, depth: usize) -> f32 {
        let (gained, kept) = if depth == 0 { (0.0, 0) } else { (1.0, depth - 1) };
        self.strength * (gained - state.lost(kept) as f32)
    }

    /// Calls `each` with every token that begins or continues a word after `node`, and the number of tokens then begun.
    /// The last call for a token counts: it continues the longest possible beginning.
    fn continuations(&self, node: usize, each: &mut impl FnMut(u32, usize)) {
        if node != ROOT {
            self.continuations(self.nodes[node].fail, each);
        }
        for &token in self.nodes[node].next.keys() {
            each(token, self.nodes[node].depth + 1);
        }
    }
}

impl Preference for Hotwords {
    fn favour(&self, sampled: &[u32], scores: &[f32], weighed: &mut Vec<f32>) {
        let State { node, .. } = self.state(sampled);
        weighed.clear();
        weighed.extend_from_slice(scores);
        self.continuations(node, &mut |token, _| {
            if let (Some(weighed), Some(score)) = (weighed.get_mut(token as usize), scores.get(token as usize)) {
                *weighed = score + self.strength;
            }
        });
    }

    fn favour_with_refund(&self, sampled: &[u32], scores: &[f32], weighed: &mut Vec<f32>) {
        let state = self.state(sampled);
        let broken_off = self.step(state, 0);
        weighed.clear();
        weighed.extend(scores.iter().map(|score| score + broken_off));
        self.continuations(state.node, &mut |token, depth| {
            if let (Some(weighed), Some(score)) = (weighed.get_mut(token as usize), scores.get(token as usize)) {
                *weighed = score + self.step(state, depth);
            }
        });
    }

    fn bonus(&self, sampled: &[u32], token: u32) -> f32 {
        let state = self.state(sampled);
        let depth = self.nodes[self.go_on(state.node, token)].depth;
        self.step(state, depth)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn automaton() -> Hotwords {
        Hotwords::of_tokens(&[&[1, 2, 3], &[1, 4], &[5]], 2.0)
    }

    fn scores(hotwords: &Hotwords, sampled: &[u32], refund: bool) -> Vec<f32> {
        let mut weighed = vec![9.0; 3];
        if refund {
            hotwords.favour_with_refund(sampled, &[0.0; 6], &mut weighed)
        } else {
            hotwords.favour(sampled, &[0.0; 6], &mut weighed)
        }
        weighed
    }

    /// The bonus of a whole text.
    fn total(hotwords: &Hotwords, text: &[u32]) -> f32 {
        (0..text.len()).map(|at| hotwords.bonus(&text[..at], text[at])).sum()
    }

    #[test]
    fn the_first_token_of_every_word_is_favoured() {
        assert_eq!(scores(&automaton(), &[], false), [0.0, 2.0, 0.0, 0.0, 0.0, 2.0]);
        assert_eq!(scores(&automaton(), &[0, 3], false), [0.0, 2.0, 0.0, 0.0, 0.0, 2.0]);
    }

    #[test]
    fn a_begun_word_is_favoured_on_every_path() {
        assert_eq!(scores(&automaton(), &[0, 1], false), [0.0, 2.0, 2.0, 0.0, 2.0, 2.0]);
        assert_eq!(scores(&automaton(), &[1, 2], false), [0.0, 2.0, 0.0, 2.0, 0.0, 2.0]);
    }

    #[test]
    fn breaking_a_word_off_costs_what_it_brought() {
        assert_eq!(scores(&automaton(), &[1, 2], true), [-4.0, -2.0, -4.0, 2.0, -4.0, -2.0]);
    }

    #[test]
    fn a_finished_word_keeps_its_bonus() {
        assert_eq!(scores(&automaton(), &[1, 2, 3], true), [0.0, 2.0, 0.0, 0.0, 0.0, 2.0]);
    }

    /// "Francisco" in "San Francisco".
    #[test]
    fn a_word_that_ends_another_counts_once() {
        let hotwords = Hotwords::of_tokens(&[&[1, 2, 3], &[3], &[2, 3]], 2.0);
        for refund in [false, true] {
            assert_eq!(scores(&hotwords, &[1, 2], refund)[3], 2.0);
        }
        assert_eq!(total(&hotwords, &[1, 2, 3]), 6.0);
        assert_eq!(total(&hotwords, &[1, 2, 3, 0]), 6.0);
        assert_eq!(total(&hotwords, &[0, 3, 0]), 2.0);
    }

    #[test]
    fn a_word_that_breaks_off_gives_back_what_no_other_has() {
        /// Words, sampled tokens, and what they bring.
        type Row<'a> = (&'a [&'a [u32]], &'a [u32], f32);
        let table: &[Row<'_>] = &[
            // Nothing of it is left.
            (&[&[1, 2, 3]], &[1, 2, 0], 0.0),
            (&[&[1, 2, 3]], &[1, 2], 4.0),
            (&[&[1, 2, 3]], &[1, 2, 1, 0], 0.0),
            // It begins anew.
            (&[&[1, 2, 3]], &[1, 2, 1], 2.0),
            (&[&[1, 2, 3]], &[1, 1, 2, 3], 6.0),
            // Its beginning is a word, its middle is one, its end is one.
            (&[&[1, 2, 3], &[1]], &[1, 2, 0], 2.0),
            (&[&[1, 2, 3], &[2]], &[1, 2, 0], 2.0),
            (&[&[1, 2, 3, 4], &[2, 3]], &[1, 2, 3, 0], 4.0),
            // Its end begins another word.
            (&[&[1, 2, 3], &[2, 4]], &[1, 2, 4, 0], 4.0),
            (&[&[1, 2, 3], &[2, 4, 5]], &[1, 2, 4, 0], 0.0),
            // Words overlap: what the first one has stays with it when the second breaks off.
            (&[&[1, 2, 3], &[2, 3, 4, 5]], &[1, 2, 3, 4, 0], 6.0),
            (&[&[1, 2, 3], &[2, 3, 4, 5]], &[1, 2, 3, 4, 5, 0], 10.0),
            // Twice in a row.
            (&[&[1, 2]], &[1, 2, 1, 2, 0], 8.0),
        ];
        for (words, text, expected) in table {
            assert_eq!(total(&Hotwords::of_tokens(words, 2.0), text), *expected, "{words:?} {text:?}");
        }
    }

    #[test]
    fn words_of_any_length_keep_to_their_bits() {
        let word: Vec<u32> = (0..LONGEST as u32 + 1).collect();
        let hotwords = Hotwords::of_tokens(&[&word[..LONGEST], &word], 1.0);
        assert_eq!(total(&hotwords, &word[..LONGEST]), LONGEST as f32);
        assert_eq!(total(&hotwords, &word), LONGEST as f32, "the longer one was left out");
        assert_eq!(total(&hotwords, &[&word[..LONGEST - 1], &[500]].concat()), 0.0);
        assert_eq!(total(&Hotwords::of_tokens(&[&[], &word], 1.0), &word), 0.0);
    }

    /// The bonus of a text by its definition: tokens of complete words, and of the longest beginning that it ends in.
    fn by_definition(words: &[Vec<u32>], text: &[u32]) -> f32 {
        let mut counts = vec![false; text.len()];
        for (start, word) in (0..text.len()).flat_map(|start| words.iter().map(move |word| (start, word))) {
            if text[start..].starts_with(word) {
                counts[start..start + word.len()].fill(true);
            }
        }
        let begun = (0..text.len()).find(|&start| words.iter().any(|word| word.starts_with(&text[start..])));
        if let Some(start) = begun {
            counts[start..].fill(true);
        }
        counts.into_iter().filter(|&counts| counts).count() as f32
    }

    proptest! {
        #[test]
        fn a_text_brings_what_its_words_are_worth(
            words in proptest::collection::vec(proptest::collection::vec(1u32..4, 1..5), 1..5),
            text in proptest::collection::vec(0u32..4, 0..16),
        ) {
            let slices: Vec<&[u32]> = words.iter().map(Vec::as_slice).collect();
            let hotwords = Hotwords::of_tokens(&slices, 1.0);
            prop_assert_eq!(total(&hotwords, &text), by_definition(&words, &text));
            // Each row holds the bonus of each next token.
            let mut row = Vec::new();
            hotwords.favour_with_refund(&text, &[0.0; 5], &mut row);
            for (token, found) in row.iter().enumerate() {
                prop_assert_eq!(*found, hotwords.bonus(&text, token as u32));
            }
            hotwords.favour(&text, &[0.0; 5], &mut row);
            for (token, found) in row.iter().enumerate() {
                let refunded = hotwords.state(&text);
                let depth = hotwords.nodes[hotwords.go_on(refunded.node, token as u32)].depth;
                prop_assert_eq!(*found, if depth > 0 { 1.0 } else { 0.0 });
            }
        }
    }
}
