//! Python's definitions of words, digits and white space, and the replacements that need them.

use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

/// `\w`: letters, numbers and the underscore.
pub(super) fn is_word(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || c == '_';
    }
    matches!(c.general_category_group(), GeneralCategoryGroup::Letter | GeneralCategoryGroup::Number)
}

/// `\s` and `str.split`: Unicode white space and the four information separators.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

/// Value of a decimal digit of any script.
pub(super) fn digit(c: char) -> Option<u32> {
    if c.is_ascii() {
        return c.to_digit(10);
    }
    let decimal = |c: char| c.general_category() == GeneralCategory::DecimalNumber;
    if !decimal(c) {
        return None;
    }
    // Unicode encodes the ten digits of a script consecutively, from zero up; several such rows may be adjacent.
    let before = (0..u32::from(c)).rev().take_while(|&code| char::from_u32(code).is_some_and(decimal));
    Some(before.count() as u32 % 10)
}

/// Words as split by `str.split`.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|word| !word.is_empty())
}

/// Replaces every run of white space by one space.
pub(super) fn collapse_spaces(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_space = false;
    for c in text.chars() {
        let space = is_space(c);
        if !space {
            out.push(c);
        } else if !in_space {
            out.push(' ');
        }
        in_space = space;
    }
    out
}

/// Whether there is a word boundary (`\b`) between a word character and `neighbour`.
pub(super) fn is_boundary(neighbour: Option<char>) -> bool {
    !neighbour.is_some_and(is_word)
}

/// Replaces `literal` where no word character follows it and, if it starts with a word character and `whole` is set,
/// none precedes it.
pub(super) fn replace_word(text: &str, literal: &str, whole: bool, replacement: &str) -> Option<String> {
    let mut out = String::new();
    let mut copied = 0;
    for (start, _) in text.match_indices(literal) {
        let end = start + literal.len();
        let free_before = !whole || is_boundary(text[..start].chars().next_back());
        if free_before && is_boundary(text[end..].chars().next()) {
            out.push_str(&text[copied..start]);
            out.push_str(replacement);
            copied = end;
        }
    }
    (copied > 0).then(|| out + &text[copied..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_of_all_scripts_have_values() {
        for (c, value) in [('7', 7), ('٣', 3), ('०', 0), ('९', 9), ('᧑', 1), ('๙', 9)] {
            assert_eq!(digit(c), Some(value), "{c}");
        }
        assert_eq!(digit('½'), None);
        assert_eq!(digit('x'), None);
    }

    #[test]
    fn only_whole_words_are_replaced() {
        assert_eq!(replace_word("mr mrs mr.smr mr", "mr", true, "X").as_deref(), Some("X mrs X.smr X"));
        assert_eq!(replace_word("don't n'tx", "n't", false, " not").as_deref(), Some("do not n'tx"));
        assert_eq!(replace_word("nothing", "mr", true, "X"), None);
    }
}
