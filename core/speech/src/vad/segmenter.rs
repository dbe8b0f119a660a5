//! Finds the endpoints of speech while audio arrives.

use std::sync::Arc;

use super::detector::{Detector, STEP};
use super::endpointer::{Decision, Endpointer};
use super::options::VadOptions;
use super::stream::VadStream;

const SAMPLES_PER_MS: usize = 16;

/// The beginning or end of speech, in samples since the beginning of the stream.
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
/// Starts and ends alternate and their positions never decrease. Unlike [`speech_segments`](super::speech_segments), it
/// announces an end at once and not when the next start is known. So if two segments are closer than twice the padding,
/// the pause belongs to the earlier one as far as it was processed, and the padding at an end is limited to the
/// processed samples.
#[derive(Debug)]
pub struct Segmenter {
    stream: VadStream,
    endpointer: Endpointer,
    pad: usize,
    /// Number of samples with a probability.
    judged: usize,
    /// End of the last segment, with padding.
    ended: usize,
}

impl Segmenter {
    /// A segmenter at the beginning of a stream.
    #[must_use]
    pub fn new<D: Detector + ?Sized>(vad: &Arc<D>, options: VadOptions) -> Self {
        let pad = options.speech_pad_ms as usize * SAMPLES_PER_MS;
        Self { stream: VadStream::new(vad), endpointer: Endpointer::new(&options), pad, judged: 0, ended: 0 }
    }

    /// The earliest possible start of the next segment, while there is no speech: audio before it can be dropped. It
    /// lags behind the pushed samples by less than [`VadOptions::max_speech_s`].
    #[must_use]
    pub fn earliest_start(&self) -> usize {
        self.endpointer.earliest_start().saturating_sub(self.pad).max(self.ended)
    }

    /// Processes samples and returns the endpoints that they decide, in order.
    pub fn push(&mut self, samples: &[f32]) -> Vec<Endpoint> {
        let mut endpoints = Vec::new();
        let Self { stream, endpointer, pad, judged, ended, .. } = self;
        stream.push(samples, |probability| {
            *judged += STEP;
            endpointer.step(probability, |decision| endpoints.push(padded(decision, *pad, *judged, ended)));
        });
        endpoints
    }

    /// The endpoints that the end of the audio decides; a begun segment is ended. Nothing may be pushed afterwards.
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
