//! The final words whose audio is still kept, and where both may be cut.
//!
//! They are the forced beginning of the next text. A text that begins in the middle of a sentence begins badly ("these"
//! for "Chinese"), so audio is cut at the last sentence end, and the words after it stay; without a sentence end, the
//! last words stay.

use sotto_text::sentences::sentence_ends;

use crate::align::Timed;

// Words that stay where a cut is in the middle of a clause.
const LEAD_WORDS: usize = 3;

// Seconds of a pause that are kept before the audio after a cut.
const BEFORE: f64 = 0.2;

const CLAUSE_ENDS: [char; 5] = [',', ';', ':', '，', '、'];

/// What audio may be cut after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum CutAfter {
    /// A sentence.
    Sentence,
    /// A sentence, or else a clause.
    Clause,
    /// A sentence, or else a clause, or else a word.
    Word,
}

/// Where to cut.
#[derive(Debug, PartialEq)]
pub(super) struct Cut {
    /// Seconds of the stream.
    pub(super) time: f64,
    /// Number of words before it.
    pub(super) words: usize,
}

/// The final words in order.
#[derive(Debug, Default)]
pub(super) struct Said {
    words: Vec<Timed>,
    tokens: Vec<u32>,
}

impl Said {
    pub(super) fn push(&mut self, word: Timed) {
        self.tokens.extend_from_slice(&word.tokens);
        self.words.push(word);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    pub(super) fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    pub(super) fn clear(&mut self) {
        self.words.clear();
        self.tokens.clear();
    }

    /// Removes the first `count` words; returns their tokens.
    pub(super) fn drop_first(&mut self, count: usize) -> Vec<u32> {
        let tokens: usize = self.words.drain(..count).map(|word| word.tokens.len()).sum();
        self.tokens.drain(..tokens).collect()
    }

    /// The last place that may be cut, after `from` seconds. `next` is the start of the first word that is not final
    /// yet.
    pub(super) fn cut(&self, after: CutAfter, next: Option<f64>, from: f64) -> Option<Cut> {
        let kinds = [CutAfter::Sentence, CutAfter::Clause, CutAfter::Word];
        kinds.into_iter().filter(|&kind| kind <= after).find_map(|kind| self.last_cut(kind, next, from))
    }

    /// The last place of one kind.
    ///
    /// The end of a word is uncertain until another one begins: it may have almost no duration, and would be decoded
    /// again after a cut.
    fn last_cut(&self, after: CutAfter, next: Option<f64>, from: f64) -> Option<Cut> {
        let place = |words: usize| {
            let end = self.words[words - 1].end;
            let next = self.words.get(words).map(|word| word.start).or(next)?;
            (end > from && self.ends(words, after)).then(|| Cut { time: end.max(next - BEFORE), words })
        };
        (1..=self.words.len()).rev().find_map(place)
    }

    /// Whether the first `count` words end so.
    fn ends(&self, count: usize, after: CutAfter) -> bool {
        match after {
            CutAfter::Sentence => {
                let text: String = self.words[..count].iter().map(|word| word.text.as_str()).collect();
                sentence_ends(&text, self.words.get(count).map_or("", |word| &word.text))
            }
            CutAfter::Clause => self.words[count - 1].text.trim_end().ends_with(CLAUSE_ENDS),
            CutAfter::Word => count + LEAD_WORDS <= self.words.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

    use super::*;

    /// Half a second each, a tenth apart.
    fn said(text: &str) -> Said {
        let mut said = Said::default();
        for (index, word) in text.split_inclusive(' ').enumerate() {
            let start = 10.0 + 0.6 * index as f64;
            let (tokens, text) = (vec![index as u32; 2], format!(" {}", word.trim()));
            said.push(Timed {
                text,
                tokens,
                start,
                end: start + 0.5,
                heard: start,
                probability: 1.0,
                undecided: false,
            });
        }
        said
    }

    #[test]
    fn a_sentence_end_is_better_than_a_clause_end_and_that_than_a_word() {
        use CutAfter::{Clause, Sentence, Word};
        for (text, after, words) in [
            ("It rains. We stay, all of us", Sentence, Some(2)),
            ("It rains. We stay, all of us", Word, Some(2)),
            ("It rains. We stay here. Now we", Sentence, Some(5)),
            ("When it rains, we stay in", Sentence, None),
            ("When it rains, we stay in", Clause, Some(3)),
            ("when it rains we all stay in", Clause, None),
            ("when it rains we all stay in", Word, Some(4)),
            ("when it", Word, None),
            ("Mr. Smith stays", Sentence, None),
        ] {
            assert_eq!(said(text).cut(after, Some(30.0), 0.0).map(|cut| cut.words), words, "{text:?} {after:?}");
        }
    }

    #[test]
    fn what_is_before_a_cut_is_dropped_with_its_tokens() {
        let mut said = said("It rains. We stay");
        let cut = said.cut(CutAfter::Sentence, None, 0.0).unwrap();
        // 0.1 s is less than is kept of a pause.
        assert_eq!(cut, Cut { time: 11.1, words: 2 });
        assert_eq!(said.drop_first(cut.words), [0, 0, 1, 1]);
        assert_eq!(said.tokens(), [2, 2, 3, 3]);
        assert_eq!(said.cut(CutAfter::Word, None, 0.0), None);
    }

    #[test]
    fn nothing_is_cut_at_the_start() {
        assert_eq!(said("It rains. We stay").cut(CutAfter::Sentence, None, 11.2), None);
    }

    /// "service." had three hundredths of a second, and the rest of it was heard again.
    #[test]
    fn audio_is_cut_before_a_word_that_was_heard() {
        for (next, expected) in [(None, None), (Some(12.0), Some(11.8)), (Some(11.15), Some(11.1))] {
            let found = said("It rains.").cut(CutAfter::Sentence, next, 0.0).map(|cut| cut.time);
            assert!(
                found.zip(expected).map_or(found == expected, |(a, b)| (a - b).abs() < 1e-9),
                "{next:?}: {found:?}"
            );
        }
    }
}
