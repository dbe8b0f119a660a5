//! When a probability counts as speech, and what makes a segment.

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
    /// that crosses the threshold for a step now and then makes long segments of little speech.
    pub min_voiced_ms: u32,
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
        min_voiced_ms: 0,
        max_speech_s: f32::INFINITY,
        min_silence_ms: 100,
        speech_pad_ms: 30,
        min_pause_at_max_speech_ms: 98,
    };

    /// What suits [`SottoVad`](super::SottoVad): the default, but a segment needs 250 ms of voice; the start of one
    /// noise of the data folder has 224 ms, and no spoken clip in the quiet is lost by it that 200 ms would keep
    /// (`examples/vad_figures.rs`).
    pub const SOTTO: Self =
        Self { max_speech_s: 30.0, min_silence_ms: 500, speech_pad_ms: 400, min_voiced_ms: 250, ..Self::SILERO };

    /// Refuses what cannot mean anything. [`TranscribeOptions`](crate::TranscribeOptions) are checked with it; who
    /// calls a [`Segmenter`](super::Segmenter) alone may check first.
    ///
    /// # Errors
    /// [`SpeechError::Option`] names the option: a probability that is not between 0 and 1, an end threshold above the
    /// threshold, a time above a minute, a longest segment that is no number or has no room between its paddings.
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
        // At least the shortest segment fits between the paddings, and the step that a cut costs.
        let room = 1000.0 * f64::from(self.max_speech_s) - 2.0 * f64::from(self.speech_pad_ms);
        let needed = f64::from(self.min_speech_ms.max(self.min_voiced_ms)) + 64.0;
        if room.is_nan() || room < needed {
            let problem = "must be longer than the paddings on both sides and the shortest segment together";
            return Err(SpeechError::Option { option: "vad_max_speech_s", problem: problem.into() });
        }
        Ok(())
    }
}

/// Times above a minute are taken for a mistake.
const LONGEST_MS: u32 = 60_000;

impl Default for VadOptions {
    /// For transcription: Silero's threshold and shortest segment, but pauses within a sentence stay inside (500 ms),
    /// 400 ms around a segment keep soft beginnings and ends, and no segment is longer than the 30 s that Whisper sees
    /// at once. 200 ms of voice suffice for every spoken clip of the data folder; none of its noises has more than 130
    /// ms in a minute (`examples/vad_figures.rs`).
    fn default() -> Self {
        Self { max_speech_s: 30.0, min_silence_ms: 500, speech_pad_ms: 400, min_voiced_ms: 200, ..Self::SILERO }
    }
}
