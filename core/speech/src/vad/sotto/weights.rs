//! Weights of Sotto's detector, from the safetensors file written by `scripts/train/vad/export.py`.

use std::borrow::Cow;
use std::path::Path;

use sotto_audio::mel_filterbank;
use sotto_kernels::{KernelSet, Panels, Spectrogram};
use sotto_nn::weights::Weights;

use super::super::error::VadError;

/// Mel bins of a frame.
pub(super) const MELS: usize = 40;
/// Distance between frames in samples: two frames per step.
pub(super) const HOP: usize = 256;
/// Frames that the first convolution sees at once, and its channels.
pub(super) const TAPS1: usize = 3;
pub(super) const FIRST: usize = 80;
/// Outputs of the first convolution that the second sees at once, two of them new, and its channels.
pub(super) const TAPS2: usize = 4;
pub(super) const SECOND: usize = 96;
/// Width of the GRU.
pub(super) const HIDDEN: usize = 96;

/// Format name and version in the metadata of the files.
const FORMAT: (&str, &str) = ("sotto-vad", "1");

/// Trained weights are below 10. Up to this limit no product with finite samples overflows.
const LARGEST: f32 = 1e3;

/// The weights of Sotto's detector. Immutable, 0.4 MB; share it with [`std::sync::Arc`].
#[derive(Debug)]
pub struct SottoVad {
    pub(super) kernels: KernelSet,
    pub(super) spectrogram: Spectrogram,
    /// Mean of each mel bin over the training data; `scale` is the inverse of the standard deviation.
    pub(super) mean: [f32; MELS],
    pub(super) scale: [f32; MELS],
    pub(super) first: Panels,
    pub(super) second: Panels,
    /// Gates (reset, update, new) for the inputs, and for the state.
    pub(super) of_input: Panels,
    pub(super) of_state: Panels,
    pub(super) output: Panels,
}

impl SottoVad {
    /// Reads a file of `scripts/train/vad`.
    ///
    /// # Errors
    /// [`VadError`] when the file cannot be read, is damaged or belongs to another model.
    pub fn load(path: &Path) -> Result<Self, VadError> {
        Self::from_weights(&Weights::open_safetensors(path)?)
    }

    /// As [`load`](Self::load), for bytes in memory; `name` replaces the path in messages.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn from_bytes(bytes: Cow<'static, [u8]>, name: &str) -> Result<Self, VadError> {
        Self::from_weights(&Weights::from_safetensors_bytes(bytes, name)?)
    }

    /// Whether the file has the metadata of this format; `false` if it cannot be read.
    pub(in super::super) fn is_file(path: &Path) -> bool {
        Weights::open_safetensors(path).is_ok_and(|weights| weights.metadata("format") == Some(FORMAT.0))
    }

    fn from_weights(weights: &Weights) -> Result<Self, VadError> {
        let unsupported = |problem: String| VadError::Unsupported { file: weights.name().to_owned(), problem };
        if weights.metadata("format") != Some(FORMAT.0) {
            return Err(unsupported("it is no voice activity detector of this project".into()));
        }
        if weights.metadata("version") != Some(FORMAT.1) {
            return Err(unsupported("it was made for a later version of this library".into()));
        }
        let named = Named(weights);
        let row = |name: &str| -> Result<[f32; MELS], VadError> {
            let mut row = [0.0; MELS];
            row.copy_from_slice(&named.tensor(name, &[MELS])?);
            Ok(row)
        };
        Ok(Self {
            kernels: KernelSet::best(),
            spectrogram: Spectrogram::new(HOP, &mel_filterbank(MELS)),
            mean: row("mean")?,
            scale: row("scale")?,
            first: named.conv("conv1", MELS, FIRST, TAPS1)?,
            second: named.conv("conv2", FIRST, SECOND, TAPS2)?,
            of_input: named.linear("gru.weight_ih_l0", "gru.bias_ih_l0", SECOND, 3 * HIDDEN)?,
            of_state: named.linear("gru.weight_hh_l0", "gru.bias_hh_l0", HIDDEN, 3 * HIDDEN)?,
            output: named.linear("output.weight", "output.bias", HIDDEN + SECOND, 1)?,
        })
    }
}

/// Tensors by their names in PyTorch.
struct Named<'a>(&'a Weights);

impl Named<'_> {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, VadError> {
        let values = self.0.tensor(name, shape)?;
        if values.iter().any(|value| value.abs() > LARGEST) {
            let problem = format!("tensor `{name}` has values that are no trained weights");
            return Err(VadError::Damaged { file: self.0.name().to_owned(), problem });
        }
        Ok(values)
    }

    /// A convolution for rows of `taps` consecutive frames.
    fn conv(&self, name: &str, inputs: usize, outputs: usize, taps: usize) -> Result<Panels, VadError> {
        let weight = self.tensor(&format!("{name}.weight"), &[outputs, inputs, taps])?;
        let bias = self.tensor(&format!("{name}.bias"), &[outputs])?;
        let at = |output, input| weight[(output * inputs + input % inputs) * taps + input / inputs];
        Ok(Panels::pack(outputs, taps * inputs, at, |output| bias[output]))
    }

    fn linear(&self, weight: &str, bias: &str, inputs: usize, outputs: usize) -> Result<Panels, VadError> {
        let weight = self.tensor(weight, &[outputs, inputs])?;
        let bias = self.tensor(bias, &[outputs])?;
        Ok(Panels::pack(outputs, inputs, |output, input| weight[output * inputs + input], |output| bias[output]))
    }
}
