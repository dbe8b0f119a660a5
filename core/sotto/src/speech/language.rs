//! Which language a recording is in.

use sotto_runtime::{CancelToken, Job, Step};

use super::{DetectedLanguage, Error, Recognizer};
use crate::Engine;
use crate::audio::Recording;

/// Detecting a language as a job.
pub type LanguageJob = Job<Step<DetectedLanguage>, Error>;

impl Engine {
    /// Detects the language of the first half minute of a recording, as [`Recognizer::detect_language`] does.
    ///
    /// Fails with [`Error::EmptyAudio`] when there is no audio, and as [`transcribe`](Self::transcribe) does.
    #[must_use]
    pub fn detect_language(&self, recognizer: &Recognizer, recording: Recording, cancel: &CancelToken) -> LanguageJob {
        // In use from now on, not from when the thread comes to it: the model may be unloaded in between.
        let recognizer = recognizer.in_use();
        Job::start(&self.job("sotto-language"), cancel, move |reporter| {
            let recognizer = recognizer?;
            let language = recording.read(|source| recognizer.detect_language(source, reporter.cancel()))?;
            Ok(Some(Step::Done(language)))
        })
    }
}
