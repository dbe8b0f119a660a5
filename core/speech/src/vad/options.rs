//! Options of voice activity detection.

use crate::error::SpeechError;

/// Rules that turn probabilities into segments; the names follow Silero's `get_speech_timestamps`.
#[derive(Debug, Clone, PartialEq)]
pub struct VadOptions {
    /// Speech begins at this probability.
    pub threshold: f32,
    /// Speech may end below this probability; `None`: 0.15 below `threshold`, at least 0.01.
    pub neg_threshold: Option<f32>,
    /// Shorter segments are dropped, in milliseconds.
    pub min_speech_ms: u32,
    /// Segments with less time than this at or above `threshold` are dropped, in milliseconds; 0 as in Silero. Clatter
    /// that sometimes crosses the threshold for a step would give long segments with little speech.
    pub min_voiced_ms: u32,
    /// Longer segments are split, at their longest pause if there is one; in seconds, may be infinite.
    pub max_speech_s: f32,
    /// Silence that ends a segment, in milliseconds.
    pub min_silence_ms: u32,
    /// Padding on both sides of a segment, in milliseconds; half of the pause if the next segment is near.
    pub speech_pad_ms: u32,
    /// The shortest pause at which a segment longer than `max_speech_s` is split, in milliseconds.
    pub min_pause_at_max_speech_ms: u32,
}

impl VadOptions {
    /// The defaults of Silero's `get_speech_timestamps` and of whisper.cpp.
    pub const SILERO: Self = Self {
        threshold: 0.5,
        neg_threshold: None,
        min_speech_ms: 250,
        min_voiced_ms: 0,
        max_speech_s: f32::INFINITY,
        min_silence_ms: 100,
        speech_pad_ms: 30,
        min_pause_at_max_speech_ms: 98,
    };

    /// Options for [`SottoVad`](super::SottoVad): the default, but a segment needs 250 ms of voice. The start of one
    /// noise of the data folder has 224 ms; of the spoken clips in quiet surroundings one single letter more is lost
    /// than with 200 ms (`examples/vad_figures.rs`).
    pub const SOTTO: Self =
        Self { max_speech_s: 30.0, min_silence_ms: 500, speech_pad_ms: 400, min_voiced_ms: 250, ..Self::SILERO };

    /// Refuses invalid options. Called for [`TranscribeOptions`](crate::TranscribeOptions); users of a
    /// [`Segmenter`](super::Segmenter) alone should call it themselves.
    ///
    /// # Errors
    /// [`SpeechError::Option`] names the option: a probability that is not between 0 and 1, an end threshold above the
    /// threshold, a time above a minute, a longest segment that is NaN or too short for its paddings.
    pub fn check(&self) -> Result<(), SpeechError> {
        let problem = |option, problem: &str| Err(SpeechError::Option { option, problem: problem.into() });
        if !(0.0..=1.0).contains(&self.threshold) {
            return problem("vad_threshold", "must be between 0 and 1");
        }
        if self.neg_threshold.is_some_and(|end| !(0.0..=self.threshold).contains(&end)) {
            return problem("vad_neg_threshold", "must be between 0 and `vad_threshold`");
        }
        for (option, ms) in [
            ("vad_min_speech_ms", self.min_speech_ms),
            ("vad_min_voiced_ms", self.min_voiced_ms),
            ("vad_min_silence_ms", self.min_silence_ms),
            ("vad_speech_pad_ms", self.speech_pad_ms),
            ("vad_min_pause_at_max_speech_ms", self.min_pause_at_max_speech_ms),
        ] {
            if ms > LONGEST_MS {
                return problem(option, "must be at most 60000 milliseconds");
            }
        }
        // The shortest segment and one step must fit between the paddings.
        let room = 1000.0 * f64::from(self.max_speech_s) - 2.0 * f64::from(self.speech_pad_ms);
        let needed = f64::from(self.min_speech_ms.max(self.min_voiced_ms)) + 64.0;
        if room.is_nan() || room < needed {
            let problem = "must be longer than the paddings on both sides and the shortest segment together";
            return Err(SpeechError::Option { option: "vad_max_speech_s", problem: problem.into() });
        }
        Ok(())
    }
}

/// Times above a minute are considered a mistake.
const LONGEST_MS: u32 = 60_000;

impl Default for VadOptions {
    /// For transcription: Silero's threshold and shortest segment, but a segment includes pauses inside a sentence (500
    /// ms), has a padding of 400 ms to keep soft beginnings and ends, and is not longer than Whisper's window of 30 s.
    /// 200 ms of voice suffice for every spoken clip of the data folder; none of its noises has more than 130 ms in a
    /// minute (`examples/vad_figures.rs`).
    fn default() -> Self {
        Self { max_speech_s: 30.0, min_silence_ms: 500, speech_pad_ms: 400, min_voiced_ms: 200, ..Self::SILERO }
    }
}
