//! Weights of Silero's 16 kHz network, from Silero's safetensors or whisper.cpp's ggml file.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use sotto_kernels::Panels;
use sotto_nn::weights::{SileroGgml, WeightError, Weights};

use super::super::detector::STEP;
use super::super::error::VadError;
use super::network::CONTEXT;

/// Samples of the short-time Fourier transform.
pub(super) const WINDOW: usize = 256;

/// Frequency bins of a frame.
pub(super) const BINS: usize = WINDOW / 2 + 1;

/// Taps of each convolution.
pub(super) const TAPS: usize = 3;

/// Channels before, between and after the four convolutions.
pub(super) const CHANNELS: [usize; 5] = [BINS, 128, 64, 64, 128];

/// Width of the LSTM's state.
pub(super) const HIDDEN: usize = 128;

/// First bytes of a ggml file.
const GGML_MAGIC: &[u8] = b"lmgg";

/// The weights of Silero VAD. Immutable, about 1.3 MB; share it with [`std::sync::Arc`].
#[derive(Debug)]
pub struct SileroVad {
    /// Real parts, then imaginary parts of the bins.
    pub(super) transform: Panels,
    pub(super) convolutions: [Panels; 4],
    /// Gates (input, forget, cell, output) for inputs and state side by side.
    pub(super) gates: Panels,
    pub(super) output: Panels,
}

impl SileroVad {
    /// Reads weights: `silero_vad_16k.safetensors`, or a `ggml-silero-*.bin` of whisper.cpp. The format is recognised
    /// by content.
    ///
    /// # Errors
    /// [`VadError`] when the file cannot be read, is damaged or belongs to another model.
    pub fn load(path: &Path) -> Result<Self, VadError> {
        let io = |source| WeightError::Io { file: path.display().to_string(), source };
        let mut magic = Vec::new();
        File::open(path).map_err(io)?.take(GGML_MAGIC.len() as u64).read_to_end(&mut magic).map_err(io)?;
        if magic == GGML_MAGIC {
            let (header, weights) = Weights::open_silero_ggml(path)?;
            Self::from_ggml(&header, &weights)
        } else {
            Self::from_named(&Named { weights: &Weights::open_safetensors(path)?, names: silero_name })
        }
    }

    /// As [`load`](Self::load), for bytes in memory; `name` replaces the path in messages.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn from_bytes(bytes: Cow<'static, [u8]>, name: &str) -> Result<Self, VadError> {
        if bytes.starts_with(GGML_MAGIC) {
            let (header, weights) = Weights::from_silero_ggml_bytes(bytes, name)?;
            Self::from_ggml(&header, &weights)
        } else {
            let weights = Weights::from_safetensors_bytes(bytes, name)?;
            Self::from_named(&Named { weights: &weights, names: silero_name })
        }
    }

    fn from_ggml(header: &SileroGgml, weights: &Weights) -> Result<Self, VadError> {
        let unsupported = |problem: String| VadError::Unsupported { file: weights.name().to_owned(), problem };
        if (header.window, header.context) != (STEP, CONTEXT) {
            return Err(unsupported(format!("its steps are {} samples behind {}", header.window, header.context)));
        }
        let sizes: Vec<_> = header.encoder.iter().map(|layer| (layer.input, layer.output, layer.kernel)).collect();
        let expected: Vec<_> = CHANNELS.windows(2).map(|pair| (pair[0], pair[1], TAPS)).collect();
        if sizes != expected || (header.lstm_input, header.lstm_hidden) != (HIDDEN, HIDDEN) {
            return Err(unsupported(format!("its encoder is {sizes:?}, its LSTM {} wide", header.lstm_hidden)));
        }
        Self::from_named(&Named { weights, names: ggml_name })
    }

    fn from_named(weights: &Named<'_>) -> Result<Self, VadError> {
        let transform = weights.tensor("stft_conv.weight", &[2 * BINS, 1, WINDOW])?;
        let output = weights.tensor("final_conv.weight", &[1, HIDDEN, 1])?;
        let output_bias = weights.tensor("final_conv.bias", &[1])?;
        Ok(Self {
            transform: Panels::pack(2 * BINS, WINDOW, |output, input| transform[output * WINDOW + input], |_| 0.0),
            convolutions: [weights.conv(1)?, weights.conv(2)?, weights.conv(3)?, weights.conv(4)?],
            gates: weights.gates()?,
            output: Panels::pack(1, HIDDEN, |_, input| output[input], |_| output_bias[0]),
        })
    }
}

/// Tensors by their names in Silero's safetensors file.
struct Named<'a> {
    weights: &'a Weights,
    names: fn(&str) -> String,
}

impl Named<'_> {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightError> {
        let name = (self.names)(name);
        // whisper.cpp's converter drops dimensions of one.
        let dense = |shape: &[usize]| shape.iter().copied().filter(|&dimension| dimension != 1).collect::<Vec<_>>();
        match self.weights.shape(&name) {
            Some(found) if dense(found) == dense(shape) => self.weights.tensor(&name, found),
            _ => self.weights.tensor(&name, shape),
        }
    }

    /// Convolution `number`, counted from 1, for inputs of three consecutive frames.
    fn conv(&self, number: usize) -> Result<Panels, WeightError> {
        let (inputs, outputs) = (CHANNELS[number - 1], CHANNELS[number]);
        let weight = self.tensor(&format!("conv{number}.weight"), &[outputs, inputs, TAPS])?;
        let bias = self.tensor(&format!("conv{number}.bias"), &[outputs])?;
        let at = |output, input| weight[(output * inputs + input % inputs) * TAPS + input / inputs];
        Ok(Panels::pack(outputs, TAPS * inputs, at, |output| bias[output]))
    }

    fn gates(&self) -> Result<Panels, WeightError> {
        let of_input = self.tensor("lstm_cell.weight_ih", &[4 * HIDDEN, HIDDEN])?;
        let of_state = self.tensor("lstm_cell.weight_hh", &[4 * HIDDEN, HIDDEN])?;
        let input_bias = self.tensor("lstm_cell.bias_ih", &[4 * HIDDEN])?;
        let state_bias = self.tensor("lstm_cell.bias_hh", &[4 * HIDDEN])?;
        let at = |gate: usize, column: usize| match column.checked_sub(HIDDEN) {
            None => of_input[gate * HIDDEN + column],
            Some(column) => of_state[gate * HIDDEN + column],
        };
        Ok(Panels::pack(4 * HIDDEN, 2 * HIDDEN, at, |gate| input_bias[gate] + state_bias[gate]))
    }
}

fn silero_name(name: &str) -> String {
    name.to_owned()
}

/// The name in whisper.cpp's file, which follows Silero's TorchScript module.
fn ggml_name(name: &str) -> String {
    let (layer, rest) = name.split_once('.').unwrap_or((name, ""));
    match layer {
        "stft_conv" => "_model.stft.forward_basis_buffer".to_owned(),
        "lstm_cell" => format!("_model.decoder.rnn.{rest}"),
        "final_conv" => format!("_model.decoder.decoder.2.{rest}"),
        _ => {
            let number = layer.trim_start_matches("conv").parse::<usize>().unwrap_or(1);
            format!("_model.encoder.{}.reparam_conv.{rest}", number - 1)
        }
    }
}
