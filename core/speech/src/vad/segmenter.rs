//! Finds the endpoints of speech while audio arrives.

use std::sync::Arc;

use super::detector::{Detector, STEP};
use super::endpointer::{Decision, Endpointer};
use super::hindsight::Hindsight;
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
    /// What has begun was no speech: said in place of its end, only at the beginning of a stream
    /// ([`Detector::settles`]).
    Withdrawn {
        /// The sample after the last.
        sample: usize,
    },
}

/// Finds [`Endpoint`]s in 16 kHz mono audio pushed in pieces of any size; the endpoints do not depend on the pieces.
///
/// Starts and ends (or withdrawals) alternate and their positions never decrease. Unlike
/// [`speech_segments`](super::speech_segments), it announces an end at once and not when the next start is known. So if
/// two segments are closer than twice the padding, the pause belongs to the earlier one as far as it was processed, and
/// the padding at an end is limited to the processed samples.
#[derive(Debug)]
pub struct Segmenter {
    stream: VadStream,
    endpointer: Endpointer,
    hindsight: Hindsight,
    pad: usize,
    /// Number of samples with a probability.
    judged: usize,
    /// Start of the speech that goes on, without padding.
    begun: Option<usize>,
    /// End of the last segment, with padding.
    ended: usize,
}

impl Segmenter {
    /// A segmenter at the beginning of a stream.
    #[must_use]
    pub fn new<D: Detector + ?Sized>(vad: &Arc<D>, options: VadOptions) -> Self {
        let pad = options.speech_pad_ms as usize * SAMPLES_PER_MS;
        let hindsight = Hindsight::new(vad.settles(), options.threshold);
        let (stream, endpointer) = (VadStream::new(vad), Endpointer::new(&options));
        Self { stream, endpointer, hindsight, pad, judged: 0, begun: None, ended: 0 }
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
        let Self { stream, endpointer, hindsight, pad, judged, begun, ended } = self;
        stream.push_steps(samples, |probability, step, state| {
            *judged += STEP;
            hindsight.hear(step, probability);
            endpointer.step(probability, |decision| {
                *begun = decision.begun();
                endpoints.push(endpoint(decision, hindsight.judges(decision, state), *pad, *judged, ended));
            });
        });
        endpoints
    }

    /// Whether the speech that goes on may still be withdrawn.
    #[must_use]
    pub fn may_withdraw(&self) -> bool {
        self.begun.is_some_and(|start| self.hindsight.may_judge(start))
    }

    /// The endpoints that the end of the audio decides; a begun segment is ended. Nothing may be pushed afterwards.
    pub fn finish(&mut self) -> Vec<Endpoint> {
        let mut endpoints = Vec::new();
        let length = self.judged + self.stream.pending();
        let Self { stream, endpointer, hindsight, pad, ended, .. } = self;
        let mut decisions = Vec::new();
        if let Some((probability, step)) = stream.last_step() {
            hindsight.hear(step, probability);
            endpointer.step(probability, |decision| decisions.push(decision));
        }
        endpointer.finish(length, |decision| decisions.push(decision));
        for decision in decisions {
            endpoints.push(endpoint(decision, hindsight.judges(decision, stream.state()), *pad, length, ended));
        }
        stream.reset();
        self.begun = None;
        endpoints
    }
}

fn endpoint(decision: Decision, is_speech: bool, pad: usize, heard: usize, ended: &mut usize) -> Endpoint {
    match decision {
        Decision::Started(start) => Endpoint::Start { sample: start.saturating_sub(pad).max(*ended) },
        Decision::Ended { end, .. } if is_speech => {
            *ended = heard.min(end + pad);
            Endpoint::End { sample: *ended }
        }
        // What comes next may begin right behind it.
        Decision::Ended { end, .. } => {
            *ended = heard.min(end);
            Endpoint::Withdrawn { sample: *ended }
        }
    }
}
