//! Positions of the encoder: Whisper's are sinusoids (Vaswani et al. 2017, §3.5; reference: openai/whisper
//! `model.py`), which a packed file may leave out.

use half::f16;

use super::Dimensions;

/// The tensor.
pub(super) const NAME: &str = "encoder.embed_positions.weight";

/// Sines in the first half of each row, cosines in the second, of wavelengths from 2π to 10,000 · 2π.
///
/// Rounded to half precision: differences between mathematics libraries are far smaller, so all platforms have the same
/// bits.
pub(super) fn sinusoids(positions: usize, width: usize) -> Vec<f32> {
    let half = width / 2;
    let step = 10_000f64.ln() / (half.max(2) - 1) as f64;
    let frequencies: Vec<f64> = (0..half).map(|i| (-step * i as f64).exp()).collect();
    let mut table = vec![0.0; positions * width];
    for (position, row) in table.chunks_exact_mut(width.max(1)).enumerate() {
        for (i, frequency) in frequencies.iter().enumerate() {
            let (sine, cosine) = (position as f64 * frequency).sin_cos();
            row[i] = f16::from_f64(sine).to_f32();
            row[half + i] = f16::from_f64(cosine).to_f32();
        }
    }
    table
}

/// Whether a table holds the sinusoids, up to rounding: in f32 the angle of a late position is off by 10⁻⁴, and
/// files use half precision.
pub(super) fn is_sinusoids(table: &[f32], dimensions: &Dimensions) -> bool {
    let expected = sinusoids(dimensions.audio_context, dimensions.width);
    table.len() == expected.len() && table.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 2e-3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sinusoids_are_those_of_the_reference() {
        let table = sinusoids(3, 4);
        let expected = [0.0, 0.0, 1.0, 1.0, 0.841, 0.0001, 0.540, 1.0, 0.909, 0.0002, -0.416, 1.0];
        assert!(table.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-3), "{table:?}");
    }
}
