//! How often a live text is decoded, if that changes during a session.

use std::fmt::Debug;
use std::time::Duration;

/// Decides how often a live text is decoded, from the time of its steps and other information. Called on the session's
/// thread: must return at once.
pub trait Tempo: Debug + Send + Sync {
    /// Seconds of new voice after which the text is decoded again, instead of `StreamOptions::step`; at least 0.1 and
    /// at most half of the model's window. Called twenty times per second of audio.
    fn step(&self) -> f64;

    /// Reports the duration of a step.
    fn spent(&self, time: Duration);
}
