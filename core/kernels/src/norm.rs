//! Layer normalisation.

// PyTorch's and Whisper's epsilon.
const EPSILON: f32 = 1e-5;

/// Normalises each row of `width = weight.len()` values to zero mean and unit variance, then scales and shifts it.
///
/// # Panics
/// When `input` and `out` differ in length or are not whole rows.
pub fn layer_norm(input: &[f32], weight: &[f32], bias: &[f32], out: &mut [f32]) {
    let width = weight.len();
    assert!(bias.len() == width && input.len() == out.len() && input.len().is_multiple_of(width));
    for (row, out) in input.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
        let mean = sum(row, |x| x) / width as f32;
        let variance = sum(row, |x| (x - mean) * (x - mean)) / width as f32;
        let scale = 1.0 / (variance + EPSILON).sqrt();
        for (((out, x), weight), bias) in out.iter_mut().zip(row).zip(weight).zip(bias) {
            *out = (x - mean) * scale * weight + bias;
        }
    }
}

/// Sum of `f(x)` in 16 lanes, so that it vectorises and rounds the same everywhere.
fn sum(values: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; 16];
    let (blocks, rest) = values.as_chunks::<16>();
    let tail: f32 = rest.iter().map(|&x| f(x)).sum();
    for block in blocks {
        for (lane, &x) in lanes.iter_mut().zip(block) {
            *lane += f(x);
        }
    }
    lanes.iter().sum::<f32>() + tail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_normalised_independently() {
        let input: Vec<f32> = (0..34).map(|i| if i < 17 { i as f32 } else { 1e3 - i as f32 * 2.0 }).collect();
        let mut out = vec![0.0; 34];
        layer_norm(&input, &[1.0; 17], &[0.0; 17], &mut out);
        for row in out.chunks(17) {
            let mean = row.iter().sum::<f32>() / 17.0;
            let variance = row.iter().map(|x| x * x).sum::<f32>() / 17.0;
            assert!(mean.abs() < 1e-5 && (variance - 1.0).abs() < 1e-3);
        }
        assert!(out[0] < 0.0 && out[17] > 0.0);
    }
}
