//! Detecting the language of a recording.

use sotto_runtime::{CancelToken, Job, Step};

use super::{DetectedLanguage, Error, Recognizer};
use crate::Engine;
use crate::audio::Recording;

/// A job that detects a language.
pub type LanguageJob = Job<Step<DetectedLanguage>, Error>;

impl Engine {
    /// Detects the language of the first half minute of a recording, as [`Recognizer::detect_language`] does.
    ///
    /// Fails with [`Error::EmptyAudio`] when there is no audio, and as [`transcribe`](Self::transcribe) does.
    #[must_use]
    pub fn detect_language(&self, recognizer: &Recognizer, recording: Recording, cancel: &CancelToken) -> LanguageJob {
        // In use from now on, so that the model cannot be unloaded before the thread uses it.
        let recognizer = recognizer.in_use();
        Job::start(&self.job("sotto-language"), cancel, move |reporter| {
            let recognizer = recognizer?;
            let language = recording.read(|source| recognizer.detect_language(source, reporter.cancel()))?;
            Ok(Some(Step::Done(language)))
        })
    }
}
