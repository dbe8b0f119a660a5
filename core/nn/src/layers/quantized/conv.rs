//! Convolution over time.

use sotto_kernels::{Activation, Activations, Epilogue, Floats, MatRef, Norm};

use crate::layers::{
    Backend, Biased, ConvShape, MatrixRequest, Part, QuantizedMatrix, QuantizedWeights, StoredRows, TensorSource,
};
use crate::weights::WeightError;

/// One-dimensional convolution over time with quantized weights, followed by GELU; computed as a product on overlapping
/// rows.
#[derive(Debug)]
pub struct Conv1d {
    weights: QuantizedMatrix,
    bias: Option<Floats>,
    shape: ConvShape,
}

impl Conv1d {
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

    /// Number of output frames for `frames` input frames.
    #[must_use]
    pub fn output_frames(&self, frames: usize) -> usize {
        self.shape.output_frames(frames)
    }

    /// Number of zeros before and after the frames in the input of [`forward`](Self::forward).
    #[must_use]
    pub fn margin(&self) -> usize {
        self.shape.kernel / 2 * self.shape.inputs
    }

    /// Convolves the frames in `padded`, which lie between two [`margin`](Self::margin)s of zeros. Writes the output
    /// frames from `first` on to `out`, `[output frames, outputs]`.
    ///
    /// # Panics
    /// When the shapes do not match.
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
