//! Transcribing a recording.

use sotto::Progress;
use sotto::speech::{self, TranscriptionJob};

use super::transcript::{Segment, Transcript};
use crate::error::SpeechFailure;

/// One report of a transcription.
#[derive(Debug, Clone, PartialEq, uniffi::Enum)]
pub enum TranscriptionEvent {
    /// How far it is.
    Progress {
        /// Milliseconds of audio transcribed.
        done: u64,
        /// Milliseconds of audio there are, where that is known.
        total: Option<u64>,
    },
    /// A stretch of speech that is final.
    Segment {
        /// What was said.
        segment: Segment,
    },
    /// The whole text, the last event.
    Finished {
        /// All segments once more, and the rest.
        transcript: Transcript,
    },
}

/// A recording that is being transcribed. Letting go of it cancels.
#[derive(uniffi::Object)]
pub struct Transcription {
    job: TranscriptionJob,
}

impl Transcription {
    pub(crate) fn new(job: TranscriptionJob) -> Self {
        Self { job }
    }
}

#[uniffi::export]
impl Transcription {
    /// The next event; `null` after the last one. Waits without blocking a thread; giving the wait up loses nothing.
    ///
    /// # Errors
    /// Why the recording could not be transcribed, once the events before that were pulled.
    pub async fn next_event(&self) -> Result<Option<TranscriptionEvent>, SpeechFailure> {
        while let Some(event) = self.job.event().await.map_err(|failure| SpeechFailure::of(&failure))? {
            if let Some(event) = TranscriptionEvent::of(event) {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// Stops within one token. Returns at once; events that are out can still be pulled.
    pub fn cancel(&self) {
        self.job.cancel();
    }
}

impl TranscriptionEvent {
    /// `None` for kinds that are younger than this surface.
    fn of(event: speech::TranscriptionEvent) -> Option<Self> {
        Some(match event {
            speech::TranscriptionEvent::Segment(segment) => Self::Segment { segment: segment.into() },
            speech::TranscriptionEvent::Finished(transcript) => Self::Finished { transcript: transcript.into() },
            speech::TranscriptionEvent::Progress(Progress { done, total, .. }) => Self::Progress { done, total },
            _ => return None,
        })
    }
}
