//! Long-form transcription with voice activity detection: only stretches of speech are transcribed, each as a separate
//! recording.
//!
//! A window then begins and ends with speech, so the model does not invent text in silence, and no word is cut at a
//! window's edge. Memory is bounded by the longest stretch.

use sotto_runtime::{Progress, ProgressSink, Stage};

use crate::error::SpeechError;
use crate::long_form::{LongForm, SegmentSink, seconds};
use crate::source::{SampleSource, Samples};
use crate::vad::{Endpoint, Segmenter};
use crate::window::WindowDecoder;

/// A source of endpoints of speech, such as [`Segmenter`].
pub(crate) trait Endpoints {
    /// Processes samples and returns the endpoints that they decide, in order.
    fn push(&mut self, samples: &[f32]) -> Vec<Endpoint>;

    /// The endpoints that the end of the audio decides.
    fn finish(&mut self) -> Vec<Endpoint>;

    /// Samples before this one do not belong to any later stretch.
    fn earliest_start(&self) -> usize;
}

impl Endpoints for Segmenter {
    fn push(&mut self, samples: &[f32]) -> Vec<Endpoint> {
        Segmenter::push(self, samples)
    }

    fn finish(&mut self) -> Vec<Endpoint> {
        Segmenter::finish(self)
    }

    fn earliest_start(&self) -> usize {
        Segmenter::earliest_start(self)
    }
}

/// Transcribes the speech of `source`; returns the length of the audio in seconds.
pub(crate) fn run(
    decoder: &mut WindowDecoder<'_>,
    source: &mut dyn SampleSource,
    segmenter: &mut dyn Endpoints,
    sink: &mut SegmentSink<'_>,
    progress: &dyn ProgressSink,
) -> Result<f64, SpeechError> {
    let mut form = LongForm::new(decoder);
    let mut stretch = Stretch::default();
    let mut block = Vec::new();
    loop {
        form.check_cancelled()?;
        block.clear();
        let more = source.next_block(&mut block)?;
        stretch.audio.extend_from_slice(&block);
        let endpoints = if more { segmenter.push(&block) } else { segmenter.finish() };
        for endpoint in endpoints {
            match endpoint {
                Endpoint::Start { sample } => {
                    stretch.forget_before(sample);
                    stretch.speaking = true;
                }
                Endpoint::End { sample } => {
                    let length = sample.saturating_sub(stretch.start).min(stretch.audio.len());
                    let mut speech = Samples::part(&stretch.audio[..length]);
                    form.run(&mut speech, seconds(stretch.start), sink, &sotto_runtime::NoProgress)?;
                    stretch.forget_before(sample);
                    stretch.speaking = false;
                }
                Endpoint::Withdrawn { sample } => {
                    stretch.forget_before(sample);
                    stretch.speaking = false;
                }
            }
        }
        let heard = stretch.start + stretch.audio.len();
        if !stretch.speaking {
            // A late start of speech may still include samples from there on.
            stretch.forget_before(segmenter.earliest_start());
        }
        report(progress, seconds(heard), source.seconds());
        if !more {
            return Ok(seconds(heard));
        }
    }
}

/// Audio that was read but not transcribed yet.
#[derive(Default)]
struct Stretch {
    audio: Vec<f32>,
    /// Position of the first sample in the recording.
    start: usize,
    speaking: bool,
}

impl Stretch {
    fn forget_before(&mut self, sample: usize) {
        let surplus = sample.saturating_sub(self.start).min(self.audio.len());
        self.audio.drain(..surplus);
        self.start += surplus;
    }
}

fn report(progress: &dyn ProgressSink, done: f64, total: Option<f64>) {
    let milliseconds = |seconds: f64| (seconds * 1000.0) as u64;
    let (done, total) = (milliseconds(done), total.map(milliseconds));
    progress.report(&Progress { stage: Stage::Transcribe, done, total, subject: "audio".into() });
}
