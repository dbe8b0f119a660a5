//! The bridge to candle: candle layers on one of its devices, loaded from the same tensor sources as Sotto's own
//! layers, so that every model file that Sotto reads can run there.

use candle_core::{DType, Device, Tensor};
use candle_nn::{Conv1d, Conv1dConfig, Embedding, LayerNorm, Linear};

use crate::layers::{Biased, ConvShape, FloatWeights, MatrixRequest, Part, StoredRows, TensorSource};
use crate::load::ComputeDevice;
use crate::weights::WeightError;

// The epsilon of OpenAI's and Hugging Face's layer norms.
const EPSILON: f64 = 1e-5;

/// Why a layer could not be put on a device.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BridgeError {
    /// The model file is damaged or does not match.
    #[error(transparent)]
    Weights(#[from] WeightError),
    /// The device failed: it is missing, or out of memory.
    #[error("the device cannot hold the weights: {0}")]
    Device(#[from] candle_core::Error),
}

/// Opens the device that a network shall compute on; `None` is the CPU with Sotto's own kernels.
///
/// # Errors
/// When there is no such device, or this build does not support it.
pub fn open(device: ComputeDevice) -> candle_core::Result<Option<Device>> {
    match device {
        ComputeDevice::Cpu => Ok(None),
        ComputeDevice::Metal => Device::new_metal(0).map(Some),
        ComputeDevice::CandleCpu => Ok(Some(Device::Cpu)),
    }
}

/// Loads tensors of a source into the memory of a device.
#[derive(Debug)]
pub struct DeviceTensors<'a, S> {
    source: &'a S,
    device: &'a Device,
    element: DType,
}

impl<'a, S: TensorSource> DeviceTensors<'a, S> {
    /// `element` is the type in which weights are held and layers compute: [`DType::F32`] or [`DType::F16`].
    #[must_use]
    pub fn new(source: &'a S, device: &'a Device, element: DType) -> Self {
        Self { source, device, element }
    }

    /// A tensor of this shape.
    ///
    /// # Errors
    /// When it is missing, has another shape, or does not fit the device's memory.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, BridgeError> {
        self.upload(self.source.tensor(name, shape)?, shape)
    }

    /// Linear layers of the same input, stacked side by side; those without a bias get a zero bias.
    ///
    /// # Errors
    /// As [`tensor`](Self::tensor).
    pub fn linear(&self, parts: &[Part<'_>], inputs: usize) -> Result<Linear, BridgeError> {
        let request = MatrixRequest { parts, rows: StoredRows::Linear { inputs } };
        let FloatWeights { rows, bias } = self.source.matrix(&request)?;
        let weight = self.upload(rows, &[request.columns(), inputs])?;
        let bias = bias.map(|bias| self.upload(bias, &[request.columns()])).transpose()?;
        Ok(Linear::new(weight, bias))
    }

    /// Layer normalisation of rows of `width` values.
    ///
    /// # Errors
    /// As [`tensor`](Self::tensor).
    pub fn norm(&self, name: &str, width: usize) -> Result<LayerNorm, BridgeError> {
        let part = |part: &str| self.tensor(&format!("{name}.{part}"), &[width]);
        Ok(LayerNorm::new(part("weight")?, part("bias")?, EPSILON))
    }

    /// Convolution over time of `[1, inputs, frames]`, with zero padding of half the kernel on both sides.
    ///
    /// # Errors
    /// As [`tensor`](Self::tensor).
    pub fn convolution(&self, name: &str, shape: ConvShape) -> Result<Conv1d, BridgeError> {
        let ConvShape { inputs, outputs, kernel, stride } = shape;
        let rows = StoredRows::Convolution { inputs, kernel };
        let FloatWeights { rows, bias } =
            self.source.matrix(&MatrixRequest { parts: &[Part { name, biased: Biased::Yes, outputs }], rows })?;
        // The matrix is ordered by frame, then channel; candle expects the channel first.
        let weight = self.upload(rows, &[outputs, kernel, inputs])?.transpose(1, 2)?.contiguous()?;
        let bias = bias.map(|bias| self.upload(bias, &[outputs])).transpose()?;
        let config = Conv1dConfig { padding: kernel / 2, stride, ..Conv1dConfig::default() };
        Ok(Conv1d::new(weight, bias, config))
    }

    /// A table of `[vocabulary, width]`; its tensor is `{name}.weight`.
    ///
    /// # Errors
    /// As [`tensor`](Self::tensor).
    pub fn embedding(&self, name: &str, vocabulary: usize, width: usize) -> Result<Embedding, BridgeError> {
        let rows = StoredRows::Linear { inputs: width };
        let parts = [Part { name, biased: Biased::No, outputs: vocabulary }];
        let request = MatrixRequest { parts: &parts, rows };
        Ok(Embedding::new(self.upload(self.source.matrix(&request)?.rows, &[vocabulary, width])?, width))
    }

    fn upload(&self, values: Vec<f32>, shape: &[usize]) -> Result<Tensor, BridgeError> {
        // Converted on the CPU, so that the device never holds both types.
        let values = Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(self.element)?;
        Ok(values.to_device(self.device)?)
    }
}
