//! Packing: a model of its publisher becomes one file of quantized weights that is mapped and used where it lies.
//!
//! The network is loaded once while a [`Recorder`] watches, so that the file holds exactly what loading asks for. What
//! else belongs into the file, settings and a vocabulary, its task adds.

use std::fmt::Display;
use std::path::Path;

use serde_json::{Map, Value};
use sotto_kernels::{KernelSet, Layout};
use sotto_runtime::{Bytes, CancelToken, Progress, ProgressSink, Stage, Threads};

use super::{Contents, Description, PackedModel, Provenance, Quality, Recorder, TASK, TensorError, WriteError};
use crate::layers::{Backend, TensorSource, Watched, WeightType};
use crate::weights::WeightError;

/// A model that can be packed, as its task declares it.
pub trait Packable {
    /// The task that the file names: [`TASK`].
    const TASK: &'static str;

    /// Kinds of layers, for the errors of quantization: patterns of the names of matrices, in which a `*` stands for a
    /// number, with the names of the kinds.
    const CLASSES: &'static [(&'static str, &'static str)];

    /// What messages call it.
    fn name(&self) -> &str;

    /// Its tensors.
    fn tensors(&self) -> impl TensorSource;

    /// The packed model, where it is packed already: it gets another layout, its weights do not change.
    fn packed(&self) -> Option<&PackedModel>;

    /// The form of most of its weights: `safetensors F16`, `ggml q8_0`.
    fn format(&self) -> String;

    /// Weights of the network, for the progress.
    fn weights(&self) -> u64;

    /// Loads the network with quantized weights from these tensors, and drops it.
    ///
    /// # Errors
    /// What is wrong with the tensors.
    fn load(&self, tensors: &impl TensorSource, backend: &Backend) -> Result<(), WeightError>;
}

/// How a model is packed.
pub struct PackOptions<'a> {
    /// Order of the weights: that of the kernels which will read them.
    pub layout: Layout,
    /// Bits of the weights of each matrix, by its name. A packed model keeps those it has.
    pub weight_type: &'a dyn Fn(&str) -> WeightType,
    /// The same for all of them together, as the file says it.
    pub weights: &'a dyn Display,
    /// Which f32 tensors are stored as half floats, if that loses nothing. A packed model keeps what it has.
    pub is_half: &'a dyn Fn(&str) -> bool,
    /// Where the model comes from. A packed model keeps what it says.
    pub provenance: &'a Provenance,
    /// Measured figures for the file, where there are any: see [`figures`](super::figures).
    pub measured: Map<String, Value>,
    /// Whether a file at the destination is replaced.
    pub replace: bool,
}

/// Why a model could not be packed. Nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The weights cannot be read.
    #[error(transparent)]
    Weights(#[from] WeightError),
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Packs `model` into the file `destination`. `complete` adds to the tensors what else belongs to the model. Returns
/// the length of the file, and how far its weights are from the source's: nothing for a model that was packed before.
/// The same input gives the same bytes.
///
/// Holds the packed weights in memory. Progress counts weights ([`Stage::Quantize`]), then bytes ([`Stage::Write`]);
/// `cancel` is looked at before each tensor and each megabyte.
///
/// # Errors
/// [`PackError`], and those of `complete`. There is a whole file at `destination` or, after an error, none.
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

/// Loads the network and keeps what it is made of.
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
    // It does not compute: the weights may lie in an order that this CPU's kernels do not read.
    let backend = Backend::with_kernels(KernelSet::scalar(), Threads::ONE);
    model.load(&source, &backend)?;
    Ok(recorder.finish())
}
