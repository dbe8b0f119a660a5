//! What a layer requests of a tensor source: a matrix, independent of how the source stores it and the layer computes
//! with it.

use std::fmt::Write as _;

use sotto_kernels::{BLOCK, Floats, Int4Matrix, Layout, PackedMatrix, quantize_int4};

use super::{ConvShape, QuantizedMatrix, TensorSource, WeightType};
use crate::weights::WeightError;

/// Whether a projection has a bias; Whisper's key projections have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Biased {
    /// `{name}.bias` must exist.
    Yes,
    /// There is no bias.
    No,
}

/// How a layer's weights are stored in a model's own file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredRows {
    /// `[outputs, inputs]`.
    Linear {
        /// Values per row.
        inputs: usize,
    },
    /// `[outputs, inputs, kernel]`; a row of the matrix is ordered by frame, then channel.
    Convolution {
        /// Channels per frame.
        inputs: usize,
        /// Frames per window.
        kernel: usize,
    },
}

/// One of the layers that are stacked in a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part<'a> {
    /// Its name; `{name}.weight` and `{name}.bias` are its tensors.
    pub name: &'a str,
    /// Whether it has a bias.
    pub biased: Biased,
    /// Its outputs: its number of rows.
    pub outputs: usize,
}

/// One matrix of weights: one layer, or several stacked one below the other.
#[derive(Debug, Clone, Copy)]
pub struct MatrixRequest<'a> {
    /// The layers. With grouped heads, those of keys and values have fewer rows than that of queries.
    pub parts: &'a [Part<'a>],
    /// How each part is stored.
    pub rows: StoredRows,
}

/// Weights of a layer in f32, row-major `[columns, depth]`, and biases as in [`QuantizedWeights`].
#[derive(Debug, Clone)]
pub struct FloatWeights {
    /// The weights.
    pub rows: Vec<f32>,
    /// The biases.
    pub bias: Option<Vec<f32>>,
}

/// Quantized weights of a layer, and one bias per output: zero for parts without a bias; `None` if no part has one.
#[derive(Debug, Clone)]
pub struct QuantizedWeights {
    /// The weights.
    pub matrix: QuantizedMatrix,
    /// The biases.
    pub bias: Option<Floats>,
}

impl MatrixRequest<'_> {
    /// Rows of the matrix: the outputs of all parts.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.parts.iter().map(|part| part.outputs).sum()
    }

    /// Values per row.
    #[must_use]
    pub fn depth(&self) -> usize {
        match self.rows {
            StoredRows::Linear { inputs } => inputs,
            StoredRows::Convolution { inputs, kernel } => inputs * kernel,
        }
    }

    /// Number of biases in the source. The zeros for parts without a bias are not counted.
    #[must_use]
    pub fn biases(&self) -> usize {
        self.parts.iter().filter(|part| part.biased == Biased::Yes).map(|part| part.outputs).sum()
    }

    /// Whether any part has a bias.
    #[must_use]
    pub fn has_bias(&self) -> bool {
        self.biases() > 0
    }

    /// One name for all parts: the name of the first, followed by the last components of the others if they differ in
    /// nothing else (`layer.q_proj+k_proj+v_proj`).
    #[must_use]
    pub fn name(&self) -> String {
        let Some((Part { name: first, .. }, others)) = self.parts.split_first() else { return String::new() };
        let stem = first.rfind('.').map_or("", |dot| &first[..=dot]);
        let mut name = (*first).to_owned();
        for Part { name: other, .. } in others {
            let _ = write!(name, "+{}", other.strip_prefix(stem).unwrap_or(other));
        }
        name
    }

    /// The weights of one part as f32, in the order of the matrix.
    ///
    /// # Errors
    /// When the tensor is missing or has another shape.
    pub fn rows_of<S: TensorSource + ?Sized>(&self, source: &S, part: &Part<'_>) -> Result<Vec<f32>, WeightError> {
        let (name, outputs) = (format!("{}.weight", part.name), part.outputs);
        match self.rows {
            StoredRows::Linear { inputs } => source.tensor(&name, &[outputs, inputs]),
            StoredRows::Convolution { inputs, kernel } => {
                let shape = ConvShape { inputs, outputs, kernel, stride: 1 };
                Ok(shape.in_order_of_frames(&source.tensor(&name, &[outputs, inputs, kernel])?))
            }
        }
    }

    /// The f32 weights and biases of all parts.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape.
    pub fn floats<S: TensorSource + ?Sized>(&self, source: &S) -> Result<FloatWeights, WeightError> {
        let (mut rows, mut bias) = (Vec::new(), Vec::new());
        for part in self.parts {
            rows.extend(self.rows_of(source, part)?);
            bias_of(source, part, &mut bias)?;
        }
        Ok(FloatWeights { rows, bias: self.has_bias().then_some(bias) })
    }

    /// Quantizes the f32 tensors and packs them: with 8 bits symmetrically with one scale per row, with 4 bits as
    /// [`quantize_int4`] does.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape.
    pub fn quantized<S: TensorSource + ?Sized>(
        &self,
        source: &S,
        layout: Layout,
        weight_type: WeightType,
    ) -> Result<QuantizedWeights, WeightError> {
        let depth = self.depth();
        let mut values = Vec::new();
        let mut scales = Vec::new();
        let mut block_scales = Vec::new();
        let mut bias = Vec::new();
        for part in self.parts {
            let rows = self.rows_of(source, part)?;
            match weight_type {
                WeightType::Int8 => to_int8(&rows, depth, &mut values, &mut scales),
                WeightType::Int4 => to_int4(&rows, depth, &mut values, &mut block_scales),
            }
            bias_of(source, part, &mut bias)?;
        }
        let matrix = match weight_type {
            WeightType::Int8 => PackedMatrix::pack(layout, depth, &values, &scales).map(QuantizedMatrix::Int8),
            WeightType::Int4 => Int4Matrix::pack(layout, depth, &values, &block_scales).map(QuantizedMatrix::Int4),
        };
        let matrix = matrix.expect("a layer has rows, and quantized values keep to their range");
        Ok(QuantizedWeights { matrix, bias: self.has_bias().then(|| bias.into()) })
    }
}

/// Appends the biases of a part.
fn bias_of<S: TensorSource + ?Sized>(source: &S, part: &Part<'_>, bias: &mut Vec<f32>) -> Result<(), WeightError> {
    match part.biased {
        Biased::Yes => bias.extend(source.tensor(&format!("{}.bias", part.name), &[part.outputs])?),
        Biased::No => bias.resize(bias.len() + part.outputs, 0.0),
    }
    Ok(())
}

// Below this a scale has no finite inverse; such a row becomes zeros, as with activations.
const TINY: f32 = 1e-30;

/// Appends rows of `depth` weights as int8, with a scale each.
fn to_int8(weights: &[f32], depth: usize, values: &mut Vec<i8>, scales: &mut Vec<f32>) {
    values.reserve(weights.len());
    for row in weights.chunks_exact(depth) {
        let peak = row.iter().fold(0.0f32, |peak, weight| peak.max(weight.abs()));
        let scale = if peak < TINY { 0.0 } else { peak / 127.0 };
        let inverse = if peak < TINY { 0.0 } else { 1.0 / scale };
        values.extend(row.iter().map(|weight| (weight * inverse).round_ties_even() as i8));
        scales.push(scale);
    }
}

/// Appends rows of `depth` weights as 4-bit values, with a scale for each block.
fn to_int4(weights: &[f32], depth: usize, values: &mut Vec<i8>, scales: &mut Vec<u16>) {
    for row in weights.chunks_exact(depth) {
        let (value, scale) = (values.len(), scales.len());
        values.resize(value + depth, 0);
        scales.resize(scale + depth.div_ceil(BLOCK), 0);
        quantize_int4(row, &mut values[value..], &mut scales[scale..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_any_finite_weights_can_be_quantized() {
        for weight in [0.0, 1e-45, 3e-37, 1e-30, 1e-5, 1.0, f32::MAX] {
            let rows = [weight, -weight, 0.25 * weight, 0.0];
            let (mut values, mut scales) = (Vec::new(), Vec::new());
            to_int8(&rows, 4, &mut values, &mut scales);
            assert!(values.iter().all(|&value| value > i8::MIN) && scales[0].is_finite(), "{weight}");
            let packed = PackedMatrix::pack(Layout::Columns, 4, &values, &scales).unwrap();
            let expected = if weight < TINY { [0, 0, 0, 0] } else { [127, -127, 32, 0] };
            assert_eq!([0, 1, 2, 3].map(|k| packed.weight(0, k)), expected, "{weight}");
            let (mut values, mut scales) = (Vec::new(), Vec::new());
            to_int4(&rows, 4, &mut values, &mut scales);
            assert!(Int4Matrix::pack(Layout::Columns, 4, &values, &scales).is_ok(), "{weight}");
        }
    }

    #[test]
    fn stacked_layers_have_one_short_name() {
        let name = |parts: &[&'static str]| {
            let part = |name: &&'static str| Part { name, biased: Biased::No, outputs: 1 };
            let parts: Vec<_> = parts.iter().map(part).collect();
            MatrixRequest { parts: &parts, rows: StoredRows::Linear { inputs: 1 } }.name()
        };
        assert_eq!(name(&["encoder.conv1"]), "encoder.conv1");
        assert_eq!(name(&["a.b.q_proj", "a.b.k_proj", "a.b.v_proj"]), "a.b.q_proj+k_proj+v_proj");
        assert_eq!(name(&["a.q", "b.q"]), "a.q+b.q");
        assert_eq!(name(&["q", "k"]), "q+k");
    }
}
