//! 16 kHz mono samples, checked once.

use crate::AudioError;
use crate::sample::first_unusable;

/// Sampling rate of everything downstream of this crate, in Hz.
pub const SAMPLE_RATE: u32 = 16_000;

/// Finite 16 kHz mono samples, full scale ±1.
///
/// A value of this type was checked: no sample is NaN or infinite. Lossy decoders and resampling may slightly exceed
/// full scale; such samples are kept.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Pcm16k(Vec<f32>);

impl Pcm16k {
    /// Checks 16 kHz mono samples. Cost: one pass.
    ///
    /// # Errors
    /// [`AudioError::NotFinite`] with the index of the first sample that is NaN, infinite or beyond a million times
    /// full scale.
    pub fn new(samples: Vec<f32>) -> Result<Self, AudioError> {
        match first_unusable(&samples) {
            None => Ok(Self(samples)),
            Some(index) => Err(AudioError::NotFinite {
                source_name: "samples".into(),
                index: index as u64,
                seconds: index as f64 / f64::from(SAMPLE_RATE),
            }),
        }
    }

    /// The samples.
    #[must_use]
    pub fn samples(&self) -> &[f32] {
        &self.0
    }

    /// Length in seconds.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.0.len() as f64 / f64::from(SAMPLE_RATE)
    }

    /// The samples, without a copy.
    #[must_use]
    pub fn into_samples(self) -> Vec<f32> {
        self.0
    }
}

impl AsRef<[f32]> for Pcm16k {
    fn as_ref(&self) -> &[f32] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_names_the_first_bad_sample() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX] {
            let mut samples = vec![0.25; 48_000];
            samples[16_000] = bad;
            samples[40_000] = bad;
            match Pcm16k::new(samples) {
                Err(AudioError::NotFinite { index: 16_000, seconds, .. }) => assert_eq!(seconds, 1.0),
                other => panic!("{bad}: {other:?}"),
            }
        }
    }

    #[test]
    fn samples_pass_through_unchanged() {
        let pcm = Pcm16k::new(vec![0.5, -1.25, 0.0, 1.0]).unwrap();
        assert_eq!(pcm.samples(), [0.5, -1.25, 0.0, 1.0]);
        assert_eq!(pcm.seconds(), 4.0 / 16_000.0);
        assert_eq!(pcm.into_samples(), [0.5, -1.25, 0.0, 1.0]);
    }
}
