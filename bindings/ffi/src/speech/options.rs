//! Options of a transcription and of a live session.

use std::sync::Arc;

use sotto::speech::{
    AudioContext, Hotwords, Language, LiveOptions, Normalization, Options, PromptCarry, Recognizer, Search, Task,
    Thresholds, TimestampTokens, Timestamps,
};

use super::voice::VoiceActivity;
use crate::error::SpeechFailure;

/// What is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum SpeechTask {
    /// What was said, in the language it was said in.
    Transcribe,
    /// What was said, in English. Needs a multilingual model.
    Translate,
}

/// How finely times are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum TimestampDetail {
    /// No times are needed: segments may be as long as a window.
    Unneeded,
    /// Times of segments: a sentence or so each.
    Segment,
    /// Times of words as well.
    Word,
}

/// For which text the prompt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum PromptReach {
    /// Every window, every stretch of speech, every utterance of a stream.
    All,
    /// The first window, stretch or utterance with text.
    First,
}

/// How much of a window the encoder computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum EncodedContext {
    /// The true length, but the window where the references' text is asked for: in f32, or as it is written.
    Auto,
    /// All of it, filled up with silence, as the models were trained.
    Window,
    /// The audio and some silence behind it, the rest where the text is doubtful: faster for short recordings.
    TrueLength,
}

/// How tokens are chosen.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct SearchSettings {
    /// Hypotheses followed at temperature 0: 1 is greedy, more is beam search; 32 at most.
    #[uniffi(default = 1)]
    pub beam: u32,
    /// Beam search ends once `beam × patience` hypotheses are complete.
    #[uniffi(default = 1.0)]
    pub patience: f32,
    /// Exponent of the length penalty; `null` divides by the length.
    #[uniffi(default = None)]
    pub length_penalty: Option<f32>,
    /// Temperatures tried in turn while a result fails the thresholds; empty: 0, 0.2 … 1.
    #[uniffi(default = [])]
    pub temperatures: Vec<f32>,
    /// Samples drawn at a temperature above 0, of which the likeliest is kept.
    #[uniffi(default = 5)]
    pub best_of: u32,
    /// Seed of the samples: the same seed gives the same text.
    #[uniffi(default = 0)]
    pub seed: u64,
    /// Text that compresses better than this repeats itself and is tried again; above 100: never.
    #[uniffi(default = 2.4)]
    pub compression_ratio: f32,
    /// A mean log-probability below this is a guess and is tried again; below -100: never.
    #[uniffi(default = -1.0)]
    pub logprob: f32,
    /// A window whose no-speech probability is above this, and whose text is a guess, is silent; above 1: never.
    #[uniffi(default = 0.6)]
    pub no_speech: f32,
}

/// Options of a transcription. What is `null` or empty is the default, which suits most recordings.
#[derive(Debug, Clone, Default, PartialEq, uniffi::Record)]
pub struct SpeechSettings {
    /// `auto` (the model decides), `each` (decided anew for every stretch of speech), a code (`de`), a tag (`de-AT`)
    /// or an English name (`german`).
    #[uniffi(default = "auto")]
    pub language: String,
    /// Transcribe or translate to English.
    #[uniffi(default = None)]
    pub task: Option<SpeechTask>,
    /// Which times are wanted; segments by default.
    #[uniffi(default = None)]
    pub timestamps: Option<TimestampDetail>,
    /// How tokens are chosen.
    #[uniffi(default = None)]
    pub search: Option<SearchSettings>,
    /// Text that came before, in the style that is wanted (names, punctuation).
    #[uniffi(default = None)]
    pub prompt: Option<String>,
    /// For which text the prompt is; all by default.
    #[uniffi(default = None)]
    pub prompt_reach: Option<PromptReach>,
    /// Text that the first window's transcription must begin with. Not for live sessions.
    #[uniffi(default = None)]
    pub prefix: Option<String>,
    /// Feeds each window the text of the ones before it: steadier wording, but errors can carry over.
    #[uniffi(default = false)]
    pub condition_on_previous: bool,
    /// Words that are likelier than the model thinks.
    #[uniffi(default = [])]
    pub hotwords: Vec<String>,
    /// What is added to log-probabilities of hotwords; 2 by default.
    #[uniffi(default = None)]
    pub hotword_strength: Option<f32>,
    /// Skips what is not speech; `null`: off for recordings, on for live sessions.
    #[uniffi(default = None)]
    pub voice_activity: Option<VoiceActivity>,
    /// Most tokens per window.
    #[uniffi(default = None)]
    pub max_tokens: Option<u32>,
    /// Tokens that are never written, beside the model's own list.
    #[uniffi(default = [])]
    pub suppress_tokens: Vec<u32>,
    /// Allows the symbols that the model's list forbids (such as brackets and notes).
    #[uniffi(default = false)]
    pub allow_non_speech: bool,
    /// The loudest point is that of the whole recording, as in the references; else that of each window. Not for live
    /// sessions.
    #[uniffi(default = false)]
    pub normalize_recording: bool,
    /// The model writes timestamps in every window, not only in long recordings. Not for live sessions.
    #[uniffi(default = false)]
    pub timestamp_tokens: bool,
    /// How much of a window is computed; `Auto` by default. Not for live sessions, which have `volatile_context`.
    #[uniffi(default = None)]
    pub context: Option<EncodedContext>,
    /// Takes each window's text as the model writes it: speech that it leaves out is not decoded again.
    #[uniffi(default = false)]
    pub as_written: bool,
}

/// Options of a live session, beside those of any transcription.
#[derive(Debug, Clone, Default, PartialEq, uniffi::Record)]
pub struct LiveSettings {
    /// How the speech is decoded.
    #[uniffi(default = None)]
    pub speech: Option<SpeechSettings>,
    /// Seconds of new voice after which the text is decoded again; 1.3 by default.
    #[uniffi(default = None)]
    pub step: Option<f64>,
    /// Seconds of speech without a pause after which audio behind a final sentence is dropped; 6 by default.
    #[uniffi(default = None)]
    pub trim: Option<f64>,
    /// How much of the window is encoded at every step; the true length by default.
    #[uniffi(default = None)]
    pub volatile_context: Option<EncodedContext>,
    /// Turns voice activity detection off; it is on by default.
    #[uniffi(default = false)]
    pub without_voice_activity: bool,
    /// Works less while the device is hot or short of power: steps grow longer and threads fewer, by the governor. What
    /// the device is like is told by `Engine::push_reading`.
    #[uniffi(default = false)]
    pub adaptive: bool,
}

impl From<EncodedContext> for AudioContext {
    fn from(context: EncodedContext) -> Self {
        match context {
            EncodedContext::Auto => Self::Auto,
            EncodedContext::Window => Self::Window,
            EncodedContext::TrueLength => Self::TrueLength,
        }
    }
}

impl Default for SearchSettings {
    fn default() -> Self {
        Self {
            beam: 1,
            patience: 1.0,
            length_penalty: None,
            temperatures: Vec::new(),
            best_of: 5,
            seed: 0,
            compression_ratio: 2.4,
            logprob: -1.0,
            no_speech: 0.6,
        }
    }
}

impl SearchSettings {
    fn search(self) -> Search {
        let default = Search::default();
        Search {
            beam: self.beam as usize,
            patience: self.patience,
            length_penalty: self.length_penalty,
            temperatures: if self.temperatures.is_empty() { default.temperatures } else { self.temperatures },
            best_of: self.best_of as usize,
            seed: self.seed,
        }
    }

    fn thresholds(&self) -> Result<Thresholds, SpeechFailure> {
        let named =
            [("compression_ratio", self.compression_ratio), ("logprob", self.logprob), ("no_speech", self.no_speech)];
        if let Some((name, _)) = named.into_iter().find(|(_, threshold)| threshold.is_nan()) {
            return Err(SpeechFailure::option(name, "must be a number"));
        }
        Ok(Thresholds {
            compression_ratio: (self.compression_ratio <= 100.0).then_some(self.compression_ratio),
            logprob: (self.logprob >= -100.0).then_some(self.logprob),
            no_speech: (self.no_speech <= 1.0).then_some(self.no_speech),
        })
    }
}

impl SpeechSettings {
    /// For `recognizer`, whose vocabulary hotwords are cut into. Reads the file of a detector that is named.
    pub(crate) fn options(self, recognizer: &Recognizer) -> Result<Options, SpeechFailure> {
        let hotwords = hotwords(&self.hotwords, self.hotword_strength, recognizer)?;
        let thresholds = self.search.as_ref().map(SearchSettings::thresholds).transpose()?.unwrap_or_default();
        Ok(Options {
            language: match self.language.trim() {
                "" => Language::Auto,
                name if name.eq_ignore_ascii_case("auto") => Language::Auto,
                name if name.eq_ignore_ascii_case("each") => Language::Each,
                name => Language::Fixed(name.to_owned()),
            },
            task: match self.task {
                Some(SpeechTask::Translate) => Task::Translate,
                Some(SpeechTask::Transcribe) | None => Task::Transcribe,
            },
            timestamps: match self.timestamps {
                Some(TimestampDetail::Unneeded) => Timestamps::None,
                Some(TimestampDetail::Word) => Timestamps::Word,
                Some(TimestampDetail::Segment) | None => Timestamps::Segment,
            },
            timestamp_tokens: if self.timestamp_tokens { TimestampTokens::Always } else { TimestampTokens::LongForm },
            search: self.search.map_or_else(Search::default, SearchSettings::search),
            thresholds,
            prompt: self.prompt,
            prompt_carry: match self.prompt_reach {
                Some(PromptReach::First) => PromptCarry::First,
                Some(PromptReach::All) | None => PromptCarry::All,
            },
            prefix: self.prefix,
            condition_on_previous: self.condition_on_previous,
            hotwords,
            vad: self.voice_activity.map(VoiceActivity::vad).transpose()?,
            max_tokens: self.max_tokens.map(|most| most as usize),
            suppress_tokens: self.suppress_tokens,
            allow_non_speech: self.allow_non_speech,
            normalization: if self.normalize_recording { Normalization::Recording } else { Normalization::Window },
            audio_context: self.context.map_or_else(AudioContext::default, Into::into),
            as_written: self.as_written,
        })
    }
}

fn hotwords(
    words: &[String],
    strength: Option<f32>,
    recognizer: &Recognizer,
) -> Result<Option<Arc<Hotwords>>, SpeechFailure> {
    let strength = strength.unwrap_or(Hotwords::DEFAULT_STRENGTH);
    if !strength.is_finite() {
        return Err(SpeechFailure::option("hotword_strength", "must be a number"));
    }
    if words.is_empty() { Ok(None) } else { Ok(Some(Arc::new(recognizer.hotwords(words, strength)?))) }
}

impl LiveSettings {
    pub(crate) fn options(self, recognizer: &Recognizer) -> Result<LiveOptions, SpeechFailure> {
        let default = LiveOptions::default();
        let built_in = default.transcribe.vad.clone();
        let mut transcribe = match self.speech {
            Some(speech) => speech.options(recognizer)?,
            None => default.transcribe.clone(),
        };
        transcribe.vad = if self.without_voice_activity { None } else { transcribe.vad.or(built_in) };
        Ok(LiveOptions {
            transcribe,
            step: self.step.unwrap_or(default.step),
            trim: self.trim.unwrap_or(default.trim),
            tempo: None,
            volatile_context: self.volatile_context.map_or(default.volatile_context, Into::into),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_that_is_no_number_is_refused_and_one_out_of_reach_is_none() {
        let search = SearchSettings {
            compression_ratio: 101.0,
            logprob: f32::NEG_INFINITY,
            no_speech: 0.5,
            ..SearchSettings::default()
        };
        let thresholds = search.thresholds().unwrap();
        assert_eq!((thresholds.compression_ratio, thresholds.logprob, thresholds.no_speech), (None, None, Some(0.5)));
        for (name, search) in [
            ("compression_ratio", SearchSettings { compression_ratio: f32::NAN, ..search.clone() }),
            ("logprob", SearchSettings { logprob: f32::NAN, ..search.clone() }),
            ("no_speech", SearchSettings { no_speech: f32::NAN, ..search }),
        ] {
            let error = search.thresholds().unwrap_err();
            assert!(matches!(&error, SpeechFailure::InvalidOption { option, .. } if option == name), "{error:?}");
        }
    }
}
