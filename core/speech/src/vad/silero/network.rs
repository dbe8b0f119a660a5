//! One step of Silero's network: 576 samples and the LSTM's state in, the probability of speech out.
//!
//! Short-time Fourier transform (windows of 256, hop 128, the end reflected) → magnitudes → four convolutions with ReLU
//! over the four frames → LSTM cell → linear → sigmoid. About 0.7 million multiply-adds.

use sotto_kernels::{Panels, lstm_cell, relu, sigmoid};

use super::super::detector::STEP;
use super::weights::{BINS, CHANNELS, HIDDEN, SileroVad, TAPS, WINDOW};

/// Samples of the previous step that precede each step.
pub(super) const CONTEXT: usize = 64;

/// Samples that are reflected at the end of the step.
const REFLECTED: usize = 64;

const HOP: usize = 128;
const SAMPLES: usize = CONTEXT + STEP;
const PADDED: usize = SAMPLES + REFLECTED;
const FRAMES: usize = (PADDED - WINDOW) / HOP + 1;

/// State of one stream, and scratch memory of a step.
#[derive(Debug, Clone)]
pub(super) struct State {
    /// Context, step, reflection.
    samples: [f32; PADDED],
    /// Inputs of the LSTM, then its hidden state.
    input_and_hidden: [f32; 2 * HIDDEN],
    cell: [f32; HIDDEN],
    work: Box<Work>,
}

#[derive(Debug, Clone)]
struct Work {
    spectra: [[f32; 2 * BINS]; FRAMES],
    /// Inputs of each convolution: consecutive frames, with a frame of zeros at both ends.
    frames1: [f32; (FRAMES + 2) * CHANNELS[0]],
    frames2: [f32; (FRAMES + 2) * CHANNELS[1]],
    frames3: [f32; (FRAMES / 2 + 2) * CHANNELS[2]],
    frames4: [f32; TAPS * CHANNELS[3]],
    gates: [f32; 4 * HIDDEN],
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            samples: [0.0; PADDED],
            input_and_hidden: [0.0; 2 * HIDDEN],
            cell: [0.0; HIDDEN],
            work: Box::new(Work {
                spectra: [[0.0; 2 * BINS]; FRAMES],
                frames1: [0.0; (FRAMES + 2) * CHANNELS[0]],
                frames2: [0.0; (FRAMES + 2) * CHANNELS[1]],
                frames3: [0.0; (FRAMES / 2 + 2) * CHANNELS[2]],
                frames4: [0.0; TAPS * CHANNELS[3]],
                gates: [0.0; 4 * HIDDEN],
            }),
        }
    }

    /// Resets to the beginning. Scratch memory needs no clearing: a step reads only what it has written, or constant
    /// zeros.
    pub(super) fn reset(&mut self) {
        self.samples.fill(0.0);
        self.input_and_hidden.fill(0.0);
        self.cell.fill(0.0);
    }

    /// The probability of speech in `step`; updates the state.
    pub(super) fn step(&mut self, vad: &SileroVad, step: &[f32; STEP]) -> f32 {
        self.samples.copy_within(STEP..SAMPLES, 0);
        self.samples[CONTEXT..SAMPLES].copy_from_slice(step);
        for index in 0..REFLECTED {
            self.samples[SAMPLES + index] = self.samples[SAMPLES - 2 - index];
        }
        self.magnitudes(vad);
        self.convolve(vad);
        self.advance_cell(vad);
        let mut hidden = [0.0; HIDDEN];
        hidden.copy_from_slice(&self.input_and_hidden[HIDDEN..]);
        relu(&mut hidden);
        let mut logit = [0.0];
        vad.output.product([&hidden], [&mut logit]);
        sigmoid(logit[0])
    }

    fn magnitudes(&mut self, vad: &SileroVad) {
        let windows: [&[f32]; FRAMES] = std::array::from_fn(|frame| &self.samples[frame * HOP..frame * HOP + WINDOW]);
        vad.transform.product(windows, self.work.spectra.each_mut().map(|spectrum| spectrum.as_mut_slice()));
        let frames = self.work.frames1[BINS..].as_chunks_mut::<BINS>().0;
        for (frame, spectrum) in frames.iter_mut().zip(&self.work.spectra) {
            let (real, imaginary) = spectrum.split_at(BINS);
            for (magnitude, (real, imaginary)) in frame.iter_mut().zip(real.iter().zip(imaginary)) {
                *magnitude = (real * real + imaginary * imaginary).sqrt();
            }
        }
    }

    fn convolve(&mut self, vad: &SileroVad) {
        let [first, second, third, fourth] = &vad.convolutions;
        let Work { frames1, frames2, frames3, frames4, .. } = self.work.as_mut();
        // Strides 1, 2, 2, 1: four frames, then two, then one.
        convolve::<4>(first, frames1, CHANNELS[0], 1, &mut frames2[CHANNELS[1]..], CHANNELS[1]);
        convolve::<2>(second, frames2, CHANNELS[1], 2, &mut frames3[CHANNELS[2]..], CHANNELS[2]);
        convolve::<1>(third, frames3, CHANNELS[2], 2, &mut frames4[CHANNELS[3]..], CHANNELS[3]);
        convolve::<1>(fourth, frames4, CHANNELS[3], 1, &mut self.input_and_hidden[..HIDDEN], CHANNELS[4]);
    }

    fn advance_cell(&mut self, vad: &SileroVad) {
        let gates = &mut self.work.gates;
        vad.gates.product([&self.input_and_hidden], [gates]);
        lstm_cell(gates, &mut self.cell, &mut self.input_and_hidden[HIDDEN..]);
    }
}

/// `N` output frames with ReLU, each from three frames of `input`, which begins and ends with a frame of zeros.
fn convolve<const N: usize>(
    weights: &Panels,
    input: &[f32],
    channels: usize,
    stride: usize,
    output: &mut [f32],
    outputs: usize,
) {
    let rows: [&[f32]; N] = std::array::from_fn(|frame| {
        let first = frame * stride * channels;
        &input[first..first + TAPS * channels]
    });
    let output = &mut output[..N * outputs];
    let mut frames = output.chunks_exact_mut(outputs);
    let out: [&mut [f32]; N] = std::array::from_fn(|_| frames.next().unwrap_or_default());
    weights.product(rows, out);
    relu(output);
}
