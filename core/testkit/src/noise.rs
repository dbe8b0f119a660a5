//! Speech in noise.

/// `speech` with `noise` whose mean power is so many decibels below that of the speech. The noise begins at its sample
/// `start`, and again where it ends.
#[must_use]
pub fn mixed(speech: &[f32], noise: &[f32], start: usize, decibels: f64) -> Vec<f32> {
    let noise: Vec<f32> = noise.iter().copied().cycle().skip(start).take(speech.len()).collect();
    let gain = (energy(speech) / energy(&noise).max(1e-9) / 10f64.powf(decibels / 10.0)).sqrt() as f32;
    speech.iter().zip(&noise).map(|(speech, noise)| speech + gain * noise).collect()
}

/// Sum of the squares.
#[must_use]
pub fn energy(samples: &[f32]) -> f64 {
    samples.iter().map(|&sample| f64::from(sample).powi(2)).sum()
}
