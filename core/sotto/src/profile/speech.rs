//! Speech-to-text as a workload.

use sotto_audio::Pcm16k;
use sotto_runtime::{CancelToken, MemoryBudget, NoProgress};
use sotto_speech::{DeviceStatus, ModelSource, SpeechRecognizer, TranscribeOptions};
use sotto_text::metrics::word_errors;
use sotto_text::normalize::{BasicOptions, basic, english};

use super::error::ProfileError;
use super::report::{ClipFigures, Errors, Outcome, Subject};
use super::runner::Workload;
use crate::engine::Engine;

/// A recording for a profile.
#[derive(Debug, Clone)]
pub struct SpeechClip {
    /// Its name in reports; never a path.
    pub name: String,
    /// The recording.
    pub audio: Pcm16k,
    /// Its text, if known.
    pub text: Option<String>,
}

impl SpeechClip {
    /// The built-in clip: eight seconds of English with their text.
    ///
    /// # Errors
    /// Never in practice: the clip is tested.
    pub fn builtin() -> Result<Self, ProfileError> {
        let audio = crate::audio::decode_bytes(sotto_starter::demo_clip())?;
        Ok(Self { name: "built-in clip".into(), audio, text: Some(sotto_starter::DEMO_TEXT.into()) })
    }
}

/// Transcribes clips with a model that an engine loads only for this: it reserves memory from the engine's budget, but
/// is not shared with the app's models. Texts are compared and counted, not stored.
pub struct SpeechWorkload {
    engine: Engine,
    source: ModelSource,
    name: String,
    clips: Vec<SpeechClip>,
    options: TranscribeOptions,
    recognizer: Option<SpeechRecognizer>,
    /// The first result of each clip.
    texts: Vec<Option<String>>,
}

impl SpeechWorkload {
    /// A workload with a model of `engine` and a `name` for reports; empty clips are left out.
    #[must_use]
    pub fn new(
        engine: &Engine,
        source: ModelSource,
        name: impl Into<String>,
        clips: Vec<SpeechClip>,
        options: TranscribeOptions,
    ) -> Self {
        let clips: Vec<SpeechClip> = clips.into_iter().filter(|clip| !clip.audio.samples().is_empty()).collect();
        let texts = vec![None; clips.len()];
        let (engine, name) = (engine.clone(), name.into());
        Self { engine, source, name, clips, options, recognizer: None, texts }
    }
}

impl Workload for SpeechWorkload {
    fn subject(&self) -> Subject {
        let (precision, kernels) = match &self.recognizer {
            Some(recognizer) if recognizer.device_status() == DeviceStatus::Running => {
                (recognizer.precision(), "device")
            }
            Some(recognizer) => (recognizer.precision(), recognizer.isa().name()),
            None => (self.engine.precision(), ""),
        };
        Subject {
            task: "speech".into(),
            model: self.name.clone(),
            precision: precision.to_string(),
            kernels: kernels.to_owned(),
            threads: self.engine.threads().count(),
            optimised: !cfg!(debug_assertions),
        }
    }

    fn clips(&self) -> Vec<ClipFigures> {
        let figures = |clip: &SpeechClip| ClipFigures {
            name: clip.name.clone(),
            seconds: clip.audio.seconds(),
            has_text: clip.text.is_some(),
        };
        self.clips.iter().map(figures).collect()
    }

    fn budget(&self) -> MemoryBudget {
        self.engine.budget().clone()
    }

    fn load(&mut self, cancel: &CancelToken) -> Result<(), ProfileError> {
        self.unload();
        self.recognizer = Some(self.engine.load_unshared(&self.source, &NoProgress, cancel)?);
        Ok(())
    }

    fn unload(&mut self) {
        // The engine may keep unused models, but the next load must really load.
        if let Some(recognizer) = self.recognizer.take() {
            recognizer.unload();
        }
    }

    fn run(&mut self, clip: usize, cancel: &CancelToken) -> Result<Outcome, ProfileError> {
        let recognizer = self.recognizer.as_ref().ok_or(ProfileError::NotLoaded)?;
        let SpeechClip { audio, text, .. } = self.clips.get(clip).ok_or(ProfileError::NoClips)?;
        let transcript = recognizer.transcribe(audio, &self.options, &NoProgress, cancel)?;
        let timing = transcript.timing;
        let first = self.texts.get_mut(clip).map(|text| text.get_or_insert_with(|| transcript.text.clone()));
        Ok(Outcome {
            audio_s: transcript.duration,
            encode_s: timing.encode.as_secs_f64(),
            decode_s: timing.decode.as_secs_f64(),
            windows: timing.windows as u64,
            tokens: timing.tokens as u64,
            errors: text.as_ref().map(|text| errors(text, &transcript.text, &transcript.language)),
            differs: first.is_some_and(|first| *first != transcript.text),
        })
    }
}

/// Word errors after Whisper's normalisation: the English one for English, else the basic one.
fn errors(said: &str, heard: &str, language: &str) -> Errors {
    let normalize = |text: &str| {
        if language == "en" { english(text) } else { basic(text, BasicOptions::default()) }
    };
    let counts = word_errors(&normalize(said), &normalize(heard));
    Errors {
        words: counts.reference_len(),
        substituted: counts.substitutions,
        deleted: counts.deletions,
        inserted: counts.insertions,
    }
}
