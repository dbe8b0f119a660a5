//! Errors of the speech task, as apps see them: what kind it is, why, and what to do next.

use sotto::speech::{Error, LoadError, SessionError};

/// Why something about speech did not work. Never quotes what was said.
#[derive(Debug, Clone, PartialEq, thiserror::Error, uniffi::Error)]
pub enum SpeechFailure {
    /// The caller cancelled, or let go of the job. Nothing is wrong.
    #[error("cancelled")]
    Cancelled,
    /// There is no model at that place, or it is damaged, or of another kind.
    #[error("{reason}")]
    InvalidModel {
        /// What is wrong, and where.
        reason: String,
        /// What to do.
        next_step: String,
    },
    /// The memory budget is too small for this now. Nothing was allocated.
    #[error("{reason}")]
    OutOfBudget {
        /// What was asked for.
        reason: String,
        /// What to do.
        next_step: String,
        /// Bytes needed.
        needed: u64,
        /// Bytes left of the budget.
        available: u64,
    },
    /// This device cannot run the model.
    #[error("{reason}")]
    UnsupportedDevice {
        /// What is missing.
        reason: String,
        /// What to do.
        next_step: String,
    },
    /// The recording or the samples cannot be read.
    #[error("{reason}")]
    InvalidAudio {
        /// What is wrong, and where.
        reason: String,
        /// What to do.
        next_step: String,
    },
    /// An option contradicts another one or the model.
    #[error("option `{option}`: {reason}")]
    InvalidOption {
        /// Which option.
        option: String,
        /// What is wrong with it, and what would be right.
        reason: String,
        /// What to do.
        next_step: String,
    },
    /// The model was unloaded.
    #[error("{reason}")]
    Unloaded {
        /// What was unloaded.
        reason: String,
        /// What to do.
        next_step: String,
    },
    /// Samples come in faster than this device decodes them. Nothing was taken.
    #[error("{reason}")]
    Behind {
        /// How much waits.
        reason: String,
        /// What to do.
        next_step: String,
    },
    /// The session or job has ended already.
    #[error("{reason}")]
    Ended {
        /// What has ended.
        reason: String,
        /// What to do.
        next_step: String,
    },
    /// The system refused something, or a bug in Sotto.
    #[error("{reason}")]
    Internal {
        /// What happened.
        reason: String,
        /// What to do.
        next_step: String,
    },
}

impl SpeechFailure {
    pub(crate) fn option(option: &str, problem: &str) -> Self {
        let next_step = format!("change `{option}`");
        Self::InvalidOption { option: option.to_owned(), reason: problem.to_owned(), next_step }
    }

    pub(crate) fn audio(reason: &dyn ToString) -> Self {
        let next_step = "take a recording that other players can read, or convert it to WAV".to_owned();
        Self::InvalidAudio { reason: reason.to_string(), next_step }
    }

    pub(crate) fn internal(reason: &dyn ToString) -> Self {
        let next_step = "try again; if it stays, report it with this text".to_owned();
        Self::Internal { reason: reason.to_string(), next_step }
    }

    fn out_of_budget(reason: &dyn ToString, refused: sotto::OutOfBudget) -> Self {
        Self::OutOfBudget {
            reason: reason.to_string(),
            next_step: "unload a model, choose a smaller one, or raise the memory limit".to_owned(),
            needed: refused.needed.0,
            available: refused.available.0,
        }
    }
}

impl SpeechFailure {
    /// The failure of a job, which every later question repeats.
    pub(crate) fn of(error: &Error) -> Self {
        match error {
            Error::Cancelled(_) => Self::Cancelled,
            Error::Load(load) => Self::of_load(load),
            Error::OutOfBudget(refused) => Self::out_of_budget(error, *refused),
            Error::Audio(_) | Error::EmptyAudio => Self::audio(error),
            Error::Vad(_) => Self::InvalidModel {
                reason: error.to_string(),
                next_step: "leave the detector open to take the one that is built in".to_owned(),
            },
            Error::Option { option, problem } => Self::option(option, problem),
            Error::Unloaded(_) => {
                Self::Unloaded { reason: error.to_string(), next_step: "load the model again".to_owned() }
            }
            _ => Self::internal(error),
        }
    }

    pub(crate) fn of_load(error: &LoadError) -> Self {
        match error {
            LoadError::Cancelled(_) => Self::Cancelled,
            LoadError::OutOfBudget { refused, .. } => Self::out_of_budget(error, *refused),
            LoadError::UnsupportedIsa { .. } => Self::UnsupportedDevice {
                reason: error.to_string(),
                next_step: "leave the instruction set open".to_owned(),
            },
            LoadError::TooSlow { .. } => {
                Self::UnsupportedDevice { reason: error.to_string(), next_step: "choose a smaller model".to_owned() }
            }
            LoadError::Precision { .. } => Self::option("precision", &error.to_string()),
            _ => Self::model(error),
        }
    }

    pub(crate) fn model(reason: &dyn ToString) -> Self {
        let next_step = "fetch or copy the model again, and check where it is".to_owned();
        Self::InvalidModel { reason: reason.to_string(), next_step }
    }

    pub(crate) fn ended(reason: &str) -> Self {
        Self::Ended { reason: reason.to_owned(), next_step: "start another one".to_owned() }
    }
}

impl From<LoadError> for SpeechFailure {
    fn from(error: LoadError) -> Self {
        Self::of_load(&error)
    }
}

impl From<Error> for SpeechFailure {
    fn from(error: Error) -> Self {
        Self::of(&error)
    }
}

impl From<SessionError> for SpeechFailure {
    fn from(error: SessionError) -> Self {
        match &error {
            SessionError::Failed(failure) => Self::of(failure),
            SessionError::Behind { .. } => Self::Behind {
                reason: error.to_string(),
                next_step: "wait for events and push again, or use a smaller model".to_owned(),
            },
            SessionError::TooLong { .. } => {
                Self::InvalidAudio { reason: error.to_string(), next_step: "push smaller pieces".to_owned() }
            }
            SessionError::Finished => Self::ended(&error.to_string()),
            _ => Self::audio(&error),
        }
    }
}
