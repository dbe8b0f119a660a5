//! Layers with quantized weights on the kernels of one instruction set.
//!
//! Weights have 8 bits, symmetric per output channel, or 4 bits in blocks of 32; activations have 8, symmetric per row
//! and made on the way in; sums are exact in 32 bits. Every kernel set gives the same bits. Inputs arrive as
//! [`Activations`], which the layer itself has quantized as its weights want them.

use sotto_kernels::{Activation, Activations, Epilogue, Floats, MatRef, Norm, PackError};

use super::{
    Backend, Biased, ConvShape, MatrixRequest, NormKind, Part, QuantizedMatrix, QuantizedWeights, StoredRows,
    TensorSource,
};
use crate::weights::WeightError;

/// `x` as rows for a product with these weights.
fn rows_for<'a>(weights: &QuantizedMatrix, x: &'a [f32]) -> MatRef<'a> {
    MatRef::new(x, x.len() / weights.depth(), weights.depth())
}

/// A norm whose result goes to int8 rows.
#[derive(Debug)]
pub struct Int8Norm {
    kind: NormKind,
    weight: Floats,
    /// Empty where the kind has none.
    bias: Floats,
}

impl Int8Norm {
    /// Reads `{name}.weight` and, where the kind has one, `{name}.bias`.
    ///
    /// # Errors
    /// When one of them is missing or has another shape.
    pub fn load(source: &impl TensorSource, name: &str, kind: NormKind, width: usize) -> Result<Self, WeightError> {
        let weight = source.floats(&format!("{name}.weight"), &[width])?;
        let bias = match kind {
            NormKind::Layer { .. } => source.floats(&format!("{name}.bias"), &[width])?,
            NormKind::RootMeanSquare { .. } => Vec::new().into(),
        };
        Ok(Self { kind, weight, bias })
    }

    /// Normalises the rows of `x` into `out`, in f32.
    ///
    /// # Panics
    /// When the lengths differ or are not whole rows.
    pub fn forward(&self, backend: &Backend, x: &[f32], out: &mut [f32]) {
        backend.kernels().normalize(&self.norm(), self.weight.len(), x, out);
    }

    fn norm(&self) -> Norm<'_> {
        match self.kind {
            NormKind::Layer { epsilon } => Norm::Layer { weight: &self.weight, bias: &self.bias, epsilon },
            NormKind::RootMeanSquare { epsilon } => Norm::RootMeanSquare { weight: &self.weight, epsilon },
        }
    }
}

/// `y = x · Wᵀ + b` with quantized weights; several projections of the same input may be stacked to one.
#[derive(Debug)]
pub struct QuantizedLinear {
    weights: QuantizedMatrix,
    bias: Option<Floats>,
}

impl QuantizedLinear {
    /// Loads `{name}.weight`, `[outputs, inputs]`, quantized, and `{name}.bias`.
    ///
    /// # Errors
    /// When one of them is missing or has another shape.
    pub fn load(
        source: &impl TensorSource,
        backend: &Backend,
        name: &str,
        inputs: usize,
        outputs: usize,
    ) -> Result<Self, WeightError> {
        Self::stacked(source, backend, &[Part { name, biased: Biased::Yes, outputs }], inputs)
    }

    /// Stacks projections of the same input: their results lie side by side in one row. Those without a bias get a zero
    /// one.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn stacked(
        source: &impl TensorSource,
        backend: &Backend,
        projections: &[Part<'_>],
        inputs: usize,
    ) -> Result<Self, WeightError> {
        let request = MatrixRequest { parts: projections, rows: StoredRows::Linear { inputs } };
        let QuantizedWeights { matrix, bias } = source.quantized(backend.kernels().layout(), &request)?;
        Ok(Self { weights: matrix, bias })
    }

    /// Values per output row.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.weights.columns()
    }

    /// Quantizes the rows of `x`, `[rows, inputs]`, as they are, for this layer.
    ///
    /// # Panics
    /// When `x` is not whole rows.
    pub fn quantize(&self, backend: &Backend, x: &[f32], out: &mut Activations) {
        backend.quantize(rows_for(&self.weights, x), &Norm::None, self.weights.weight_type(), out);
    }

    /// [`quantize`](Self::quantize) of normalised rows.
    ///
    /// # Panics
    /// When `x` is not whole rows, or the norm has another width.
    pub fn quantize_normed(&self, backend: &Backend, norm: &Int8Norm, x: &[f32], out: &mut Activations) {
        backend.quantize(rows_for(&self.weights, x), &norm.norm(), self.weights.weight_type(), out);
    }

    /// Bytes of weights that one row reads.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.weights.bytes().len()
    }

    /// Writes `activation(x · Wᵀ + b)` to `out`, `[rows, outputs]`.
    ///
    /// # Panics
    /// When the shapes do not fit, or the rows were quantized for 8-bit weights and these have 4.
    pub fn forward(&self, backend: &Backend, x: &Activations, activation: Activation, out: &mut [f32]) {
        let epilogue = Epilogue { bias: self.bias.as_deref(), activation, accumulate: false };
        backend.product(x, &self.weights, epilogue, out);
    }

    /// [`forward`](Self::forward) in half precision, its bits: for caches that are read in it.
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn forward_half(&self, backend: &Backend, x: &Activations, activation: Activation, out: &mut [u16]) {
        let epilogue = Epilogue { bias: self.bias.as_deref(), activation, accumulate: false };
        backend.product(x, &self.weights, epilogue, out);
    }

    /// Adds `x · Wᵀ + b` to `out`: the residual connection without a copy.
    ///
    /// # Panics
    /// When the shapes do not fit.
    pub fn forward_add(&self, backend: &Backend, x: &Activations, out: &mut [f32]) {
        let epilogue = Epilogue { bias: self.bias.as_deref(), activation: Activation::Identity, accumulate: true };
        backend.product(x, &self.weights, epilogue, out);
    }
}

/// One-dimensional convolution over time with quantized weights, followed by GELU: a product on overlapping rows.
#[derive(Debug)]
pub struct QuantizedConv1d {
    weights: QuantizedMatrix,
    bias: Option<Floats>,
    shape: ConvShape,
}

impl QuantizedConv1d {
    /// Loads `{name}.weight` of `[outputs, inputs, kernel]`, quantized, and `{name}.bias`.
    ///
    /// # Errors
    /// When one of them is missing or has another shape.
    pub fn load(
        source: &impl TensorSource,
        backend: &Backend,
        name: &str,
        shape: ConvShape,
    ) -> Result<Self, WeightError> {
        let ConvShape { inputs, outputs, kernel, .. } = shape;
        let rows = StoredRows::Convolution { inputs, kernel };
        let request = MatrixRequest { parts: &[Part { name, biased: Biased::Yes, outputs }], rows };
        let QuantizedWeights { matrix, bias } = source.quantized(backend.kernels().layout(), &request)?;
        Ok(Self { weights: matrix, bias, shape })
    }

    /// Frames that come out for `frames` going in.
    #[must_use]
    pub fn output_frames(&self, frames: usize) -> usize {
        self.shape.output_frames(frames)
    }

    /// Values of zero that lie before and after the frames in the input of [`forward`](Self::forward).
    #[must_use]
    pub fn margin(&self) -> usize {
        self.shape.kernel / 2 * self.shape.inputs
    }

    /// Convolves frames that lie between two [`margin`](Self::margin)s of zeros in `padded` into `out`,
    /// `[output frames, outputs]`: those from output frame `first` on.
    ///
    /// # Panics
    /// When the shapes do not fit.
    pub fn forward(
        &self,
        backend: &Backend,
        padded: &[f32],
        first: usize,
        quantized: &mut Activations,
        out: &mut [f32],
    ) {
        let ConvShape { inputs, outputs, kernel, stride } = self.shape;
        let from = &padded[first * stride * inputs..];
        let windows = MatRef::strided(from, out.len() / outputs, kernel * inputs, stride * inputs);
        backend.quantize(windows, &Norm::None, self.weights.weight_type(), quantized);
        let epilogue = Epilogue { bias: self.bias.as_deref(), activation: Activation::Gelu, accumulate: false };
        backend.product(quantized, &self.weights, epilogue, out);
    }
}

/// Token embedding with quantized weights, also used the other way round as output layer.
#[derive(Debug)]
pub struct QuantizedEmbedding {
    table: QuantizedMatrix,
    /// Added to the scores of the tokens.
    bias: Option<Floats>,
}

impl QuantizedEmbedding {
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

    /// The same table with a bias for the scores of each token: the tensor `name` of this shape, with as many values as
    /// there are tokens.
    ///
    /// # Errors
    /// When it is missing or has another shape.
    pub fn with_bias(self, source: &impl TensorSource, name: &str, shape: &[usize]) -> Result<Self, WeightError> {
        Ok(Self { bias: Some(source.floats(name, shape)?), ..self })
    }

    /// The rows of some tokens, in that order, as a table of their own: a shortlist of what a text may contain. Cost: a
    /// copy of those rows.
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
    /// When `x` is not whole rows, or the norm has another width.
    pub fn quantize_normed(&self, backend: &Backend, norm: &Int8Norm, x: &[f32], out: &mut Activations) {
        backend.quantize(rows_for(&self.table, x), &norm.norm(), self.table.weight_type(), out);
    }

    /// Bytes that scoring all tokens reads.
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

    /// Scores of every token: `[rows, width]` → `[rows, vocabulary]`, the tied output layer.
    ///
    /// # Panics
    /// When the shapes do not fit.
    pub fn logits(&self, backend: &Backend, x: &Activations, out: &mut [f32]) {
        backend.product(x, &self.table, Epilogue { bias: self.bias.as_deref(), ..Epilogue::default() }, out);
    }
}
