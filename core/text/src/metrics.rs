//! Word and character error rate with alignment counts (Levenshtein 1966; reference: jiwer).
//!
//! The rate is the number of errors divided by the length of the reference. The caller decides what is compared;
//! recognition results are usually normalised first (see [`normalize`](crate::normalize)). Time is proportional to the
//! product of both lengths, memory to the reference (16 bytes per item). An hour of speech (10,000 words) takes well
//! under a second.

use std::collections::HashMap;
use std::ops::{Add, AddAssign};

/// Counts of a minimal alignment between a reference and a hypothesis. Add them for corpus-level counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ErrorCounts {
    /// Reference items that are also in the hypothesis.
    pub hits: u64,
    /// Reference items that are replaced by another item.
    pub substitutions: u64,
    /// Reference items that are missing in the hypothesis.
    pub deletions: u64,
    /// Hypothesis items that are not in the reference.
    pub insertions: u64,
}

impl ErrorCounts {
    /// The edit distance: substitutions + deletions + insertions.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.substitutions + self.deletions + self.insertions
    }

    /// Number of items of the reference.
    #[must_use]
    pub fn reference_len(&self) -> u64 {
        self.hits + self.substitutions + self.deletions
    }

    /// Number of items of the hypothesis.
    #[must_use]
    pub fn hypothesis_len(&self) -> u64 {
        self.hits + self.substitutions + self.insertions
    }

    /// Errors per reference item; above 1 if there are many insertions. An empty reference gives 0 for an empty
    /// hypothesis and infinity otherwise.
    #[must_use]
    pub fn rate(&self) -> f64 {
        match (self.errors(), self.reference_len()) {
            (0, _) => 0.0,
            (errors, length) => errors as f64 / length as f64,
        }
    }
}

impl Add for ErrorCounts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            hits: self.hits + other.hits,
            substitutions: self.substitutions + other.substitutions,
            deletions: self.deletions + other.deletions,
            insertions: self.insertions + other.insertions,
        }
    }
}

impl AddAssign for ErrorCounts {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl std::iter::Sum for ErrorCounts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), Add::add)
    }
}

/// Word errors between two texts. Words are separated by white space.
///
/// ```
/// let counts = sotto_text::metrics::word_errors("turn the light on", "turn a light on now");
/// assert_eq!((counts.substitutions, counts.insertions, counts.hits), (1, 1, 3));
/// assert_eq!(counts.rate(), 0.5);
/// ```
#[must_use]
pub fn word_errors(reference: &str, hypothesis: &str) -> ErrorCounts {
    let mut numbers = HashMap::new();
    let mut number = |word| {
        let next = numbers.len();
        *numbers.entry(word).or_insert(next)
    };
    // Words are numbered, so that the quadratic part compares integers.
    let reference: Vec<usize> = reference.split_whitespace().map(&mut number).collect();
    let hypothesis: Vec<usize> = hypothesis.split_whitespace().map(&mut number).collect();
    align(&reference, &hypothesis)
}

/// Character errors between two texts; characters are Unicode scalar values, white space at both ends is ignored.
#[must_use]
pub fn character_errors(reference: &str, hypothesis: &str) -> ErrorCounts {
    let characters = |text: &str| text.trim().chars().collect::<Vec<_>>();
    align(&characters(reference), &characters(hypothesis))
}

// Cost of the best alignment of two prefixes, and the hits on it.
#[derive(Clone, Copy)]
struct Cell {
    errors: u64,
    hits: u64,
}

impl Cell {
    /// Prefers fewer errors; of equally good alignments the one with more hits. So the counts are well defined: errors,
    /// hits and both lengths determine all three kinds of error.
    fn better(self, other: Self) -> Self {
        match (self.errors.cmp(&other.errors), self.hits >= other.hits) {
            (std::cmp::Ordering::Less, _) | (std::cmp::Ordering::Equal, true) => self,
            _ => other,
        }
    }
}

/// Counts of the best alignment of any items; of several, the one with the most hits.
pub fn align<T: PartialEq>(reference: &[T], hypothesis: &[T]) -> ErrorCounts {
    let mut row: Vec<Cell> = (0..=reference.len() as u64).map(|errors| Cell { errors, hits: 0 }).collect();
    for (index, word) in hypothesis.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = Cell { errors: index as u64 + 1, hits: 0 };
        for (column, expected) in reference.iter().enumerate() {
            let (above, left) = (row[column + 1], row[column]);
            let edit = |cell: Cell| Cell { errors: cell.errors + 1, ..cell };
            let matched = if word == expected { Cell { hits: diagonal.hits + 1, ..diagonal } } else { edit(diagonal) };
            row[column + 1] = matched.better(edit(above)).better(edit(left));
            diagonal = above;
        }
    }
    let best = row[reference.len()];
    counts(best, reference.len() as u64, hypothesis.len() as u64)
}

/// hits + substitutions + deletions = reference, hits + substitutions + insertions = hypothesis.
fn counts(best: Cell, reference: u64, hypothesis: u64) -> ErrorCounts {
    let unmatched = (reference - best.hits) + (hypothesis - best.hits);
    let substitutions = unmatched - best.errors;
    ErrorCounts {
        hits: best.hits,
        substitutions,
        deletions: reference - best.hits - substitutions,
        insertions: hypothesis - best.hits - substitutions,
    }
}

/// Whether the words of `phrase` occur consecutively in `text`. Both must be normalised in the same way, with single
/// spaces between words.
///
/// ```
/// use sotto_text::metrics::contains_phrase;
///
/// assert!(contains_phrase("my fellow americans", "fellow americans"));
/// assert!(!contains_phrase("my fellows", "fellow"));
/// ```
#[must_use]
pub fn contains_phrase(text: &str, phrase: &str) -> bool {
    format!(" {text} ").contains(&format!(" {phrase} "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counted(reference: &str, hypothesis: &str) -> (u64, u64, u64, u64) {
        let counts = word_errors(reference, hypothesis);
        (counts.hits, counts.substitutions, counts.deletions, counts.insertions)
    }

    #[test]
    fn each_kind_of_error_is_counted() {
        assert_eq!(counted("a b c", "a b c"), (3, 0, 0, 0));
        assert_eq!(counted("a b c", "a x c"), (2, 1, 0, 0));
        assert_eq!(counted("a b c", "a c"), (2, 0, 1, 0));
        assert_eq!(counted("a b c", "a b b c"), (3, 0, 0, 1));
        assert_eq!(counted("a b c d", "b c d e"), (3, 0, 1, 1));
        assert_eq!(counted("", "a b"), (0, 0, 0, 2));
        assert_eq!(counted("a b", ""), (0, 0, 2, 0));
        assert_eq!(counted("  a\tb\n", "a b"), (2, 0, 0, 0));
    }

    #[test]
    fn rates_are_errors_over_the_reference() {
        assert_eq!(word_errors("a b c d", "a b").rate(), 0.5);
        assert_eq!(word_errors("a", "a b c").rate(), 2.0);
        assert_eq!(word_errors("", "").rate(), 0.0);
        assert_eq!(word_errors("", "a").rate(), f64::INFINITY);
        assert_eq!(character_errors("kitten", "sitting").errors(), 3);
        assert_eq!(character_errors("naïve", "naive").rate(), 0.2);
        let corpus: ErrorCounts = [word_errors("a b c", "a b c"), word_errors("d", "e f")].into_iter().sum();
        assert_eq!(corpus.rate(), 0.5, "a corpus is weighted by length, not a mean of rates");
    }

    #[test]
    fn an_hour_of_speech_is_aligned_in_seconds() {
        let words = |step: usize| (0..10_000).map(|i| (i * step % 997).to_string()).collect::<Vec<_>>().join(" ");
        let started = std::time::Instant::now();
        assert!(word_errors(&words(1), &words(3)).errors() > 0);
        // 100 million cells: below a second optimised, more under an emulator.
        assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
    }

    proptest! {
        #[test]
        fn distance_is_a_metric(a in "[abc ]{0,24}", b in "[abc ]{0,24}", c in "[abc ]{0,24}") {
            let distance = |x: &str, y: &str| word_errors(x, y).errors();
            prop_assert_eq!(distance(&a, &a), 0);
            prop_assert_eq!(word_errors(&a, &a).rate(), 0.0);
            prop_assert_eq!(distance(&a, &b), distance(&b, &a));
            prop_assert!(distance(&a, &c) <= distance(&a, &b) + distance(&b, &c));
        }

        #[test]
        fn counts_add_up_to_both_lengths(a in "[ab ]{0,24}", b in "[ab ]{0,24}") {
            let counts = word_errors(&a, &b);
            prop_assert_eq!(counts.reference_len(), a.split_whitespace().count() as u64);
            prop_assert_eq!(counts.hypothesis_len(), b.split_whitespace().count() as u64);
            let back = word_errors(&b, &a);
            prop_assert_eq!((counts.deletions, counts.insertions), (back.insertions, back.deletions));
        }
    }
}
