//! How often a live text is decoded, where that changes while it goes on.

use std::fmt::Debug;
use std::time::Duration;

/// Decides how often a live text is decoded, from what its steps take and from whatever else it knows. Called on the
/// session's thread: return at once.
pub trait Tempo: Debug + Send + Sync {
    /// Seconds of new voice after which the text is decoded again, in place of `StreamOptions::step`; at least 0.1 and
    /// at most half of the model's window. Asked twenty times for a second of audio.
    fn step(&self) -> f64;

    /// A step has taken so much time.
    fn spent(&self, time: Duration);
}
