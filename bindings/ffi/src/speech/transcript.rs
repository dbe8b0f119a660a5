//! What a transcription gives back.

use std::time::Duration;

use sotto::speech;

/// The text of a recording and where it was said.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct Transcript {
    /// The whole text.
    pub text: String,
    /// Language of the speech as a code; where segments differ, that of most of the time.
    pub language: String,
    /// Length of the audio in seconds.
    pub duration: f64,
    /// Stretches of speech in order.
    pub segments: Vec<Segment>,
    /// Where the time went.
    pub timing: Timing,
    /// What was wrong with the recording, in spite of which it was transcribed.
    pub warnings: Vec<String>,
}

/// A stretch of speech, a sentence or so.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct Segment {
    /// Start in seconds from the beginning of the audio.
    pub start: f64,
    /// End in seconds from the beginning of the audio.
    pub end: f64,
    /// The text, with the leading space that the model wrote.
    pub text: String,
    /// Language of the speech as a code.
    pub language: String,
    /// Tokens of the text and its timestamps.
    pub tokens: Vec<u32>,
    /// Mean log-probability of the tokens of its window.
    pub avg_logprob: f32,
    /// Length of the window's text over its compressed length: above 2.4 it repeats itself.
    pub compression_ratio: f32,
    /// Probability that the window holds no speech.
    pub no_speech_prob: f32,
    /// Sampling temperature that the window ended with.
    pub temperature: f32,
    /// Words with their times; empty unless asked for.
    pub words: Vec<Word>,
}

/// A word and when it was said.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct Word {
    /// Start in seconds from the beginning of the audio.
    pub start: f64,
    /// End in seconds from the beginning of the audio.
    pub end: f64,
    /// The word with its punctuation, with the leading space that the model wrote.
    pub text: String,
    /// Mean probability of its tokens.
    pub probability: f32,
}

/// Where the time of one transcription went.
#[derive(Debug, Clone, Copy, PartialEq, uniffi::Record)]
pub struct Timing {
    /// Encoder, in milliseconds.
    pub encode_ms: f64,
    /// Decoder, all attempts, in milliseconds.
    pub decode_ms: f64,
    /// From the first sample to the last word, in milliseconds.
    pub total_ms: f64,
    /// Windows that were encoded.
    pub windows: u64,
    /// Tokens that were sampled, all attempts.
    pub tokens: u64,
}

/// A stretch of live text and when it was said.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct LiveText {
    /// The text with the leading space that the model wrote.
    pub text: String,
    /// Start in seconds from the beginning of the stream.
    pub start: f64,
    /// End in seconds from the beginning of the stream.
    pub end: f64,
    /// Its words.
    pub words: Vec<Word>,
}

/// One report of a live session. `at` is the second of audio after which it was known.
#[derive(Debug, Clone, PartialEq, uniffi::Enum)]
pub enum LiveEvent {
    /// What the model makes of the speech behind the final text at the moment; replaces the last volatile text.
    Volatile {
        /// Seconds of audio heard.
        at: f64,
        /// The text; empty when the last one was taken back.
        text: LiveText,
    },
    /// Text that will not change; follows the last final text.
    Final {
        /// Seconds of audio heard.
        at: f64,
        /// The text.
        text: LiveText,
    },
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

impl From<speech::Transcript> for Transcript {
    fn from(transcript: speech::Transcript) -> Self {
        let speech::Transcript { text, language, duration, segments, timing, warnings } = transcript;
        Self {
            text,
            language,
            duration,
            segments: segments.into_iter().map(Segment::from).collect(),
            timing: timing.into(),
            warnings: warnings.iter().map(ToString::to_string).collect(),
        }
    }
}

impl From<speech::Segment> for Segment {
    fn from(segment: speech::Segment) -> Self {
        Self {
            start: segment.start,
            end: segment.end,
            text: segment.text,
            language: segment.language,
            tokens: segment.tokens,
            avg_logprob: segment.avg_logprob,
            compression_ratio: segment.compression_ratio,
            no_speech_prob: segment.no_speech_prob,
            temperature: segment.temperature,
            words: segment.words.into_iter().map(Word::from).collect(),
        }
    }
}

impl From<Segment> for speech::Segment {
    fn from(segment: Segment) -> Self {
        Self {
            start: segment.start,
            end: segment.end,
            text: segment.text,
            language: segment.language,
            tokens: segment.tokens,
            avg_logprob: segment.avg_logprob,
            compression_ratio: segment.compression_ratio,
            no_speech_prob: segment.no_speech_prob,
            temperature: segment.temperature,
            words: segment.words.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<speech::Word> for Word {
    fn from(word: speech::Word) -> Self {
        Self { start: word.start, end: word.end, text: word.text, probability: word.probability }
    }
}

impl From<Word> for speech::Word {
    fn from(word: Word) -> Self {
        Self { start: word.start, end: word.end, text: word.text, probability: word.probability }
    }
}

impl From<speech::Timing> for Timing {
    fn from(timing: speech::Timing) -> Self {
        Self {
            encode_ms: milliseconds(timing.encode),
            decode_ms: milliseconds(timing.decode),
            total_ms: milliseconds(timing.total),
            windows: timing.windows as u64,
            tokens: timing.tokens as u64,
        }
    }
}

impl From<speech::LiveText> for LiveText {
    fn from(text: speech::LiveText) -> Self {
        let words = text.words.into_iter().map(Word::from).collect();
        Self { text: text.text, start: text.start, end: text.end, words }
    }
}

impl LiveEvent {
    /// `None` for kinds that are younger than this surface.
    pub(crate) fn of(event: speech::LiveEvent) -> Option<Self> {
        match event {
            speech::LiveEvent::Volatile { at, text } => Some(Self::Volatile { at, text: text.into() }),
            speech::LiveEvent::Final { at, text } => Some(Self::Final { at, text: text.into() }),
            _ => None,
        }
    }
}
