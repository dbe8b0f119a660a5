//! Token embedding, also used the other way round as output layer.

use sotto_kernels::{MatMut, MatRef, matmul};
use sotto_runtime::Threads;

use crate::layers::TensorSource;
use crate::weights::WeightError;

/// A table of `[vocabulary, width]`, one row per token.
#[derive(Debug)]
pub struct Embedding {
    table: Vec<f32>,
    vocabulary: usize,
    width: usize,
}

impl Embedding {
    /// Reads tensor `name`.
    ///
    /// # Errors
    /// When it is missing or has another shape.
    pub fn load(source: &impl TensorSource, name: &str, vocabulary: usize, width: usize) -> Result<Self, WeightError> {
        Ok(Self { table: source.tensor(name, &[vocabulary, width])?, vocabulary, width })
    }

    /// Number of tokens.
    #[must_use]
    pub fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    /// The row of a token, `[width]`; `None` for a token beyond the vocabulary.
    #[must_use]
    pub fn row(&self, token: usize) -> Option<&[f32]> {
        self.table.chunks_exact(self.width).nth(token)
    }

    /// Scores of every token: `[rows, width]` → `[rows, vocabulary]`, the tied output layer.
    ///
    /// # Panics
    /// When the lengths are not the same number of rows.
    pub fn logits(&self, x: &[f32], out: &mut [f32], threads: Threads) {
        let rows = x.len() / self.width;
        let table = MatRef::new(&self.table, self.vocabulary, self.width).transposed();
        matmul(MatRef::new(x, rows, self.width), table, MatMut::new(out, rows, self.vocabulary), false, threads);
    }
}
