//! What a voice activity detector is to everything behind it: one probability per step.

use std::fmt::Debug;
use std::sync::Arc;

use super::options::VadOptions;

/// Samples per probability: 32 ms.
pub const STEP: usize = 512;

/// A voice activity detector: weights that streams share. [`SottoVad`](super::SottoVad) comes with the library,
/// [`SileroVad`](super::SileroVad) from a file; an app may bring its own.
pub trait Detector: Debug + Send + Sync {
    /// The state of a stream at its beginning. The only call that allocates.
    fn begin(self: Arc<Self>) -> Box<dyn DetectorState>;

    /// The rules that turn this detector's probabilities into the segments that transcription wants.
    fn options(&self) -> VadOptions {
        VadOptions::default()
    }
}

/// What a detector knows of one stream.
pub trait DetectorState: Debug + Send + Sync {
    /// The probability that someone speaks in `step`, 16 kHz mono. Samples are finite and within ±1e6; the answer must
    /// not depend on anything but the samples since the beginning.
    fn step(&mut self, step: &[f32; STEP]) -> f32;

    /// Forgets everything: the stream is at its beginning again.
    fn reset(&mut self);

    /// A second stream that has heard the same.
    fn duplicate(&self) -> Box<dyn DetectorState>;
}
