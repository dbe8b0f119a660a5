//! The resampler: exact length, no delay, no aliases, and nothing that depends on how the input is cut.

// Helpers of tests unwrap as tests do.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use sotto_audio::{AudioError, Resampler};

const RATES: [u32; 14] =
    [1000, 8000, 11_025, 12_345, 16_000, 22_050, 24_000, 32_000, 44_100, 44_101, 48_000, 96_000, 192_000, 384_000];

// Emulated CPUs compute the same bits slowly: one rate of each kind is enough there.
fn rates() -> impl Iterator<Item = u32> {
    RATES.into_iter().filter(|rate| cfg!(target_arch = "x86_64") || [1000, 16_000, 44_100, 44_101].contains(rate))
}

fn resample(rate: u32, channels: u32, input: &[f32]) -> Vec<f32> {
    let mut resampler = Resampler::new(rate, channels).unwrap();
    let mut out = Vec::new();
    resampler.push(input, &mut out);
    resampler.finish(&mut out);
    out
}

fn tone(rate: u32, hz: f64, frames: usize) -> Vec<f32> {
    (0..frames).map(|i| (std::f64::consts::TAU * hz * i as f64 / f64::from(rate)).sin() as f32 * 0.5).collect()
}

/// Energy in dB of full scale, without the ends, where a signal that starts abruptly is not a pure tone.
fn level(samples: &[f32], skip: usize) -> f64 {
    let inner = &samples[skip..samples.len() - skip];
    let power = inner.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>() / inner.len() as f64;
    10.0 * power.max(1e-30).log10()
}

#[test]
fn the_length_is_that_of_the_input() {
    for rate in rates() {
        for frames in [0u64, 1, 2, 159, 1000, 44_099, 44_100, 44_101] {
            let out = resample(rate, 1, &vec![0.1; frames as usize]);
            let expected = (frames as f64 * 16_000.0 / f64::from(rate)).round() as usize;
            assert_eq!(out.len(), expected, "{frames} frames at {rate} Hz");
        }
    }
}

/// Harmonics up to 3.4 kHz whose pitch and loudness change, as in a voice, at `t` seconds.
fn voice(t: f64) -> f32 {
    let pitch = 110.0 * t + 8.0 * (2.0 * t).sin();
    let harmonic = |k: i32| (std::f64::consts::TAU * pitch * f64::from(k)).sin() / f64::from(k);
    ((1..24).map(harmonic).sum::<f64>() * (0.2 + 0.1 * (9.0 * t).sin())) as f32
}

#[test]
fn a_voice_comes_out_as_it_is_sampled_at_the_other_rate() {
    let sampled = |rate: u32, frames: usize| (0..frames).map(|i| voice(i as f64 / f64::from(rate))).collect::<Vec<_>>();
    for rate in rates().filter(|&rate| rate >= 8000) {
        let out = resample(rate, 1, &sampled(rate, rate as usize));
        let expected = sampled(16_000, out.len());
        let error: Vec<f32> = out.iter().zip(&expected).map(|(a, b)| a - b).collect();
        let noise = level(&error, 2000) - level(&expected, 2000);
        assert!(noise < -80.0, "{rate} Hz: error {noise:.1} dB");
    }
}

#[test]
fn tones_keep_their_phase_and_level() {
    for rate in rates() {
        let nyquist = f64::from(rate.min(16_000)) / 2.0;
        for part in [0.02, 0.3, 0.7, 0.9] {
            let hz = nyquist * part;
            let out = resample(rate, 1, &tone(rate, hz, rate as usize / 2));
            let expected = tone(16_000, hz, out.len());
            let error: Vec<f32> = out.iter().zip(&expected).map(|(a, b)| a - b).collect();
            let noise = level(&error, 2000) - level(&expected, 2000);
            assert!(noise < -80.0, "{hz} Hz at {rate} Hz: error {noise:.1} dB");
        }
    }
}

#[test]
fn what_speech_models_cannot_hear_does_not_fold_back() {
    for rate in rates().filter(|&rate| rate > 16_000) {
        let nyquist = f64::from(rate) / 2.0;
        for hz in [8000.0, 8100.0, 8500.0, 9600.0, 11_000.0, 15_900.0, 16_000.0, 17_000.0, 23_000.0, 40_000.0] {
            if hz < nyquist {
                let out = resample(rate, 1, &tone(rate, hz, rate as usize / 2));
                // A tone of half full scale has -9 dB.
                let alias = level(&out, 2000) + 9.0;
                assert!(alias < -80.0, "{hz} Hz at {rate} Hz leaves {alias:.1} dB");
            }
        }
    }
}

#[test]
fn a_constant_stays_constant() {
    for rate in rates() {
        let out = resample(rate, 1, &vec![0.25; rate as usize]);
        for &x in &out[2000..out.len() - 2000] {
            assert!((x - 0.25).abs() < 1e-5, "{rate} Hz: {x}");
        }
    }
}

#[test]
fn channels_are_mixed_by_their_mean() {
    let frames: Vec<f32> = (0..100).flat_map(|i| [i as f32, 0.0, 3.0, -1.0]).collect();
    let expected: Vec<f32> = (0..100).map(|i| (i as f32 + 2.0) / 4.0).collect();
    assert_eq!(resample(16_000, 4, &frames), expected);
    let pairs: Vec<f32> = (0..100).flat_map(|i| [i as f32, 1.0]).collect();
    assert_eq!(resample(16_000, 2, &pairs), (0..100).map(|i| (i as f32 + 1.0) / 2.0).collect::<Vec<_>>());
}

#[test]
fn the_right_rate_passes_through_unchanged() {
    let samples = tone(16_000, 1234.5, 5000);
    assert_eq!(resample(16_000, 1, &samples), samples);
}

#[test]
fn a_finished_resampler_starts_again() {
    let samples = tone(44_100, 500.0, 10_000);
    let mut resampler = Resampler::new(44_100, 1).unwrap();
    let (mut first, mut second) = (Vec::new(), Vec::new());
    resampler.push(&samples, &mut first);
    resampler.finish(&mut first);
    resampler.push(&samples, &mut second);
    resampler.finish(&mut second);
    assert_eq!(first, second);
}

#[test]
fn impossible_rates_and_channels_are_refused() {
    for rate in [0, 1, 999, 384_001, 10_000_000, u32::MAX] {
        assert!(matches!(Resampler::new(rate, 1), Err(AudioError::SampleRate { rate: r, .. }) if r == rate));
    }
    for channels in [0, 33, 65_535, u32::MAX] {
        assert!(
            matches!(Resampler::new(48_000, channels), Err(AudioError::Channels { channels: c, .. }) if c == channels)
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(target_arch = "x86_64") { 48 } else { 8 }))]

    #[test]
    fn the_output_does_not_depend_on_how_the_input_is_cut(
        rate in prop::sample::select(rates().collect::<Vec<_>>()),
        channels in 1u32..4,
        samples in prop::collection::vec(-1.0f32..1.0, 0..9000),
        cuts in prop::collection::vec(0usize..2500, 0..20),
    ) {
        let whole = resample(rate, channels, &samples);
        let mut resampler = Resampler::new(rate, channels).unwrap();
        let mut out = Vec::new();
        let mut rest = samples.as_slice();
        for size in cuts {
            let (piece, after) = rest.split_at(size.min(rest.len()));
            resampler.push(piece, &mut out);
            rest = after;
        }
        resampler.push(rest, &mut out);
        resampler.finish(&mut out);
        prop_assert_eq!(out, whole);
    }
}
