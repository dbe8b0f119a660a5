//! What a caller can ask of a transcription.

use std::sync::Arc;

use crate::error::SpeechError;
use crate::hotwords::Hotwords;
use crate::vad::{Detector, SottoVad, VadOptions};

/// Language of the speech.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Language {
    /// The model decides, by the first window in which someone clearly speaks one; until then by the clearest so far.
    /// English-only models always answer English.
    #[default]
    Auto,
    /// Decided anew for every stretch of speech between pauses: speakers change language. Without a voice activity
    /// detector pauses are told by loudness. Each [`Segment`](crate::Segment) says its own; the transcript names the
    /// most spoken one. For recordings in one language [`Auto`](Self::Auto) makes fewer errors: it hears more at once.
    Each,
    /// A code (`de`), a language tag (`de-AT`, `pt_BR`) or an English name (`german`).
    Fixed(String),
}

/// What is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Task {
    /// What was said, in the language it was said in.
    #[default]
    Transcribe,
    /// What was said, in English. Needs a multilingual model.
    Translate,
}

/// How finely times are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Timestamps {
    /// No times are needed: segments may be as long as a window.
    None,
    /// Times of segments: a sentence or so each.
    #[default]
    Segment,
    /// Times of words as well, from the model's attention (costs one more decoder pass per window).
    Word,
}

/// Whether the model is asked to write timestamps between its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimestampTokens {
    /// Only where a recording is longer than a window, whose windows follow them, or where the model's generation
    /// settings ask for them (`return_timestamps`, as the starter recognizer's do). Other recordings get their times
    /// from the model's attention, segments end where sentences do.
    #[default]
    LongForm,
    /// In every window, as openai/whisper does.
    Always,
}

/// How tokens are chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    /// Hypotheses followed at temperature 0: 1 is greedy, more is beam search.
    pub beam: usize,
    /// Beam search ends once `beam × patience` hypotheses are complete (Kasai et al. 2022).
    pub patience: f32,
    /// Exponent of Google's length penalty; `None` divides by the length (openai/whisper's default).
    pub length_penalty: Option<f32>,
    /// Temperatures tried in turn while a result fails the thresholds; the first is the normal one.
    pub temperatures: Vec<f32>,
    /// Samples drawn at a temperature above 0, of which the likeliest is kept.
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

/// When a result is taken for a failure. The defaults are openai/whisper's (Radford et al. 2022, §4.5).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// Text that compresses better than this repeats itself: next temperature.
    pub compression_ratio: Option<f32>,
    /// A mean log-probability below this is a guess: next temperature.
    pub logprob: Option<f32>,
    /// A window whose no-speech probability is above this, and whose text is below `logprob`, is silent.
    pub no_speech: Option<f32>,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { compression_ratio: Some(2.4), logprob: Some(-1.0), no_speech: Some(0.6) }
    }
}

/// For which text the prompt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PromptCarry {
    /// Every window, every stretch of speech, every utterance of a stream.
    #[default]
    All,
    /// The first window, stretch or utterance with text, as openai/whisper does unless it is told otherwise.
    First,
}

/// Over what the loudest point is taken when log-mel features are normalised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Normalization {
    /// Over each window: what the models were trained with, and possible on a stream.
    #[default]
    Window,
    /// Over the whole recording, as openai/whisper and transformers do for long files. The features of the whole
    /// recording are kept in memory: 32 KB per second with 80 mel bins.
    Recording,
}

/// How much of a window the encoder computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AudioContext {
    /// All of it, filled up with silence, as the models were trained.
    #[default]
    Window,
    /// The audio and some silence behind it. A text that is doubtful (a fifth to a third of short recordings) is
    /// decoded again from the whole window; together recordings of some seconds take half to three quarters of the
    /// processor's time. Figures: `docs/PERFORMANCE.md`.
    TrueLength,
}

/// Voice activity detection in front of the recognizer.
#[derive(Debug, Clone)]
pub struct Vad {
    /// The detector.
    pub model: Arc<dyn Detector>,
    /// Its thresholds.
    pub options: VadOptions,
}

impl Vad {
    /// The detector that comes with the library, with the rules made for it. Nothing is fetched; about a millisecond
    /// the first time, then nothing.
    #[must_use]
    pub fn builtin() -> Self {
        Self::new(SottoVad::builtin())
    }

    /// A detector with the rules that it brings.
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
    /// Which times are wanted.
    pub timestamps: Timestamps,
    /// How the model's own timestamps are used.
    pub timestamp_tokens: TimestampTokens,
    /// How tokens are chosen.
    pub search: Search,
    /// When a result is taken for a failure.
    pub thresholds: Thresholds,
    /// Text that came before, in the style that is wanted (names, punctuation).
    pub prompt: Option<String>,
    /// For which text the prompt is.
    pub prompt_carry: PromptCarry,
    /// Text that the first window's transcription must begin with.
    pub prefix: Option<String>,
    /// Feeds each window the text of the ones before it: steadier wording, but errors can carry over.
    pub condition_on_previous: bool,
    /// Words that are likelier than the model thinks.
    pub hotwords: Option<Arc<Hotwords>>,
    /// Skips what is not speech.
    pub vad: Option<Vad>,
    /// Most tokens per window; half of the text context where `None`.
    pub max_tokens: Option<usize>,
    /// Tokens that are never written, beside the model's own list.
    pub suppress_tokens: Vec<u32>,
    /// Allows the symbols that the model's list forbids (such as brackets and notes).
    pub allow_non_speech: bool,
    /// How features are normalised.
    pub normalization: Normalization,
    /// How much of a window is computed.
    pub audio_context: AudioContext,
    /// Takes each window's text as the model writes it, as the references do. Otherwise speech that no word attends to
    /// is decoded again, and segments with timestamps are fitted to the voice.
    pub as_written: bool,
}

impl TranscribeOptions {
    /// The faithful settings of a parity check: greedy, no second try, no thresholds, no times.
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

    /// Refuses what cannot work, before any audio is read.
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
