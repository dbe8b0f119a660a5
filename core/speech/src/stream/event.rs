//! What a live transcription reports.

use crate::transcript::Word;

/// A stretch of text and when it was said.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StreamText {
    /// The text with the leading space that the model wrote.
    pub text: String,
    /// Start in seconds from the beginning of the stream.
    pub start: f64,
    /// End in seconds from the beginning of the stream.
    pub end: f64,
    /// Its words.
    pub words: Vec<Word>,
}

impl StreamText {
    /// The words joined to a text; `None` without words.
    pub(super) fn from_words(words: Vec<Word>) -> Option<Self> {
        let (start, end) = (words.first()?.start, words.last()?.end);
        Some(Self { text: words.iter().map(|word| word.text.as_str()).collect(), start, end, words })
    }
}

/// One report of a live transcription. `at` is the second of audio after which it was known.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum StreamEvent {
    /// What the model makes of the speech behind the final text at the moment; replaces the last volatile text.
    Volatile {
        /// Seconds of audio heard.
        at: f64,
        /// The text; empty when the last one was taken back.
        text: StreamText,
    },
    /// Text that will not change; follows the last final text.
    Final {
        /// Seconds of audio heard.
        at: f64,
        /// The text.
        text: StreamText,
    },
}
