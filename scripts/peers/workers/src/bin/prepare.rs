//! Writes what the workers read: `--model FOLDER --header FILE --ggml FOLDER [--types q8_0,…]
//! [--data FOLDER --clips FOLDER --names CLIP,…]`.
//!
//! Clips as samples and log-mel features, the model as whisper.cpp files. `--header` is a whisper.cpp file of which the
//! vocabulary and the mel filters are taken. Files that exist are left alone.

use std::collections::HashMap;
use std::path::Path;

use sotto_audio::{decode_file, log_mel_spectrogram, transpose};
use sotto_peers::{Arguments, Failure, write_floats, write_whole};
use sotto_testkit::ggml::{GgmlHeader, GgmlType, NamedTensor, float_tensors, openai_name, whisper_ggml};

const MELS: usize = 80;
const WINDOW_FRAMES: usize = 3000;
const WINDOW_SAMPLES: usize = 480_000;
const TYPES: [(&str, GgmlType); 4] =
    [("f16", GgmlType::F16), ("q8_0", GgmlType::Q8_0), ("q5_1", GgmlType::Q5_1), ("q4_0", GgmlType::Q4_0)];

fn main() -> Result<(), Failure> {
    let arguments = Arguments::of_process();
    if let Some(names) = arguments.find("names") {
        let (data, clips) = (Path::new(arguments.get("data")?), Path::new(arguments.get("clips")?));
        std::fs::create_dir_all(clips)?;
        names.split(',').try_for_each(|clip| prepare_clip(data, clips, clip))?;
    }
    let folder = Path::new(arguments.get("ggml")?);
    std::fs::create_dir_all(folder)?;
    let wanted = |name: &str| arguments.find("types").is_none_or(|types| types.split(',').any(|kind| kind == name));
    let missing: Vec<_> = TYPES
        .into_iter()
        .filter(|(name, _)| wanted(name) && !folder.join(format!("ggml-{name}.bin")).exists())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let model = Path::new(arguments.get("model")?);
    let sizes = sizes(&std::fs::read(model.join("config.json"))?)?;
    let header = read_header(&std::fs::read(arguments.get("header")?)?).ok_or("--header: not a whisper.cpp file")?;
    let header = GgmlHeader { sizes, ..header };
    let tensors = tensors(&model.join("model.safetensors"));
    for (name, kind) in missing {
        write_whole(&folder.join(format!("ggml-{name}.bin")), &whisper_ggml(&header, &tensors, kind))?;
    }
    Ok(())
}

/// `name` is that of a synthetic clip: its file without the ending.
fn prepare_clip(data: &Path, folder: &Path, name: &str) -> Result<(), Failure> {
    let (samples, features) = (folder.join(format!("{name}.pcm")), folder.join(format!("{name}.mel")));
    if samples.exists() && features.exists() {
        return Ok(());
    }
    let audio = decode_file(&data.join(format!("speech/synthetic/{name}.flac")))?;
    let padding = WINDOW_SAMPLES.saturating_sub(audio.samples().len());
    let mel = log_mel_spectrogram(audio.samples(), MELS, padding)?;
    write_floats(&features, &transpose(&mel.values[..WINDOW_FRAMES * MELS], MELS))?;
    write_floats(&samples, audio.samples())
}

/// All tensors under whisper.cpp's names; the biases of the convolutions are columns there.
fn tensors(file: &Path) -> Vec<NamedTensor> {
    let mut tensors = float_tensors(file);
    for tensor in &mut tensors {
        tensor.name = openai_name(&tensor.name);
        if tensor.name.starts_with("encoder.conv") && tensor.name.ends_with("bias") {
            tensor.shape.push(1);
        }
    }
    tensors
}

/// As whisper.cpp's files begin, of a `config.json`.
fn sizes(config: &[u8]) -> Result<[i32; 10], Failure> {
    let config: HashMap<String, serde_json::Value> = serde_json::from_slice(config)?;
    let fields = [
        "vocab_size",
        "max_source_positions",
        "d_model",
        "encoder_attention_heads",
        "encoder_layers",
        "max_target_positions",
        "d_model",
        "decoder_attention_heads",
        "decoder_layers",
        "num_mel_bins",
    ];
    let mut sizes = [0; 10];
    for (size, field) in sizes.iter_mut().zip(fields) {
        let value = config.get(field).and_then(serde_json::Value::as_i64);
        *size = value.ok_or_else(|| format!("config.json: no {field}"))?.try_into()?;
    }
    Ok(sizes)
}

fn read_header(file: &[u8]) -> Option<GgmlHeader> {
    let mut rest = file.strip_prefix(b"lmgg")?;
    let mut sizes = [0; 10];
    for size in &mut sizes {
        *size = number(&mut rest)?;
    }
    let _type = number(&mut rest)?;
    let count = usize::try_from(number(&mut rest)?).ok()? * usize::try_from(number(&mut rest)?).ok()?;
    let filters = take(&mut rest, count * 4)?;
    let mel_filters = filters.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect();
    let mut vocabulary = Vec::new();
    for _ in 0..number(&mut rest)? {
        let length = usize::try_from(number(&mut rest)?).ok()?;
        vocabulary.push(take(&mut rest, length)?.to_vec());
    }
    Some(GgmlHeader { sizes, mel_filters, vocabulary })
}

fn number(rest: &mut &[u8]) -> Option<i32> {
    let (head, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(i32::from_le_bytes(*head))
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(count)?;
    *rest = tail;
    Some(head)
}
