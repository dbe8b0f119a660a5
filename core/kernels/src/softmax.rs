//! Softmax, log-softmax and argmax of one row, with the best kernels of this CPU: the same bits on every CPU.

use crate::KernelSet;

/// Turns scores into probabilities in place. `-inf` becomes 0; a row of only `-inf` becomes all zeros.
pub fn softmax(row: &mut [f32]) {
    if !row.is_empty() {
        KernelSet::best().softmax(row.len(), row);
    }
}

/// Log-probabilities of a row of logits in place: see [`KernelSet::log_softmax`].
pub fn log_softmax(row: &mut [f32]) {
    KernelSet::best().log_softmax(row);
}

/// Index of the largest value: see [`KernelSet::argmax`].
#[must_use]
pub fn argmax(row: &[f32]) -> usize {
    KernelSet::best().argmax(row)
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
