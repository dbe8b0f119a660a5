//! Speech probabilities of audio that arrives in pieces.

use std::sync::Arc;

use super::detector::{Detector, DetectorState, STEP};

/// Far beyond any recording, but squares do not overflow.
const LOUDEST: f32 = 1e6;

/// Gives one probability of speech per [`STEP`] samples of 16 kHz mono audio.
///
/// The probabilities do not depend on how the audio was cut into pieces. The cost of a step depends on the detector
/// (docs/PERFORMANCE.md); nothing is allocated after [`new`](Self::new).
#[derive(Debug)]
pub struct VadStream {
    state: Box<dyn DetectorState>,
    pending: [f32; STEP],
    filled: usize,
}

impl VadStream {
    /// A new stream.
    #[must_use]
    pub fn new<D: Detector + ?Sized>(vad: &Arc<D>) -> Self {
        Self { state: Arc::clone(vad).begin(), pending: [0.0; STEP], filled: 0 }
    }

    /// Processes samples and calls `each` with every probability that they complete, in order.
    ///
    /// Samples that are not finite count as zero, so that one bad sample does not spoil the rest of a stream.
    pub fn push(&mut self, samples: &[f32], mut each: impl FnMut(f32)) {
        self.push_steps(samples, |probability, _, _| each(probability));
    }

    /// As [`push`](Self::push), also with the samples of each step and the state after it.
    pub(super) fn push_steps(
        &mut self,
        mut samples: &[f32],
        mut each: impl FnMut(f32, &[f32; STEP], &dyn DetectorState),
    ) {
        while !samples.is_empty() {
            let (now, later) = samples.split_at(samples.len().min(STEP - self.filled));
            for (slot, &sample) in self.pending[self.filled..].iter_mut().zip(now) {
                *slot = if sample.is_finite() { sample.clamp(-LOUDEST, LOUDEST) } else { 0.0 };
            }
            self.filled += now.len();
            samples = later;
            if self.filled == STEP {
                self.filled = 0;
                let probability = self.state.step(&self.pending);
                each(probability, &self.pending, &*self.state);
            }
        }
    }

    /// The probability of the remaining samples, padded with zeros; `None` if there are none. Resets the stream.
    pub fn finish(&mut self) -> Option<f32> {
        let last = self.last_step().map(|(probability, _)| probability);
        self.reset();
        last
    }

    /// As [`finish`](Self::finish), also with the samples of the step, and without a reset.
    pub(super) fn last_step(&mut self) -> Option<(f32, &[f32; STEP])> {
        if self.filled == 0 {
            return None;
        }
        self.pending[self.filled..].fill(0.0);
        self.filled = 0;
        Some((self.state.step(&self.pending), &self.pending))
    }

    /// The state after the last complete step.
    pub(super) fn state(&self) -> &dyn DetectorState {
        &*self.state
    }

    /// Resets the stream.
    pub fn reset(&mut self) {
        self.state.reset();
        self.filled = 0;
    }

    /// Number of samples of the incomplete step; less than [`STEP`].
    #[must_use]
    pub fn pending(&self) -> usize {
        self.filled
    }
}

impl Clone for VadStream {
    fn clone(&self) -> Self {
        Self { state: self.state.duplicate(), ..*self }
    }
}
