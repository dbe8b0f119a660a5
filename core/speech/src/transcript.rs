//! The result of a transcription.

use std::ops::{AddAssign, Range};
use std::time::Duration;

use sotto_audio::AudioWarning;

/// The text of a recording, with times.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Transcript {
    /// The whole text, without leading or trailing space.
    pub text: String,
    /// Language of the speech as a two- or three-letter code; if segments differ, the one spoken for most of the time.
    pub language: String,
    /// Length of the audio in seconds.
    pub duration: f64,
    /// Stretches of speech in order, each inside the audio.
    pub segments: Vec<Segment>,
    /// Timings.
    pub timing: Timing,
    /// Damage in the recording. Times are correct all the same.
    pub warnings: Vec<AudioWarning>,
}

/// A segment of speech.
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
    /// Length of the window's text divided by its zlib-compressed length: above 2.4 it repeats itself.
    pub compression_ratio: f32,
    /// Probability that the window holds no speech.
    pub no_speech_prob: f32,
    /// Sampling temperature of the accepted text of the window.
    pub temperature: f32,
    /// Words with their times; empty unless asked for.
    pub words: Vec<Word>,
}

/// A word with its times.
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

/// Timings of one transcription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timing {
    /// Time in the encoder.
    pub encode: Duration,
    /// Time in the decoder, over all attempts.
    pub decode: Duration,
    /// Total time, from the first sample to the last word.
    pub total: Duration,
    /// Number of encoded windows.
    pub windows: usize,
    /// Number of sampled tokens, over all attempts.
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
    /// Clamps the times of the segment and its words to `range`.
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
