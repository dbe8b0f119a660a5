//! A live session: samples in, text out.

use std::sync::{Arc, OnceLock};

use sotto::speech::Session;

use super::numbers;
use super::transcript::LiveEvent;
use crate::error::SpeechFailure;

/// A live transcription. Letting go of it cancels.
#[derive(uniffi::Object)]
pub struct SpeechSession {
    session: Session,
    number: OnceLock<u64>,
}

impl SpeechSession {
    pub(crate) fn new(session: Session) -> Self {
        Self { session, number: OnceLock::new() }
    }

    /// Whether it took a piece. Where it did not, [`push_pcm`](Self::push_pcm) says why.
    #[cfg(not(target_vendor = "apple"))]
    pub(crate) fn takes(&self, pcm: &[u8]) -> bool {
        self.session.push_bytes(pcm).is_ok()
    }
}

impl Drop for SpeechSession {
    fn drop(&mut self) {
        if let Some(number) = self.number.get() {
            numbers::forget(*number);
        }
    }
}

#[uniffi::export]
impl SpeechSession {
    /// Hands over samples in the format of the session; a piece may end anywhere, even inside a sample. Copies them and
    /// returns: safe on an audio thread. Nothing is taken when it fails.
    ///
    /// # Errors
    /// [`SpeechFailure::Behind`] when too much waits, [`SpeechFailure::Ended`] after [`finish`](Self::finish),
    /// otherwise why the session failed.
    pub fn push_pcm(&self, pcm: &[u8]) -> Result<(), SpeechFailure> {
        Ok(self.session.push_bytes(pcm)?)
    }

    /// Its number for `sotto_ffi_push_pcm`, by which a Java virtual machine pushes without conversions. Never used for
    /// another session; once this one is gone, such pushes are refused.
    #[must_use]
    pub fn number(self: Arc<Self>) -> u64 {
        *self.number.get_or_init(|| numbers::give(&self))
    }

    /// Says that no more samples come: what waits becomes final. Returns at once.
    pub fn finish(&self) {
        self.session.finish();
    }

    /// Stops within one token and throws away what waits. Returns at once; events that are out can still be pulled.
    pub fn cancel(&self) {
        self.session.cancel();
    }

    /// The next event; `null` after the last one of a finished session. Volatile text that was replaced before it was
    /// pulled is left out. Waits without blocking a thread; giving the wait up loses nothing.
    ///
    /// # Errors
    /// Why the session failed, once the events before that were pulled.
    pub async fn next_event(&self) -> Result<Option<LiveEvent>, SpeechFailure> {
        while let Some(event) = self.session.event().await? {
            if let Some(event) = LiveEvent::of(event) {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }
}
