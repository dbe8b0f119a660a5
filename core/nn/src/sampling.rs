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
}
