//! Log-spectrogram: windowed frames of samples, their power spectrum by a real FFT, energies of filters, log10. The
//! front end of speech models.
//!
//! Computed in f64 up to the energies: the quietest filters lie 80 dB below the loudest, where an f32 FFT keeps only
//! two digits. Eight frames are computed side by side, one per lane; lanes never meet, so a frame does not depend on
//! its neighbours, and sets with narrower registers give the same bits.

mod entry;
mod fft;
mod roots;

use crate::activation::math::Log10;
use crate::float::rows;
use crate::simd::{Doubles, FRAMES, Simd};

/// Samples per frame (window length).
pub(crate) const WINDOW: usize = 400;
/// Bins of its spectrum, from 0 to half the sampling rate, both included.
pub(crate) const BINS: usize = WINDOW / 2 + 1;

/// The minimum energy: silence.
const FLOOR: f32 = 1e-10;

/// The plan of a log-spectrogram: windows of 400 samples (periodic Hann), `hop` samples apart, and filters over the 201
/// bins of their power spectrum.
#[derive(Debug, Clone)]
pub struct Spectrogram {
    hop: usize,
    /// The window, rounded to f32 like the reference's, and halved: see `fft::power`.
    window: Vec<f64>,
    tables: fft::Tables,
    /// First bin and number of weights of each filter.
    spans: Vec<(usize, usize)>,
    /// Weights of all filters, without leading and trailing zeros.
    weights: Vec<f64>,
}

/// Scratch memory of one thread.
#[derive(Debug, Clone)]
pub struct SpectrogramScratch {
    /// Samples of the current frames, side by side.
    samples: Vec<[f32; FRAMES]>,
    fft: fft::Scratch,
    /// Power of each bin.
    power: Vec<[f64; FRAMES]>,
}

impl Spectrogram {
    /// Frames `hop` samples apart, and `filters` of shape `[filters, 201]`.
    ///
    /// # Panics
    /// When `hop` is 0 or `filters` is not a whole number of rows.
    #[must_use]
    pub fn new(hop: usize, filters: &[f32]) -> Self {
        assert!(hop > 0 && filters.len().is_multiple_of(BINS), "a hop, and whole filters");
        let hann = |i| 0.5 - 0.5 * roots::unit_root(i, WINDOW).0;
        let mut spans = Vec::new();
        let mut weights = Vec::new();
        for filter in filters.chunks_exact(BINS) {
            let first = filter.iter().position(|&weight| weight != 0.0).unwrap_or(0);
            let end = filter.iter().rposition(|&weight| weight != 0.0).map_or(first, |last| last + 1);
            spans.push((first, end - first));
            weights.extend(filter[first..end].iter().map(|&weight| f64::from(weight)));
        }
        Self {
            hop,
            window: (0..WINDOW).map(|i| 0.5 * f64::from(hann(i) as f32)).collect(),
            tables: fft::Tables::new(),
            spans,
            weights,
        }
    }

    /// Values per frame: the number of filters.
    #[must_use]
    pub fn filters(&self) -> usize {
        self.spans.len()
    }

    /// Distance between frames in samples.
    #[must_use]
    pub fn hop(&self) -> usize {
        self.hop
    }

    /// Samples needed for `frames` frames.
    #[must_use]
    pub fn samples(&self, frames: usize) -> usize {
        if frames == 0 { 0 } else { (frames - 1) * self.hop + WINDOW }
    }
}

impl Default for SpectrogramScratch {
    fn default() -> Self {
        Self { samples: vec![[0.0; FRAMES]; WINDOW], fft: fft::Scratch::default(), power: vec![[0.0; FRAMES]; BINS] }
    }
}

/// log10 of the energies of all filters in each frame: `out` is `[frames, filters]`.
#[inline(always)]
pub(crate) fn log_spectrogram<S: Simd + Doubles>(
    s: S,
    plan: &Spectrogram,
    samples: &[f32],
    scratch: &mut SpectrogramScratch,
    out: &mut [f32],
) {
    let filters = plan.filters();
    for (batch, out) in out.chunks_mut(FRAMES * filters).enumerate() {
        let frames = out.len() / filters;
        let first = &samples[batch * FRAMES * plan.hop..];
        let mut windows = [&first[..WINDOW]; FRAMES];
        for (lane, window) in windows.iter_mut().enumerate() {
            // Lanes without a frame repeat the last one.
            *window = &first[lane.min(frames - 1) * plan.hop..][..WINDOW];
        }
        for (i, beside) in scratch.samples[..WINDOW].iter_mut().enumerate() {
            for (sample, window) in beside.iter_mut().zip(windows) {
                *sample = window[i];
            }
        }
        for part in 0..S::PARTS {
            fft::power(s, part, &plan.window, &plan.tables, &scratch.samples, &mut scratch.fft, &mut scratch.power);
            energies(s, part, plan, &scratch.power, out);
        }
    }
    rows::map(s, out, Log10 { floor: FLOOR });
}

/// Energies of the filters in the frames of one part of the lanes, written to their rows of `out`.
#[inline(always)]
fn energies<S: Doubles>(s: S, part: usize, plan: &Spectrogram, power: &[[f64; FRAMES]], out: &mut [f32]) {
    let filters = plan.filters();
    let lanes = FRAMES / S::PARTS;
    let mut weights = &plan.weights[..];
    for (filter, &(first, len)) in plan.spans.iter().enumerate() {
        let (own, rest) = weights.split_at(len);
        weights = rest;
        let mut sum = s.splat_f64(0.0);
        for (&weight, power) in own.iter().zip(&power[first..first + len]) {
            sum = s.mul_add_f64(s.splat_f64(weight), s.load_f64(power, part), sum);
        }
        let mut energies = [0.0; FRAMES];
        s.store_f64(sum, &mut energies, part);
        let rows = out.chunks_exact_mut(filters).skip(part * lanes);
        for (row, &energy) in rows.zip(&energies[part * lanes..(part + 1) * lanes]) {
            row[filter] = energy as f32;
        }
    }
}
