//! The engine: everything that all tasks of an application share.

mod adaptation;
mod key;
mod list;
mod trim;

pub(crate) use adaptation::{Adaptation, Follower};

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use sotto_runtime::{Bytes, CancelToken, JobOptions, MemoryBudget, Pool, Progress, ProgressSink, Stage, Threads};
use sotto_speech::{
    ComputeDevice, Estimate, LoadError, LoadOptions, ModelSource, Precision, SpeechRecognizer, WeakSpeechRecognizer,
};

use crate::cache::{CacheError, PackedCache, Packing};
use list::{Claim, List, Resident, WeakResident};
pub use list::{LoadedModel, ModelId, ModelTask};
pub use trim::{TrimLevel, Trimmed};

/// Settings of an [`Engine`]: how it loads models, and where it caches packed models.
#[derive(Debug, Clone, Default)]
pub struct EngineOptions {
    /// How models are loaded. All models share one pool: [`LoadOptions::pool`], or one that the engine makes with
    /// [`LoadOptions::threads`], by default one per big core.
    ///
    /// [`LoadOptions::budget`] limits the memory of all models of the engine and the work that runs on them. With a
    /// limited budget, models stay loaded when their last handle is dropped, in case they are loaded again. A budget
    /// belongs to one engine: only the first engine made with it frees memory when it runs out.
    pub load: LoadOptions,
    /// The cache of packed models. With it, folders and ggml files load in milliseconds from the second time on, for
    /// int8 on the CPU, with the same results. `None`, the default, packs nothing and writes nothing.
    pub cache: Option<PackedCache>,
}

impl From<LoadOptions> for EngineOptions {
    fn from(load: LoadOptions) -> Self {
        Self { load, cache: None }
    }
}

/// Everything that all tasks of an application share: one thread pool, one memory budget, one list of loaded models.
/// Cheap to clone; clones are the same engine. `Send + Sync`. An application should have one.
///
/// * **Threads**: all models compute on one pool. Concurrent work does not wait for each other: one call gets the
///   helpers, the others run on their own threads alone. Results are the same bits.
/// * **Budget**: models, transcriptions and live sessions reserve their memory before they begin, and give it back when
///   they end. If too little is left, models without handles are freed, the least recently used first; if that is not
///   enough, the request is refused and nothing is freed.
/// * **List**: loading a model that is already loaded returns another handle to it, in microseconds. With a limited
///   budget ([`LoadOptions::budget`]) a model stays loaded when its last handle is dropped, until its memory is needed;
///   without a limit it is freed at once.
#[derive(Debug, Clone)]
pub struct Engine(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    options: LoadOptions,
    /// The decisions that adaptive sessions follow.
    adaptation: Arc<Adaptation>,
    cache: Option<PackedCache>,
    list: Arc<List>,
    /// Why the last model could not be cached.
    problem: Mutex<Option<CacheError>>,
}

impl Default for Engine {
    fn default() -> Self {
        Self::new(EngineOptions::default())
    }
}

impl Engine {
    /// A new engine, with its own list. Loads nothing and starts no thread yet.
    #[must_use]
    pub fn new(options: impl Into<EngineOptions>) -> Self {
        let EngineOptions { mut load, cache } = options.into();
        let list = Arc::new(List::new(load.budget.is_limited()));
        let models = Arc::downgrade(&list);
        load.budget.set_relief(move |missing| models.upgrade().is_some_and(|models| models.make_room(missing)));
        let own = || Arc::new(Pool::with_setup(load.threads, load.helper_setup.clone()));
        let pool = Arc::clone(load.pool.get_or_insert_with(own));
        let adaptation = Arc::new(Adaptation::new(pool));
        Self(Arc::new(Inner { options: load, adaptation, cache, list, problem: Mutex::default() }))
    }

    /// The budget of loaded models and the work that runs on them.
    #[must_use]
    pub fn budget(&self) -> &MemoryBudget {
        &self.0.options.budget
    }

    /// The loaded models, the last used first.
    #[must_use]
    pub fn loaded(&self) -> Vec<LoadedModel> {
        self.0.list.models()
    }

    /// Unloads a model for all its handles, whose calls then fail with
    /// [`SpeechError::Unloaded`](sotto_speech::SpeechError::Unloaded). Running work is not affected; the memory is
    /// freed when the last of it has ended. Never waits. Returns `false` if there is no such model.
    pub fn unload(&self, model: ModelId) -> bool {
        self.0.list.unload(model)
    }

    /// Frees memory when the system is short of it, as far as `level` says. Never waits for running work, and never
    /// affects it.
    pub fn trim(&self, level: TrimLevel) -> Trimmed {
        self.0.list.trim(level)
    }

    /// Loads a speech-to-text model. Blocks while the weights are read. With a cache, the first load of a folder or a
    /// ggml file packs it, which takes about twice as long as loading it, and later loads map the packed file. A
    /// problem of the cache never makes a load fail: see [`take_cache_problem`](Self::take_cache_problem).
    ///
    /// A model that is loaded already is shared: the same path with files that have not changed, the same bytes of an
    /// open file, or the same bytes in memory. If another thread is loading it, this call waits for that.
    ///
    /// # Errors
    /// As [`SpeechRecognizer::load`].
    pub fn speech(
        &self,
        source: &ModelSource,
        progress: &dyn ProgressSink,
        cancel: &CancelToken,
    ) -> Result<SpeechRecognizer, LoadError> {
        let loading = match self.0.list.claim::<SpeechRecognizer>(source, ModelTask::Speech, cancel)? {
            Claim::Load(loading) => loading,
            Claim::Loaded(recognizer) => {
                let subject = source.name().into();
                progress.report(&Progress { stage: Stage::Load, done: 1, total: Some(1), subject });
                return Ok(recognizer);
            }
        };
        let recognizer = self.load_unshared(source, progress, cancel)?;
        loading.done(source, &recognizer);
        Ok(recognizer)
    }

    /// Loads a model that is neither shared nor listed, to measure loading.
    pub(crate) fn load_unshared(
        &self,
        source: &ModelSource,
        progress: &dyn ProgressSink,
        cancel: &CancelToken,
    ) -> Result<SpeechRecognizer, LoadError> {
        let options = &self.0.options;
        match self.packed(source, progress, cancel) {
            Ok(None) => {}
            Ok(Some(file)) => match SpeechRecognizer::load(&file.as_path().into(), options, progress, cancel) {
                Ok(recognizer) => return Ok(recognizer),
                Err(LoadError::Cancelled(cancelled)) => return Err(LoadError::Cancelled(cancelled)),
                // The source would not need less memory.
                Err(LoadError::OutOfBudget { refused, .. }) => {
                    return Err(LoadError::OutOfBudget { model: source.name(), refused });
                }
                // Damaged, or removed by another process meanwhile.
                Err(error) => {
                    self.0.cache.iter().for_each(|cache| cache.discard(&file));
                    self.note(CacheError::Load(error));
                }
            },
            Err(CacheError::Cancelled(cancelled)) => return Err(LoadError::Cancelled(cancelled)),
            // Problems of the model itself are reported below, when the source is loaded.
            Err(CacheError::Load(_)) => {}
            Err(problem) => self.note(problem),
        }
        SpeechRecognizer::load(source, options, progress, cancel)
    }

    /// Estimates the memory of a speech-to-text model and of a transcription on it, without loading it and without the
    /// cache.
    ///
    /// # Errors
    /// As [`SpeechRecognizer::estimate`].
    pub fn estimate_speech(&self, source: &ModelSource) -> Result<Estimate, LoadError> {
        SpeechRecognizer::estimate(source, &self.0.options)
    }

    /// Takes the last problem of the cache since the previous call. The model was loaded all the same; the next load
    /// will take as long.
    #[must_use]
    pub fn take_cache_problem(&self) -> Option<CacheError> {
        self.0.problem.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The precision of its models, unless a model supports only one.
    pub(crate) fn precision(&self) -> Precision {
        self.0.options.precision.unwrap_or_default()
    }

    /// The number of threads that compute together.
    pub(crate) fn threads(&self) -> Threads {
        self.0.options.threads
    }

    /// Options of this engine's jobs.
    pub(crate) fn job(&self, name: &'static str) -> JobOptions {
        JobOptions { name, setup: self.0.options.helper_setup.clone(), ..JobOptions::default() }
    }

    pub(crate) fn adaptation(&self) -> &Arc<Adaptation> {
        &self.0.adaptation
    }

    fn note(&self, problem: CacheError) {
        *self.0.problem.lock().unwrap_or_else(PoisonError::into_inner) = Some(problem);
    }

    /// The packed form of a model, if the cache has one or can make one.
    fn packed(
        &self,
        source: &ModelSource,
        progress: &dyn ProgressSink,
        cancel: &CancelToken,
    ) -> Result<Option<std::path::PathBuf>, CacheError> {
        // Another processor uses the weights of the source itself.
        let LoadOptions { precision, device, isa, budget, .. } = &self.0.options;
        let of_int8 = *precision != Some(Precision::F32) && *device == ComputeDevice::Cpu;
        match &self.0.cache {
            Some(cache) if of_int8 => {
                let packing = Packing { isa: *isa, budget };
                cache.packed(source, &packing, progress, cancel)
            }
            _ => Ok(None),
        }
    }
}

impl Resident for SpeechRecognizer {
    fn handles(&self) -> usize {
        self.shared().handles()
    }

    fn running(&self) -> usize {
        self.shared().leases()
    }

    fn last_used(&self) -> Instant {
        self.shared().last_used()
    }

    fn bytes(&self) -> Bytes {
        self.shared().peek(sotto_speech::Model::bytes).unwrap_or_default()
    }

    fn unload(&self) -> bool {
        SpeechRecognizer::unload(self)
    }

    fn unload_if_idle(&self) -> bool {
        SpeechRecognizer::unload_if_idle(self)
    }

    fn release_pages(&self) -> Bytes {
        self.shared().peek(sotto_speech::Model::release_pages).unwrap_or_default()
    }

    fn weak(&self) -> Box<dyn WeakResident> {
        Box::new(self.downgrade())
    }
}

impl WeakResident for WeakSpeechRecognizer {
    fn upgrade(&self) -> Option<Box<dyn Resident>> {
        Some(Box::new(WeakSpeechRecognizer::upgrade(self)?))
    }
}
