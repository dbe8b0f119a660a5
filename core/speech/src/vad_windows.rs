//! Long form with voice activity detection: only stretches of speech are transcribed, each as a recording of its own.
//!
//! A window then begins and ends where someone speaks, so the model neither invents text in silence nor cuts a word at
//! a window's edge. Stretches follow each other in memory that is bounded by the longest of them.

use std::sync::Arc;

use sotto_runtime::{Progress, ProgressSink, Stage};

use crate::error::SpeechError;
use crate::long_form::{LongForm, SegmentSink, seconds};
use crate::source::{SampleSource, Samples};
use crate::vad::{Detector, Endpoint, Segmenter, VadOptions};
use crate::window::WindowDecoder;

/// Transcribes the speech of `source`; returns the length of the audio in seconds.
pub(crate) fn run(
    decoder: &mut WindowDecoder<'_>,
    source: &mut dyn SampleSource,
    vad: &Arc<dyn Detector>,
    options: VadOptions,
    sink: &mut SegmentSink<'_>,
    progress: &dyn ProgressSink,
) -> Result<f64, SpeechError> {
    let mut form = LongForm::new(decoder);
    let mut segmenter = Segmenter::new(vad, options);
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
            }
        }
        let heard = stretch.start + stretch.audio.len();
        if !stretch.speaking {
            // What a late start of speech may still reach back to.
            stretch.forget_before(segmenter.earliest_start());
        }
        report(progress, seconds(heard), source.seconds());
        if !more {
            return Ok(seconds(heard));
        }
    }
}

/// Audio that was read and is not transcribed yet.
#[derive(Default)]
struct Stretch {
    audio: Vec<f32>,
    /// Position of the first sample in the whole.
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
