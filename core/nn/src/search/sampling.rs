//! Choosing a token from scores.

/// A small, fast, seedable generator (SplitMix64, Steele et al. 2014). Sampling must be reproducible for a seed; it
/// need not be secret.
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    /// A generator whose sequence is determined by `seed`.
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
    drawn(scores.iter().enumerate().map(|(index, &score)| (index, weight(score))), rng).unwrap_or(best)
}

/// Draws an index with a probability proportional to its weight; `None` if rounding leaves none.
fn drawn(weighted: impl Iterator<Item = (usize, f64)> + Clone, rng: &mut Rng) -> Option<usize> {
    let mut left = rng.next_f64() * weighted.clone().map(|(_, weight)| weight).sum::<f64>();
    let mut weighted = weighted;
    let (index, _) = weighted.find(|&(_, weight)| {
        left -= weight;
        left < 0.0
    })?;
    Some(index)
}

/// How a token is drawn: the temperature, and filters that exclude tokens. Filters apply in the order of the fields, to
/// the probabilities at this temperature; the most likely token is never excluded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Logits are divided by it: 0 takes the most likely token, 1 samples from the network's distribution.
    pub temperature: f32,
    /// Keeps this many of the most likely tokens (Fan et al. 2018).
    pub top_k: Option<usize>,
    /// Keeps the smallest set of most likely tokens that together have this probability (Holtzman et al. 2020).
    pub top_p: Option<f32>,
    /// Keeps tokens with at least this fraction of the probability of the most likely one (Nguyen et al. 2024).
    pub min_p: Option<f32>,
}

impl Sampling {
    /// Samples from all tokens at a temperature.
    #[must_use]
    pub fn at(temperature: f32) -> Self {
        Self { temperature, top_k: None, top_p: None, min_p: None }
    }

    /// Draws an index. Scores are log-probabilities or logits; `-inf` is never drawn. Cost: one pass over the scores,
    /// and a sort if there are filters.
    #[must_use]
    pub fn draw(&self, scores: &[f32], rng: &mut Rng) -> usize {
        let Self { temperature, top_k, top_p, min_p } = *self;
        if temperature <= 0.0 || scores.is_empty() || (top_k, top_p, min_p) == (None, None, None) {
            return sample(scores, temperature, rng);
        }
        let mut order: Vec<usize> = (0..scores.len()).filter(|&index| scores[index] > f32::NEG_INFINITY).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        order.truncate(top_k.unwrap_or(usize::MAX).max(1));
        let Some(&best) = order.first() else { return argmax(scores) };
        let weight = |index: usize| f64::from(sotto_kernels::exp((scores[index] - scores[best]) / temperature));
        let mut weights: Vec<f64> = order.iter().map(|&index| weight(index)).collect();
        if let Some(top_p) = top_p {
            let enough = f64::from(top_p) * weights.iter().sum::<f64>();
            let mut sum = 0.0;
            let kept = weights.iter().position(|weight| {
                sum += weight;
                sum >= enough
            });
            weights.truncate(kept.map_or(weights.len(), |last| last + 1));
        }
        if let Some(min_p) = min_p {
            // The most likely token has weight 1.
            let kept = weights.iter().take_while(|&&weight| weight >= f64::from(min_p)).count();
            weights.truncate(kept.max(1));
        }
        drawn(order.iter().copied().zip(weights.iter().copied()), rng).unwrap_or(best)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tokens that are ever drawn of four with the probabilities 0.4, 0.3, 0.2 and 0.1.
    fn drawn(sampling: Sampling) -> Vec<usize> {
        let scores = [0.2f32.ln(), 0.4f32.ln(), f32::NEG_INFINITY, 0.1f32.ln(), 0.3f32.ln()];
        let mut rng = Rng::new(11);
        let mut seen: Vec<usize> = (0..2000).map(|_| sampling.draw(&scores, &mut rng)).collect();
        seen.sort_unstable();
        seen.dedup();
        seen
    }

    #[test]
    fn filters_leave_the_likeliest() {
        let all = Sampling::at(1.0);
        assert_eq!(drawn(all), [0, 1, 3, 4]);
        assert_eq!(drawn(Sampling { top_k: Some(2), ..all }), [1, 4]);
        assert_eq!(drawn(Sampling { top_k: Some(0), ..all }), [1]);
        assert_eq!(drawn(Sampling { top_p: Some(0.65), ..all }), [1, 4]);
        assert_eq!(drawn(Sampling { top_p: Some(0.75), ..all }), [0, 1, 4]);
        assert_eq!(drawn(Sampling { top_p: Some(0.0), ..all }), [1]);
        assert_eq!(drawn(Sampling { min_p: Some(0.6), ..all }), [1, 4]);
        assert_eq!(drawn(Sampling { min_p: Some(0.4), ..all }), [0, 1, 4]);
        assert_eq!(drawn(Sampling { min_p: Some(2.0), ..all }), [1]);
        // Of the two that are kept, with 0.57 and 0.43, the first alone is enough.
        assert_eq!(drawn(Sampling { top_k: Some(2), top_p: Some(0.5), ..all }), [1]);
        // At a low temperature the most likely token has nearly all the probability.
        assert_eq!(drawn(Sampling { top_p: Some(0.9), temperature: 0.1, ..all }), [1]);
        assert_eq!(drawn(Sampling { top_k: Some(3), temperature: 0.0, ..all }), [1]);
        assert_eq!(Sampling { top_k: Some(3), ..all }.draw(&[f32::NEG_INFINITY; 3], &mut Rng::new(1)), 0);
    }

    #[test]
    fn what_stays_keeps_its_proportions() {
        let scores = [0.2f32.ln(), 0.4f32.ln(), 0.1f32.ln(), 0.3f32.ln()];
        let (mut rng, mut counts) = (Rng::new(5), [0.0f64; 4]);
        let sampling = Sampling { top_k: Some(3), ..Sampling::at(1.0) };
        (0..20_000).for_each(|_| counts[sampling.draw(&scores, &mut rng)] += 1.0 / 20_000.0);
        for (count, expected) in counts.iter().zip([2.0 / 9.0, 4.0 / 9.0, 0.0, 3.0 / 9.0]) {
            assert!((count - expected).abs() < 0.02, "{counts:?}");
        }
    }

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
