//! Finding speech in a recording, without recognising it.

use std::ops::Range;

use sotto_runtime::{CancelToken, Event, Job, Passing, Progress, Reporter, Stage};

use super::{Error, Vad};
use crate::Engine;
use crate::audio::{AudioWarning, Recording, SAMPLE_RATE, SampleSource};
use crate::vad::SegmentFinder;

/// Events of finding speech.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum VoiceEvent {
    /// How far the work is, in milliseconds of audio.
    Progress(Progress<'static>),
    /// A stretch of speech.
    Speech {
        /// Start in seconds from the beginning of the recording.
        start: f64,
        /// End in seconds from the beginning of the recording.
        end: f64,
    },
    /// The recording has ended; the last event.
    Finished {
        /// Length of the recording in seconds.
        duration: f64,
        /// Damage in the recording.
        warnings: Vec<AudioWarning>,
    },
}

/// A job that finds speech.
pub type VoiceJob = Job<VoiceEvent, Error>;

impl Event for VoiceEvent {
    fn passing(&self) -> Option<Passing> {
        matches!(self, Self::Progress(_)).then_some(Passing::Progress)
    }
}

impl From<Progress<'static>> for VoiceEvent {
    fn from(progress: Progress<'static>) -> Self {
        Self::Progress(progress)
    }
}

impl Engine {
    /// Finds the stretches of speech in a recording while it is read, in order and without overlap, as
    /// [`speech_segments`](crate::vad::speech_segments) does: no model but the detector is needed.
    ///
    /// Fails with [`Error::Audio`] when the recording cannot be read, [`Error::Vad`] for options that contradict each
    /// other.
    #[must_use]
    pub fn find_speech(&self, vad: Vad, recording: Recording, cancel: &CancelToken) -> VoiceJob {
        Job::start(&self.job("sotto-voice"), cancel, move |reporter| {
            vad.options.check()?;
            recording.read(|source| find(source, SegmentFinder::new(&vad.model, &vad.options), reporter))
        })
    }
}

fn find(
    source: &mut dyn SampleSource,
    mut finder: SegmentFinder,
    reporter: &Reporter<VoiceEvent, Error>,
) -> Result<Option<VoiceEvent>, Error> {
    let seconds = |sample: usize| sample as f64 / f64::from(SAMPLE_RATE);
    let report = |segments: Vec<Range<usize>>| {
        segments.into_iter().try_for_each(|segment| {
            reporter.report(VoiceEvent::Speech { start: seconds(segment.start), end: seconds(segment.end) })
        })
    };
    let (mut block, mut heard) = (Vec::new(), 0);
    loop {
        reporter.cancel().check()?;
        block.clear();
        let more = source.next_block(&mut block)?;
        heard += block.len();
        report(finder.push(&block))?;
        if !more {
            break;
        }
        let milliseconds = |seconds: f64| (seconds * 1000.0) as u64;
        let (done, total) = (milliseconds(seconds(heard)), source.seconds().map(milliseconds));
        let progress = Progress { stage: Stage::Transcribe, done, total, subject: "audio".into() };
        reporter.report(VoiceEvent::Progress(progress))?;
    }
    report(finder.finish())?;
    Ok(Some(VoiceEvent::Finished { duration: seconds(heard), warnings: source.warnings().to_vec() }))
}
