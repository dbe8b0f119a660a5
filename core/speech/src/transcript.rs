//! What a transcription gives back.

use std::ops::{AddAssign, Range};
use std::time::Duration;

use sotto_audio::AudioWarning;

/// The text of a recording and where it was said.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Transcript {
    /// The whole text, without leading or trailing space.
    pub text: String,
    /// Language of the speech as a two- or three-letter code; where segments differ, that of most of the time.
    pub language: String,
    /// Length of the audio in seconds.
    pub duration: f64,
    /// Stretches of speech in order, each inside the audio.
    pub segments: Vec<Segment>,
    /// Where the time went.
    pub timing: Timing,
    /// What was wrong with the recording, in spite of which it was transcribed; its times hold all the same.
    pub warnings: Vec<AudioWarning>,
}

/// A stretch of speech, as the model cut it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Segment {
    /// Start in seconds from the beginning of the audio.
    pub start: f64,
    /// End in seconds from the beginning of the audio.
    pub end: f64,
    /// The text, with the leading space that the model wrote.
    pub text: String,
    /// Language of the speech as a two- or three-letter code.
    pub language: String,
    /// Tokens of the text and its timestamps.
    pub tokens: Vec<u32>,
    /// Mean log-probability of the tokens of the window that this segment comes from.
    pub avg_logprob: f32,
    /// Length of the window's text over its zlib-compressed length: above 2.4 it repeats itself.
    pub compression_ratio: f32,
    /// Probability that the window holds no speech.
    pub no_speech_prob: f32,
    /// Sampling temperature that the window ended with.
    pub temperature: f32,
    /// Words with their times; empty unless asked for.
    pub words: Vec<Word>,
}

/// A word and when it was said.
#[derive(Debug, Clone, PartialEq)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timing {
    /// Encoder.
    pub encode: Duration,
    /// Decoder, all attempts.
    pub decode: Duration,
    /// From the first sample to the last word.
    pub total: Duration,
    /// Windows that were encoded.
    pub windows: usize,
    /// Tokens that were sampled, all attempts.
    pub tokens: usize,
}

impl AddAssign for Timing {
    fn add_assign(&mut self, other: Self) {
        self.encode += other.encode;
        self.decode += other.decode;
        self.total += other.total;
        self.windows += other.windows;
        self.tokens += other.tokens;
    }
}

impl Segment {
    /// Keeps the segment and its words inside `range`.
    pub(crate) fn clamp(&mut self, range: Range<f64>) {
        let clamp = |time: &mut f64| *time = time.clamp(range.start, range.end);
        clamp(&mut self.start);
        clamp(&mut self.end);
        for word in &mut self.words {
            clamp(&mut word.start);
            clamp(&mut word.end);
        }
    }
}
