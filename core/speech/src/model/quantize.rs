//! Packing: converts a published model into one file of quantized weights that can be mapped and used in place.
//!
//! The network is loaded once from a `Recorder`, so that the file contains exactly what loading needs. Added are the
//! sizes, the complete generation settings, the vocabulary in a form that needs no parsing, and the provenance of the
//! weights.

use std::path::Path;

use serde_json::json;
use sotto_kernels::{KernelSet, Layout};
use sotto_nn::layers::quantized::QuantizedPrecision;
use sotto_nn::layers::{Backend, TensorSource, WeightType};
use sotto_nn::load::{LoadError, ModelSource};
use sotto_nn::packed::{
    self, ClassError, Contents, PackOptions, Packable, PackedModel, Provenance, Quality, figures, pack,
};
use sotto_nn::weights::WeightError;
use sotto_runtime::{Bytes, CancelToken, ProgressSink};

use super::load::{CONFIG_KEY, GENERATION_KEY, Manifest, ModelFile, TASK, TOKENIZER};
use super::names::Tensors;
use super::weight_types::WeightTypes;
use super::{GenerationConfig, int8, positions, weight_count};
use crate::error::QuantizeError;

/// Increased whenever packing the same source gives a different file that should replace older ones; caches then ignore
/// older files. A test notices when the bytes change.
pub const PACKING_VERSION: u32 = 2;

/// How a model is packed.
#[derive(Debug, Clone, Default)]
pub struct QuantizeOptions {
    /// Weight types. A model that is already packed must have these.
    pub weights: WeightTypes,
    /// Layout of the weights: that of the kernels that will read them; `None` for the best kernels of this CPU.
    pub layout: Option<Layout>,
    /// Matrices whose names begin with one of these keep 8 bits, for example `encoder.layers.0.self_attn`.
    pub keep_int8: Vec<String>,
    /// Makes the file small instead of completely mappable: omits the encoder's positions if they are Whisper's
    /// sinusoids, and tokenizer tables that follow from the merge rules; stores the decoder's positions in half
    /// precision if that is exact. Loading rebuilds them in memory, 4 MB for tiny.
    pub compact: bool,
    /// Whether a file at the destination is replaced.
    pub replace: bool,
    /// Where the model comes from. A packed model keeps its own provenance.
    pub provenance: Provenance,
    /// Measured figures for the metadata, such as word error rates, as the text of a JSON object.
    pub measured: Option<String>,
}

/// The result of packing.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantized {
    /// Size of the file.
    pub bytes: Bytes,
    /// Types of its weights.
    pub weights: WeightTypes,
    /// Layout of its weights.
    pub layout: Layout,
    /// Quantization errors by kind of layer; empty for a model that was already packed.
    pub errors: Vec<ClassError>,
    /// The matrix with the largest quantization error.
    pub worst: Option<ClassError>,
}

/// Metadata of a packed model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackedInfo<'a> {
    /// Length of the file.
    pub bytes: Bytes,
    /// Whether it was copied into memory because it does not start at a multiple of 4 bytes: then it is not used in
    /// place, and the system cannot drop its pages.
    pub copied: bool,
    /// Types of its weights.
    pub weights: WeightTypes,
    /// Layout of its weights.
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
            source: model.metadata(packed::SOURCE),
            licence: model.metadata(packed::LICENCE),
            quality: model.metadata(packed::QUALITY),
        }
    }
}

/// Packs the model at `source` with quantized weights into the file `destination`.
///
/// [`WeightType::Int4`](sotto_nn::layers::WeightType::Int4) gives 4 bits to the decoder, whose time is that of reading
/// the weights; the encoder and the projections of the audio, whose time is arithmetic, keep 8 bits. [`WeightTypes`]
/// sets it part by part.
///
/// Quantized weights of whisper.cpp's files are dequantized exactly and quantized again. Of a model that is already
/// packed only the layout changes, not the weights. The same input gives the same bytes. Holds the packed weights in
/// memory; takes a few seconds for base, a minute or two for large.
///
/// # Errors
/// [`QuantizeError`]. An error, also when `cancel` fires, leaves no partial file at `destination`.
pub fn quantize(
    source: &ModelSource,
    destination: &Path,
    options: &QuantizeOptions,
    progress: &dyn ProgressSink,
    cancel: &CancelToken,
) -> Result<Quantized, QuantizeError> {
    let measured =
        figures(options.measured.as_deref()).map_err(|error| QuantizeError::Measured { problem: error.to_string() })?;
    let manifest = Manifest::open(source)?;
    let layout = options.layout.unwrap_or_else(|| KernelSet::best().layout());
    let weights = options.weights;
    if let ModelFile::Packed(model) = manifest.file() {
        let found = WeightTypes::of(model);
        if found != weights {
            return Err(QuantizeError::PackedWeights { model: manifest.name().to_owned(), found, wanted: weights });
        }
    }
    let is_kept = |name: &str| options.keep_int8.iter().any(|kept| name.starts_with(kept));
    let packing = PackOptions {
        layout,
        weight_type: &|name| if is_kept(name) { WeightType::Int8 } else { weights.of_matrix(name) },
        weights: &weights,
        is_half: &|name| options.compact && name.ends_with("embed_positions.weight"),
        provenance: &options.provenance,
        measured,
        replace: options.replace,
    };
    // A packed source may lack the encoder's positions.
    let lacks = |model: &PackedModel| !model.contains(positions::NAME);
    let compact = options.compact || manifest.packed().is_some_and(lacks);
    let complete = |contents: &mut Contents| complete(&manifest, compact, contents).map_err(QuantizeError::from);
    let (bytes, Quality { classes, worst }) = pack(&manifest, packing, complete, destination, progress, cancel)?;
    Ok(Quantized { bytes, weights, layout, errors: classes, worst })
}

impl Packable for Manifest {
    const TASK: &'static str = TASK;
    const CLASSES: &'static [(&'static str, &'static str)] = &CLASSES;

    fn name(&self) -> &str {
        self.name()
    }

    fn tensors(&self) -> impl TensorSource {
        self.tensors()
    }

    fn packed(&self) -> Option<&PackedModel> {
        match self.file() {
            ModelFile::Packed(model) => Some(model),
            ModelFile::Original(..) => None,
        }
    }

    fn format(&self) -> String {
        let Tensors::Named(weights) = self.tensors() else { return "packed".to_owned() };
        let element = weights.element("encoder.layers.0.fc1.weight").unwrap_or_default();
        format!("{} {element}", weights.naming.file_format())
    }

    fn weights(&self) -> u64 {
        weight_count(self.dimensions())
    }

    fn load(&self, tensors: &impl TensorSource, backend: &Backend) -> Result<(), WeightError> {
        int8::Network::load(tensors, backend, self.dimensions(), QuantizedPrecision::Int8).map(drop)
    }
}

/// Adds the vocabulary and the settings. A `compact` file omits what can be rebuilt from the rest.
fn complete(manifest: &Manifest, compact: bool, contents: &mut Contents) -> Result<(), LoadError> {
    let dimensions = manifest.dimensions();
    if compact {
        let table = manifest.tensors().tensor(positions::NAME, &[dimensions.audio_context, dimensions.width])?;
        if positions::is_sinusoids(&table, dimensions) {
            contents.remove(positions::NAME);
        }
    }
    let tokenizer = manifest.tokenizer()?;
    contents.add_bytes(TOKENIZER, if compact { tokenizer.to_packed_compact() } else { tokenizer.to_packed() });
    contents.set_metadata(CONFIG_KEY, dimensions.to_config_json());
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
    Ok(())
}

/// Kinds of layers, by patterns of matrix names.
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

#[cfg(test)]
mod tests {
    use sotto_nn::packed::TensorError;

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
            assert_eq!(Quality::of(&[error], &CLASSES).classes, [class], "{name}");
        }
    }
}
