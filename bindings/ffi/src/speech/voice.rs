//! Voice activity: where someone speaks.

use std::path::Path;

use sotto::speech::{Error, Vad};
use sotto::vad::{VadOptions, load_detector};

use crate::error::SpeechFailure;

/// A voice activity detector and its rules. What is `null` is what the detector brings.
#[derive(Debug, Clone, Default, PartialEq, uniffi::Record)]
pub struct VoiceActivity {
    /// Path of a detector's weights; `null` for the one that is built in.
    #[uniffi(default = None)]
    pub model: Option<String>,
    /// Speech begins at this probability.
    #[uniffi(default = None)]
    pub threshold: Option<f32>,
    /// Speech may end below this probability.
    #[uniffi(default = None)]
    pub end_threshold: Option<f32>,
    /// Shorter segments are dropped, in milliseconds.
    #[uniffi(default = None)]
    pub min_speech_ms: Option<u32>,
    /// Segments with less voice than this are dropped, in milliseconds.
    #[uniffi(default = None)]
    pub min_voiced_ms: Option<u32>,
    /// Longer segments are cut, in seconds.
    #[uniffi(default = None)]
    pub max_speech_s: Option<f32>,
    /// Silence that ends a segment, in milliseconds.
    #[uniffi(default = None)]
    pub min_silence_ms: Option<u32>,
    /// Audio kept on both sides of a segment, in milliseconds.
    #[uniffi(default = None)]
    pub speech_pad_ms: Option<u32>,
    /// The shortest pause at which a segment that is too long is cut, in milliseconds.
    #[uniffi(default = None)]
    pub min_pause_at_max_speech_ms: Option<u32>,
}

/// A stretch of speech.
#[derive(Debug, Clone, Copy, PartialEq, uniffi::Record)]
pub struct VoiceSegment {
    /// Start in seconds from the beginning of the audio.
    pub start: f64,
    /// End in seconds from the beginning of the audio.
    pub end: f64,
}

impl VoiceActivity {
    /// Reads the file of a detector that is named.
    pub(crate) fn vad(self) -> Result<Vad, SpeechFailure> {
        let mut vad = match &self.model {
            Some(path) => Vad::new(load_detector(Path::new(path)).map_err(Error::from)?),
            None => Vad::builtin(),
        };
        let given = vad.options.clone();
        vad.options = VadOptions {
            threshold: self.threshold.unwrap_or(given.threshold),
            neg_threshold: self.end_threshold.or(given.neg_threshold),
            min_speech_ms: self.min_speech_ms.unwrap_or(given.min_speech_ms),
            min_voiced_ms: self.min_voiced_ms.unwrap_or(given.min_voiced_ms),
            max_speech_s: self.max_speech_s.unwrap_or(given.max_speech_s),
            min_silence_ms: self.min_silence_ms.unwrap_or(given.min_silence_ms),
            speech_pad_ms: self.speech_pad_ms.unwrap_or(given.speech_pad_ms),
            min_pause_at_max_speech_ms: self.min_pause_at_max_speech_ms.unwrap_or(given.min_pause_at_max_speech_ms),
        };
        vad.options.check()?;
        Ok(vad)
    }
}
