//! Recorded cross-attention: it shows which part of the source a token belongs to.

use sotto_kernels::Heads;

/// Cross-attention of chosen heads, recorded while tokens are fed: `weights[head]` is `[rows, states]`.
#[derive(Debug)]
pub struct Recording<'a> {
    /// The chosen heads, as `(block, head)`.
    pub heads: &'a [(usize, usize)],
    /// The recorded rows of each head.
    pub weights: Vec<Vec<f32>>,
    /// Number of recorded rows.
    pub rows: usize,
}

impl<'a> Recording<'a> {
    /// An empty recording of these heads.
    #[must_use]
    pub fn new(heads: &'a [(usize, usize)]) -> Self {
        Self { heads, weights: vec![Vec::new(); heads.len()], rows: 0 }
    }

    /// Announces the number of rows of the next pass.
    pub(super) fn expect(&mut self, rows: usize) {
        self.rows += rows;
    }

    /// Drops all rows from `len` on.
    pub fn truncate(&mut self, len: usize) {
        let rows = self.rows.max(1);
        for weights in &mut self.weights {
            weights.truncate(weights.len() / rows * len);
        }
        self.rows = self.rows.min(len);
    }

    /// Records one row of the chosen heads of block `block`. `weights` holds the attention weights of all heads,
    /// `[heads, stride]`, of which the first `states` values per head count.
    pub fn take(&mut self, block: usize, weights: &[f32], heads: Heads, states: usize) {
        let stride = weights.len() / heads.count();
        for (head, kept) in self.of_block(block) {
            kept.extend_from_slice(&weights[head * stride..][..states]);
        }
    }

    /// The chosen heads of block `block`, each with its recorded rows.
    pub fn of_block(&mut self, block: usize) -> impl Iterator<Item = (usize, &mut Vec<f32>)> {
        let chosen = self.heads.iter().zip(&mut self.weights);
        chosen.filter_map(move |(&(of, head), kept)| (of == block).then_some((head, kept)))
    }
}
