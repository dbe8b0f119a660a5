//! Packing: a model of its publisher becomes one file of quantized weights that is mapped and used where it lies.
//!
//! The network is loaded once while a [`Recorder`] watches, so that the file holds exactly what loading asks for. With
//! it go the sizes, the generation settings (complete, so that nothing has to be derived when it is loaded), the
//! vocabulary in a form that needs no parsing, and where the weights come from.

use std::path::Path;

use serde_json::{Map, Value, json};
use sotto_kernels::{KernelSet, Layout};
use sotto_nn::layers::{Backend, TensorSource, WeightType};
use sotto_nn::load::{ModelSource, QuantizedPrecision};
use sotto_nn::packed::{Contents, PackedModel, Recorder, TensorError};
use sotto_runtime::{Bytes, CancelToken, Progress, ProgressSink, Stage, Threads};

use super::load::{CONFIG_KEY, GENERATION_KEY, Manifest, ModelFile, TASK, TASK_KEY, TOKENIZER};
use super::names::Tensors;
use super::watched::Watched;
use super::weight_types::WeightTypes;
use super::{GenerationConfig, int8, positions, weight_count};
use crate::error::QuantizeError;

const WEIGHTS_KEY: &str = "sotto.weights";
const SOURCE_KEY: &str = "sotto.source";
const LICENCE_KEY: &str = "sotto.licence";
const LICENCE_TEXT_KEY: &str = "sotto.licence_text";
const QUALITY_KEY: &str = "sotto.quality";
const WRITER_KEY: &str = "sotto.writer";

/// Counts up whenever packing the same source gives another file that should be used in place of older ones: what a
/// cache holds from before is left alone then. A test notices that the bytes have changed.
pub const PACKING_VERSION: u32 = 2;

/// How a model is packed.
#[derive(Debug, Clone, Default)]
pub struct QuantizeOptions {
    /// Bits of the weights. A model that is packed already must have been packed so.
    pub weights: WeightTypes,
    /// Order of the weights: that of the kernels which will read them; `None` for the best ones of this CPU.
    pub layout: Option<Layout>,
    /// Matrices whose names begin so keep 8 bits, whatever their part has: `encoder.layers.0.self_attn`.
    pub keep_int8: Vec<String>,
    /// Whether the file is to be small rather than mapped as a whole: the encoder's positions are left out where they
    /// are Whisper's sinusoids, the decoder's are half floats where that loses nothing, tables of the tokenizer that
    /// follow from its merge rules. Loading makes them anew, 4 MB for tiny.
    pub compact: bool,
    /// Whether a file at the destination is replaced.
    pub replace: bool,
    /// Where the model comes from. Kept as it is when a packed model is packed again.
    pub provenance: Provenance,
    /// Measured figures, such as word error rates, that go into the file beside the errors of the weights: the text of
    /// a JSON object.
    pub measured: Option<String>,
}

/// Where a model comes from, as far as it is known. It ends up in the packed file word for word.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provenance {
    /// SHA-256 of the weight file, in hexadecimal digits.
    pub sha256: Option<String>,
    /// Name of the repository that it was fetched from.
    pub repository: Option<String>,
    /// Commit of the repository.
    pub revision: Option<String>,
    /// Licence, as short as its publisher states it.
    pub licence: Option<String>,
    /// Text of the licence.
    pub licence_text: Option<String>,
}

/// What came out.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantized {
    /// Size of the file.
    pub bytes: Bytes,
    /// Bits of its weights.
    pub weights: WeightTypes,
    /// Order of its weights.
    pub layout: Layout,
    /// How far the quantized weights are from the source's, by kind of layer; empty for a model that was packed before.
    pub errors: Vec<ClassError>,
    /// The matrix that is farthest from the source's.
    pub worst: Option<ClassError>,
}

/// Quantization error of a group of weights.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassError {
    /// What the weights belong to.
    pub name: String,
    /// Root mean square of the differences over that of the weights: 0.005 is half a percent.
    pub relative: f64,
}

/// What a packed model says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackedInfo<'a> {
    /// Length of the file.
    pub bytes: Bytes,
    /// Whether it was copied into memory, because it does not lie on a multiple of 4 bytes where it is: it is not used
    /// in place then, and the system cannot drop its pages.
    pub copied: bool,
    /// Bits of its weights.
    pub weights: WeightTypes,
    /// Order of its weights.
    pub layout: Layout,
    /// JSON object: `format`, and what is known of `sha256`, `repository`, `revision`.
    pub source: Option<&'a str>,
    /// Licence of the model.
    pub licence: Option<&'a str>,
    /// JSON object: `relative_error` by kind of layer, `worst` matrix, `measured`.
    pub quality: Option<&'a str>,
}

impl<'a> PackedInfo<'a> {
    pub(super) fn of(model: &'a PackedModel) -> Self {
        Self {
            bytes: Bytes(model.bytes_on_disk()),
            copied: model.is_copied(),
            weights: WeightTypes::of(model),
            layout: model.layout(),
            source: model.metadata(SOURCE_KEY),
            licence: model.metadata(LICENCE_KEY),
            quality: model.metadata(QUALITY_KEY),
        }
    }
}

/// Packs the model at `source` with quantized weights into the file `destination`.
///
/// [`WeightType::Int4`](sotto_nn::layers::WeightType::Int4) stands for 4 bits in the decoder, whose time is reading
/// them; the encoder and the projections of the audio, whose time is arithmetic, keep 8 bits. [`WeightTypes`] says it
/// part by part.
///
/// Weights of whisper.cpp's quantized files are restored exactly before they are quantized anew. A model that is packed
/// already gets another layout; its weights do not change. The same input gives the same bytes. Holds the packed
/// weights in memory; takes a few seconds for base, a minute or two for large.
///
/// # Errors
/// [`QuantizeError`]. There is a whole file at `destination` or, after an error or when `cancel` fires, none.
pub fn quantize(
    source: &ModelSource,
    destination: &Path,
    options: &QuantizeOptions,
    progress: &dyn ProgressSink,
    cancel: &CancelToken,
) -> Result<Quantized, QuantizeError> {
    let measured = measured(options)?;
    let manifest = Manifest::open(source)?;
    let layout = options.layout.unwrap_or_else(|| KernelSet::best().layout());
    let weights = options.weights;
    if let ModelFile::Packed(model) = manifest.file() {
        let found = WeightTypes::of(model);
        if found != weights {
            return Err(QuantizeError::PackedWeights { model: manifest.name().to_owned(), found, wanted: weights });
        }
    }
    let (mut contents, errors) = record(&manifest, options, layout, progress, cancel)?;
    let tokenizer = manifest.tokenizer()?;
    let small = is_compact(&manifest, options);
    contents.add_bytes(TOKENIZER, if small { tokenizer.to_packed_compact() } else { tokenizer.to_packed() });
    contents.set_metadata(TASK_KEY, TASK.to_owned());
    contents.set_metadata(WEIGHTS_KEY, weights.to_string());
    contents.set_metadata(WRITER_KEY, concat!("sotto ", env!("CARGO_PKG_VERSION")).to_owned());
    contents.set_metadata(CONFIG_KEY, manifest.dimensions().to_config_json());
    let settings = manifest.settings(&tokenizer)?;
    let numbers = |tokens: &[u32]| Some(tokens.iter().map(|&token| i64::from(token)).collect());
    let generation = GenerationConfig {
        suppress_tokens: numbers(&settings.suppress),
        begin_suppress_tokens: numbers(&settings.suppress_first),
        alignment_heads: Some(settings.alignment_heads),
        max_initial_timestamp_index: settings.max_initial_timestamp,
        return_timestamps: settings.prefers_timestamps,
        is_multilingual: Some(tokenizer.is_multilingual()),
    };
    contents.set_metadata(GENERATION_KEY, json!(generation).to_string());
    let (classes, worst) = (by_class(&errors), worst(&errors));
    let quality = describe(&mut contents, &manifest, &options.provenance, &classes, worst.as_ref());
    contents.set_metadata(QUALITY_KEY, with_figures(quality, measured).to_string());
    let subject = || manifest.name().into();
    let written = |done, total| {
        progress.report(&Progress { stage: Stage::Write, done, total: Some(total), subject: subject() });
    };
    let bytes = Bytes(contents.write(destination, options.replace, &written, cancel)?);
    Ok(Quantized { bytes, weights, layout, errors: classes, worst })
}

/// Loads the network and keeps what it is made of.
fn record(
    manifest: &Manifest,
    options: &QuantizeOptions,
    layout: Layout,
    progress: &dyn ProgressSink,
    cancel: &CancelToken,
) -> Result<(Contents, Vec<TensorError>), QuantizeError> {
    let dimensions = manifest.dimensions();
    let (tensors, total) = (manifest.tensors(), weight_count(dimensions));
    let report = |done| {
        let subject = manifest.name().into();
        progress.report(&Progress { stage: Stage::Quantize, done, total: Some(total), subject });
    };
    report(0);
    let weight_type = |name: &str| match options.keep_int8.iter().any(|kept| name.starts_with(kept)) {
        true => WeightType::Int8,
        false => options.weights.of_matrix(name),
    };
    let is_half = |name: &str| match manifest.file() {
        // A packed source keeps what it has.
        ModelFile::Packed(model) => model.is_half(name),
        ModelFile::Original(..) => options.compact && name.ends_with("embed_positions.weight"),
    };
    let recorder = Recorder::new(&tensors, layout, &weight_type, cancel).with_halves(&is_half);
    let source = Watched::new(&recorder, cancel, &report);
    // Neither computes: the weights may lie in an order that this CPU's kernels do not read.
    let backend = Backend::with_kernels(KernelSet::scalar(), Threads::ONE);
    int8::Network::load(&source, &backend, dimensions, QuantizedPrecision::Int8)?;
    let (mut contents, errors) = recorder.finish();
    if is_compact(manifest, options) {
        let table = tensors.tensor(positions::NAME, &[dimensions.audio_context, dimensions.width])?;
        if positions::is_sinusoids(&table, dimensions) {
            contents.remove(positions::NAME);
        }
    }
    Ok((contents, errors))
}

/// The figures that a caller has measured.
fn measured(options: &QuantizeOptions) -> Result<Map<String, Value>, QuantizeError> {
    let parse = |json: &String| serde_json::from_str(json);
    let figures = options.measured.as_ref().map(parse).transpose();
    figures.map(Option::unwrap_or_default).map_err(|error| QuantizeError::Measured { problem: error.to_string() })
}

/// What is known of the quality, with what was measured.
fn with_figures(mut quality: Map<String, Value>, measured: Map<String, Value>) -> Value {
    if !measured.is_empty() {
        quality.insert("measured".into(), measured.into());
    }
    quality.into()
}

/// Whether what follows from the rest is left out. A packed source keeps what it has, and goes without what it lacks.
fn is_compact(manifest: &Manifest, options: &QuantizeOptions) -> bool {
    options.compact || matches!(manifest.file(), ModelFile::Packed(model) if !model.contains(positions::NAME))
}

/// Writes source and licence down; the errors of the weights.
fn describe(
    contents: &mut Contents,
    manifest: &Manifest,
    provenance: &Provenance,
    classes: &[ClassError],
    worst: Option<&ClassError>,
) -> Map<String, Value> {
    let mut quality = Map::new();
    match (manifest.file(), manifest.tensors()) {
        (ModelFile::Packed(model), _) => {
            for key in [SOURCE_KEY, LICENCE_KEY, LICENCE_TEXT_KEY] {
                if let Some(value) = model.metadata(key) {
                    contents.set_metadata(key, value.to_owned());
                }
            }
            let kept = model.metadata(QUALITY_KEY).and_then(|json| serde_json::from_str(json).ok());
            quality = kept.unwrap_or_default();
        }
        (ModelFile::Original(..), tensors) => {
            let Provenance { sha256, repository, revision, licence, licence_text } = provenance;
            let mut origin = Map::new();
            origin.insert("format".into(), format_of(&tensors).into());
            for (key, value) in [("sha256", sha256), ("repository", repository), ("revision", revision)] {
                if let Some(value) = value {
                    origin.insert(key.into(), value.clone().into());
                }
            }
            contents.set_metadata(SOURCE_KEY, Value::from(origin).to_string());
            for (key, value) in [(LICENCE_KEY, licence), (LICENCE_TEXT_KEY, licence_text)] {
                if let Some(value) = value {
                    contents.set_metadata(key, value.clone());
                }
            }
            let errors: Map<String, Value> =
                classes.iter().map(|class| (class.name.clone(), rounded(class.relative).into())).collect();
            quality.insert("relative_error".into(), errors.into());
            if let Some(worst) = worst {
                let relative = rounded(worst.relative);
                quality.insert("worst".into(), json!({ "matrix": worst.name, "relative_error": relative }));
            }
        }
    }
    quality
}

/// `safetensors F16`, `ggml q8_0`: the form of most of the source's weights.
fn format_of(tensors: &Tensors<'_>) -> String {
    let Tensors::Named(weights) = tensors else { return "packed".to_owned() };
    let element = weights.element("encoder.layers.0.fc1.weight").unwrap_or_default();
    format!("{} {element}", weights.naming.file_format())
}

/// Six digits say enough, and the same on every machine.
fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

const CLASSES: [(&str, &str); 8] = [
    ("encoder.conv", "encoder convolutions"),
    ("encoder.layers.*.self_attn", "encoder attention"),
    ("encoder.layers.*.fc", "encoder feed-forward"),
    ("decoder.layers.*.self_attn", "decoder self-attention"),
    ("decoder.layers.*.encoder_attn", "decoder cross-attention"),
    ("decoder.layers.*.fc", "decoder feed-forward"),
    ("decoder.embed_tokens", "token embedding"),
    ("proj_out", "output layer"),
];

/// The errors of all matrices of each kind together.
fn by_class(errors: &[TensorError]) -> Vec<ClassError> {
    let is_of = |name: &str, pattern: &str| match pattern.split_once('*') {
        None => name.starts_with(pattern),
        Some((stem, part)) => {
            let rest = name.strip_prefix(stem).map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
            rest.is_some_and(|rest| rest.starts_with(part))
        }
    };
    let class = |(pattern, name): &(&str, &str)| {
        let mut members = errors.iter().filter(|error| is_of(&error.name, pattern)).peekable();
        members.peek()?;
        let mut sum = TensorError { name: (*name).to_owned(), squared_error: 0.0, squared_weights: 0.0 };
        for error in members {
            sum.squared_error += error.squared_error;
            sum.squared_weights += error.squared_weights;
        }
        Some(ClassError { relative: sum.relative(), name: sum.name })
    };
    CLASSES.iter().filter_map(class).collect()
}

fn worst(errors: &[TensorError]) -> Option<ClassError> {
    let worst = errors.iter().max_by(|a, b| a.relative().total_cmp(&b.relative()))?;
    Some(ClassError { name: worst.name.clone(), relative: worst.relative() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_matrix_belongs_to_one_kind_of_layer() {
        let names = [
            "encoder.conv1",
            "encoder.layers.10.self_attn.q_proj+k_proj+v_proj",
            "encoder.layers.0.fc2",
            "decoder.layers.3.self_attn.out_proj",
            "decoder.layers.3.encoder_attn.k_proj+v_proj",
            "decoder.layers.3.fc1",
            "decoder.embed_tokens",
            "proj_out",
        ];
        for (index, name) in names.iter().enumerate() {
            let error = TensorError { name: (*name).to_owned(), squared_error: 1.0, squared_weights: 4.0 };
            let class = ClassError { name: CLASSES[index].1.to_owned(), relative: 0.5 };
            assert_eq!(by_class(&[error]), [class], "{name}");
        }
    }
}
