//! Why a model could not be loaded, whatever its task.

use std::error::Error;
use std::path::PathBuf;

use sotto_kernels::Isa;
use sotto_runtime::{Cancelled, OutOfBudget};

use crate::weights::WeightError;

/// What is wrong with a model in the words of its task, which knows its type: `ConfigError` of speech-to-text, say.
pub type TaskError = Box<dyn Error + Send + Sync>;

/// Why a model could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The kernels that were asked for need instructions that this CPU lacks.
    #[error("this CPU has no {isa}; leave the instruction set open to take the best one it has")]
    UnsupportedIsa {
        /// What was asked for.
        isa: Isa,
    },
    /// The caller cancelled.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// The model is larger than what is left of the memory budget.
    #[error("{model}: {refused}")]
    OutOfBudget {
        /// Which model.
        model: String,
        /// What was asked for and what is left.
        refused: OutOfBudget,
    },
    /// On this device, which has no vector instructions that Sotto computes with, the model would take longer to do its
    /// work than a user waits. Nothing was loaded.
    #[error(
        "{model}: too slow for this device, which would take about {seconds:.1} s for each {unit}; choose a smaller \
         model, or allow slow devices when you load it"
    )]
    TooSlow {
        /// Which model.
        model: String,
        /// What the time is for: `second of speech`.
        unit: &'static str,
        /// Seconds that one of it would take, measured and computed before anything was loaded.
        seconds: f64,
    },
    /// There is no model at that place.
    #[error("{path}: {problem}; expected {expected}")]
    NotAModel {
        /// The place.
        path: PathBuf,
        /// What is there instead.
        problem: String,
        /// What models of the task look like.
        expected: &'static str,
    },
    /// The packed model is one of another task.
    #[error("{model}: a packed model for `{found}`, not for `{expected}`; load it for its own task")]
    OtherTask {
        /// Which model.
        model: String,
        /// The task that the file names; its letters and digits only.
        found: String,
        /// The task that it was loaded for.
        expected: &'static str,
    },
    /// A file of the model could not be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The settings are not those of a network of the task.
    #[error("{model}: {problem}")]
    Config {
        /// Which model.
        model: String,
        /// What is wrong with it: see [`LoadError::config_problem`].
        problem: TaskError,
    },
    /// A packed model holds quantized weights only.
    #[error(
        "{model}: packed in int8, so it cannot compute in f32; leave the precision open, or load the original model"
    )]
    Precision {
        /// Which model.
        model: String,
    },
    /// The weights are damaged or of another model.
    #[error(transparent)]
    Weights(WeightError),
    /// The vocabulary is damaged or of another model.
    #[error("{0}")]
    Vocabulary(TaskError),
}

impl From<WeightError> for LoadError {
    fn from(error: WeightError) -> Self {
        match error {
            WeightError::Cancelled(cancelled) => Self::Cancelled(cancelled),
            other => Self::Weights(other),
        }
    }
}

impl LoadError {
    /// Says of which model the settings are wrong.
    pub fn config<E: Error + Send + Sync + 'static>(model: &str) -> impl Fn(E) -> Self + use<E> {
        let model = model.to_owned();
        move |problem| Self::Config { model: model.clone(), problem: Box::new(problem) }
    }

    /// What is wrong with a model's vocabulary.
    pub fn vocabulary(problem: impl Error + Send + Sync + 'static) -> Self {
        Self::Vocabulary(Box::new(problem))
    }

    /// What is wrong with the model's settings, where that is of the task's type `E`.
    #[must_use]
    pub fn config_problem<E: Error + 'static>(&self) -> Option<&E> {
        match self {
            Self::Config { problem, .. } => problem.downcast_ref(),
            _ => None,
        }
    }
}
