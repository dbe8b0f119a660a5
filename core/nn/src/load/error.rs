//! Why a model could not be loaded, for every task.

use std::error::Error;
use std::path::PathBuf;

use sotto_kernels::Isa;
use sotto_runtime::{Cancelled, OutOfBudget};

use crate::weights::WeightError;

/// An error of the model's task, for example `ConfigError` of speech-to-text; the task knows its type.
pub type TaskError = Box<dyn Error + Send + Sync>;

/// Why a model could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The requested kernels need instructions that this CPU lacks.
    #[error("this CPU has no {isa}; leave the instruction set open to take the best one it has")]
    UnsupportedIsa {
        /// The requested instruction set.
        isa: Isa,
    },
    /// The caller cancelled.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// The model needs more than what is left of the memory budget.
    #[error("{model}: {refused}")]
    OutOfBudget {
        /// Which model.
        model: String,
        /// The bytes that were requested and that were left.
        refused: OutOfBudget,
    },
    /// The model would be too slow on this device, which has no vector instructions that Sotto uses. Nothing was
    /// loaded.
    #[error(
        "{model}: too slow for this device, which would take about {seconds:.1} s for each {unit}; choose a smaller \
         model, or allow slow devices when you load it"
    )]
    TooSlow {
        /// Which model.
        model: String,
        /// The unit of work that the time is for, such as `second of speech`.
        unit: &'static str,
        /// Estimated seconds per unit, from a measurement made before anything was loaded.
        seconds: f64,
    },
    /// There is no model at that path.
    #[error("{path}: {problem}; expected {expected}")]
    NotAModel {
        /// The path.
        path: PathBuf,
        /// What was found instead.
        problem: String,
        /// What a model of the task looks like.
        expected: &'static str,
    },
    /// The packed model belongs to another task.
    #[error("{model}: a packed model for `{found}`, not for `{expected}`; load it for its own task")]
    OtherTask {
        /// Which model.
        model: String,
        /// The task named in the file, reduced to letters and digits.
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
    /// The model's settings are not valid for a network of the task.
    #[error("{model}: {problem}")]
    Config {
        /// Which model.
        model: String,
        /// What is wrong: see [`LoadError::config_problem`].
        problem: TaskError,
    },
    /// f32 was asked for, but a packed model holds only quantized weights.
    #[error(
        "{model}: packed in int8, so it cannot compute in f32; leave the precision open, or load the original model"
    )]
    Precision {
        /// Which model.
        model: String,
    },
    /// The weights are damaged or belong to another model.
    #[error(transparent)]
    Weights(WeightError),
    /// The vocabulary is damaged or belongs to another model.
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
    /// Makes a [`LoadError::Config`] for a model, for use with `map_err`.
    pub fn config<E: Error + Send + Sync + 'static>(model: &str) -> impl Fn(E) -> Self + use<E> {
        let model = model.to_owned();
        move |problem| Self::Config { model: model.clone(), problem: Box::new(problem) }
    }

    /// Makes a [`LoadError::Vocabulary`].
    pub fn vocabulary(problem: impl Error + Send + Sync + 'static) -> Self {
        Self::Vocabulary(Box::new(problem))
    }

    /// The problem of [`LoadError::Config`], if its type is `E`.
    #[must_use]
    pub fn config_problem<E: Error + 'static>(&self) -> Option<&E> {
        match self {
            Self::Config { problem, .. } => problem.downcast_ref(),
            _ => None,
        }
    }
}
