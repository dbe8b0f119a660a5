//! Byte-pair encoding of one piece of text (Sennrich et al. 2016; references: tiktoken, Hugging Face tokenizers).
//!
//! The pair of the lowest rank is merged first; of equal ranks, the leftmost. A heap over a linked list takes O(n log
//! n) for every piece; the textbook loop would be quadratic for long pasted words.

use super::table::Table;
use super::vocabulary::Vocabulary;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Which pairs may be merged, and in which order.
#[derive(Debug, Clone)]
pub(crate) enum Merges {
    /// The rank of a pair is the id of the token that it makes (tiktoken).
    ByToken,
    /// Listed rules (Hugging Face).
    Listed {
        /// Rules by pair.
        rules: Rules,
        /// A piece that equals a token becomes that token, without using the rules.
        whole_piece_first: bool,
    },
}

/// Merge rules `(left, right)` → `(rank, merged token)`, ordered by pair; four numbers each.
#[derive(Debug, Clone)]
pub(crate) struct Rules(Table);

impl Rules {
    /// Bytes of a rule.
    pub(crate) const BYTES: usize = 16;

    /// Builds the table from rules in the order of their ranks. Of two rules for the same pair the later wins.
    pub(crate) fn new(mut rules: Vec<[u32; 4]>) -> Self {
        rules.sort_unstable_by_key(|&[left, right, rank, _]| (left, right, Reverse(rank)));
        rules.dedup_by_key(|&mut [left, right, ..]| (left, right));
        Self(Table::of_words(rules.into_iter().flatten()))
    }

    /// A ready table, as written by [`bytes`](Self::bytes).
    pub(crate) fn from_table(table: Table) -> Self {
        Self(table)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }

    /// Left, right, rank and merged token of each, ordered by pair.
    pub(crate) fn iter(&self) -> impl Iterator<Item = [u32; 4]> {
        let (rules, _) = self.0.bytes().as_chunks();
        rules.iter().map(Self::numbers)
    }

    /// Rank and merged token of a pair.
    fn get(&self, left: u32, right: u32) -> Option<(u32, u32)> {
        let (rules, _) = self.0.bytes().as_chunks();
        let pair = |rule| {
            let [left, right, ..] = Self::numbers(rule);
            (left, right)
        };
        let found = rules.binary_search_by_key(&(left, right), pair).ok()?;
        let [.., rank, merged] = Self::numbers(&rules[found]);
        Some((rank, merged))
    }

    /// Left, right, rank and merged token of a rule in the table.
    #[inline]
    fn numbers(rule: &[u8; Self::BYTES]) -> [u32; 4] {
        let (numbers, _) = rule.as_chunks::<4>();
        [0, 1, 2, 3].map(|index| u32::from_le_bytes(numbers[index]))
    }
}

/// The symbols of a piece before pairs are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Alphabet {
    /// Its bytes.
    #[default]
    Bytes,
    /// Its characters; a character without a token becomes its bytes, which have special tokens.
    Characters,
}

/// One symbol of the piece: a token that covers `len` bytes from `start`. Merged-away symbols have `len` 0.
#[derive(Clone, Copy)]
struct Symbol {
    token: u32,
    start: usize,
    len: usize,
    previous: usize,
    next: usize,
}

// A merge that was possible when it was queued; ordered by rank, then by position.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    rank: u32,
    left: usize,
    token: u32,
    // Bytes that the pair covered when it was queued; differs from the current length if one of the two was merged
    // since.
    len: usize,
}

const NONE: usize = usize::MAX;

/// The parts of the encoder that depend only on the vocabulary.
#[derive(Debug, Clone)]
pub(crate) struct BytePairs {
    merges: Merges,
    alphabet: Alphabet,
    // The token of each single byte; small vocabularies may lack some.
    bytes: Vec<Option<u32>>,
}

impl BytePairs {
    pub(crate) fn merges(&self) -> &Merges {
        &self.merges
    }

    pub(crate) fn new(vocabulary: &Vocabulary, merges: Merges, alphabet: Alphabet) -> Self {
        let bytes = match alphabet {
            Alphabet::Bytes => (0..=u8::MAX).map(|byte| vocabulary.find(&[byte])).collect(),
            Alphabet::Characters => vocabulary.fallback(),
        };
        Self { merges, alphabet, bytes }
    }

    /// Appends the tokens of `piece`. Bytes without a token are left out.
    pub(crate) fn encode(&self, vocabulary: &Vocabulary, piece: &str, tokens: &mut Vec<u32>) {
        let whole = match &self.merges {
            Merges::ByToken => true,
            Merges::Listed { whole_piece_first, .. } => *whole_piece_first,
        };
        if whole && let Some(token) = vocabulary.find(piece.as_bytes()) {
            tokens.push(token);
            return;
        }
        Merging::start(self, vocabulary, piece).finish(tokens);
    }

    /// Calls `each` with the symbols of `piece`: a token and the bytes that it covers.
    fn symbols<'p>(&self, vocabulary: &Vocabulary, piece: &'p str, mut each: impl FnMut(u32, &'p [u8])) {
        for (at, c) in piece.char_indices() {
            let bytes = &piece.as_bytes()[at..at + c.len_utf8()];
            let whole = match self.alphabet {
                Alphabet::Bytes => None,
                Alphabet::Characters => vocabulary.find(bytes),
            };
            if let Some(token) = whole {
                each(token, bytes);
                continue;
            }
            for byte in bytes.chunks(1) {
                if let Some(token) = self.bytes[usize::from(byte[0])] {
                    each(token, byte);
                }
            }
        }
    }
}

struct Merging<'a> {
    pairs: &'a BytePairs,
    vocabulary: &'a Vocabulary,
    known: Vec<u8>,
    symbols: Vec<Symbol>,
    queue: BinaryHeap<Reverse<Candidate>>,
}

impl<'a> Merging<'a> {
    fn start(pairs: &'a BytePairs, vocabulary: &'a Vocabulary, piece: &str) -> Self {
        let mut known = Vec::with_capacity(piece.len());
        let mut symbols: Vec<Symbol> = Vec::with_capacity(piece.len());
        pairs.symbols(vocabulary, piece, |token, bytes| {
            let index = symbols.len();
            let previous = index.checked_sub(1).unwrap_or(NONE);
            symbols.push(Symbol { token, start: known.len(), len: bytes.len(), previous, next: index + 1 });
            known.extend_from_slice(bytes);
        });
        if let Some(last) = symbols.last_mut() {
            last.next = NONE;
        }
        let mut merging = Self { pairs, vocabulary, known, symbols, queue: BinaryHeap::new() };
        for left in 0..merging.symbols.len() {
            merging.offer(left);
        }
        merging
    }

    /// Queues the merge of `left` with its right neighbour, if there is a rule for it.
    fn offer(&mut self, left: usize) {
        let a = self.symbols[left];
        if a.next == NONE {
            return;
        }
        let b = self.symbols[a.next];
        let len = a.len + b.len;
        let rule = match &self.pairs.merges {
            Merges::ByToken => self.vocabulary.find(&self.known[a.start..a.start + len]).map(|token| (token, token)),
            Merges::Listed { rules, .. } => rules.get(a.token, b.token),
        };
        let Some((rank, token)) = rule else { return };
        // A file may list a rule that makes a control token; text must never become one.
        if self.vocabulary.kind(token).is_text() {
            self.queue.push(Reverse(Candidate { rank, left, token, len }));
        }
    }

    fn finish(mut self, tokens: &mut Vec<u32>) {
        while let Some(Reverse(candidate)) = self.queue.pop() {
            self.merge(&candidate);
        }
        tokens.extend(self.symbols.iter().filter(|symbol| symbol.len > 0).map(|symbol| symbol.token));
    }

    fn merge(&mut self, candidate: &Candidate) {
        let left = self.symbols[candidate.left];
        if left.len == 0 || left.next == NONE {
            return;
        }
        let right = self.symbols[left.next];
        // Symbols only grow, so the pair is unchanged exactly if it still covers as many bytes as when it was queued.
        if left.len + right.len != candidate.len {
            return;
        }
        self.symbols[left.next].len = 0;
        if right.next != NONE {
            self.symbols[right.next].previous = candidate.left;
        }
        self.symbols[candidate.left] = Symbol { token: candidate.token, len: candidate.len, next: right.next, ..left };
        self.offer(candidate.left);
        if left.previous != NONE {
            self.offer(left.previous);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::vocabulary::{Kind, VocabularyBuilder};
    use super::*;
    use proptest::prelude::*;

    fn vocabulary(tokens: &[&str]) -> Vocabulary {
        let mut builder = VocabularyBuilder::default();
        for (id, token) in tokens.iter().enumerate() {
            builder.insert("test", id as u64, token.as_bytes(), Kind::Text).unwrap();
        }
        builder.build()
    }

    /// The textbook loop: compare all pairs, merge the leftmost of the lowest rank, repeat.
    fn textbook(vocabulary: &Vocabulary, piece: &[u8]) -> Vec<u32> {
        let mut parts: Vec<Vec<u8>> =
            piece.iter().filter(|byte| vocabulary.find(&[**byte]).is_some()).map(|byte| vec![*byte]).collect();
        loop {
            let ranks =
                parts.windows(2).enumerate().filter_map(|(at, pair)| Some((vocabulary.find(&pair.concat())?, at)));
            let Some((_, at)) = ranks.min() else { break };
            let right = parts.remove(at + 1);
            parts[at].extend(right);
        }
        parts.iter().filter_map(|part| vocabulary.find(part)).collect()
    }

    const SMALL: [&str; 12] = ["a", "b", "c", "ab", "bc", "abc", "aa", "aaaa", "ca", "cab", "bb", "abab"];

    fn encode(vocabulary: &Vocabulary, merges: Merges, piece: &str) -> Vec<u32> {
        let mut tokens = Vec::new();
        BytePairs::new(vocabulary, merges, Alphabet::Bytes).encode(vocabulary, piece, &mut tokens);
        tokens
    }

    #[test]
    fn lowest_rank_is_merged_first() {
        let vocabulary = vocabulary(&["a", "b", "c", "bc", "ab", "abc"]);
        assert_eq!(encode(&vocabulary, Merges::ByToken, "abcb"), [5, 1]);
        let rules = Rules::new(vec![[0, 1, 0, 4], [1, 2, 1, 3]]);
        let listed = Merges::Listed { rules, whole_piece_first: false };
        assert_eq!(encode(&vocabulary, listed.clone(), "abc"), [4, 2], "(a, bc) is not listed, so abc is never made");
        let Merges::Listed { rules, .. } = listed else { unreachable!() };
        assert_eq!(encode(&vocabulary, Merges::Listed { rules, whole_piece_first: true }, "abc"), [5]);
    }

    #[test]
    fn of_two_rules_for_a_pair_the_later_counts() {
        let rules = Rules::new(vec![[5, 6, 0, 7], [1, 2, 1, 3], [5, 6, 2, 8]]);
        assert_eq!(rules.get(5, 6), Some((2, 8)));
        assert_eq!((rules.get(1, 2), rules.get(2, 1)), (Some((1, 3)), None));
    }

    #[test]
    fn unknown_bytes_are_left_out() {
        assert_eq!(encode(&vocabulary(&SMALL), Merges::ByToken, "xaxbx"), [3]);
        assert_eq!(encode(&vocabulary(&SMALL), Merges::ByToken, "xyz"), [] as [u32; 0]);
    }

    #[test]
    fn a_rule_that_makes_a_control_token_is_never_applied() {
        let mut builder = VocabularyBuilder::default();
        builder.insert("test", 0, b"a", Kind::Text).unwrap();
        builder.insert("test", 1, b"aa", Kind::Special).unwrap();
        let rules = Rules::new(vec![[0, 0, 0, 1]]);
        let merges = Merges::Listed { rules, whole_piece_first: true };
        assert_eq!(encode(&builder.build(), merges, "aa"), [0, 0]);
    }

    #[test]
    fn a_megabyte_without_a_space_takes_no_quadratic_time() {
        // Quadratic would be 10^12 steps; this is about 2·10^7.
        let started = std::time::Instant::now();
        let tokens = encode(&vocabulary(&SMALL), Merges::ByToken, &"abcab".repeat(200_000));
        assert!(!tokens.is_empty());
        assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    }

    proptest! {
        #[test]
        fn heap_and_textbook_agree(piece in "[abcx]{0,40}") {
            let vocabulary = vocabulary(&SMALL);
            let expected = match vocabulary.find(piece.as_bytes()) {
                Some(token) => vec![token],
                None => textbook(&vocabulary, piece.as_bytes()),
            };
            prop_assert_eq!(encode(&vocabulary, Merges::ByToken, &piece), expected);
        }
    }
}
