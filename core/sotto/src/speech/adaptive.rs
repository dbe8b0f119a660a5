//! Live sessions that work less while the device is hot or short of power.

use std::sync::Arc;

use sotto_runtime::CancelToken;

use super::{Error, LiveOptions, Recognizer, Session, SessionInput};
use crate::Engine;
use crate::engine::Follower;
use crate::profile::Reading;
use crate::profile::governor::Decision;

impl Engine {
    /// As [`listen`](Self::listen), but how often the text is decoded and with how many threads follows the governor
    /// ([`profile::governor`](crate::profile::governor)): from what steps take, and from what the platform tells by
    /// [`push_reading`](Self::push_reading). Steps are never shorter than `options.step`. Final text keeps its quality,
    /// volatile text comes later while the device is hot; what is said depends on more than the samples.
    ///
    /// All adaptive sessions of an engine follow the same decisions; threads are those of all its models, for as long
    /// as there is such a session.
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

    /// What the platform knows of its device now: heat, battery, power. Adaptive sessions follow it from here on. When
    /// something changes is enough. Microseconds.
    pub fn push_reading(&self, reading: Reading) {
        self.adaptation().feel(reading);
    }

    /// What adaptive sessions compute with at the moment, and why that was chosen; `None` while there are none.
    #[must_use]
    pub fn adapted(&self) -> Option<Decision> {
        self.adaptation().decision()
    }
}
