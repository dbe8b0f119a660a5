//! Groups tokens into words, as word timestamps need them (reference: openai/whisper `tokenizer.py`,
//! `split_to_word_tokens`).

use super::WhisperTokenizer;
use super::vocabulary::Kind;

// Languages that are written without spaces: every character that tokens complete is a word of its own.
const WITHOUT_SPACES: [&str; 6] = ["zh", "ja", "th", "lo", "my", "yue"];

// Python's string.punctuation in its order: the reference asks whether the word is a substring of it.
const PUNCTUATION: &str = r##"!"#$%&'()*+,-./:;<=>?@[\]^_`{|}~"##;

/// Words and, for each, the tokens that it is made of.
pub(super) type Words = (Vec<String>, Vec<Vec<u32>>);

impl WhisperTokenizer {
    /// Words of `tokens` and the tokens that each is made of; joined, they are all tokens again.
    ///
    /// A word keeps the space before it; punctuation and control tokens (written out, as `<|0.00|>`) stand alone. For
    /// Chinese, Japanese, Thai, Lao, Burmese and Cantonese (`language` is Whisper's code) each character or token is a
    /// word. Which punctuation joins which word is the aligner's business.
    #[must_use]
    pub fn split_to_word_tokens(&self, tokens: &[u32], language: Option<&str>) -> (Vec<String>, Vec<Vec<u32>>) {
        let characters = self.split_on_characters(tokens);
        if language.is_some_and(|code| WITHOUT_SPACES.contains(&code)) {
            return characters;
        }
        self.join_at_spaces(characters)
    }

    /// Cuts wherever the tokens so far are whole characters.
    fn split_on_characters(&self, tokens: &[u32]) -> Words {
        let full: Vec<char> = self.decode_with_controls(tokens).chars().collect();
        let (mut words, mut word_tokens) = (Vec::new(), Vec::new());
        let mut current = Vec::new();
        let mut offset = 0;
        for &token in tokens {
            current.push(token);
            let text = self.decode_with_controls(&current);
            // A replacement character that the whole text has at the same place is a true error: waiting cannot mend it.
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

    /// Joins what no space separates.
    fn join_at_spaces(&self, (parts, part_tokens): Words) -> Words {
        let mut words: Vec<String> = Vec::new();
        let mut word_tokens: Vec<Vec<u32>> = Vec::new();
        for (part, tokens) in parts.into_iter().zip(part_tokens) {
            let control = tokens.first().is_some_and(|&token| self.kind(token) != Kind::Text);
            let alone = control || part.starts_with(' ') || PUNCTUATION.contains(part.trim_matches(is_python_space));
            match (words.last_mut(), word_tokens.last_mut()) {
                (Some(word), Some(word_tokens)) if !alone => {
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
}

/// What Python's `str.strip` removes: Unicode white space and the four information separators.
fn is_python_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}
