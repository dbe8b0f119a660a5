//! When a probability counts as speech, and what makes a segment.

/// Rules that turn probabilities into segments; the names follow Silero's `get_speech_timestamps`.
#[derive(Debug, Clone, PartialEq)]
pub struct VadOptions {
    /// Speech begins at this probability.
    pub threshold: f32,
    /// Speech may end below this probability; `None`: 0.15 below `threshold`, at least 0.01.
    pub neg_threshold: Option<f32>,
    /// Shorter segments are dropped, in milliseconds.
    pub min_speech_ms: u32,
    /// Longer segments are cut, at their longest pause if there is one; in seconds, may be infinite.
    pub max_speech_s: f32,
    /// Silence that ends a segment, in milliseconds.
    pub min_silence_ms: u32,
    /// Audio kept on both sides of a segment, in milliseconds; half of the pause where the next segment is near.
    pub speech_pad_ms: u32,
    /// The shortest pause at which a segment longer than `max_speech_s` is cut, in milliseconds.
    pub min_pause_at_max_speech_ms: u32,
}

impl VadOptions {
    /// The defaults of Silero's `get_speech_timestamps` and of whisper.cpp.
    pub const SILERO: Self = Self {
        threshold: 0.5,
        neg_threshold: None,
        min_speech_ms: 250,
        max_speech_s: f32::INFINITY,
        min_silence_ms: 100,
        speech_pad_ms: 30,
        min_pause_at_max_speech_ms: 98,
    };
}

impl Default for VadOptions {
    fn default() -> Self {
        Self::SILERO
    }
}
