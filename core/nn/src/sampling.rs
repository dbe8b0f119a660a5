//! Choosing a token from scores.

/// A small, fast, seedable generator (SplitMix64, Steele et al. 2014): sampling must repeat for a seed, not be secret.
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    /// A generator whose whole sequence follows from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in `[0, 1)`.
    pub fn next_f64(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Index of the highest score; the first of equals. 0 for an empty or all `-inf` row.
#[must_use]
pub fn argmax(scores: &[f32]) -> usize {
    sotto_kernels::argmax(scores)
}

/// Draws an index with probability `softmax(scores / temperature)`; the highest score at temperature 0.
#[must_use]
pub fn sample(scores: &[f32], temperature: f32, rng: &mut Rng) -> usize {
    let best = argmax(scores);
    if temperature <= 0.0 || scores.is_empty() {
        return best;
    }
    let weight = |score: f32| f64::from(sotto_kernels::exp((score - scores[best]) / temperature));
    let mut left = rng.next_f64() * scores.iter().map(|&score| weight(score)).sum::<f64>();
    for (index, &score) in scores.iter().enumerate() {
        left -= weight(score);
        if left < 0.0 {
            return index;
        }
    }
    best
}

/// The highest scores of a row, best first; the first of equals. Its memory serves any number of rows.
#[derive(Debug, Default)]
pub struct Top {
    count: usize,
    best: Vec<(usize, f32)>,
}

impl Top {
    /// Forgets all scores; from here on the `count` best are kept.
    pub fn clear(&mut self, count: usize) {
        self.count = count;
        self.best.clear();
        self.best.reserve(count + 1);
    }

    /// Looks at the score of every index of a row.
    pub fn offer_row(&mut self, scores: impl IntoIterator<Item = f32>) {
        for (index, score) in scores.into_iter().enumerate() {
            self.offer(index, score);
        }
    }

    /// Looks at one score, in any order of indices; `-inf` is left out.
    pub fn offer(&mut self, index: usize, score: f32) {
        let worse = |&(other, kept): &(usize, f32)| score < kept || (score == kept && index > other);
        if score == f32::NEG_INFINITY || (self.best.len() == self.count && self.best.last().is_none_or(worse)) {
            return;
        }
        let place = self.best.partition_point(worse);
        self.best.insert(place, (index, score));
        self.best.truncate(self.count);
    }

    /// What was kept, as `(index, score)`.
    #[must_use]
    pub fn best(&self) -> &[(usize, f32)] {
        &self.best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_follow_the_softmax_of_the_scores() {
        let scores = [0.0, 1.0, f32::NEG_INFINITY, 2.0];
        let mut rng = Rng::new(7);
        let mut counts = [0.0; 4];
        for _ in 0..20_000 {
            counts[sample(&scores, 1.0, &mut rng)] += 1.0 / 20_000.0;
        }
        let total: f64 = scores.iter().map(|&s| f64::from(s).exp()).sum();
        for (count, score) in counts.iter().zip(scores) {
            assert!((count - f64::from(score).exp() / total).abs() < 0.02);
        }
    }

    #[test]
    fn temperature_zero_takes_the_best_and_seeds_repeat() {
        assert_eq!(sample(&[1.0, 3.0, 3.0], 0.0, &mut Rng::new(1)), 1);
        let draw = |seed| {
            let mut rng = Rng::new(seed);
            (0..20).map(|_| sample(&[0.0; 50], 1.0, &mut rng)).collect::<Vec<_>>()
        };
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
    }

    fn top(scores: &[f32], count: usize) -> Vec<(usize, f32)> {
        let mut top = Top::default();
        // What another row left does not count.
        top.clear(9);
        top.offer_row([7.0; 20]);
        top.clear(count);
        top.offer_row(scores.iter().copied());
        top.best().to_vec()
    }

    #[test]
    fn top_keeps_the_best_in_order_without_forbidden_ones() {
        let scores = [1.0, f32::NEG_INFINITY, 5.0, 3.0, 5.0];
        assert_eq!(top(&scores, 3), [(2, 5.0), (4, 5.0), (3, 3.0)]);
        assert_eq!(top(&[f32::NEG_INFINITY; 3], 2), []);
    }

    #[test]
    fn the_order_in_which_scores_are_offered_does_not_matter() {
        let mut rng = Rng::new(5);
        // Many equals.
        let scores: Vec<f32> = (0..200).map(|_| (rng.next_u64() % 40) as f32).collect();
        let expected = top(&scores, 12);
        for _ in 0..50 {
            let mut order: Vec<usize> = (0..scores.len()).collect();
            order.sort_by_cached_key(|_| rng.next_u64());
            let mut top = Top::default();
            top.clear(12);
            order.into_iter().for_each(|index| top.offer(index, scores[index]));
            assert_eq!(top.best(), expected);
        }
    }
}
