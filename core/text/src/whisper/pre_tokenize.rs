//! Cuts text into the pieces inside which byte pairs are merged (GPT-2's rule; source: openai/gpt-2 `encoder.py`).
//!
//! The rule is the regular expression
//! `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`.
//! It is written out as a scanner here: it needs look-ahead, which linear-time engines do not have, and a backtracking
//! engine would be the largest dependency of this crate. Cost: linear, no allocation.

use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

const CONTRACTIONS: [&str; 7] = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Space,
    Letter,
    Number,
    Other,
}

fn class(c: char) -> Class {
    if c.is_ascii() {
        return match c {
            'a'..='z' | 'A'..='Z' => Class::Letter,
            '0'..='9' => Class::Number,
            // White_Space as in Unicode: vertical tab included, unlike `char::is_ascii_whitespace`.
            '\t'..='\r' | ' ' => Class::Space,
            _ => Class::Other,
        };
    }
    if c.is_whitespace() {
        return Class::Space;
    }
    match c.general_category_group() {
        GeneralCategoryGroup::Letter => Class::Letter,
        GeneralCategoryGroup::Number => Class::Number,
        _ => Class::Other,
    }
}

/// Pieces of `text` in order; together they are the whole text.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, tail) = rest.split_at(first_piece(rest));
        rest = tail;
        Some(piece)
    })
}

/// Length in bytes of the first piece of a text that is not empty.
fn first_piece(text: &str) -> usize {
    if let Some(contraction) = CONTRACTIONS.iter().find(|contraction| text.starts_with(**contraction)) {
        return contraction.len();
    }
    let after_space = text.strip_prefix(' ').unwrap_or(text);
    let kind = after_space.chars().next().map_or(Class::Space, class);
    if kind == Class::Space {
        return spaces(text);
    }
    text.len() - after_space.len() + run(after_space, kind)
}

/// Length of the leading run of one class.
fn run(text: &str, kind: Class) -> usize {
    text.char_indices().find(|&(_, c)| class(c) != kind).map_or(text.len(), |(end, _)| end)
}

/// Length of leading white space, without its last character when a word follows: that one belongs to the word.
fn spaces(text: &str) -> usize {
    let run = run(text, Class::Space);
    if run == text.len() {
        return run;
    }
    match text[..run].char_indices().next_back() {
        Some((last, _)) if last > 0 => last,
        _ => run,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(text: &str) -> Vec<&str> {
        pieces(text).collect()
    }

    #[test]
    fn words_take_one_space_and_classes_are_kept_apart() {
        assert_eq!(cut("Hello  world 42km!?"), ["Hello", " ", " world", " 42", "km", "!?"]);
        assert_eq!(cut("a\n\nb \t c "), ["a", "\n", "\n", "b", " \t", " c", " "]);
        assert_eq!(cut("\u{3000}語\u{a0} x"), ["\u{3000}", "語", "\u{a0}", " x"]);
    }

    #[test]
    fn contractions_are_lower_case_only_and_not_inside_punctuation() {
        assert_eq!(cut("it's I'LL we'll y'all"), ["it", "'s", " I", "'", "LL", " we", "'ll", " y", "'", "all"]);
        assert_eq!(cut("''s don't"), ["''", "s", " don", "'t"]);
    }

    #[test]
    fn marks_are_neither_letters_nor_numbers() {
        // The combining acute of the decomposed é is category Mn: the piece ends before it.
        assert_eq!(cut("cafe\u{301}s ½x Ⅳ"), ["cafe", "\u{301}", "s", " ½", "x", " Ⅳ"]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_no_piece_is_empty(text in any::<String>()) {
            prop_assert_eq!(cut(&text).concat(), text.clone());
            prop_assert!(cut(&text).iter().all(|piece| !piece.is_empty()));
        }
    }
}
