//! Why a command ended early.

use sotto::Cancelled;
use sotto::audio::AudioError;
use sotto::cache::CacheError;
use sotto::packing::{QuantizeError, WriteError};
use sotto::speech::{self, LoadError, SessionError};
use sotto::store::StoreError;

use crate::hint::Told;

#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    #[error("cancelled")]
    Cancelled(Cancelled),
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Failed(String),
    #[error(transparent)]
    Load(LoadError),
    #[error(transparent)]
    Speech(speech::Error),
    #[error(transparent)]
    Audio(#[from] AudioError),
    #[error("{}", Told(.0))]
    Store(StoreError),
    #[error(transparent)]
    Write(WriteError),
    #[error("{}", Told(.0))]
    Cache(CacheError),
    #[error("output cannot be written: {0}")]
    Output(#[from] std::io::Error),
}

impl From<Cancelled> for CliError {
    fn from(cancelled: Cancelled) -> Self {
        Self::Cancelled(cancelled)
    }
}

impl From<LoadError> for CliError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Cancelled(cancelled) => Self::Cancelled(cancelled),
            other => Self::Load(other),
        }
    }
}

impl From<QuantizeError> for CliError {
    fn from(error: QuantizeError) -> Self {
        match error {
            QuantizeError::Load(error) => error.into(),
            QuantizeError::Write(WriteError::Cancelled(cancelled)) => Self::Cancelled(cancelled),
            QuantizeError::Write(error) => Self::Write(error),
            other => Self::Failed(other.to_string()),
        }
    }
}

impl From<CacheError> for CliError {
    fn from(error: CacheError) -> Self {
        match error {
            CacheError::Cancelled(cancelled) => Self::Cancelled(cancelled),
            CacheError::Load(error) => error.into(),
            other => Self::Cache(other),
        }
    }
}

impl From<speech::Error> for CliError {
    fn from(error: speech::Error) -> Self {
        match error {
            speech::Error::Cancelled(cancelled) => Self::Cancelled(cancelled),
            speech::Error::Option { option, problem } => Self::usage(option, &problem),
            speech::Error::Load(error) => error.into(),
            other => Self::Speech(other),
        }
    }
}

impl From<SessionError> for CliError {
    fn from(error: SessionError) -> Self {
        let SessionError::Failed(failure) = &error else { return Self::Failed(error.to_string()) };
        match &**failure {
            speech::Error::Cancelled(cancelled) => Self::Cancelled(*cancelled),
            speech::Error::Option { option, problem } => Self::usage(option, problem),
            other => Self::Failed(other.to_string()),
        }
    }
}

impl CliError {
    fn usage(option: &str, problem: &str) -> Self {
        Self::Usage(format!("{}: {problem}", flag(option)))
    }
}

/// What the command line calls a field of the options.
fn flag(option: &str) -> String {
    match option {
        "temperatures" => "--temperature".to_owned(),
        // No flag sets them.
        "best_of" | "patience" | "trim" => format!("option `{option}`"),
        option => format!("--{}", option.replace('_', "-")),
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Cancelled(cancelled) => Self::Cancelled(cancelled),
            other => Self::Store(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use sotto::job::WorkerError;

    use super::*;

    #[test]
    fn only_what_was_typed_is_a_mistake_of_usage() {
        let option = speech::Error::Option { option: "best_of", problem: "must be between 1 and 32".into() };
        assert!(matches!(CliError::from(option), CliError::Usage(_)));
        let no_thread = WorkerError::NoThread(std::io::Error::other("none left"));
        for failure in [speech::Error::EmptyAudio, WorkerError::Panicked.into(), no_thread.into()] {
            assert!(matches!(CliError::from(failure), CliError::Speech(_)));
        }
    }
}
