//! Packing: converts a published model into one file of quantized weights that can be mapped and used in place.
//!
//! The network is loaded once from a [`Recorder`], so that the file contains exactly what loading needs. The task adds
//! the rest: settings and a vocabulary.

use std::fmt::Display;
use std::path::Path;

use serde_json::{Map, Value};
use sotto_kernels::{KernelSet, Layout};
use sotto_runtime::{Bytes, CancelToken, Progress, ProgressSink, Stage, Threads};

use super::{Contents, Description, PackedModel, Provenance, Quality, Recorder, TASK, TensorError, WriteError};
use crate::layers::{Backend, TensorSource, Watched, WeightType};
use crate::weights::WeightError;

/// A model that can be packed; implemented by its task.
pub trait Packable {
    /// The value of [`TASK`] in the file's metadata.
    const TASK: &'static str;

    /// Kinds of layers, to report quantization errors by: pairs of a pattern of matrix names, in which `*` stands for a
    /// number, and the name of the kind.
    const CLASSES: &'static [(&'static str, &'static str)];

    /// Its name in messages.
    fn name(&self) -> &str;

    /// Its tensors.
    fn tensors(&self) -> impl TensorSource;

    /// The packed model, if it is already packed: then only its layout changes, not its weights.
    fn packed(&self) -> Option<&PackedModel>;

    /// The format of most of its weights, such as `safetensors F16` or `ggml q8_0`.
    fn format(&self) -> String;

    /// Number of weights of the network, for progress.
    fn weights(&self) -> u64;

    /// Loads the network with quantized weights from these tensors, and drops it.
    ///
    /// # Errors
    /// The error of the tensor that is missing or damaged.
    fn load(&self, tensors: &impl TensorSource, backend: &Backend) -> Result<(), WeightError>;
}

/// How a model is packed.
pub struct PackOptions<'a> {
    /// Layout of the weights: that of the kernels that will read them.
    pub layout: Layout,
    /// Weight type of each matrix, by its name. A packed model keeps its own.
    pub weight_type: &'a dyn Fn(&str) -> WeightType,
    /// A description of the weight types of all matrices, for the metadata.
    pub weights: &'a dyn Display,
    /// Selects f32 tensors to be stored in half precision, if that is exact. A packed model keeps its own.
    pub is_half: &'a dyn Fn(&str) -> bool,
    /// Where the model comes from. A packed model keeps its own provenance.
    pub provenance: &'a Provenance,
    /// Measured figures for the metadata: see [`figures`](super::figures).
    pub measured: Map<String, Value>,
    /// Whether a file at the destination is replaced.
    pub replace: bool,
}

/// Why a model could not be packed. No partial file is left.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The weights cannot be read.
    #[error(transparent)]
    Weights(#[from] WeightError),
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Packs `model` into the file `destination`. `complete` adds the task's settings and vocabulary to the tensors.
/// Returns the length of the file in bytes and the quantization errors, which are empty for a model that was already
/// packed. The same input gives the same bytes.
///
/// Holds the packed weights in memory. Progress counts weights ([`Stage::Quantize`]), then bytes ([`Stage::Write`]).
/// Polls `cancel` before each tensor and each megabyte.
///
/// # Errors
/// [`PackError`], and the errors of `complete`. An error leaves no partial file at `destination`.
pub fn pack<M: Packable, E: From<PackError>>(
    model: &M,
    options: PackOptions<'_>,
    complete: impl FnOnce(&mut Contents) -> Result<(), E>,
    destination: &Path,
    progress: &dyn ProgressSink,
    cancel: &CancelToken,
) -> Result<(Bytes, Quality), E> {
    let (mut contents, errors) = record(model, &options, progress, cancel).map_err(PackError::from)?;
    complete(&mut contents)?;
    contents.set_metadata(TASK, M::TASK.to_owned());
    let mut description = match model.packed() {
        Some(packed) => Description::kept(packed),
        None => Description::new(&model.format(), options.provenance, Quality::of(&errors, M::CLASSES)),
    };
    description.measured(options.measured);
    let quality = description.quality().clone();
    description.write(options.weights, &mut contents);
    let written = |done, total| {
        progress.report(&Progress { stage: Stage::Write, done, total: Some(total), subject: model.name().into() });
    };
    let bytes = contents.write(destination, options.replace, &written, cancel).map_err(PackError::from)?;
    Ok((Bytes(bytes), quality))
}

/// Loads the network and records its tensors.
fn record(
    model: &impl Packable,
    options: &PackOptions<'_>,
    progress: &dyn ProgressSink,
    cancel: &CancelToken,
) -> Result<(Contents, Vec<TensorError>), WeightError> {
    let total = Some(model.weights());
    let report = |done| {
        progress.report(&Progress { stage: Stage::Quantize, done, total, subject: model.name().into() });
    };
    report(0);
    let is_half = |name: &str| match model.packed() {
        Some(packed) => packed.is_half(name),
        None => (options.is_half)(name),
    };
    let tensors = model.tensors();
    let recorder = Recorder::new(&tensors, options.layout, options.weight_type, cancel).with_halves(&is_half);
    let source = Watched::new(&recorder, cancel, &report);
    // Only for loading, never for computing: the recorded layout may be one that this CPU's kernels do not read.
    let backend = Backend::with_kernels(KernelSet::scalar(), Threads::ONE);
    model.load(&source, &backend)?;
    Ok(recorder.finish())
}
