//! What all tasks of an application share.

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

/// Settings of an [`Engine`]: those with which it loads models, and where it keeps them packed.
#[derive(Debug, Clone, Default)]
pub struct EngineOptions {
    /// How models are loaded. All of them share one pool: that of [`LoadOptions::pool`], or one that the engine makes
    /// with [`LoadOptions::threads`], the big cores by default.
    ///
    /// [`LoadOptions::budget`] is the most that all models of the engine, and what runs on them, may hold together.
    /// With a limited one models stay loaded when their last handle is dropped, for who loads them again. A budget
    /// belongs to one engine: only the first that is made with it gives memory back when it runs out.
    pub load: LoadOptions,
    /// Where folders and ggml files are kept packed, so that they load in milliseconds from the second time on:
    /// computing in int8 on the CPU, with the same bits as without. `None`, the default, packs nothing and writes
    /// nothing.
    pub cache: Option<PackedCache>,
}

impl From<LoadOptions> for EngineOptions {
    fn from(load: LoadOptions) -> Self {
        Self { load, cache: None }
    }
}

/// What all tasks of an application share: one pool of threads, one memory budget, one list of loaded models. Cheap to
/// clone; clones are the same engine. `Send + Sync`. An application has one.
///
/// * **Threads**: all models compute on one pool. What runs at the same time does not wait for each other: one gets the
///   helpers, the others go on alone with their callers' threads, and the results are the same bits.
/// * **Budget**: models, transcriptions and live sessions take their memory out of it before they begin, and give it
///   back when they end. Where it has too little left, models that nobody has a handle to are freed, the least recently
///   used first; where that is not enough either, the request is refused and nothing is freed.
/// * **List**: loading what is loaded already returns another handle to it, in microseconds. With a budget
///   ([`LoadOptions::budget`]) a model stays loaded when its last handle is dropped, until its memory is needed;
///   without one it is freed at once.
#[derive(Debug, Clone)]
pub struct Engine(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    options: LoadOptions,
    /// What adaptive sessions follow.
    adaptation: Arc<Adaptation>,
    cache: Option<PackedCache>,
    list: Arc<List>,
    /// Why the last model is not in the cache.
    problem: Mutex<Option<CacheError>>,
}

impl Default for Engine {
    fn default() -> Self {
        Self::new(EngineOptions::default())
    }
}

impl Engine {
    /// An engine with a pool and a list of its own. Loads nothing and starts no thread yet.
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

    /// The budget that loaded models, and what runs on them, count against.
    #[must_use]
    pub fn budget(&self) -> &MemoryBudget {
        &self.0.options.budget
    }

    /// The loaded models, the last used first.
    #[must_use]
    pub fn loaded(&self) -> Vec<LoadedModel> {
        self.0.list.models()
    }

    /// Frees a loaded model, whoever has handles to it: their calls then fail with
    /// [`SpeechError::Unloaded`](sotto_speech::SpeechError::Unloaded). What runs on it ends as if nothing had happened,
    /// and the memory is free when the last of that has. Never waits. `false` where there is no such model any more.
    pub fn unload(&self, model: ModelId) -> bool {
        self.0.list.unload(model)
    }

    /// Gives memory back when the system has little: [`TrimLevel`] says what. Never waits for what runs, and never
    /// touches it.
    pub fn trim(&self, level: TrimLevel) -> Trimmed {
        self.0.list.trim(level)
    }

    /// Loads a speech-to-text model. Blocks while the weights are read. With a cache the first load of a folder or a
    /// ggml file packs it, which takes about twice as long as loading it, and later ones map what was packed. What the
    /// cache cannot do never makes a load fail: [`take_cache_problem`](Self::take_cache_problem) tells of it.
    ///
    /// A model that is loaded already is shared: the same path with files that have not changed, the same bytes of an
    /// open file, or the same bytes in memory. While another thread loads it, this one waits for that.
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

    /// Loads a model that nobody shares and that the list does not know: for who wants to know what loading takes.
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
                // Smaller it will not become.
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
            // What is wrong with the model itself is said below, where it is loaded as it is.
            Err(CacheError::Load(_)) => {}
            Err(problem) => self.note(problem),
        }
        SpeechRecognizer::load(source, options, progress, cancel)
    }

    /// Bytes that a speech-to-text model would hold, and a transcription on it, without loading it: read as it is,
    /// without the cache.
    ///
    /// # Errors
    /// As [`SpeechRecognizer::estimate`].
    pub fn estimate_speech(&self, source: &ModelSource) -> Result<Estimate, LoadError> {
        SpeechRecognizer::estimate(source, &self.0.options)
    }

    /// Why a model could not be kept in the cache, or not be read from it, since this was asked last. The model was
    /// loaded all the same; the next load takes as long again.
    #[must_use]
    pub fn take_cache_problem(&self) -> Option<CacheError> {
        self.0.problem.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// How its models compute, unless a model allows one way alone.
    pub(crate) fn precision(&self) -> Precision {
        self.0.options.precision.unwrap_or_default()
    }

    /// How many threads compute together.
    pub(crate) fn threads(&self) -> Threads {
        self.0.options.threads
    }

    /// How the jobs of this engine run.
    pub(crate) fn job(&self, name: &'static str) -> JobOptions {
        JobOptions { name, setup: self.0.options.helper_setup.clone(), ..JobOptions::default() }
    }

    pub(crate) fn adaptation(&self) -> &Arc<Adaptation> {
        &self.0.adaptation
    }

    fn note(&self, problem: CacheError) {
        *self.0.problem.lock().unwrap_or_else(PoisonError::into_inner) = Some(problem);
    }

    /// The packed form of a model, where the cache has one or can make one.
    fn packed(
        &self,
        source: &ModelSource,
        progress: &dyn ProgressSink,
        cancel: &CancelToken,
    ) -> Result<Option<std::path::PathBuf>, CacheError> {
        // Another processor computes with the weights of the source itself.
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
