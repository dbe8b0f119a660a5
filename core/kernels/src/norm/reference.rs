//! Norms in f32, as they are defined: for f32 networks, and as the reference of the kernels.

/// Normalises each row of `width = weight.len()` values to zero mean and unit variance, then scales and shifts it (Ba
/// et al. 2016). `epsilon` prevents a division by zero for a constant row.
///
/// # Panics
/// When `input` and `out` differ in length or are not whole rows.
pub fn layer_norm(input: &[f32], weight: &[f32], bias: &[f32], epsilon: f32, out: &mut [f32]) {
    let width = weight.len();
    assert!(bias.len() == width && input.len() == out.len() && input.len().is_multiple_of(width));
    for (row, out) in input.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
        let mean = sum(row, |x| x) / width as f32;
        let variance = sum(row, |x| (x - mean) * (x - mean)) / width as f32;
        let scale = 1.0 / (variance + epsilon).sqrt();
        for (((out, x), weight), bias) in out.iter_mut().zip(row).zip(weight).zip(bias) {
            *out = (x - mean) * scale * weight + bias;
        }
    }
}

/// Divides each row of `width = weight.len()` values by its root mean square, then scales it (Zhang and Sennrich 2019).
/// `epsilon` prevents a division by zero for a zero row.
///
/// # Panics
/// When `input` and `out` differ in length or are not whole rows.
pub fn rms_norm(input: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
    let width = weight.len();
    assert!(input.len() == out.len() && input.len().is_multiple_of(width));
    for (row, out) in input.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
        let scale = 1.0 / (sum(row, |x| x * x) / width as f32 + epsilon).sqrt();
        for ((out, x), weight) in out.iter_mut().zip(row).zip(weight) {
            *out = x * scale * weight;
        }
    }
}

/// Sum of `f(x)` in 16 lanes, so that it vectorises and rounds in the same way everywhere.
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
        layer_norm(&input, &[1.0; 17], &[0.0; 17], 1e-5, &mut out);
        for row in out.chunks(17) {
            let mean = row.iter().sum::<f32>() / 17.0;
            let variance = row.iter().map(|x| x * x).sum::<f32>() / 17.0;
            assert!(mean.abs() < 1e-5 && (variance - 1.0).abs() < 1e-3);
        }
        assert!(out[0] < 0.0 && out[17] > 0.0);
    }

    #[test]
    fn a_row_of_any_size_has_the_root_mean_square_one() {
        let input: Vec<f32> = (0..40).map(|i| if i < 20 { i as f32 } else { -1e-3 * i as f32 }).collect();
        let (mut out, mut zeros) = (vec![0.0; 40], [1.0; 20]);
        rms_norm(&input, &[2.0; 20], 0.0, &mut out);
        for (row, input) in out.chunks(20).zip(input.chunks(20)) {
            let mean_of_squares = row.iter().map(|x| x * x).sum::<f32>() / 20.0;
            assert!((mean_of_squares - 4.0).abs() < 1e-4);
            assert!(row.iter().zip(input).all(|(out, x)| out.signum() == x.signum() || *x == 0.0));
        }
        rms_norm(&[0.0; 20], &[2.0; 20], 1e-6, &mut zeros);
        assert_eq!(zeros, [0.0; 20]);
    }
}
