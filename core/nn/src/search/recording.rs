//! Attention to the source, kept while tokens are fed: it says which part of the source a token belongs to.

use sotto_kernels::Heads;

/// Cross-attention of chosen heads, recorded while tokens are fed: `weights[head]` is `[rows, states]`.
#[derive(Debug)]
pub struct Recording<'a> {
    /// The chosen heads, as `(block, head)`.
    pub heads: &'a [(usize, usize)],
    /// What was kept of each.
    pub weights: Vec<Vec<f32>>,
    /// How many rows were recorded.
    pub rows: usize,
}

impl<'a> Recording<'a> {
    /// An empty recording of these heads.
    #[must_use]
    pub fn new(heads: &'a [(usize, usize)]) -> Self {
        Self { heads, weights: vec![Vec::new(); heads.len()], rows: 0 }
    }

    /// As many rows come with the next pass.
    pub(super) fn expect(&mut self, rows: usize) {
        self.rows += rows;
    }

    /// Forgets all rows from `len` on.
    pub fn truncate(&mut self, len: usize) {
        let rows = self.rows.max(1);
        for weights in &mut self.weights {
            weights.truncate(weights.len() / rows * len);
        }
        self.rows = self.rows.min(len);
    }

    /// Keeps one row of the chosen heads of block `block` out of attention weights: `heads.count()` rows, `states`
    /// values of each.
    pub fn take(&mut self, block: usize, weights: &[f32], heads: Heads, states: usize) {
        let stride = weights.len() / heads.count();
        for (head, kept) in self.of_block(block) {
            kept.extend_from_slice(&weights[head * stride..][..states]);
        }
    }

    /// The chosen heads of block `block`, and what was kept of each.
    pub fn of_block(&mut self, block: usize) -> impl Iterator<Item = (usize, &mut Vec<f32>)> {
        let chosen = self.heads.iter().zip(&mut self.weights);
        chosen.filter_map(move |(&(of, head), kept)| (of == block).then_some((head, kept)))
    }
}
