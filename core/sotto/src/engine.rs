//! What all tasks of an application share.

use sotto_runtime::{Bytes, CancelToken, HelperSetup, MemoryBudget, ProgressSink, Threads};
use sotto_speech::{ComputeDevice, Isa, LoadError, LoadOptions, ModelSource, OtherLayout, Precision, SpeechRecognizer};

/// Settings of an [`Engine`].
#[derive(Debug, Clone, Default)]
pub struct EngineOptions {
    /// Threads per task; the big cores by default.
    pub threads: Threads,
    /// What the threads call that help the caller's in int8, when they start: for their priority.
    pub helper_setup: HelperSetup,
    /// Most memory that all models of the engine may hold together; unlimited where `None`.
    pub memory: Option<Bytes>,
    /// How models compute; `None` as their files are made: packed models in int8, others in f32.
    pub precision: Option<Precision>,
    /// What models compute on, where they can: a model that cannot computes on the CPU.
    pub device: ComputeDevice,
    /// Kernels to compute with; `None` for the best of this CPU. For tests and comparisons.
    pub isa: Option<Isa>,
    /// What happens to packed models that were packed for another kind of CPU.
    pub other_layout: OtherLayout,
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
}

impl Engine {
    /// An engine with its own budget. Loads nothing yet.
    #[must_use]
    pub fn new(options: EngineOptions) -> Self {
        let EngineOptions { threads, helper_setup, memory, precision, device, isa, other_layout } = options;
        let budget = memory.map_or_else(MemoryBudget::unlimited, MemoryBudget::limited);
        Self { threads, helper_setup, budget, precision, device, isa, other_layout }
    }

    /// The budget that loaded models count against.
    #[must_use]
    pub fn budget(&self) -> &MemoryBudget {
        &self.budget
    }

    /// Loads a speech-to-text model. Blocks while the weights are read.
    ///
    /// # Errors
    /// As [`SpeechRecognizer::load`].
    pub fn speech(
        &self,
        source: &ModelSource,
        progress: &dyn ProgressSink,
        cancel: &CancelToken,
    ) -> Result<SpeechRecognizer, LoadError> {
        SpeechRecognizer::load(source, &self.options(), progress, cancel)
    }

    /// Bytes that a speech-to-text model would hold, without loading it.
    ///
    /// # Errors
    /// As [`SpeechRecognizer::estimate`].
    pub fn estimate_speech(&self, source: &ModelSource) -> Result<Bytes, LoadError> {
        SpeechRecognizer::estimate(source, &self.options())
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
