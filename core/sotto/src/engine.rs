//! What all tasks of an application share.

use std::sync::{Arc, Mutex, PoisonError};

use sotto_runtime::{Bytes, CancelToken, HelperSetup, JobOptions, MemoryBudget, ProgressSink, Threads};
use sotto_speech::{ComputeDevice, Isa, LoadError, LoadOptions, ModelSource, OtherLayout, Precision, SpeechRecognizer};

use crate::cache::{CacheError, PackedCache, Packing};

/// Settings of an [`Engine`].
#[derive(Debug, Clone, Default)]
pub struct EngineOptions {
    /// Threads per task; the big cores by default.
    pub threads: Threads,
    /// What the threads call that help the caller's in int8, when they start: for their priority.
    pub helper_setup: HelperSetup,
    /// Most memory that all models of the engine may hold together; unlimited where `None`.
    pub memory: Option<Bytes>,
    /// How models compute; `None` is int8, whatever they come from. [`Precision::F32`], the reference, is asked for by
    /// name.
    pub precision: Option<Precision>,
    /// What models compute on, where they can: a model that cannot computes on the CPU.
    pub device: ComputeDevice,
    /// Kernels to compute with; `None` for the best of this CPU. For tests and comparisons.
    pub isa: Option<Isa>,
    /// What happens to packed models that were packed for another kind of CPU.
    pub other_layout: OtherLayout,
    /// Where folders and ggml files are kept packed, so that they load in milliseconds from the second time on:
    /// computing in int8 on the CPU, with the same bits as without. `None`, the default, packs nothing and writes
    /// nothing.
    pub cache: Option<PackedCache>,
}

/// Loads models within one memory budget. Cheap to clone; clones share the budget. `Send + Sync`.
#[derive(Debug, Clone, Default)]
pub struct Engine {
    threads: Threads,
    helper_setup: HelperSetup,
    budget: MemoryBudget,
    precision: Option<Precision>,
    device: ComputeDevice,
    isa: Option<Isa>,
    other_layout: OtherLayout,
    cache: Option<PackedCache>,
    /// Why the last model is not in the cache.
    problem: Arc<Mutex<Option<CacheError>>>,
}

impl Engine {
    /// An engine with its own budget. Loads nothing yet.
    #[must_use]
    pub fn new(options: EngineOptions) -> Self {
        let EngineOptions { threads, helper_setup, memory, precision, device, isa, other_layout, cache } = options;
        let budget = memory.map_or_else(MemoryBudget::unlimited, MemoryBudget::limited);
        let problem = Arc::default();
        Self { threads, helper_setup, budget, precision, device, isa, other_layout, cache, problem }
    }

    /// The budget that loaded models count against.
    #[must_use]
    pub fn budget(&self) -> &MemoryBudget {
        &self.budget
    }

    /// Loads a speech-to-text model. Blocks while the weights are read. With a cache the first load of a folder or a
    /// ggml file packs it, which takes about twice as long as loading it, and later ones map what was packed. What the
    /// cache cannot do never makes a load fail: [`take_cache_problem`](Self::take_cache_problem) tells of it.
    ///
    /// # Errors
    /// As [`SpeechRecognizer::load`].
    pub fn speech(
        &self,
        source: &ModelSource,
        progress: &dyn ProgressSink,
        cancel: &CancelToken,
    ) -> Result<SpeechRecognizer, LoadError> {
        let options = self.options();
        match self.packed(source, progress, cancel) {
            Ok(None) => {}
            Ok(Some(file)) => match SpeechRecognizer::load(&file.as_path().into(), &options, progress, cancel) {
                Ok(recognizer) => return Ok(recognizer),
                Err(LoadError::Cancelled(cancelled)) => return Err(LoadError::Cancelled(cancelled)),
                // Smaller it will not become.
                Err(LoadError::OutOfBudget { refused, .. }) => {
                    return Err(LoadError::OutOfBudget { model: name(source), refused });
                }
                // Damaged, or removed by another process meanwhile.
                Err(error) => {
                    self.cache.iter().for_each(|cache| cache.discard(&file));
                    self.note(CacheError::Load(error));
                }
            },
            Err(CacheError::Cancelled(cancelled)) => return Err(LoadError::Cancelled(cancelled)),
            // What is wrong with the model itself is said below, where it is loaded as it is.
            Err(CacheError::Load(_)) => {}
            Err(problem) => self.note(problem),
        }
        SpeechRecognizer::load(source, &options, progress, cancel)
    }

    /// Bytes that a speech-to-text model would hold, without loading it: read as it is, without the cache.
    ///
    /// # Errors
    /// As [`SpeechRecognizer::estimate`].
    pub fn estimate_speech(&self, source: &ModelSource) -> Result<Bytes, LoadError> {
        SpeechRecognizer::estimate(source, &self.options())
    }

    /// Why a model could not be kept in the cache, or not be read from it, since this was asked last. The model was
    /// loaded all the same; the next load takes as long again.
    #[must_use]
    pub fn take_cache_problem(&self) -> Option<CacheError> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn note(&self, problem: CacheError) {
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = Some(problem);
    }

    /// The packed form of a model, where the cache has one or can make one.
    fn packed(
        &self,
        source: &ModelSource,
        progress: &dyn ProgressSink,
        cancel: &CancelToken,
    ) -> Result<Option<std::path::PathBuf>, CacheError> {
        // Another processor computes with the weights of the source itself.
        let of_int8 = self.precision != Some(Precision::F32) && self.device == ComputeDevice::Cpu;
        match &self.cache {
            Some(cache) if of_int8 => {
                let packing = Packing { isa: self.isa, budget: &self.budget };
                cache.packed(source, &packing, progress, cancel)
            }
            _ => Ok(None),
        }
    }

    /// How the jobs of this engine run.
    pub(crate) fn job(&self, name: &'static str) -> JobOptions {
        JobOptions { name, setup: self.helper_setup.clone(), ..JobOptions::default() }
    }

    fn options(&self) -> LoadOptions {
        LoadOptions {
            threads: self.threads,
            helper_setup: self.helper_setup.clone(),
            budget: self.budget.clone(),
            precision: self.precision,
            device: self.device,
            isa: self.isa,
            other_layout: self.other_layout,
        }
    }
}

/// A source in messages.
fn name(source: &ModelSource) -> String {
    match source {
        ModelSource::Path(path) => path.display().to_string(),
        ModelSource::Bytes(bytes) => bytes.name.to_owned(),
        ModelSource::PackedBytes { name, .. } => (*name).to_owned(),
    }
}
