//! Loading a model.

use std::sync::Arc;

use sotto::job::Step;
use sotto::speech::LoadJob;
use sotto::{Engine, Progress};

use super::model::SpeechModel;
use crate::error::SpeechFailure;

/// One report of loading a model.
#[derive(Clone, uniffi::Enum)]
pub enum LoadEvent {
    /// How far it is.
    Progress {
        /// Weights read.
        done: u64,
        /// Weights there are, where that is known.
        total: Option<u64>,
    },
    /// The model, the last event.
    Loaded {
        /// Ready to transcribe.
        model: Arc<SpeechModel>,
    },
}

/// A model that is being loaded. Letting go of it cancels.
#[derive(uniffi::Object)]
pub struct SpeechLoad {
    job: LoadJob,
    engine: Engine,
}

impl SpeechLoad {
    pub(crate) fn new(job: LoadJob, engine: Engine) -> Self {
        Self { job, engine }
    }
}

#[uniffi::export]
impl SpeechLoad {
    /// The next event; `null` after the last one. Waits without blocking a thread; giving the wait up loses nothing.
    ///
    /// # Errors
    /// Why the model could not be loaded.
    pub async fn next_event(&self) -> Result<Option<LoadEvent>, SpeechFailure> {
        while let Some(event) = self.job.event().await.map_err(|failure| SpeechFailure::of(&failure))? {
            match event {
                Step::Progress(Progress { done, total, .. }) => return Ok(Some(LoadEvent::Progress { done, total })),
                Step::Done(recognizer) => {
                    let model = Arc::new(SpeechModel::new(recognizer, self.engine.clone()));
                    return Ok(Some(LoadEvent::Loaded { model }));
                }
                // Kinds that are younger than this surface.
                _ => {}
            }
        }
        Ok(None)
    }

    /// Stops loading. Returns at once.
    pub fn cancel(&self) {
        self.job.cancel();
    }
}
