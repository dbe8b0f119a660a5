//! Pre-tokenizers: split text into the pieces inside which byte pairs are merged.

mod scan;

/// A rule that splits text. Together the pieces are the whole text.
///
/// Letters, numbers and white space are those of Unicode; combining marks are none of these. A word includes the one
/// space before it; further white space is a piece of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Split {
    /// GPT-2, Whisper, SmolLM2: words with one space before them, contractions in lower case, numbers of any length.
    Gpt2,
    /// Llama 3, GPT-4: words with one sign of any kind before them, contractions in any case, numbers of at most three
    /// digits, separate line breaks.
    Llama3,
    /// Qwen 2 and later: as Llama 3, with every digit a piece of its own.
    Qwen2,
    /// Mistral Nemo ("tekken"): as Qwen 2, but a word also ends before a capital, marks belong to it, and there are no
    /// contractions.
    Tekken,
    /// GPT-4o: as Mistral Nemo, with contractions as part of their word and numbers of at most three digits.
    O200k,
    /// Every digit is a piece of its own; the text between digits is not split.
    Digits,
    /// Runs of digits are separated from the rest.
    DigitRuns,
}

impl Split {
    const ALL: [Self; 7] =
        [Self::Gpt2, Self::Llama3, Self::Qwen2, Self::Tekken, Self::O200k, Self::Digits, Self::DigitRuns];

    /// The rule for a regular expression as published by a model.
    pub(super) fn of_regex(regex: &str) -> Option<Self> {
        REGEXES.iter().find(|(known, _)| *known == regex).map(|&(_, split)| split)
    }
}

/// The regular expressions as spelled in published files.
const REGEXES: [(&str, Split); 7] = [
    (r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+", Split::Gpt2),
    (r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+", Split::Gpt2),
    (
        concat!(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|",
            r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        ),
        Split::Llama3,
    ),
    (
        concat!(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|",
            r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        ),
        Split::Qwen2,
    ),
    (
        concat!(
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|",
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}|",
            r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        ),
        Split::Tekken,
    ),
    (
        concat!(
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+",
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|",
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*",
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|",
            r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        ),
        Split::O200k,
    ),
    (
        concat!(
            r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}|",
            r" ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
        ),
        Split::Llama3,
    ),
];

/// How text is split: a sequence of rules, each applied to the pieces of the one before. Without rules a text is one
/// piece.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PreTokenizer {
    splits: Vec<Split>,
}

impl PreTokenizer {
    /// Maximum number of rules. No known model has more than two.
    pub const MOST: usize = 5;

    /// A sequence of rules; `None` for more than [`MOST`](Self::MOST).
    #[must_use]
    pub fn new(splits: &[Split]) -> Option<Self> {
        (splits.len() <= Self::MOST).then(|| Self { splits: splits.to_vec() })
    }

    /// GPT-2's rule, also used by Whisper.
    #[must_use]
    pub fn gpt2() -> Self {
        Self { splits: vec![Split::Gpt2] }
    }

    /// The rules in their order.
    #[must_use]
    pub fn splits(&self) -> &[Split] {
        &self.splits
    }

    /// Calls `each` with the pieces of `text` in order. No piece is empty; together they are the text. Linear time, no
    /// allocation.
    pub fn cut<'t>(&self, text: &'t str, each: &mut dyn FnMut(&'t str)) {
        cut(&self.splits, text, each);
    }

    /// The rules as a 20-bit number, for the packed form. 0 is GPT-2's, for compatibility with the first files.
    pub(super) fn number(&self) -> u32 {
        if self.splits == [Split::Gpt2] {
            return 0;
        }
        let codes = self.splits.iter().map(|split| 1 + *split as u32);
        match codes.rev().fold(0, |number, code| number << CODE_BITS | code) {
            0 => WHOLE,
            number => number,
        }
    }

    pub(super) fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => return Some(Self::gpt2()),
            WHOLE => return Some(Self::default()),
            _ => {}
        }
        let (mut rest, mut splits) = (number, Vec::new());
        while rest != 0 {
            let code = (rest & WHOLE) as usize;
            splits.push(*Split::ALL.get(code.checked_sub(1)?)?);
            rest >>= CODE_BITS;
        }
        Self::new(&splits).filter(|known| known.number() == number)
    }
}

const CODE_BITS: u32 = 4;
/// The code for no rules at all; no rule has it.
const WHOLE: u32 = 0xF;

fn cut<'t>(splits: &[Split], text: &'t str, each: &mut dyn FnMut(&'t str)) {
    let mut rest = text;
    match splits {
        [] if text.is_empty() => {}
        [] => each(text),
        [split, inside @ ..] => {
            while !rest.is_empty() {
                let (piece, tail) = rest.split_at(scan::first_piece(*split, rest));
                cut(inside, piece, each);
                rest = tail;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pieces<'t>(splits: &[Split], text: &'t str) -> Vec<&'t str> {
        let mut pieces = Vec::new();
        PreTokenizer::new(splits).unwrap().cut(text, &mut |piece| pieces.push(piece));
        pieces
    }

    fn gpt2(text: &str) -> Vec<&str> {
        pieces(&[Split::Gpt2], text)
    }

    #[test]
    fn words_take_one_space_and_classes_are_kept_apart() {
        assert_eq!(gpt2("Hello  world 42km!?"), ["Hello", " ", " world", " 42", "km", "!?"]);
        assert_eq!(gpt2("a\n\nb \t c "), ["a", "\n", "\n", "b", " \t", " c", " "]);
        assert_eq!(gpt2("\u{3000}語\u{a0} x"), ["\u{3000}", "語", "\u{a0}", " x"]);
    }

    #[test]
    fn contractions_are_lower_case_only_and_not_inside_punctuation() {
        assert_eq!(gpt2("it's I'LL we'll y'all"), ["it", "'s", " I", "'", "LL", " we", "'ll", " y", "'", "all"]);
        assert_eq!(gpt2("''s don't"), ["''", "s", " don", "'t"]);
    }

    #[test]
    fn marks_are_neither_letters_nor_numbers() {
        // The combining acute of the decomposed é is category Mn: the piece ends before it.
        assert_eq!(gpt2("cafe\u{301}s ½x Ⅳ"), ["cafe", "\u{301}", "s", " ½", "x", " Ⅳ"]);
    }

    #[test]
    fn models_differ_in_contractions_numbers_lines_and_capitals() {
        let text = "I'LL(pay) 12345€\n\n  camelCase";
        let rules = |split| pieces(&[split], text);
        let llama = ["I", "'LL", "(pay", ")", " ", "123", "45", "€\n\n", " ", " camelCase"];
        assert_eq!(rules(Split::Llama3), llama);
        let qwen = ["I", "'LL", "(pay", ")", " ", "1", "2", "3", "4", "5", "€\n\n", " ", " camelCase"];
        assert_eq!(rules(Split::Qwen2), qwen);
        let nemo = ["I", "'LL", "(pay", ")", " ", "1", "2", "3", "4", "5", "€\n\n", " ", " camel", "Case"];
        assert_eq!(rules(Split::Tekken), nemo);
        let gpt4o = ["I'LL", "(pay", ")", " ", "123", "45", "€\n\n", " ", " camel", "Case"];
        assert_eq!(rules(Split::O200k), gpt4o);
    }

    #[test]
    fn rules_cut_the_pieces_of_the_rules_before_them() {
        assert_eq!(pieces(&[Split::Digits, Split::Gpt2], "in 1984 a"), ["in", " ", "1", "9", "8", "4", " a"]);
        assert_eq!(pieces(&[Split::DigitRuns], "in 1984 a"), ["in ", "1984", " a"]);
        assert_eq!(pieces(&[], "in 1984"), ["in 1984"]);
        assert_eq!(pieces(&[], ""), [""; 0]);
        assert_eq!(PreTokenizer::new(&[Split::Gpt2; 6]), None);
    }

    #[test]
    fn every_combination_has_a_number_of_its_own() {
        assert_eq!(PreTokenizer::gpt2().number(), 0, "files that were packed before there were others");
        let mut seen = std::collections::HashSet::new();
        let ends = || std::iter::once(None).chain(Split::ALL.map(Some));
        for (first, second) in ends().flat_map(|first| ends().map(move |second| (first, second))) {
            let splits: Vec<Split> = first.into_iter().chain(second).collect();
            let rules = PreTokenizer::new(&splits).unwrap();
            seen.insert(rules.number());
            assert_eq!(PreTokenizer::from_number(rules.number()), Some(rules));
        }
        assert_eq!(seen.len(), 1 + 7 + 49);
        for number in [8, 0x0F0, 0x101, u32::MAX, 0x11_1111] {
            assert_eq!(PreTokenizer::from_number(number), None, "{number:x}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_no_piece_is_empty(text in any::<String>()) {
            for split in Split::ALL {
                let pieces = pieces(&[split], &text);
                prop_assert_eq!(pieces.concat(), &*text);
                prop_assert!(pieces.iter().all(|piece| !piece.is_empty()));
            }
        }
    }
}
