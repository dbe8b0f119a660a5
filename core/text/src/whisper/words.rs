//! Groups tokens into words, for word times.
//!
//! Tokens are first joined to whole characters, as openai/whisper does (`tokenizer.py`, `split_tokens_on_unicode`).
//! Then a word is the text between spaces, such as "3.5%," and "AT&T.", and gets one start and one end time. Scripts
//! without spaces are split between tokens by the class of their characters. Marks that are not spoken belong to a
//! neighbouring word.

use super::WhisperTokenizer;
use crate::Tokenizer;

/// Words, and the tokens of each.
pub(super) type Words = (Vec<String>, Vec<Vec<u32>>);

/// Signs that are spoken when they stand alone.
const SPOKEN_SIGNS: &str = "&+=%‰$€£¥₹°§@#×÷±≠≈√∞<>½¼¾";

const OPENING: &str = "\"'“‘¿¡([{«‹„「『（【《";

impl WhisperTokenizer {
    /// Words of `tokens`, and the tokens of each; joined, these are `tokens`.
    ///
    /// A word keeps the space before it and its punctuation; a separate dash, quote or ellipsis belongs to the word
    /// before it, an opening mark to the word after it. Control tokens (written out, as `<|0.00|>`) are words of their
    /// own. In Chinese characters, hiragana, Thai, Lao, Burmese and Khmer, which are written without spaces, every
    /// token is a word; katakana is not split. Incomplete characters at the end are left out.
    #[must_use]
    pub fn split_to_word_tokens(&self, tokens: &[u32]) -> (Vec<String>, Vec<Vec<u32>>) {
        self.join_unspoken(self.join_parts(self.split_on_characters(tokens)))
    }

    /// Splits wherever the tokens so far are whole characters.
    fn split_on_characters(&self, tokens: &[u32]) -> Words {
        let full: Vec<char> = self.decode_with_controls(tokens).chars().collect();
        let (mut words, mut word_tokens) = (Vec::new(), Vec::new());
        let mut current = Vec::new();
        let mut offset = 0;
        for &token in tokens {
            current.push(token);
            let text = self.decode_with_controls(&current);
            // A replacement character that the whole text has at the same position is a real error: further tokens do
            // not complete it.
            let whole = match text.chars().position(|c| c == char::REPLACEMENT_CHARACTER) {
                None => true,
                Some(at) => full.get(offset + at) == Some(&char::REPLACEMENT_CHARACTER),
            };
            if whole {
                offset += text.chars().count();
                words.push(text);
                word_tokens.push(std::mem::take(&mut current));
            }
        }
        (words, word_tokens)
    }

    fn is_control(&self, tokens: &[u32]) -> bool {
        tokens.first().is_some_and(|&token| !self.is_text(token))
    }

    /// Joins parts that are separated neither by a space nor by a change of script.
    fn join_parts(&self, (parts, part_tokens): Words) -> Words {
        let mut words: Vec<String> = Vec::new();
        let mut word_tokens: Vec<Vec<u32>> = Vec::new();
        for (part, tokens) in parts.into_iter().zip(part_tokens) {
            let control = self.is_control(&tokens);
            match (words.last_mut(), word_tokens.last_mut()) {
                (Some(word), Some(word_tokens))
                    if !control && !self.is_control(word_tokens) && !begins_word(word, &part) =>
                {
                    word.push_str(&part);
                    word_tokens.extend(tokens);
                }
                _ => {
                    words.push(part);
                    word_tokens.push(tokens);
                }
            }
        }
        (words, word_tokens)
    }

    /// Attaches unspoken parts to the word before them; opening marks and unspoken parts at the start to the word after
    /// them.
    fn join_unspoken(&self, (parts, part_tokens): Words) -> Words {
        let mut words: Vec<String> = Vec::new();
        let mut word_tokens: Vec<Vec<u32>> = Vec::new();
        // Whether the last word still needs a spoken part.
        let mut open = false;
        for (part, tokens) in parts.into_iter().zip(part_tokens) {
            let control = self.is_control(&tokens);
            let spoken = control || is_spoken(&part);
            let opening = !spoken && part.trim().chars().all(|c| OPENING.contains(c)) && !part.trim().is_empty();
            let after_control = word_tokens.last().is_none_or(|tokens| self.is_control(tokens));
            match (words.last_mut(), word_tokens.last_mut()) {
                (Some(word), Some(word_tokens)) if !control && !after_control && (open || !spoken && !opening) => {
                    word.push_str(&part);
                    word_tokens.extend(tokens);
                    open = open && !spoken;
                }
                _ => {
                    open = !spoken;
                    words.push(part);
                    word_tokens.push(tokens);
                }
            }
        }
        self.join_last_opening(words, word_tokens)
    }

    /// An opening mark without a word after it belongs to the word before it.
    fn join_last_opening(&self, mut words: Vec<String>, mut word_tokens: Vec<Vec<u32>>) -> Words {
        let mut index = 1;
        while index < words.len() {
            let joins = !is_spoken(&words[index])
                && !self.is_control(&word_tokens[index])
                && !self.is_control(&word_tokens[index - 1]);
            if joins {
                let (word, tokens) = (words.remove(index), word_tokens.remove(index));
                words[index - 1].push_str(&word);
                word_tokens[index - 1].extend(tokens);
            } else {
                index += 1;
            }
        }
        (words, word_tokens)
    }
}

/// Whether `part` begins a new word after `before`.
fn begins_word(before: &str, part: &str) -> bool {
    let (Some(last), Some(first)) = (before.chars().next_back(), part.chars().next()) else { return false };
    if first.is_whitespace() {
        return true;
    }
    let (left, right) = (Script::of(last), Script::of(first));
    if !first.is_alphanumeric() || attaches(first) || leads(last) {
        return false;
    }
    match (left, right) {
        (Script::Katakana, Script::Katakana) | (Script::Spaced, Script::Spaced) => false,
        // After punctuation, a script without spaces begins a new word; after an opening mark it does not.
        (_, Script::Spaced) if !last.is_alphanumeric() => before.chars().any(|c| Script::of(c) != Script::Spaced),
        _ => !OPENING.contains(last) && before.chars().any(char::is_alphanumeric),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Script {
    /// Words are written with spaces between them.
    Spaced,
    Katakana,
    Unspaced,
}

impl Script {
    fn of(c: char) -> Self {
        match c {
            '\u{30a0}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{ff66}'..='\u{ff9f}' => Self::Katakana,
            // Han with its extensions and marks, hiragana, bopomofo; Thai, Lao, Burmese, Khmer.
            '\u{2e80}'..='\u{2fdf}' | '\u{3005}'..='\u{3007}' | '\u{3041}'..='\u{309f}' | '\u{3105}'..='\u{312f}' => {
                Self::Unspaced
            }
            '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' => Self::Unspaced,
            '\u{20000}'..='\u{3ffff}' => Self::Unspaced,
            '\u{0e01}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' => Self::Unspaced,
            _ => Self::Spaced,
        }
    }
}

/// Vowel signs, tones and small letters that belong to the character before them.
fn attaches(c: char) -> bool {
    matches!(c,
        '\u{0300}'..='\u{036f}' | '\u{3099}'..='\u{309c}' | '々' | 'ー'
        | 'ぁ' | 'ぃ' | 'ぅ' | 'ぇ' | 'ぉ' | 'っ' | 'ゃ' | 'ゅ' | 'ょ' | 'ゎ'
        | '\u{0e30}'..='\u{0e3a}' | '\u{0e45}'..='\u{0e4e}' | '\u{0eb0}'..='\u{0ebd}' | '\u{0ec6}'..='\u{0ece}'
        | '\u{102b}'..='\u{103e}' | '\u{1056}'..='\u{1059}' | '\u{105e}'..='\u{1060}' | '\u{17b4}'..='\u{17d3}')
}

/// Vowels that are written before the consonant they follow, and signs that bind the next consonant.
fn leads(c: char) -> bool {
    matches!(c, '\u{0e40}'..='\u{0e44}' | '\u{0ec0}'..='\u{0ec4}' | '\u{1039}' | '\u{17d2}')
}

/// Whether `text` is spoken: it has a letter, a number or a spoken sign.
fn is_spoken(text: &str) -> bool {
    text.chars().any(|c| c.is_alphanumeric() || c == char::REPLACEMENT_CHARACTER) || {
        let sign = text.trim();
        !sign.is_empty() && sign.chars().all(|c| SPOKEN_SIGNS.contains(c))
    }
}
