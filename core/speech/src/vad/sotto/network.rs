//! One step of Sotto's network: 512 samples and the state in, the probability of speech out.
//!
//! Two frames of 40 mel bins (window 400, hop 256; the second ends with the step) → normalised per bin → convolution
//! over three frames, ReLU → convolution over four of its outputs, ReLU → GRU cell → linear over both → sigmoid. About
//! 0.1 million multiply-adds. Samples, frames and outputs of the first convolution before the beginning are zeros.

use sotto_kernels::{SpectrogramScratch, gru_cell, relu, sigmoid};

use super::super::detector::STEP;
use super::weights::{FIRST, HIDDEN, HOP, MELS, SECOND, SottoVad, TAPS1, TAPS2};

/// Samples per frame (window length).
const WINDOW: usize = 400;
/// Samples of the previous step in the first frame.
const LEAD: usize = WINDOW - HOP;
/// Frames per step.
const NEW: usize = STEP / HOP;
/// Frames, and outputs of the first convolution, that the next step uses again.
const OLD1: usize = TAPS1 - 1;
const OLD2: usize = TAPS2 - NEW;

/// State of one stream, and scratch memory of a step.
#[derive(Debug, Clone)]
pub(super) struct State {
    samples: [f32; LEAD + STEP],
    frames: [f32; (OLD1 + NEW) * MELS],
    first: [f32; (OLD2 + NEW) * FIRST],
    /// State of the GRU, then the second convolution's output.
    hidden_and_second: [f32; HIDDEN + SECOND],
    scratch: SpectrogramScratch,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            samples: [0.0; LEAD + STEP],
            frames: [0.0; (OLD1 + NEW) * MELS],
            first: [0.0; (OLD2 + NEW) * FIRST],
            hidden_and_second: [0.0; HIDDEN + SECOND],
            scratch: SpectrogramScratch::default(),
        }
    }

    /// Resets to the beginning.
    pub(super) fn reset(&mut self) {
        self.samples.fill(0.0);
        self.frames.fill(0.0);
        self.first.fill(0.0);
        self.hidden_and_second.fill(0.0);
    }

    /// The probability of speech in `step`; updates the state.
    pub(super) fn step(&mut self, vad: &SottoVad, step: &[f32; STEP]) -> f32 {
        self.samples.copy_within(STEP.., 0);
        self.samples[LEAD..].copy_from_slice(step);
        self.hear(vad);
        self.convolve(vad);
        self.advance_cell(vad);
        let mut logit = [0.0];
        vad.output.product([&self.hidden_and_second], [&mut logit]);
        sigmoid(logit[0])
    }

    /// Log-mel frames of the step, each bin normalised.
    fn hear(&mut self, vad: &SottoVad) {
        self.frames.copy_within(NEW * MELS.., 0);
        let new = &mut self.frames[OLD1 * MELS..];
        vad.kernels.log_spectrogram(&vad.spectrogram, &self.samples, &mut self.scratch, new);
        for frame in new.chunks_exact_mut(MELS) {
            for (value, (mean, scale)) in frame.iter_mut().zip(vad.mean.iter().zip(&vad.scale)) {
                *value = (*value - mean) * scale;
            }
        }
    }

    fn convolve(&mut self, vad: &SottoVad) {
        self.first.copy_within(NEW * FIRST.., 0);
        let (earlier, later) = self.first[OLD2 * FIRST..].split_at_mut(FIRST);
        let rows = [&self.frames[..TAPS1 * MELS], &self.frames[MELS..]];
        vad.first.product(rows, [&mut *earlier, &mut *later]);
        relu(&mut self.first[OLD2 * FIRST..]);
        let second = &mut self.hidden_and_second[HIDDEN..];
        vad.second.product([&self.first], [&mut *second]);
        relu(second);
    }

    /// The GRU cell as PyTorch defines it: the reset gate scales the product of the state, its bias included.
    fn advance_cell(&mut self, vad: &SottoVad) {
        let (mut of_input, mut of_state) = ([0.0; 3 * HIDDEN], [0.0; 3 * HIDDEN]);
        let (hidden, second) = self.hidden_and_second.split_at_mut(HIDDEN);
        vad.of_input.product([&*second], [&mut of_input]);
        vad.of_state.product([&*hidden], [&mut of_state]);
        gru_cell(&of_input, &of_state, hidden);
    }
}
