//! What a layer asks of a source of tensors: a matrix, in whatever form the source and the layer have it.

use std::fmt::Write as _;

use sotto_kernels::{Floats, Layout, PackedMatrix};

use super::{ConvShape, TensorSource};
use crate::weights::WeightError;

/// Whether a projection has a bias; Whisper's key projections have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Biased {
    /// `{name}.bias` must exist.
    Yes,
    /// There is none.
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
    /// `[outputs, inputs, kernel]`; in the matrix frames follow each other.
    Convolution {
        /// Channels per frame.
        inputs: usize,
        /// Frames per window.
        kernel: usize,
    },
}

/// One matrix of weights: the layers whose rows it holds one below the other.
#[derive(Debug, Clone, Copy)]
pub struct MatrixRequest<'a> {
    /// Names of the layers; `{name}.weight` and `{name}.bias` are their tensors.
    pub parts: &'a [(&'a str, Biased)],
    /// Rows of each part.
    pub outputs: usize,
    /// How each part is stored.
    pub rows: StoredRows,
}

/// Weights of a layer in f32, `[columns, depth]` row by row, and one bias per row as in [`Int8Weights`].
#[derive(Debug, Clone)]
pub struct FloatWeights {
    /// The weights.
    pub rows: Vec<f32>,
    /// The biases.
    pub bias: Option<Vec<f32>>,
}

/// Weights of a layer and one bias per row; zero for parts without one, `None` where no part has one.
#[derive(Debug, Clone)]
pub struct Int8Weights {
    /// The weights.
    pub matrix: PackedMatrix,
    /// The biases.
    pub bias: Option<Floats>,
}

impl MatrixRequest<'_> {
    /// Rows of the matrix: the layer's outputs.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.outputs * self.parts.len()
    }

    /// Values per row.
    #[must_use]
    pub fn depth(&self) -> usize {
        match self.rows {
            StoredRows::Linear { inputs } => inputs,
            StoredRows::Convolution { inputs, kernel } => inputs * kernel,
        }
    }

    /// Biases of the source: parts without one get zeros beside parts with one, which are not counted.
    #[must_use]
    pub fn biases(&self) -> usize {
        self.outputs * self.parts.iter().filter(|(_, biased)| *biased == Biased::Yes).count()
    }

    /// Whether there are biases.
    #[must_use]
    pub fn has_bias(&self) -> bool {
        self.biases() > 0
    }

    /// One name for all parts: the first, then the last components of the others where they differ in nothing else
    /// (`layer.q_proj+k_proj+v_proj`).
    #[must_use]
    pub fn name(&self) -> String {
        let Some(((first, _), others)) = self.parts.split_first() else { return String::new() };
        let stem = first.rfind('.').map_or("", |dot| &first[..=dot]);
        let mut name = (*first).to_owned();
        for (other, _) in others {
            let _ = write!(name, "+{}", other.strip_prefix(stem).unwrap_or(other));
        }
        name
    }

    /// The rows of one part as f32, in the order of the matrix.
    ///
    /// # Errors
    /// When the tensor is missing or has another shape.
    pub fn rows_of<S: TensorSource + ?Sized>(&self, source: &S, part: &str) -> Result<Vec<f32>, WeightError> {
        let (name, outputs) = (format!("{part}.weight"), self.outputs);
        match self.rows {
            StoredRows::Linear { inputs } => source.tensor(&name, &[outputs, inputs]),
            StoredRows::Convolution { inputs, kernel } => {
                let shape = ConvShape { inputs, outputs, kernel, stride: 1 };
                Ok(shape.in_order_of_frames(&source.tensor(&name, &[outputs, inputs, kernel])?))
            }
        }
    }

    /// The f32 tensors of all parts.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape.
    pub fn floats<S: TensorSource + ?Sized>(&self, source: &S) -> Result<FloatWeights, WeightError> {
        let (mut rows, mut bias) = (Vec::new(), Vec::new());
        for (part, biased) in self.parts {
            rows.extend(self.rows_of(source, part)?);
            self.bias_of(source, part, *biased, &mut bias)?;
        }
        Ok(FloatWeights { rows, bias: self.has_bias().then_some(bias) })
    }

    fn bias_of<S: TensorSource + ?Sized>(
        &self,
        source: &S,
        part: &str,
        biased: Biased,
        bias: &mut Vec<f32>,
    ) -> Result<(), WeightError> {
        match biased {
            Biased::Yes => bias.extend(source.tensor(&format!("{part}.bias"), &[self.outputs])?),
            Biased::No => bias.resize(bias.len() + self.outputs, 0.0),
        }
        Ok(())
    }

    /// Quantizes f32 tensors, symmetrically with one scale per row, and packs them.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape.
    pub fn quantized<S: TensorSource + ?Sized>(&self, source: &S, layout: Layout) -> Result<Int8Weights, WeightError> {
        let depth = self.depth();
        let (mut values, mut scales, mut bias) = (Vec::new(), Vec::new(), Vec::new());
        for (part, biased) in self.parts {
            quantize(&self.rows_of(source, part)?, depth, &mut values, &mut scales);
            self.bias_of(source, part, *biased, &mut bias)?;
        }
        let matrix = PackedMatrix::pack(layout, depth, &values, &scales).expect("a layer has rows, and |values| ≤ 127");
        Ok(Int8Weights { matrix, bias: self.has_bias().then(|| bias.into()) })
    }
}

/// Appends rows of `depth` weights as int8, with a scale each.
fn quantize(weights: &[f32], depth: usize, values: &mut Vec<i8>, scales: &mut Vec<f32>) {
    values.reserve(weights.len());
    for row in weights.chunks_exact(depth) {
        let scale = row.iter().fold(0.0f32, |peak, weight| peak.max(weight.abs())) / 127.0;
        let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        values.extend(row.iter().map(|weight| (weight * inverse).round_ties_even() as i8));
        scales.push(scale);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacked_layers_have_one_short_name() {
        let name = |parts: &[&str]| {
            let parts: Vec<_> = parts.iter().map(|part| (*part, Biased::No)).collect();
            MatrixRequest { parts: &parts, outputs: 1, rows: StoredRows::Linear { inputs: 1 } }.name()
        };
        assert_eq!(name(&["encoder.conv1"]), "encoder.conv1");
        assert_eq!(name(&["a.b.q_proj", "a.b.k_proj", "a.b.v_proj"]), "a.b.q_proj+k_proj+v_proj");
        assert_eq!(name(&["a.q", "b.q"]), "a.q+b.q");
        assert_eq!(name(&["q", "k"]), "q+k");
    }
}
