//! Loading a model.

use sotto_runtime::{CancelToken, Job, Step};

use super::{Error, ModelSource, Recognizer};
use crate::Engine;

/// A job that loads a model. Its progress counts weights.
pub type LoadJob = Job<Step<Recognizer>, Error>;

impl Engine {
    /// Loads a speech-to-text model, as [`speech`](Self::speech) does.
    ///
    /// Fails with [`Error::Load`], which states the problem of the model or what is left of the budget.
    #[must_use]
    pub fn load_speech(&self, source: ModelSource, cancel: &CancelToken) -> LoadJob {
        let engine = self.clone();
        Job::start(&self.job("sotto-load"), cancel, move |reporter| {
            let recognizer = engine.speech(&source, reporter, reporter.cancel())?;
            Ok(Some(Step::Done(recognizer)))
        })
    }
}
