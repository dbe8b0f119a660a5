//! Token embedding, also used transposed as the output layer (tied weights).

use sotto_kernels::{MatMut, MatRef, matmul};
use sotto_runtime::Threads;

use crate::layers::TensorSource;
use crate::weights::WeightError;

/// A table of `[vocabulary, width]`, one row per token.
#[derive(Debug)]
pub struct Embedding {
    table: Vec<f32>,
    /// Added to the logits.
    bias: Option<Vec<f32>>,
    vocabulary: usize,
    width: usize,
}

impl Embedding {
    /// Reads tensor `name`.
    ///
    /// # Errors
    /// When it is missing or has another shape.
    pub fn load(source: &impl TensorSource, name: &str, vocabulary: usize, width: usize) -> Result<Self, WeightError> {
        Ok(Self { table: source.tensor(name, &[vocabulary, width])?, bias: None, vocabulary, width })
    }

    /// Adds a bias to the logits: the tensor `name` of this shape, with one value per token.
    ///
    /// # Errors
    /// When it is missing or has another shape.
    pub fn with_bias(self, source: &impl TensorSource, name: &str, shape: &[usize]) -> Result<Self, WeightError> {
        Ok(Self { bias: Some(source.tensor(name, shape)?), ..self })
    }

    /// The rows of some tokens, in the given order, as a table of its own: a vocabulary shortlist. `None` if a token
    /// does not exist.
    #[must_use]
    pub fn select(&self, tokens: &[u32]) -> Option<Self> {
        let rows = tokens.iter().map(|&token| self.row(token as usize)).collect::<Option<Vec<&[f32]>>>()?;
        let bias = self.bias.as_ref().map(|bias| tokens.iter().map(|&token| bias[token as usize]).collect());
        Some(Self { table: rows.concat(), bias, vocabulary: tokens.len(), width: self.width })
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

    /// Logits of every token, the tied output layer: `[rows, width]` → `[rows, vocabulary]`.
    ///
    /// # Panics
    /// When the lengths are not those of the same number of rows.
    pub fn logits(&self, x: &[f32], out: &mut [f32], threads: Threads) {
        let rows = x.len() / self.width;
        let table = MatRef::new(&self.table, self.vocabulary, self.width).transposed();
        if let Some(bias) = &self.bias {
            out.chunks_exact_mut(self.vocabulary).for_each(|row| row.copy_from_slice(bias));
        }
        let add = self.bias.is_some();
        matmul(MatRef::new(x, rows, self.width), table, MatMut::new(out, rows, self.vocabulary), add, threads);
    }
}
