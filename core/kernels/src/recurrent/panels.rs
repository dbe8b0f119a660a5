//! Weight matrices in panels of eight outputs, and their product with a few input rows at once.
//!
//! The eight sums per row stay in registers while the loop goes through the inputs in order. So the loops vectorise
//! over outputs, and every sum has one defined order: the same bits on every CPU.

/// Outputs per panel: two SSE or NEON registers, one of AVX.
const LANES: usize = 8;

/// A matrix `[outputs, inputs]` with biases, packed as `[panel][input][lane]`; the last panel is padded with zeros.
#[derive(Debug)]
pub struct Panels {
    weights: Vec<[f32; LANES]>,
    biases: Vec<[f32; LANES]>,
    inputs: usize,
}

impl Panels {
    /// Packs `weight(output, input)` and `bias(output)`.
    #[must_use]
    pub fn pack(
        outputs: usize,
        inputs: usize,
        weight: impl Fn(usize, usize) -> f32,
        bias: impl Fn(usize) -> f32,
    ) -> Self {
        let lanes = |first: usize, value: &dyn Fn(usize) -> f32| {
            std::array::from_fn(|lane| if first + lane < outputs { value(first + lane) } else { 0.0 })
        };
        let firsts = || (0..outputs).step_by(LANES);
        Self {
            weights: firsts()
                .flat_map(|first| (0..inputs).map(move |input| (first, input)))
                .map(|(first, input)| lanes(first, &|output| weight(output, input)))
                .collect(),
            biases: firsts().map(|first| lanes(first, &bias)).collect(),
            inputs,
        }
    }

    /// Writes `weights · row + bias` for each of `R` rows, one slice of `out` per row.
    ///
    /// # Panics
    /// When a row is not of the width that the matrix was packed for.
    pub fn product<const R: usize>(&self, rows: [&[f32]; R], out: [&mut [f32]; R]) {
        for row in rows {
            assert_eq!(row.len(), self.inputs, "width of the input row");
        }
        let mut out = out;
        for (panel, (weights, bias)) in self.weights.chunks_exact(self.inputs).zip(&self.biases).enumerate() {
            let mut sums = [*bias; R];
            // Cut to the length of the panel, so that the compiler sees that no index is out of bounds.
            let rows = rows.map(|row| &row[..weights.len()]);
            for (input, weights) in weights.iter().enumerate() {
                for (sums, row) in sums.iter_mut().zip(rows) {
                    let value = row[input];
                    for (sum, weight) in sums.iter_mut().zip(weights) {
                        *sum += value * weight;
                    }
                }
            }
            for (out, sums) in out.iter_mut().zip(&sums) {
                let first = panel * LANES;
                let end = out.len().min(first + LANES);
                out[first..end].copy_from_slice(&sums[..end - first]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_product_is_that_of_the_unpacked_matrix() {
        for (outputs, inputs) in [(1, 1), (7, 3), (8, 5), (9, 4), (258, 16)] {
            let weight = |output: usize, input: usize| ((output * 31 + input * 17) % 13) as f32 - 6.0;
            let bias = |output: usize| output as f32 * 0.5;
            let panels = Panels::pack(outputs, inputs, weight, bias);
            let rows: [Vec<f32>; 2] = [(0..inputs).map(|i| i as f32).collect(), vec![-1.0; inputs]];
            let (mut first, mut second) = (vec![0.0; outputs], vec![0.0; outputs]);
            panels.product([&rows[0], &rows[1]], [&mut first, &mut second]);
            for (row, out) in rows.iter().zip([first, second]) {
                let expected: Vec<f32> = (0..outputs)
                    .map(|output| {
                        bias(output) + (0..inputs).map(|input| weight(output, input) * row[input]).sum::<f32>()
                    })
                    .collect();
                assert_eq!(out, expected, "{outputs} x {inputs}");
            }
        }
    }
}
