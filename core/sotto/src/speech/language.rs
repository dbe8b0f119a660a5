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
        let recognizer = recognizer.clone();
        // In use from now on, not from when the thread comes to it: a trim in between must not take the model away.
        let in_use = recognizer.model();
        Job::start(&self.job("sotto-language"), cancel, move |reporter| {
            let _in_use = in_use?;
            let language = recording.read(|source| recognizer.detect_language(source, reporter.cancel()))?;
            Ok(Some(Step::Done(language)))
        })
    }
}
