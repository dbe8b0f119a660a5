//! The English normaliser (reference: openai/whisper `normalizers/english.py`, `EnglishTextNormalizer`).

use super::clean::{remove_brackets, remove_symbols_and_diacritics};
use super::scan::{collapse_spaces, digit, is_space, replace_word};
use super::{numbers, spelling};

// Filler sounds, which transcripts may or may not contain.
const FILLERS: [&str; 6] = ["hmm", "mm", "mhm", "mmm", "uh", "um"];

// Whole words first, then endings, in this order: `won't` before `n't`, `'s been` before `'s`.
const WORDS: [(&str, &str); 35] = [
    ("won't", "will not"),
    ("can't", "can not"),
    ("let's", "let us"),
    ("ain't", "aint"),
    ("y'all", "you all"),
    ("wanna", "want to"),
    ("gotta", "got to"),
    ("gonna", "going to"),
    ("i'ma", "i am going to"),
    ("imma", "i am going to"),
    ("woulda", "would have"),
    ("coulda", "could have"),
    ("shoulda", "should have"),
    ("ma'am", "madam"),
    ("mr", "mister "),
    ("mrs", "missus "),
    ("st", "saint "),
    ("dr", "doctor "),
    ("prof", "professor "),
    ("capt", "captain "),
    ("gov", "governor "),
    ("ald", "alderman "),
    ("gen", "general "),
    ("sen", "senator "),
    ("rep", "representative "),
    ("pres", "president "),
    ("rev", "reverend "),
    ("hon", "honorable "),
    ("asst", "assistant "),
    ("assoc", "associate "),
    ("lt", "lieutenant "),
    ("col", "colonel "),
    ("jr", "junior "),
    ("sr", "senior "),
    ("esq", "esquire "),
];
const ENDINGS: [(&str, &str); 14] = [
    ("'d been", " had been"),
    ("'s been", " has been"),
    ("'d gone", " had gone"),
    ("'s gone", " has gone"),
    ("'d done", " had done"),
    ("'s got", " has got"),
    ("n't", " not"),
    ("'re", " are"),
    ("'s", " is"),
    ("'d", " would"),
    ("'ll", " will"),
    ("'t", " not"),
    ("'ve", " have"),
    ("'m", " am"),
];

// Characters that belong to numbers and are kept until the end.
const NUMERIC: &str = ".%$¢€£";

/// Normalises English text like Whisper's evaluation. Not idempotent in all cases, and the ends may have spaces.
///
/// ```
/// let text = sotto_text::normalize::english("Mr. Smith won't pay twenty-five dollars, [laughs] he said.");
/// assert_eq!(text, "mister smith will not pay $25 he said");
/// ```
#[must_use]
pub fn english(text: &str) -> String {
    let mut text = remove_brackets(&text.to_lowercase());
    for filler in FILLERS {
        replace(&mut text, filler, true, "");
    }
    text = join_apostrophes(&text);
    for (word, replacement) in WORDS {
        replace(&mut text, word, true, replacement);
    }
    for (ending, replacement) in ENDINGS {
        replace(&mut text, ending, false, replacement);
    }
    text = remove_sentence_periods(&remove_digit_commas(&text));
    text = remove_symbols_and_diacritics(&text, NUMERIC);
    text = spelling::standardize(&numbers::standardize(&text));
    collapse_spaces(&remove_stray_signs(&text))
}

fn replace(text: &mut String, literal: &str, whole: bool, replacement: &str) {
    if let Some(replaced) = replace_word(text, literal, whole, replacement) {
        *text = replaced;
    }
}

/// Removes spaces before apostrophes.
fn join_apostrophes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\'' {
            out.truncate(out.trim_end_matches(is_space).len());
        }
        out.push(c);
    }
    out
}

/// Removes commas between digits. A digit can be the right neighbour of one comma or the left one of the next, not
/// both: `1,2,3` becomes `12,3`, as in the reference.
fn remove_digit_commas(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let is_digit = |index: usize| chars.get(index).is_some_and(|c| digit(*c).is_some());
    let mut out = String::with_capacity(text.len());
    let mut index = 0;
    while index < chars.len() {
        out.push(chars[index]);
        if is_digit(index) && chars.get(index + 1) == Some(&',') && is_digit(index + 2) {
            out.push(chars[index + 2]);
            index += 2;
        }
        index += 1;
    }
    out
}

/// Replaces a period by a space unless a digit follows; the character after it is not examined.
fn remove_sentence_periods(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '.' || rest.peek().is_some_and(char::is_ascii_digit) {
            out.push(c);
        } else {
            out.push(' ');
            out.extend(rest.next());
        }
    }
    out
}

/// Removes currency signs and points without a digit after them, and percent signs without a digit before them.
fn remove_stray_signs(text: &str) -> String {
    let mut before = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let sign = matches!(c, '.' | '$' | '¢' | '€' | '£');
        match rest.next_if(|next| sign && !next.is_ascii_digit()) {
            Some(next) => before.extend([' ', next]),
            None => before.push(c),
        }
    }
    let mut out = String::with_capacity(before.len());
    let mut rest = before.chars().peekable();
    while let Some(c) = rest.next() {
        out.push(c);
        if !c.is_ascii_digit() && rest.next_if_eq(&'%').is_some() {
            out.push(' ');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_and_periods_of_numbers_stay_apart_from_sentences() {
        assert_eq!(remove_digit_commas("1,000,000 a,1 1,b 1,2,3"), "1000000 a,1 1,b 12,3");
        assert_eq!(remove_sentence_periods("a.b 3.5. x.. ."), "a b 3.5  x .  ");
        assert_eq!(remove_stray_signs("$x $5 5% x% .. %%"), " x $5 5% x   .  %");
    }

    #[test]
    fn numbers_money_and_contractions_are_written_one_way() {
        for (text, expected) in [
            ("Twenty-five dollars and seven cents", "$25.07"),
            ("two point five million", "2500000"),
            ("double oh seven", "007"),
            ("nineteen ninety nine", "1999"),
            ("the twenty first of May", "the 21st of may"),
            ("It's been 3 and a half hours", "it has been 3 and a half hours"),
            ("three and a half hours", "3.5 hours"),
            ("fifty per cent", "50%"),
            ("minus ten degrees", "-10 degrees"),
            ("one", "one"),
            ("", ""),
        ] {
            assert_eq!(english(text), expected, "{text}");
        }
    }
}
