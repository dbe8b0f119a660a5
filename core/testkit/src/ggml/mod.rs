//! Writes whisper.cpp model files, so that both loaders can be shown to read the same model.
//!
//! Layout as `convert-h5-to-ggml.py` and `quantize` of whisper.cpp write it: vectors and positional embeddings stay
//! f32, matrices take the type that is asked for, three-dimensional tensors stay f16 in quantized files.

mod names;
mod quantize;

use std::path::Path;

use half::f16;
use safetensors::SafeTensors;

pub use names::openai_name;
pub use quantize::quantize;

use crate::data_dir;

/// Element types of whisper.cpp's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GgmlType {
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    F16,
    /// Blocks of 32: 4 bits, scale.
    Q4_0,
    /// Blocks of 32: 4 bits, scale and minimum.
    Q4_1,
    /// Blocks of 32: 5 bits, scale.
    Q5_0,
    /// Blocks of 32: 5 bits, scale and minimum.
    Q5_1,
    /// Blocks of 32: 8 bits, scale.
    Q8_0,
}

impl GgmlType {
    /// Every type, floats first.
    pub const ALL: [Self; 7] = [Self::F32, Self::F16, Self::Q4_0, Self::Q4_1, Self::Q5_0, Self::Q5_1, Self::Q8_0];

    /// Number in a tensor record (`ggml_type`).
    #[must_use]
    pub fn number(self) -> i32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Q4_0 => 2,
            Self::Q4_1 => 3,
            Self::Q5_0 => 6,
            Self::Q5_1 => 7,
            Self::Q8_0 => 8,
        }
    }

    /// Number in the header (`ggml_ftype`, with the quantization version 2 on top where it is quantized).
    #[must_use]
    pub fn ftype(self) -> i32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Q4_0 => 2002,
            Self::Q4_1 => 2003,
            Self::Q5_0 => 2008,
            Self::Q5_1 => 2009,
            Self::Q8_0 => 2007,
        }
    }

    fn is_quantized(self) -> bool {
        !matches!(self, Self::F32 | Self::F16)
    }
}

/// A tensor by its name.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor {
    /// Name.
    pub name: String,
    /// Shape, row-major.
    pub shape: Vec<usize>,
    /// Values, row-major.
    pub values: Vec<f32>,
}

/// What stands in front of the tensors of a Whisper file.
#[derive(Debug, Clone, PartialEq)]
pub struct GgmlHeader {
    /// `n_vocab`, `n_audio_{ctx, state, head, layer}`, `n_text_{ctx, state, head, layer}`, `n_mels`.
    pub sizes: [i32; 10],
    /// `[n_mels, bins]`.
    pub mel_filters: Vec<f32>,
    /// Bytes of each token.
    pub vocabulary: Vec<Vec<u8>>,
}

impl GgmlHeader {
    /// The bytes of the header of a file of this type.
    ///
    /// # Panics
    /// When a count does not fit 32 bits.
    #[must_use]
    pub fn to_bytes(&self, kind: GgmlType) -> Vec<u8> {
        let mut out = b"lmgg".to_vec();
        let mels = self.sizes[9];
        let bins = self.mel_filters.len() as i32 / mels.max(1);
        for number in self.sizes.into_iter().chain([kind.ftype(), mels, bins]) {
            out.extend(number.to_le_bytes());
        }
        out.extend(self.mel_filters.iter().flat_map(|value| value.to_le_bytes()));
        out.extend(count(self.vocabulary.len()));
        for token in &self.vocabulary {
            out.extend(count(token.len()));
            out.extend(token);
        }
        out
    }
}

/// A whole Whisper file. Tensors have OpenAI's names; see [`openai_name`].
#[must_use]
pub fn whisper_ggml(header: &GgmlHeader, tensors: &[NamedTensor], kind: GgmlType) -> Vec<u8> {
    let mut file = header.to_bytes(kind);
    tensors.iter().for_each(|tensor| append(&mut file, tensor, kind));
    file
}

/// The real tiny.en of the data folder as a whisper.cpp file; `None` without the data folder.
///
/// # Panics
/// When the data folder is incomplete.
#[must_use]
pub fn tiny_en_ggml(kind: GgmlType) -> Option<Vec<u8>> {
    // Magic number and ten sizes.
    const FTYPE: usize = 44;
    let data = data_dir()?;
    let mut file = read(&data.join("whisper-ggml-headers/for-tests-ggml-tiny.en.bin"));
    file[FTYPE..FTYPE + 4].copy_from_slice(&kind.ftype().to_le_bytes());
    for mut tensor in float_tensors(&data.join("openai-whisper-tiny.en/model.safetensors")) {
        tensor.name = openai_name(&tensor.name);
        if tensor.name.starts_with("encoder.conv") && tensor.name.ends_with("bias") {
            tensor.shape.push(1);
        }
        append(&mut file, &tensor, kind);
    }
    Some(file)
}

/// All tensors of an f16 or f32 safetensors file, widened.
///
/// # Panics
/// When the file cannot be read or holds other types.
#[must_use]
pub fn float_tensors(path: &Path) -> Vec<NamedTensor> {
    let bytes = read(path);
    let file = SafeTensors::deserialize(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut tensors: Vec<_> = file
        .tensors()
        .into_iter()
        .map(|(name, view)| {
            let data = view.data();
            let values = match view.dtype() {
                safetensors::Dtype::F32 => data.as_chunks::<4>().0.iter().map(|v| f32::from_le_bytes(*v)).collect(),
                safetensors::Dtype::F16 => {
                    data.as_chunks::<2>().0.iter().map(|v| f16::from_le_bytes(*v).to_f32()).collect()
                }
                other => panic!("{}: `{name}` is {other:?}", path.display()),
            };
            NamedTensor { name, shape: view.shape().to_vec(), values }
        })
        .collect();
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    tensors
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn append(file: &mut Vec<u8>, tensor: &NamedTensor, kind: GgmlType) {
    let kind = stored_type(tensor, kind);
    file.extend(count(tensor.shape.len()));
    file.extend(count(tensor.name.len()));
    file.extend(kind.number().to_le_bytes());
    tensor.shape.iter().rev().for_each(|&dimension| file.extend(count(dimension)));
    file.extend(tensor.name.as_bytes());
    file.extend(quantize(&tensor.values, kind));
}

fn stored_type(tensor: &NamedTensor, kind: GgmlType) -> GgmlType {
    let conv_bias = tensor.shape.last() == Some(&1);
    if tensor.shape.len() < 2 || conv_bias || tensor.name.ends_with("positional_embedding") {
        GgmlType::F32
    } else if kind.is_quantized() && tensor.shape.len() != 2 {
        GgmlType::F16
    } else {
        kind
    }
}

fn count(number: usize) -> [u8; 4] {
    i32::try_from(number).unwrap_or_else(|_| panic!("{number} does not fit the format")).to_le_bytes()
}
