//! Live speech.

use sotto_runtime::CancelToken;

use super::{Error, LiveOptions, Recognizer, Session, SessionInput};
use crate::Engine;

impl Engine {
    /// Starts a live transcription, as [`Session::start`] does, on a thread with the engine's set-up.
    ///
    /// # Errors
    /// As [`Session::start`].
    pub fn listen(
        &self,
        recognizer: &Recognizer,
        options: LiveOptions,
        input: SessionInput,
        cancel: &CancelToken,
    ) -> Result<Session, Error> {
        Session::start_as(&self.job("sotto-session"), recognizer, options, input, cancel)
    }
}
