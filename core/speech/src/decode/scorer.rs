//! The scorer of Whisper: the rules of a window, and hotwords.

use sotto_nn::search::{Preference, Scorer};
use sotto_text::Tokenizer;
use sotto_text::whisper::WhisperTokenizer;

use super::rules::Rules;
use crate::hotwords::Hotwords;

/// The rules of one window, with the hotwords of the transcription.
#[derive(Debug)]
pub(crate) struct WindowScorer<'a> {
    pub(crate) rules: Rules,
    pub(crate) hotwords: Option<&'a Hotwords>,
    /// The token that ends a text.
    pub(crate) end: u32,
    /// Finds the rivals of tokens, if they are wanted: of " car" in "street car" that is the "car" of "streetcar".
    pub(crate) spelling: Option<&'a WhisperTokenizer>,
}

impl Scorer for WindowScorer<'_> {
    fn end(&self) -> u32 {
        self.end
    }

    fn log_probabilities(&self, logits: &mut [f32], text: &[u32]) {
        self.rules.log_probabilities(logits, text);
    }

    fn rival(&self, token: u32) -> Option<usize> {
        let tokenizer = self.spelling?;
        let written = std::str::from_utf8(tokenizer.text_bytes(token)).ok()?;
        // In Korean or Chinese a space is a matter of style: only alphabets that write spaces between words.
        let spaced = |first: char| first.is_alphabetic() && first < '\u{590}';
        let joined = written.strip_prefix(' ').filter(|joined| joined.starts_with(spaced))?;
        match tokenizer.encode(joined)[..] {
            // A tokenizer that puts a space before every text gives the same token.
            [rival] if rival != token => Some(rival as usize),
            _ => None,
        }
    }

    fn preference(&self) -> Option<&dyn Preference> {
        self.hotwords.map(|hotwords| hotwords as &dyn Preference)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

    use super::*;
    use crate::starter::starter;

    #[test]
    fn the_rival_of_a_word_is_the_same_word_without_its_space() {
        let model = starter().model().unwrap();
        let tokenizer = model.tokenizer();
        let rules = Rules { suppress: Vec::new(), suppress_first: Vec::new(), timestamps: None, vocabulary: 0 };
        let scorer = WindowScorer { rules, hotwords: None, end: 0, spelling: Some(tokenizer) };
        let token = |text: &str| *tokenizer.encode(text).first().unwrap();
        assert_eq!(scorer.rival(token(" car")), Some(token("car") as usize));
        for without in [token("car"), token(" 한"), token("."), token(" 5"), tokenizer.special().eot] {
            assert_eq!(scorer.rival(without), None, "{:?}", tokenizer.decode(&[without]));
        }
        assert_eq!(WindowScorer { spelling: None, ..scorer }.rival(token(" car")), None);
    }
}
