//! Live sessions that reduce their work while the device is hot or low on power.

use std::sync::Arc;

use sotto_runtime::CancelToken;

use super::{Error, LiveOptions, Recognizer, Session, SessionInput};
use crate::Engine;
use crate::engine::Follower;
use crate::profile::Reading;
use crate::profile::governor::Decision;

impl Engine {
    /// As [`listen`](Self::listen), but the governor ([`profile::governor`](crate::profile::governor)) decides how
    /// often the text is decoded and with how many threads, from the times of steps and the platform's readings
    /// ([`push_reading`](Self::push_reading)). Steps are never shorter than `options.step`. Final text keeps its
    /// quality; volatile text comes later while the device is hot. The text depends on more than the samples.
    ///
    /// All adaptive sessions of an engine follow the same decisions. The number of threads applies to all models of the
    /// engine as long as there is such a session.
    ///
    /// # Errors
    /// As [`Session::start`].
    pub fn listen_adaptively(
        &self,
        recognizer: &Recognizer,
        options: LiveOptions,
        input: SessionInput,
        cancel: &CancelToken,
    ) -> Result<Session, Error> {
        let tempo = Arc::new(Follower::new(self.adaptation(), options.step));
        self.listen(recognizer, LiveOptions { tempo: Some(tempo), ..options }, input, cancel)
    }

    /// Pushes a reading of the platform: heat, battery, power. Adaptive sessions follow it from now on. Push when
    /// something changes; takes microseconds.
    pub fn push_reading(&self, reading: Reading) {
        self.adaptation().feel(reading);
    }

    /// The current setting of adaptive sessions, with its reason; `None` if there are none.
    #[must_use]
    pub fn adapted(&self) -> Option<Decision> {
        self.adaptation().decision()
    }
}
