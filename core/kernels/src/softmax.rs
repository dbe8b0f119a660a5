//! Softmax and its logarithm over one row.

use crate::exp;

/// Turns scores into probabilities in place. `-inf` becomes 0; a row of only `-inf` becomes all zeros.
pub fn softmax(row: &mut [f32]) {
    let max = max(row);
    if max == f32::NEG_INFINITY {
        row.fill(0.0);
        return;
    }
    let mut lanes = [0.0f32; 16];
    let (blocks, rest) = row.as_chunks_mut::<16>();
    for block in blocks {
        for (lane, value) in lanes.iter_mut().zip(block) {
            *value = exp(*value - max);
            *lane += *value;
        }
    }
    let mut total: f32 = lanes.iter().sum();
    for value in rest {
        *value = exp(*value - max);
        total += *value;
    }
    let scale = 1.0 / total;
    for value in row {
        *value *= scale;
    }
}

/// Log-probabilities of a row of logits in place, summed in f64: vocabularies of 50,000 words lose digits in f32.
pub fn log_softmax(row: &mut [f32]) {
    let max = max(row);
    if max == f32::NEG_INFINITY {
        return;
    }
    let total: f64 = row.iter().map(|&x| f64::from(exp(x - max))).sum();
    let shift = max + total.ln() as f32;
    for value in row {
        *value -= shift;
    }
}

/// The highest value, found in 16 lanes so that it vectorises.
fn max(row: &[f32]) -> f32 {
    let (blocks, rest) = row.as_chunks::<16>();
    let mut lanes = [f32::NEG_INFINITY; 16];
    for block in blocks {
        for (lane, &value) in lanes.iter_mut().zip(block) {
            *lane = if value > *lane { value } else { *lane };
        }
    }
    lanes.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_sum_to_one_and_keep_their_order() {
        for len in [1, 5, 16, 33, 1500] {
            let mut row: Vec<f32> = (0..len).map(|i| (i * 37 % 101) as f32 / 10.0).collect();
            let order = row.clone();
            softmax(&mut row);
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            assert!((1..len).all(|i| (order[i] > order[i - 1]) == (row[i] > row[i - 1])));
        }
    }

    #[test]
    fn masked_entries_get_nothing() {
        let mut row = [f32::NEG_INFINITY, 1.0, f32::NEG_INFINITY];
        softmax(&mut row);
        assert_eq!(row, [0.0, 1.0, 0.0]);
        let mut all = [f32::NEG_INFINITY; 20];
        softmax(&mut all);
        assert_eq!(all, [0.0; 20]);
    }

    #[test]
    fn log_softmax_is_the_logarithm_of_softmax() {
        let mut log: Vec<f32> = (0..500).map(|i| (i * 31 % 97) as f32 / 7.0).collect();
        let mut probability = log.clone();
        log_softmax(&mut log);
        softmax(&mut probability);
        for (log, probability) in log.iter().zip(&probability) {
            assert!((log.exp() - probability).abs() < 1e-6);
        }
    }
}
