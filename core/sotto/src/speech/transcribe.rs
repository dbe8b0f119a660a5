//! Transcribing a recording.

use sotto_runtime::{CancelToken, Event, Job, Passing, Progress};

use super::{Error, Options, Recognizer, Segment, Transcript};
use crate::Engine;
use crate::audio::Recording;

/// Events of transcribing a recording.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum TranscriptionEvent {
    /// How far the work is, in milliseconds of audio.
    Progress(Progress<'static>),
    /// A segment that will not change.
    Segment(Segment),
    /// The whole transcript; the last event.
    Finished(Transcript),
}

/// A job that transcribes a recording.
pub type TranscriptionJob = Job<TranscriptionEvent, Error>;

impl Event for TranscriptionEvent {
    fn passing(&self) -> Option<Passing> {
        matches!(self, Self::Progress(_)).then_some(Passing::Progress)
    }
}

impl From<Progress<'static>> for TranscriptionEvent {
    fn from(progress: Progress<'static>) -> Self {
        Self::Progress(progress)
    }
}

impl Engine {
    /// Transcribes a recording while it is read, as [`Recognizer::transcribe_source`] does. Segments come as soon as
    /// they are final.
    ///
    /// Fails with [`Error::Audio`] when the recording cannot be read, [`Error::Option`] when the options contradict the
    /// model, [`Error::OutOfBudget`] when too little memory is left for it.
    #[must_use]
    pub fn transcribe(
        &self,
        recognizer: &Recognizer,
        recording: Recording,
        options: Options,
        cancel: &CancelToken,
    ) -> TranscriptionJob {
        // In use from now on, so that the model cannot be unloaded before the thread uses it.
        let recognizer = recognizer.in_use();
        Job::start(&self.job("sotto-file"), cancel, move |reporter| {
            let recognizer = recognizer?;
            recording.read(|source| {
                // A cancelled job ends at its next poll of the token.
                let mut on_segment = |segment: &Segment| {
                    let _ = reporter.report(TranscriptionEvent::Segment(segment.clone()));
                };
                let cancel = reporter.cancel();
                let transcript = recognizer.transcribe_source(source, &options, &mut on_segment, reporter, cancel)?;
                Ok(Some(TranscriptionEvent::Finished(transcript)))
            })
        })
    }
}
