//! The rules that split text into pieces, each written as a scanner.
//!
//! They are published as regular expressions with look-ahead, which linear-time engines do not support; a backtracking
//! engine would be the largest dependency of this crate. Cost: linear, no allocation.

use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

use super::Split;

/// Length in bytes of the first piece of a text that is not empty; never 0.
pub(super) fn first_piece(split: Split, text: &str) -> usize {
    match split {
        Split::Gpt2 => gpt2(text),
        Split::Llama3 => sign_before_word(text, 3),
        Split::Qwen2 => sign_before_word(text, 1),
        Split::Tekken => case_before_word(text, 1, false),
        Split::O200k => case_before_word(text, 3, true),
        Split::Digits => digits(text, true),
        Split::DigitRuns => digits(text, false),
    }
}

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

fn first_class(text: &str) -> Option<Class> {
    text.chars().next().map(class)
}

/// Length in bytes of the leading run of characters for which `belongs` is true.
fn run_of(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.char_indices().find(|&(_, c)| !belongs(c)).map_or(text.len(), |(end, _)| end)
}

/// Length of the leading run of one class.
fn run(text: &str, kind: Class) -> usize {
    run_of(text, |c| class(c) == kind)
}

/// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+` (source: openai/gpt-2 `encoder.py`).
fn gpt2(text: &str) -> usize {
    const CONTRACTIONS: [&str; 7] = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"];
    if let Some(contraction) = CONTRACTIONS.iter().find(|contraction| text.starts_with(**contraction)) {
        return contraction.len();
    }
    let after_space = text.strip_prefix(' ').unwrap_or(text);
    let kind = first_class(after_space).unwrap_or(Class::Space);
    if kind == Class::Space {
        return spaces(text);
    }
    text.len() - after_space.len() + run(after_space, kind)
}

/// `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,most}|`
/// ` ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+` (source: the models' `tokenizer.json`).
fn sign_before_word(text: &str, most: usize) -> usize {
    any_case_contraction(text)
        .or_else(|| {
            let sign = sign(text);
            let letters = run(&text[sign..], Class::Letter);
            (letters > 0).then_some(sign + letters)
        })
        .or_else(|| numbers(text, most))
        .or_else(|| symbols(text, &['\r', '\n']))
        .unwrap_or_else(|| lines(text))
}

/// A word is capitals before small letters, with marks among both. With `sign` for `[^\r\n\p{L}\p{N}]?`, `capitals` for
/// `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]` and `small` for `[\p{Ll}\p{Lm}\p{Lo}\p{M}]`: `sign capitals* small+|sign capitals+
/// small*`, with `contractions` each followed by `(?i:'s|'t|'re|'ve|'m|'ll|'d)?`, then `|\p{N}{1,most}|
/// ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+` (sources: the models' `tokenizer.json`, openai/tiktoken).
fn case_before_word(text: &str, most: usize, contractions: bool) -> usize {
    if let Some(word) = cased_word(text) {
        let contraction = if contractions { any_case_contraction(&text[word..]) } else { None };
        return word + contraction.unwrap_or(0);
    }
    numbers(text, most).or_else(|| symbols(text, &['\r', '\n', '/'])).unwrap_or_else(|| lines(text))
}

/// The first of both forms that matches, each tried with and without the sign, as a backtracking engine does.
fn cased_word(text: &str) -> Option<usize> {
    let sign = sign(text);
    let starts = [sign, 0];
    let starts = &starts[usize::from(sign == 0)..];
    let small = starts.iter().find_map(|&start| ends_small(&text[start..]).map(|word| start + word));
    small.or_else(|| {
        starts.iter().find_map(|&start| {
            let capitals = run_of(&text[start..], |c| cases(c).0);
            (capitals > 0).then_some(start + capitals)
        })
    })
}

/// `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+`: letters without case belong to both.
fn ends_small(text: &str) -> Option<usize> {
    let capitals = run_of(text, |c| cases(c).0);
    let small = run_of(&text[capitals..], |c| cases(c).1);
    if small > 0 {
        return Some(capitals + small);
    }
    // The first run gives back as much as the second one needs (backtracking).
    text[..capitals].char_indices().rfind(|&(_, c)| cases(c).1).map(|(at, c)| at + c.len_utf8())
}

/// Whether a word may have `c` among its capitals, and among its small letters.
fn cases(c: char) -> (bool, bool) {
    if c.is_ascii() {
        return (c.is_ascii_uppercase(), c.is_ascii_lowercase());
    }
    match c.general_category() {
        GeneralCategory::UppercaseLetter | GeneralCategory::TitlecaseLetter => (true, false),
        GeneralCategory::LowercaseLetter => (false, true),
        GeneralCategory::ModifierLetter | GeneralCategory::OtherLetter => (true, true),
        _ => {
            let mark = c.general_category_group() == GeneralCategoryGroup::Mark;
            (mark, mark)
        }
    }
}

/// Length of `[^\r\n\p{L}\p{N}]?`.
fn sign(text: &str) -> usize {
    match text.chars().next() {
        Some('\r' | '\n') | None => 0,
        Some(c) if matches!(class(c), Class::Letter | Class::Number) => 0,
        Some(c) => c.len_utf8(),
    }
}

/// `(?i:'s|'t|'re|'ve|'m|'ll|'d)`. The long s folds to s.
fn any_case_contraction(text: &str) -> Option<usize> {
    let mut rest = text.strip_prefix('\'')?.chars();
    let (first, second) = (rest.next()?, rest.next());
    if matches!(first, 's' | 'S' | 'ſ' | 't' | 'T' | 'm' | 'M' | 'd' | 'D') {
        return Some(1 + first.len_utf8());
    }
    let pair = [first, second?].map(|c| c.to_ascii_lowercase());
    matches!(pair, ['r' | 'v', 'e'] | ['l', 'l']).then_some(3)
}

/// `\p{N}{1,most}`.
fn numbers(text: &str, most: usize) -> Option<usize> {
    let numbers = text.chars().take(most).take_while(|&c| class(c) == Class::Number);
    let length = numbers.map(char::len_utf8).sum();
    (length > 0).then_some(length)
}

/// ` ?[^\s\p{L}\p{N}]+` and the characters `behind`.
fn symbols(text: &str, behind: &[char]) -> Option<usize> {
    let space = usize::from(text.starts_with(' '));
    let symbols = run(&text[space..], Class::Other);
    let end = space + symbols;
    (symbols > 0).then(|| end + run_of(&text[end..], |c| behind.contains(&c)))
}

/// `\s*[\r\n]+|\s+(?!\S)|\s+`: white space up to the last line break in it, or as [`spaces`].
fn lines(text: &str) -> usize {
    let all = run(text, Class::Space);
    match text[..all].rfind(['\r', '\n']) {
        Some(last) => last + 1,
        None => spaces(text),
    }
}

/// `\s+(?!\S)|\s+`: leading white space, without its last character when a word follows: that one belongs to the word.
fn spaces(text: &str) -> usize {
    let all = run(text, Class::Space);
    if all == text.len() {
        return all;
    }
    match text[..all].char_indices().next_back() {
        Some((last, _)) if last > 0 => last,
        _ => all,
    }
}

/// A run of other characters, or of numbers: one by one (`single`) or together.
fn digits(text: &str, single: bool) -> usize {
    match text.chars().next() {
        Some(first) if single && first.is_numeric() => first.len_utf8(),
        Some(first) => run_of(text, |c| c.is_numeric() == first.is_numeric()),
        None => 0,
    }
}
