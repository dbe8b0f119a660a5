//! Why a profile could not be made.

use sotto_audio::AudioError;
use sotto_runtime::{Cancelled, WorkerError};
use sotto_speech::{LoadError, SpeechError};

/// Why a profile could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// The caller cancelled.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// There are no clips.
    #[error("nothing to profile: give one clip at least, and none that is empty")]
    NoClips,
    /// The model cannot be loaded.
    #[error(transparent)]
    Load(LoadError),
    /// A clip cannot be transcribed.
    #[error(transparent)]
    Speech(SpeechError),
    /// A clip cannot be decoded.
    #[error(transparent)]
    Audio(#[from] AudioError),
    /// The counter of allocations did not run the given work.
    #[error("the counter of allocations did not run the work that it was to count")]
    NotRun,
    /// The thread of a profile that runs as a job could not do its work.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// A workload was run before it was loaded.
    #[error("the model is not loaded: load it before a clip is run")]
    NotLoaded,
}

impl From<LoadError> for ProfileError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Cancelled(cancelled) => Self::Cancelled(cancelled),
            other => Self::Load(other),
        }
    }
}

impl From<SpeechError> for ProfileError {
    fn from(error: SpeechError) -> Self {
        match error {
            SpeechError::Cancelled(cancelled) => Self::Cancelled(cancelled),
            other => Self::Speech(other),
        }
    }
}
