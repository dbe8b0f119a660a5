//! Makes the contents of a packed model by recording what layers load.

use std::cell::RefCell;

use half::f16;
use sotto_kernels::{Floats, Layout};
use sotto_runtime::CancelToken;

use super::contents::{Contents, Data};
use super::{INT4, INT8, SCALES};
use crate::layers::{MatrixRequest, QuantizedMatrix, QuantizedWeights, TensorSource, WeightType};
use crate::weights::WeightError;

/// A tensor source that records what is loaded from it, packed for one layout.
///
/// Load a network from it, then take the [`Contents`] and the quantization errors. Drop that network: its weights are
/// in the recorder's layout, whatever kernels it was loaded for.
pub struct Recorder<'a, S> {
    source: &'a S,
    layout: Layout,
    weight_type: &'a dyn Fn(&str) -> WeightType,
    is_half: &'a dyn Fn(&str) -> bool,
    cancel: &'a CancelToken,
    state: RefCell<State>,
}

struct State {
    contents: Contents,
    errors: Vec<TensorError>,
}

/// Quantization error of one matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorError {
    /// Name of the matrix.
    pub name: String,
    /// Sum of the squared differences.
    pub squared_error: f64,
    /// Sum of the squared weights of the source.
    pub squared_weights: f64,
}

impl TensorError {
    /// Relative error, `√(squared error / squared weights)`: 0 is exact, 0.005 is half a percent.
    #[must_use]
    pub fn relative(&self) -> f64 {
        match self.squared_weights {
            0.0 => 0.0,
            squared => (self.squared_error / squared).sqrt(),
        }
    }
}

impl<'a, S: TensorSource> Recorder<'a, S> {
    /// Wraps `source`. Polls `cancel` before each tensor, and before a matrix is compared with its source.
    ///
    /// `weight_type` gives the weight type of a matrix by its name. A packed source keeps its own.
    #[must_use]
    pub fn new(
        source: &'a S,
        layout: Layout,
        weight_type: &'a dyn Fn(&str) -> WeightType,
        cancel: &'a CancelToken,
    ) -> Self {
        let state = State { contents: Contents::new(layout), errors: Vec::new() };
        Self { source, layout, weight_type, is_half: &|_| false, cancel, state: RefCell::new(state) }
    }

    /// Stores the f32 tensors whose names `is_half` selects in half precision, if that is exact.
    #[must_use]
    pub fn with_halves(self, is_half: &'a dyn Fn(&str) -> bool) -> Self {
        Self { is_half, ..self }
    }

    /// The recorded contents, and the error of each matrix that was quantized from f32 tensors.
    #[must_use]
    pub fn finish(self) -> (Contents, Vec<TensorError>) {
        let State { contents, errors, .. } = self.state.into_inner();
        (contents, errors)
    }

    /// Whether the source has the unquantized tensors of a matrix; otherwise the source is packed.
    fn is_published(&self, request: &MatrixRequest<'_>) -> bool {
        request.parts.iter().all(|part| self.source.contains(&format!("{}.weight", part.name)))
    }

    /// Computes the error of a quantized matrix against the source.
    fn error(&self, request: &MatrixRequest<'_>, matrix: &QuantizedMatrix) -> Result<TensorError, WeightError> {
        let mut error = TensorError { name: request.name(), squared_error: 0.0, squared_weights: 0.0 };
        let mut quantized = vec![0.0; request.depth()];
        let mut column = 0;
        for part in request.parts {
            let rows = request.rows_of(self.source, part)?;
            for weights in rows.chunks_exact(request.depth()) {
                matrix.column(column, &mut quantized);
                column += 1;
                for (weight, quantized) in weights.iter().zip(&quantized) {
                    error.squared_error += f64::from(weight - quantized).powi(2);
                    error.squared_weights += f64::from(*weight).powi(2);
                }
            }
        }
        Ok(error)
    }
}

impl<S: TensorSource> TensorSource for Recorder<'_, S> {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightError> {
        Ok(self.floats(name, shape)?.to_vec())
    }

    fn contains(&self, name: &str) -> bool {
        self.source.contains(name)
    }

    fn floats(&self, name: &str, shape: &[usize]) -> Result<Floats, WeightError> {
        self.cancel.check()?;
        let floats = self.source.floats(name, shape)?;
        let mut state = self.state.borrow_mut();
        let halves = if (self.is_half)(name) { exact_halves(&floats) } else { None };
        let shape = shape.to_vec();
        let data = match halves {
            Some(values) => Data::Halves { shape, values },
            None => Data::Floats { shape, values: floats.clone() },
        };
        state.contents.add(name.to_owned(), data);
        Ok(floats)
    }

    fn quantized(&self, _: Layout, request: &MatrixRequest<'_>) -> Result<QuantizedWeights, WeightError> {
        self.cancel.check()?;
        let (name, published) = (request.name(), self.is_published(request));
        let weights = if published {
            request.quantized(self.source, self.layout, (self.weight_type)(&name))?
        } else {
            self.source.quantized(self.layout, request)?
        };
        self.cancel.check()?;
        let error = published.then(|| self.error(request, &weights.matrix)).transpose()?;
        let mut state = self.state.borrow_mut();
        match &weights.matrix {
            QuantizedMatrix::Int8(matrix) => {
                state.contents.add(format!("{name}.{INT8}"), Data::Weights(matrix.clone()));
                state.contents.add(format!("{name}.{SCALES}"), Data::Scales(matrix.clone()));
            }
            QuantizedMatrix::Int4(matrix) => {
                state.contents.add(format!("{name}.{INT4}"), Data::Int4(matrix.clone()));
            }
        }
        if let Some(bias) = &weights.bias {
            let bias = Data::Floats { shape: vec![bias.len()], values: bias.clone() };
            state.contents.add(format!("{name}.bias"), bias);
        }
        state.errors.extend(error);
        Ok(weights)
    }
}

/// The values in half precision; `None` if a value would change.
fn exact_halves(values: &[f32]) -> Option<Vec<f16>> {
    let half = |&value: &f32| Some(f16::from_f32(value)).filter(|half| half.to_f32() == value);
    values.iter().map(half).collect()
}
