//! A live session: samples in, text out.

use sotto::speech::Session;

use super::transcript::LiveEvent;
use crate::error::SpeechFailure;

/// A live transcription. Letting go of it cancels.
#[derive(uniffi::Object)]
pub struct SpeechSession {
    session: Session,
}

impl SpeechSession {
    pub(crate) fn new(session: Session) -> Self {
        Self { session }
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
