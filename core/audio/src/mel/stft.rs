//! Power spectrum of one 400-sample window: periodic Hann, real FFT.

use std::fmt;
use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

use super::WINDOW;
use super::filters::BINS;

/// A planned 400-point real FFT with its window and buffers; no allocation after `new`.
///
/// Computed in f64: energies down to 80 dB below the loudest bin count, and no rounding of ours is added to the
/// references'. The FFT is scalar on every chip (see the workspace manifest), hence always the same bits.
#[derive(Clone)]
pub(super) struct PowerSpectrum {
    plan: Arc<dyn RealToComplex<f64>>,
    window: Box<[f64; WINDOW]>,
    input: Vec<f64>,
    spectrum: Vec<Complex<f64>>,
    scratch: Vec<Complex<f64>>,
}

impl fmt::Debug for PowerSpectrum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PowerSpectrum").finish_non_exhaustive()
    }
}

impl PowerSpectrum {
    pub(super) fn new() -> Self {
        let plan = RealFftPlanner::<f64>::new().plan_fft_forward(WINDOW);
        let hann = |i: usize| 0.5 - 0.5 * (std::f64::consts::TAU * i as f64 / WINDOW as f64).cos();
        // Rounded to f32 as the reference's window is.
        let window = Box::new(std::array::from_fn(|i| f64::from(hann(i) as f32)));
        Self {
            input: plan.make_input_vec(),
            spectrum: plan.make_output_vec(),
            scratch: plan.make_scratch_vec(),
            plan,
            window,
        }
    }

    /// Writes |FFT|² of the windowed `samples` to `power`.
    pub(super) fn compute(&mut self, samples: &[f32; WINDOW], power: &mut [f64; BINS]) {
        for ((input, &sample), weight) in self.input.iter_mut().zip(samples).zip(self.window.iter()) {
            *input = f64::from(sample) * weight;
        }
        // The only error is a wrong buffer length; all three come from the plan itself.
        let planned = self.plan.process_with_scratch(&mut self.input, &mut self.spectrum, &mut self.scratch);
        debug_assert!(planned.is_ok());
        for (power, bin) in power.iter_mut().zip(&self.spectrum) {
            *power = bin.norm_sqr();
        }
    }
}
