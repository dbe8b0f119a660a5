//! Brackets, symbols and diacritics.

use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

/// Removes `[…]`, `<…>` (either may close the other) and `(…)` with their contents.
pub(super) fn remove_brackets(text: &str) -> String {
    let text = remove_spans(text, &['<', '['], &['>', ']'], 0);
    // Unlike the others, an empty pair of parentheses stays.
    remove_spans(&text, &['('], &[')'], 1)
}

/// Removes spans from an opening to the next closing character with at least `inside` bytes between them.
fn remove_spans(text: &str, open: &[char], close: &[char], inside: usize) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    // All brackets are one byte long.
    while let Some(start) = rest.find(open) {
        let Some(length) = rest[start + 1..].find(close) else { break };
        if length >= inside {
            out.push_str(&rest[..start]);
            rest = &rest[start + length + 2..];
        } else {
            out.push_str(&rest[..=start]);
            rest = &rest[start + 1..];
        }
    }
    out + rest
}

// Letters that compatibility decomposition does not decompose.
fn plain_letter(c: char) -> Option<&'static str> {
    Some(match c {
        'œ' => "oe",
        'Œ' => "OE",
        'ø' => "o",
        'Ø' => "O",
        'æ' => "ae",
        'Æ' => "AE",
        'ß' => "ss",
        'ẞ' => "SS",
        'đ' | 'ð' => "d",
        'Đ' | 'Ð' => "D",
        'þ' | 'Þ' => "th",
        'ł' => "l",
        'Ł' => "L",
        _ => return None,
    })
}

fn is_symbol(c: char) -> bool {
    use GeneralCategoryGroup::{Mark, Punctuation, Symbol};
    matches!(c.general_category_group(), Mark | Punctuation | Symbol)
}

/// Replaces symbols and punctuation by spaces and removes accents; keeps the characters of `keep`.
pub(super) fn remove_symbols_and_diacritics(text: &str, keep: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.nfkd() {
        if keep.contains(c) {
            out.push(c);
        } else if let Some(letters) = plain_letter(c) {
            out.push_str(letters);
        } else if c.general_category() != GeneralCategory::NonspacingMark {
            out.push(if is_symbol(c) { ' ' } else { c });
        }
    }
    out
}

/// Replaces symbols, punctuation and combining marks by spaces; precomposed accented letters stay.
pub(super) fn remove_symbols(text: &str) -> String {
    text.nfkc().map(|c| if is_symbol(c) { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_go_with_their_content() {
        for (text, rest) in [
            ("a [b c] d", "a  d"),
            ("a <b] c", "a  c"),
            ("[[a]] b", "] b"),
            ("() (a) (", "()  ("),
            ("()a) b", "()a) b"),
            ("no close [ a", "no close [ a"),
            ("<>x[]", "x"),
        ] {
            assert_eq!(remove_brackets(text), rest, "{text}");
        }
    }
}
