//! What is asked of a recording beside its text: its language, and where someone speaks.

use sotto::Progress;
use sotto::job::Step;
use sotto::speech::{LanguageJob, VoiceEvent, VoiceJob};

use super::voice::VoiceSegment;
use crate::error::SpeechFailure;

/// What language a recording is in.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct DetectedLanguage {
    /// Two- or three-letter code.
    pub code: String,
    /// Its probability among all languages of the model.
    pub probability: f32,
}

/// A recording whose language is being detected. Letting go of it cancels.
#[derive(uniffi::Object)]
pub struct LanguageDetection {
    job: LanguageJob,
}

/// A recording in which speech is being looked for. Letting go of it cancels.
#[derive(uniffi::Object)]
pub struct VoiceSearch {
    job: VoiceJob,
}

/// One report of looking for speech.
#[derive(Debug, Clone, PartialEq, uniffi::Enum)]
pub enum VoiceSearchEvent {
    /// How far it is.
    Progress {
        /// Milliseconds of audio heard.
        done: u64,
        /// Milliseconds of audio there are, where that is known.
        total: Option<u64>,
    },
    /// Someone speaks here.
    Speech {
        /// From when to when.
        segment: VoiceSegment,
    },
    /// The recording was heard to its end, the last event.
    Finished {
        /// Length of the audio in seconds.
        duration: f64,
        /// What was wrong with the recording.
        warnings: Vec<String>,
    },
}

impl LanguageDetection {
    pub(crate) fn new(job: LanguageJob) -> Self {
        Self { job }
    }
}

impl VoiceSearch {
    pub(crate) fn new(job: VoiceJob) -> Self {
        Self { job }
    }
}

#[uniffi::export]
impl LanguageDetection {
    /// The language. Waits without blocking a thread; giving the wait up loses nothing.
    ///
    /// # Errors
    /// Why it could not be detected.
    pub async fn result(&self) -> Result<DetectedLanguage, SpeechFailure> {
        loop {
            match self.job.event().await.map_err(|failure| SpeechFailure::of(&failure))? {
                Some(Step::Done(language)) => {
                    return Ok(DetectedLanguage { code: language.code.to_owned(), probability: language.probability });
                }
                Some(_) => {}
                None => return Err(SpeechFailure::ended("the language was asked for and given already")),
            }
        }
    }

    /// Stops. Returns at once.
    pub fn cancel(&self) {
        self.job.cancel();
    }
}

#[uniffi::export]
impl VoiceSearch {
    /// The next event; `null` after the last one. Waits without blocking a thread; giving the wait up loses nothing.
    ///
    /// # Errors
    /// Why the recording could not be read.
    pub async fn next_event(&self) -> Result<Option<VoiceSearchEvent>, SpeechFailure> {
        while let Some(event) = self.job.event().await.map_err(|failure| SpeechFailure::of(&failure))? {
            if let Some(event) = VoiceSearchEvent::of(event) {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// Stops. Returns at once.
    pub fn cancel(&self) {
        self.job.cancel();
    }
}

impl VoiceSearchEvent {
    /// `None` for kinds that are younger than this surface.
    fn of(event: VoiceEvent) -> Option<Self> {
        Some(match event {
            VoiceEvent::Speech { start, end } => Self::Speech { segment: VoiceSegment { start, end } },
            VoiceEvent::Finished { duration, warnings } => {
                Self::Finished { duration, warnings: warnings.iter().map(ToString::to_string).collect() }
            }
            VoiceEvent::Progress(Progress { done, total, .. }) => Self::Progress { done, total },
            _ => return None,
        })
    }
}
