//! Slaney's mel filterbank, as librosa 0.9 `filters.mel(sr=16000, n_fft=400)` built it for OpenAI's `mel_filters.npz`.

use super::WINDOW;
use crate::pcm::SAMPLE_RATE;

/// Spectrum bins of a 400-point real FFT, 0 Hz to 8 kHz.
pub(super) const BINS: usize = WINDOW / 2 + 1;

/// Triangular mel filters for `n_mels` bins over the 201 bins of a 400-point spectrum at 16 kHz, row-major
/// `[n_mels, 201]`, each of unit area (Slaney's normalisation).
///
/// Source of the scale: M. Slaney, "Auditory Toolbox", 1998: linear below 1 kHz, logarithmic above.
#[must_use]
pub fn mel_filterbank(n_mels: usize) -> Vec<f32> {
    let nyquist = f64::from(SAMPLE_RATE) / 2.0;
    let top = mel_of_hz(nyquist);
    let edges: Vec<f64> = (0..n_mels + 2).map(|i| hz_of_mel(top * i as f64 / (n_mels + 1) as f64)).collect();
    let mut filters = Vec::with_capacity(n_mels * BINS);
    for edge in edges.windows(3) {
        let (low, centre, high) = (edge[0], edge[1], edge[2]);
        let area = 2.0 / (high - low);
        filters.extend((0..BINS).map(|bin| {
            let hz = nyquist * bin as f64 / (BINS - 1) as f64;
            let rising = (hz - low) / (centre - low);
            let falling = (high - hz) / (high - centre);
            (rising.min(falling).max(0.0) * area) as f32
        }));
    }
    filters
}

// 200/3 Hz per mel up to 1 kHz = 15 mel, then 27 mel per factor of 6.4.
const HZ_PER_MEL: f64 = 200.0 / 3.0;
const KNEE_HZ: f64 = 1000.0;
const KNEE_MEL: f64 = KNEE_HZ / HZ_PER_MEL;
const MEL_PER_OCTAVE_OF_6_4: f64 = 27.0;

fn mel_of_hz(hz: f64) -> f64 {
    if hz < KNEE_HZ {
        hz / HZ_PER_MEL
    } else {
        KNEE_MEL + libm::log(hz / KNEE_HZ) / libm::log(6.4) * MEL_PER_OCTAVE_OF_6_4
    }
}

fn hz_of_mel(mel: f64) -> f64 {
    if mel < KNEE_MEL {
        mel * HZ_PER_MEL
    } else {
        KNEE_HZ * libm::exp((mel - KNEE_MEL) / MEL_PER_OCTAVE_OF_6_4 * libm::log(6.4))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_is_its_own_inverse_and_meets_at_the_knee() {
        for hz in [0.0, 440.0, 999.9, 1000.0, 1000.1, 4321.0, 8000.0] {
            assert!((hz_of_mel(mel_of_hz(hz)) - hz).abs() < 1e-9, "{hz}");
        }
        assert!((mel_of_hz(1000.0) - 15.0).abs() < 1e-9);
    }
}
