//! Options of a transcription.

use std::sync::Arc;

use crate::error::SpeechError;
use crate::hotwords::Hotwords;
use crate::vad::{Detector, SottoVad, VadOptions};

/// Language of the speech.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Language {
    /// The model detects it in the first window whose language is clear; until then the clearest language so far is
    /// used. English-only models always use English.
    #[default]
    Auto,
    /// Detected again for every stretch of speech between pauses, for speakers who change language. Without a voice
    /// activity detector, pauses are found by loudness. Each [`Segment`](crate::Segment) has its own language; the
    /// transcript has the most spoken one. For recordings in one language [`Auto`](Self::Auto) makes fewer errors,
    /// because it has more context.
    Each,
    /// A code (`de`), a language tag (`de-AT`, `pt_BR`) or an English name (`german`).
    Fixed(String),
}

/// The task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Task {
    /// Writes the text in the language of the speech.
    #[default]
    Transcribe,
    /// Writes the text in English. Needs a multilingual model.
    Translate,
}

/// Granularity of times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Timestamps {
    /// No times: segments may be as long as a window.
    None,
    /// Times of segments: a sentence or so each.
    #[default]
    Segment,
    /// Also times of words, from the model's attention. May cost one more decoder pass per window.
    Word,
}

/// When the model writes timestamp tokens between words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimestampTokens {
    /// Only for recordings longer than a window, whose windows follow the timestamps, or if the model's generation
    /// settings ask for them (`return_timestamps`, as in the starter recognizer). Other recordings get their times from
    /// the model's attention, and their segments end at sentence ends.
    #[default]
    LongForm,
    /// In every window, like openai/whisper.
    Always,
}

/// How tokens are chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    /// Number of hypotheses at temperature 0: 1 is greedy decoding, more is beam search.
    pub beam: usize,
    /// Beam search ends once `beam × patience` hypotheses are complete (Kasai et al. 2022).
    pub patience: f32,
    /// Exponent of Google's length penalty; `None` divides by the length (openai/whisper's default).
    pub length_penalty: Option<f32>,
    /// Temperatures to try in turn while a result fails the thresholds; the first is the normal one.
    pub temperatures: Vec<f32>,
    /// Number of samples at a temperature above 0; the most likely is kept.
    pub best_of: usize,
    /// Seed of the samples: the same seed gives the same text.
    pub seed: u64,
}

impl Default for Search {
    fn default() -> Self {
        Self {
            beam: 1,
            patience: 1.0,
            length_penalty: None,
            temperatures: vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0],
            best_of: 5,
            seed: 0,
        }
    }
}

/// Thresholds at which a result counts as failed. The defaults are openai/whisper's (Radford et al. 2022, §4.5).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// Text with a higher compression ratio repeats itself: the next temperature is tried.
    pub compression_ratio: Option<f32>,
    /// Text with a lower mean log-probability is a guess: the next temperature is tried.
    pub logprob: Option<f32>,
    /// A window whose no-speech probability is above this, and whose text is below `logprob`, is silent.
    pub no_speech: Option<f32>,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { compression_ratio: Some(2.4), logprob: Some(-1.0), no_speech: Some(0.6) }
    }
}

/// The text that the prompt applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PromptCarry {
    /// Every window, stretch of speech, or utterance of a stream.
    #[default]
    All,
    /// Only the first window, stretch or utterance with text; openai/whisper's default.
    First,
}

/// The range whose peak normalises log-mel features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Normalization {
    /// Each window: as in training, and possible on a stream.
    #[default]
    Window,
    /// The whole recording, like openai/whisper and transformers for long files. Keeps the features of the whole
    /// recording in memory: 32 KB per second with 80 mel bins.
    Recording,
}

/// How much of a window the encoder computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AudioContext {
    /// [`TrueLength`](Self::TrueLength), but [`Window`](Self::Window) where the references' text is asked for: with a
    /// model in [`Precision::F32`](crate::Precision::F32), or [`as_written`](TranscribeOptions::as_written).
    #[default]
    Auto,
    /// The whole window, padded with silence, as in training.
    Window,
    /// The audio and four seconds of silence after it. A doubtful text (a fifth to a third of short recordings) is
    /// decoded again from the whole window. In all, recordings of a few seconds take half to three quarters of the
    /// processor time. Figures: `docs/PERFORMANCE.md`.
    TrueLength,
}

/// Voice activity detection before recognition.
#[derive(Debug, Clone)]
pub struct Vad {
    /// The detector.
    pub model: Arc<dyn Detector>,
    /// Its thresholds.
    pub options: VadOptions,
}

impl Vad {
    /// The built-in detector with its own rules. Nothing is downloaded; the first use costs about a millisecond.
    #[must_use]
    pub fn builtin() -> Self {
        Self::new(SottoVad::builtin())
    }

    /// A detector with its own default rules.
    #[must_use]
    pub fn new(model: Arc<dyn Detector>) -> Self {
        let options = model.options();
        Self { model, options }
    }
}

/// Options of a transcription; the default suits most recordings.
#[derive(Debug, Clone, Default)]
pub struct TranscribeOptions {
    /// Language of the speech.
    pub language: Language,
    /// Transcribe or translate to English.
    pub task: Task,
    /// Granularity of times.
    pub timestamps: Timestamps,
    /// When the model writes timestamps.
    pub timestamp_tokens: TimestampTokens,
    /// How tokens are chosen.
    pub search: Search,
    /// Thresholds at which a result counts as failed.
    pub thresholds: Thresholds,
    /// Prompt: text before the recording, which sets the style (names, punctuation).
    pub prompt: Option<String>,
    /// The text that the prompt applies to.
    pub prompt_carry: PromptCarry,
    /// Text that the first window's transcription must begin with. It is part of the transcript, its words with times;
    /// of one that is longer than the decoder has room for, only the end.
    pub prefix: Option<String>,
    /// Gives each window the text of the previous ones as context: more consistent wording, but errors can carry over.
    pub condition_on_previous: bool,
    /// Words that the caller expects.
    pub hotwords: Option<Arc<Hotwords>>,
    /// Voice activity detection, to skip audio without speech.
    pub vad: Option<Vad>,
    /// Maximum number of tokens per window; `None` is half of the text context.
    pub max_tokens: Option<usize>,
    /// Tokens that are never written, in addition to the model's own list.
    pub suppress_tokens: Vec<u32>,
    /// Allows the symbols on the model's own list (such as brackets and musical notes).
    pub allow_non_speech: bool,
    /// How features are normalised.
    pub normalization: Normalization,
    /// How much of a window is computed.
    pub audio_context: AudioContext,
    /// Uses each window's text as the model writes it, like the references. Otherwise speech that no word attends to is
    /// decoded again, and the bounds of segments with timestamps are fitted to the voice.
    pub as_written: bool,
}

impl TranscribeOptions {
    /// Settings for comparisons with the references: greedy, no fallback, no thresholds, no times.
    #[must_use]
    pub fn greedy() -> Self {
        Self {
            timestamps: Timestamps::None,
            as_written: true,
            search: Search { temperatures: vec![0.0], ..Search::default() },
            thresholds: Thresholds { compression_ratio: None, logprob: None, no_speech: None },
            ..Self::default()
        }
    }

    /// Refuses invalid options, before any audio is read.
    pub(crate) fn check(&self) -> Result<(), SpeechError> {
        let problem = |option, problem: &str| Err(SpeechError::Option { option, problem: problem.into() });
        if !(1..=32).contains(&self.search.beam) {
            return problem("beam", "must be between 1 and 32");
        }
        if !(1..=32).contains(&self.search.best_of) {
            return problem("best_of", "must be between 1 and 32");
        }
        if !(self.search.patience > 0.0 && self.search.patience <= 10.0) {
            return problem("patience", "must be above 0 and at most 10");
        }
        if self.search.length_penalty.is_some_and(|penalty| !(0.0..=1.0).contains(&penalty)) {
            return problem("length_penalty", "must be between 0 and 1");
        }
        let temperatures = &self.search.temperatures;
        if temperatures.is_empty() || temperatures.iter().any(|t| !(0.0..=2.0).contains(t)) {
            return problem("temperatures", "needs at least one, each between 0 and 2");
        }
        if self.max_tokens == Some(0) {
            return problem("max_tokens", "must be at least 1");
        }
        self.vad.as_ref().map_or(Ok(()), |vad| vad.options.check())
    }
}
