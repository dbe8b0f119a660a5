//! The engine: what all models of an app share.

use std::sync::Arc;

use sotto::cache::PackedCache;
use sotto::kernels::Isa;
use sotto::speech::Precision;
use sotto::{Bytes, CancelToken, EngineOptions, LoadOptions, MemoryBudget, Threads};

use crate::error::SpeechFailure;
use crate::platform;
use crate::source::{AudioChannel, AudioInput, ModelLocation};
use crate::speech::{SpeechLoad, VoiceActivity, VoiceSearch};
use crate::store::{ModelStore, StoreFailure};

/// How models compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum ComputePrecision {
    /// 8-bit weights and activations: fast, small, and with no more errors.
    Int8,
    /// 32-bit floating point: the reference. Not for packed models.
    Float32,
}

/// Settings of an engine. What is `null` is the default.
#[derive(Debug, Clone, Default, PartialEq, uniffi::Record)]
pub struct EngineSettings {
    /// Threads that compute together; 0 for the number of big cores.
    #[uniffi(default = 0)]
    pub threads: u32,
    /// Most bytes that all models and transcriptions may hold together; a model that nobody uses stays loaded until
    /// its memory is needed. Without a limit nothing is refused, and memory is given back at once.
    #[uniffi(default = None)]
    pub memory_limit: Option<u64>,
    /// How models compute; int8 by default.
    #[uniffi(default = None)]
    pub precision: Option<ComputePrecision>,
    /// Where folders and ggml files are kept packed, so that they load in milliseconds from the second time on: a
    /// folder of the app's caches. Nothing is written without.
    #[uniffi(default = None)]
    pub cache_folder: Option<String>,
    /// Most bytes of that folder.
    #[uniffi(default = None)]
    pub cache_limit: Option<u64>,
    /// Instruction set to compute with, by its name; for tests and comparisons.
    #[uniffi(default = None)]
    pub instruction_set: Option<String>,
}

/// How much memory an app is asked to give back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum TrimLevel {
    /// Pages of mapped models that nobody computes with at the moment: they are read again when needed.
    Pages,
    /// Models without a user, too.
    Unused,
    /// Every model that does not compute right now, too: its users are told that it was unloaded.
    Idle,
}

/// What trimming gave back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct Trimmed {
    /// Models that were unloaded.
    pub models: u32,
    /// Bytes of the budget that are free again.
    pub memory: u64,
    /// Bytes of mapped files that the system may take.
    pub pages: u64,
}

/// A model that an engine holds.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct LoadedModel {
    /// Its number within this engine.
    pub id: u64,
    /// File or folder.
    pub name: String,
    /// Bytes of the budget that it holds.
    pub bytes: u64,
    /// Objects that use it.
    pub handles: u32,
    /// Transcriptions under way.
    pub running: u32,
    /// Seconds since it was used last.
    pub idle_seconds: f64,
}

/// Memory of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct MemoryUse {
    /// Bytes that models and transcriptions hold.
    pub used: u64,
    /// Most bytes that they may hold; `null` where nothing limits them.
    pub limit: Option<u64>,
}

/// What a model would take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct MemoryEstimate {
    /// Bytes at the peak while it is loaded.
    pub loading: u64,
    /// Bytes of the loaded model.
    pub model: u64,
    /// Bytes of each transcription with default options, on top.
    pub session: u64,
    /// Bytes that must be free to load it and transcribe.
    pub peak: u64,
}

/// What one app has one of: threads, a memory budget, a list of loaded models. May be used from any thread. Letting go
/// of it changes nothing for models and jobs that live.
#[derive(uniffi::Object)]
pub struct Engine {
    engine: sotto::Engine,
}

impl Engine {
    pub(crate) fn engine(&self) -> &sotto::Engine {
        &self.engine
    }
}

#[uniffi::export]
impl Engine {
    /// An engine with these settings. Loads nothing; starts threads when the first model computes.
    ///
    /// # Errors
    /// [`SpeechFailure::InvalidOption`] for an instruction set without meaning.
    #[uniffi::constructor]
    pub fn new(settings: EngineSettings) -> Result<Arc<Self>, SpeechFailure> {
        let isa = settings.instruction_set.as_deref().map(instruction_set).transpose()?;
        let cache = settings.cache_folder.map(|folder| {
            let cache = PackedCache::new(folder);
            settings.cache_limit.map_or(cache.clone(), |limit| cache.with_limit(Bytes(limit)))
        });
        let load = LoadOptions {
            threads: Threads::new(settings.threads as usize),
            helper_setup: platform::helper_setup(),
            budget: settings
                .memory_limit
                .map_or_else(MemoryBudget::unlimited, |limit| MemoryBudget::limited(Bytes(limit))),
            precision: settings.precision.map(|precision| match precision {
                ComputePrecision::Int8 => Precision::Int8,
                ComputePrecision::Float32 => Precision::F32,
            }),
            isa,
            ..LoadOptions::default()
        };
        Ok(Arc::new(Self { engine: sotto::Engine::new(EngineOptions { load, cache }) }))
    }

    /// Starts loading a speech-to-text model. A model that is loaded already is shared.
    ///
    /// # Errors
    /// [`SpeechFailure::InvalidModel`] for a descriptor that cannot be used; everything else is said by the events.
    pub fn load_speech(&self, location: ModelLocation) -> Result<Arc<SpeechLoad>, SpeechFailure> {
        let job = self.engine.load_speech(location.source()?, &CancelToken::new());
        Ok(Arc::new(SpeechLoad::new(job, self.engine.clone())))
    }

    /// Bytes that a model would take, without loading it. Reads its header: milliseconds, on the calling thread.
    ///
    /// # Errors
    /// [`SpeechFailure::InvalidModel`].
    pub fn estimate_speech(&self, location: ModelLocation) -> Result<MemoryEstimate, SpeechFailure> {
        let estimate = self.engine.estimate_speech(&location.source()?)?;
        let (loading, model, session) = (estimate.loading.0, estimate.model.0, estimate.session.0);
        Ok(MemoryEstimate { loading, model, session, peak: estimate.peak().0 })
    }

    /// Starts looking for speech in a recording, without a speech-to-text model.
    ///
    /// # Errors
    /// [`SpeechFailure::InvalidOption`], and [`SpeechFailure::InvalidModel`] for a detector that cannot be read.
    pub fn find_speech(
        &self,
        input: AudioInput,
        channel: Option<AudioChannel>,
        activity: VoiceActivity,
    ) -> Result<Arc<VoiceSearch>, SpeechFailure> {
        let job = self.engine.find_speech(activity.vad()?, input.recording(channel)?, &CancelToken::new());
        Ok(Arc::new(VoiceSearch::new(job)))
    }

    /// The store of models in a folder of the app, which need not exist yet. Writes nothing.
    ///
    /// # Errors
    /// [`StoreFailure::InvalidName`] where there is something else than a folder.
    pub fn open_store(&self, folder: String) -> Result<Arc<ModelStore>, StoreFailure> {
        Ok(Arc::new(ModelStore::open(&folder, self.engine.clone())?))
    }

    /// The models that this engine holds, the last used one first.
    #[must_use]
    pub fn loaded_models(&self) -> Vec<LoadedModel> {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let models = self.engine.loaded().into_iter();
        models
            .map(|model| LoadedModel {
                id: model.id.number(),
                name: model.name,
                bytes: model.bytes.0,
                handles: count(model.handles),
                running: count(model.running),
                idle_seconds: model.idle.as_secs_f64(),
            })
            .collect()
    }

    /// Unloads the model with this number, whoever uses it; transcriptions under way end first. Returns at once;
    /// `false` where there is no such model any more.
    pub fn unload_model(&self, id: u64) -> bool {
        self.engine.unload(sotto::ModelId::from_number(id))
    }

    /// Memory that is held at the moment.
    #[must_use]
    pub fn memory(&self) -> MemoryUse {
        let budget = self.engine.budget();
        let limit = budget.limit().0;
        MemoryUse { used: budget.used().0, limit: (limit != u64::MAX).then_some(limit) }
    }

    /// Gives memory back. Returns at once; what computes goes on.
    pub fn trim(&self, level: TrimLevel) -> Trimmed {
        let trimmed = self.engine.trim(match level {
            TrimLevel::Pages => sotto::TrimLevel::Pages,
            TrimLevel::Unused => sotto::TrimLevel::Unused,
            TrimLevel::Idle => sotto::TrimLevel::Idle,
        });
        let models = u32::try_from(trimmed.models).unwrap_or(u32::MAX);
        Trimmed { models, memory: trimmed.memory.0, pages: trimmed.pages.0 }
    }

    /// Why a model could not be kept packed in the cache since this was asked last; it was loaded all the same.
    #[must_use]
    pub fn take_cache_problem(&self) -> Option<String> {
        self.engine.take_cache_problem().map(|problem| problem.to_string())
    }
}

fn instruction_set(name: &str) -> Result<Isa, SpeechFailure> {
    name.parse().map_err(|_| SpeechFailure::option("instruction_set", "is not the name of an instruction set"))
}

/// The instruction set that this processor computes with, and why not a better one, where something is wrong with it.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct ProcessorInfo {
    /// Name of the instruction set.
    pub instruction_set: String,
    /// What was found wrong with a better one.
    pub notice: Option<String>,
    /// Threads that an engine uses by default.
    pub threads: u32,
}

/// What Sotto knows of this processor.
#[uniffi::export]
#[must_use]
pub fn processor() -> ProcessorInfo {
    let kernels = sotto::kernels::KernelSet::best();
    ProcessorInfo {
        instruction_set: kernels.isa().to_string(),
        notice: sotto::kernels::KernelSet::notice().map(ToString::to_string),
        threads: u32::try_from(Threads::default().count()).unwrap_or(u32::MAX),
    }
}
