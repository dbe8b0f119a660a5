//! Writes a model as candle's quantized Whisper reads it: `--model FOLDER --output FILE`.
//!
//! Matrices become q8_0, all else stays f32, as candle's own `tensor-tools quantize` does.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use candle_core::quantized::{GgmlDType, QTensor, gguf_file};
use candle_core::{Device, Tensor};
use sotto_peers::{Arguments, Failure};
use sotto_testkit::ggml::float_tensors;

fn main() -> Result<(), Failure> {
    let arguments = Arguments::of_process();
    let mut tensors = Vec::new();
    for tensor in float_tensors(&Path::new(arguments.get("model")?).join("model.safetensors")) {
        let kind = if tensor.shape.len() == 2 { GgmlDType::Q8_0 } else { GgmlDType::F32 };
        let values = Tensor::from_vec(tensor.values, tensor.shape, &Device::Cpu)?;
        tensors.push((tensor.name, QTensor::quantize(&values, kind)?));
    }
    let named: Vec<_> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    let mut file = BufWriter::new(File::create(arguments.get("output")?)?);
    gguf_file::write(&mut file, &[], &named)?;
    Ok(file.flush()?)
}
