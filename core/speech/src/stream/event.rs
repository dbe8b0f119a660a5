//! What a live transcription reports.

use crate::transcript::Word;

/// A piece of text with its times.
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
    /// Joins the words to a text; `None` without words.
    pub(super) fn from_words(words: Vec<Word>) -> Option<Self> {
        let (start, end) = (words.first()?.start, words.last()?.end);
        Some(Self { text: words.iter().map(|word| word.text.as_str()).collect(), start, end, words })
    }
}

/// An event of a live transcription. `at` is the position in the audio, in seconds, at which it occurred.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum StreamEvent {
    /// The current text of the speech after the final text; replaces the last volatile text.
    Volatile {
        /// Seconds of audio processed.
        at: f64,
        /// The text; empty if the last volatile text is withdrawn.
        text: StreamText,
    },
    /// Text that will not change; follows the last final text.
    Final {
        /// Seconds of audio processed.
        at: f64,
        /// The text.
        text: StreamText,
    },
}
