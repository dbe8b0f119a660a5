//! Position embeddings: sinusoids that are added to rows, and rotations of queries and keys.

/// Sinusoidal embeddings, `[positions, width]`: sines in the first half of each row, cosines in the second; the
/// wavelength of pair `i` is `2π · 10,000^(2i / width)` (Vaswani et al. 2017, §3.5, in the order of tensor2tensor
/// and Marian).
#[must_use]
pub fn sinusoids(positions: usize, width: usize) -> Vec<f32> {
    let half = width / 2;
    let mut table = vec![0.0; positions * width];
    for (position, row) in table.chunks_exact_mut(width.max(1)).enumerate() {
        for i in 0..half {
            let (sine, cosine) = (position as f64 * frequency(i, width, 10_000.0)).sin_cos();
            (row[i], row[half + i]) = (sine as f32, cosine as f32);
        }
    }
    table
}

/// Which two values of a head are rotated as a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotaryPairs {
    /// Neighbours, as in Meta's Llama and GGUF's `llama`.
    Neighbours,
    /// One from each half, as in Hugging Face's models and GGUF's `qwen2` and `gemma`.
    Halves,
}

/// Rotary position embedding (Su et al. 2021): rotates pairs of each head's values by angles proportional to the
/// position, so that the scores of queries and keys depend on their distance.
#[derive(Debug, Clone)]
pub struct Rotary {
    pairs: RotaryPairs,
    /// Cosine and sine, `[positions, head width / 2]`.
    turns: Vec<(f32, f32)>,
    half: usize,
}

impl Rotary {
    /// A table for heads of `head_width` values and the given number of positions; `base` is 10,000 in Llama and up to
    /// a million in other models.
    #[must_use]
    pub fn new(pairs: RotaryPairs, head_width: usize, positions: usize, base: f64) -> Self {
        let half = head_width / 2;
        let turn = |position: usize, i: usize| {
            let (sine, cosine) = (position as f64 * frequency(i, head_width, base)).sin_cos();
            (cosine as f32, sine as f32)
        };
        let turns = (0..positions).flat_map(|position| (0..half).map(move |i| turn(position, i))).collect();
        Self { pairs, turns, half }
    }

    /// Rotates every head of a row, in place.
    ///
    /// # Panics
    /// When there is no such position, or `head_width` is not the one that the table was made for.
    pub fn turn(&self, row: &mut [f32], head_width: usize, position: usize) {
        assert_eq!(head_width / 2, self.half, "a rotation for heads of another width");
        let turns = &self.turns[position * self.half..(position + 1) * self.half];
        for head in row.chunks_exact_mut(head_width) {
            for (i, &(cosine, sine)) in turns.iter().enumerate() {
                let (first, second) = match self.pairs {
                    RotaryPairs::Neighbours => (2 * i, 2 * i + 1),
                    RotaryPairs::Halves => (i, self.half + i),
                };
                let (x, y) = (head[first], head[second]);
                (head[first], head[second]) = (x * cosine - y * sine, x * sine + y * cosine);
            }
        }
    }
}

fn frequency(pair: usize, width: usize, base: f64) -> f64 {
    base.powf(-2.0 * pair as f64 / width as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sinusoids_begin_with_sines_and_end_with_cosines() {
        let table = sinusoids(3, 4);
        let expected = [0.0, 0.0, 1.0, 1.0, 0.841, 0.01, 0.540, 1.0, 0.909, 0.02, -0.416, 1.0];
        assert_eq!(table.len(), expected.len());
        assert!(table.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-3), "{table:?}");
    }

    #[test]
    fn products_of_turned_rows_depend_on_their_distance() {
        let query = [0.3, -1.2, 0.7, 0.1, 2.0, 0.4, -0.6, 1.1];
        let key = [1.0, 0.2, -0.4, 0.9, -0.1, 0.5, 0.8, -1.0];
        for pairs in [RotaryPairs::Neighbours, RotaryPairs::Halves] {
            let rotary = Rotary::new(pairs, 8, 30, 10_000.0);
            let product = |of_query: usize, of_key: usize| -> f32 {
                let (mut query, mut key) = (query, key);
                rotary.turn(&mut query, 8, of_query);
                rotary.turn(&mut key, 8, of_key);
                query.iter().zip(key).map(|(q, k)| q * k).sum()
            };
            assert!((product(9, 4) - product(25, 20)).abs() < 1e-4, "{pairs:?}");
            assert!((product(9, 4) - product(9, 5)).abs() > 1e-2, "{pairs:?}");
        }
    }

    #[test]
    fn a_turn_keeps_the_other_layout_apart() {
        let turned = |pairs| {
            let mut row = [1.0, 0.0, 0.0, 0.0];
            Rotary::new(pairs, 4, 2, 10_000.0).turn(&mut row, 4, 1);
            row
        };
        let (cosine, sine) = (1f32.cos(), 1f32.sin());
        for (found, expected) in [
            (turned(RotaryPairs::Neighbours), [cosine, sine, 0.0, 0.0]),
            (turned(RotaryPairs::Halves), [cosine, 0.0, sine, 0.0]),
        ] {
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}");
        }
    }
}
