//! Endpoints of speech while audio arrives.

use std::sync::Arc;

use super::detector::{Detector, STEP};
use super::endpointer::{Decision, Endpointer};
use super::options::VadOptions;
use super::stream::VadStream;

const SAMPLES_PER_MS: usize = 16;

/// Where speech begins or ends, in samples since the beginning of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// Speech begins. Known at least `min_speech_ms` later: see [`Segmenter::earliest_start`].
    Start {
        /// First sample.
        sample: usize,
    },
    /// Speech ends. Known `min_silence_ms` after the speech.
    End {
        /// The sample after the last.
        sample: usize,
    },
}

/// Finds [`Endpoint`]s in 16 kHz mono audio pushed in pieces of any size; the endpoints do not depend on the pieces.
///
/// Starts and ends alternate and their positions never decrease. Against [`speech_segments`](super::speech_segments) an
/// end is announced at once instead of when the next start is known: where two segments lie closer than twice the
/// padding, the pause belongs to the earlier one as far as it was heard, and an end at the padding's edge that has not
/// been heard yet is moved to what has been.
#[derive(Debug)]
pub struct Segmenter {
    stream: VadStream,
    endpointer: Endpointer,
    pad: usize,
    /// Samples that have a probability.
    judged: usize,
    /// Where the last segment ended, padded.
    ended: usize,
}

impl Segmenter {
    /// A segmenter at the beginning of a stream.
    #[must_use]
    pub fn new<D: Detector + ?Sized>(vad: &Arc<D>, options: VadOptions) -> Self {
        let pad = options.speech_pad_ms as usize * SAMPLES_PER_MS;
        Self { stream: VadStream::new(vad), endpointer: Endpointer::new(&options), pad, judged: 0, ended: 0 }
    }

    /// While nobody speaks: samples before this one belong to no segment that is still to come, their audio can be
    /// forgotten. Lies behind what was pushed by less than [`VadOptions::max_speech_s`].
    #[must_use]
    pub fn earliest_start(&self) -> usize {
        self.endpointer.earliest_start().saturating_sub(self.pad).max(self.ended)
    }

    /// Takes samples and returns the endpoints that they decided, in order.
    pub fn push(&mut self, samples: &[f32]) -> Vec<Endpoint> {
        let mut endpoints = Vec::new();
        let Self { stream, endpointer, pad, judged, ended, .. } = self;
        stream.push(samples, |probability| {
            *judged += STEP;
            endpointer.step(probability, |decision| endpoints.push(padded(decision, *pad, *judged, ended)));
        });
        endpoints
    }

    /// The endpoints that the end of the audio decides; what was begun is ended. Nothing may be pushed afterwards.
    pub fn finish(&mut self) -> Vec<Endpoint> {
        let mut endpoints = Vec::new();
        let length = self.judged + self.stream.pending();
        let (pad, ended) = (self.pad, &mut self.ended);
        let mut collect = |decision| endpoints.push(padded(decision, pad, length, ended));
        if let Some(probability) = self.stream.finish() {
            self.endpointer.step(probability, &mut collect);
        }
        self.endpointer.finish(length, &mut collect);
        endpoints
    }
}

fn padded(decision: Decision, pad: usize, heard: usize, ended: &mut usize) -> Endpoint {
    match decision {
        Decision::Started(start) => Endpoint::Start { sample: start.saturating_sub(pad).max(*ended) },
        Decision::Ended { end, .. } => {
            *ended = heard.min(end + pad);
            Endpoint::End { sample: *ended }
        }
    }
}
