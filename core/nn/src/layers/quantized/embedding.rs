//! Token embedding and tied output layer.

use sotto_kernels::{Activations, Epilogue, Floats, PackError};

use super::{Norm, rows_for};
use crate::layers::{Backend, Biased, MatrixRequest, Part, QuantizedMatrix, StoredRows, TensorSource};
use crate::weights::WeightError;

/// Token embedding with quantized weights, also used transposed as the output layer (tied weights).
#[derive(Debug)]
pub struct Embedding {
    table: QuantizedMatrix,
    /// Added to the logits.
    bias: Option<Floats>,
}

impl Embedding {
    /// Loads `{name}.weight`, `[vocabulary, width]`, quantized.
    ///
    /// # Errors
    /// When it is missing or has another shape.
    pub fn load(
        source: &impl TensorSource,
        backend: &Backend,
        name: &str,
        vocabulary: usize,
        width: usize,
    ) -> Result<Self, WeightError> {
        let rows = StoredRows::Linear { inputs: width };
        let request = MatrixRequest { parts: &[Part { name, biased: Biased::No, outputs: vocabulary }], rows };
        Ok(Self { table: source.quantized(backend.kernels().layout(), &request)?.matrix, bias: None })
    }

    /// Adds a bias to the logits: the tensor `name` of this shape, with one value per token.
    ///
    /// # Errors
    /// When it is missing or has another shape.
    pub fn with_bias(self, source: &impl TensorSource, name: &str, shape: &[usize]) -> Result<Self, WeightError> {
        Ok(Self { bias: Some(source.floats(name, shape)?), ..self })
    }

    /// The rows of some tokens, in the given order, as a table of its own: a vocabulary shortlist. Cost: a copy of
    /// those rows.
    ///
    /// # Errors
    /// [`PackError::Shape`] for an empty list.
    ///
    /// # Panics
    /// When there is no such token.
    pub fn select(&self, tokens: &[u32]) -> Result<Self, PackError> {
        let bias = self.bias.as_ref().map(|bias| tokens.iter().map(|&token| bias[token as usize]).collect::<Vec<_>>());
        Ok(Self { table: self.table.select(tokens)?, bias: bias.map(Floats::from) })
    }

    /// Number of tokens.
    #[must_use]
    pub fn vocabulary(&self) -> usize {
        self.table.columns()
    }

    /// Normalises and quantizes the rows of `x`, `[rows, width]`, for [`logits`](Self::logits).
    ///
    /// # Panics
    /// When `x` is not a whole number of rows, or the norm has another width.
    pub fn quantize_normed(&self, backend: &Backend, norm: &Norm, x: &[f32], out: &mut Activations) {
        backend.quantize(rows_for(&self.table, x), &norm.kernel(), self.table.weight_type(), out);
    }

    /// Bytes that computing the logits of all tokens reads.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.table.bytes().len()
    }

    /// Writes the row of a token, `[width]`.
    ///
    /// # Panics
    /// When there is no such token or `out` has another length.
    pub fn row(&self, token: usize, out: &mut [f32]) {
        self.table.column(token, out);
    }

    /// Logits of every token, the tied output layer: `[rows, width]` → `[rows, vocabulary]`.
    ///
    /// # Panics
    /// When the shapes do not match.
    pub fn logits(&self, backend: &Backend, x: &Activations, out: &mut [f32]) {
        backend.product(x, &self.table, Epilogue { bias: self.bias.as_deref(), ..Epilogue::default() }, out);
    }
}
