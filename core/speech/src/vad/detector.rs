//! The interface of voice activity detectors: one probability per step.

use std::fmt::Debug;
use std::sync::Arc;

use super::options::VadOptions;

/// Samples per probability: 32 ms.
pub const STEP: usize = 512;

/// A voice activity detector: its weights, shared by streams. [`SottoVad`](super::SottoVad) is built in,
/// [`SileroVad`](super::SileroVad) is loaded from a file; an app may implement its own.
pub trait Detector: Debug + Send + Sync {
    /// The state of a stream at its beginning. The only call that allocates.
    fn begin(self: Arc<Self>) -> Box<dyn DetectorState>;

    /// Samples at the beginning of a stream in which the detector does not know the surroundings yet. A segment that
    /// begins there, and whose end is known within three seconds of the beginning of the stream while its sound goes
    /// on, is judged once more with what the detector has heard by then. It is dropped if fewer than half of the steps
    /// that were speech still are. None by default.
    fn settles(&self) -> usize {
        0
    }

    /// Options that turn this detector's probabilities into segments suited for transcription.
    fn options(&self) -> VadOptions {
        VadOptions::default()
    }
}

/// The state of a detector for one stream.
pub trait DetectorState: Debug + Send + Sync {
    /// The probability that someone speaks in `step`, 16 kHz mono. Samples are finite and within ±1e6. The result must
    /// depend only on the samples since the beginning.
    fn step(&mut self, step: &[f32; STEP]) -> f32;

    /// Resets to the beginning of a stream.
    fn reset(&mut self);

    /// A copy of the state.
    fn duplicate(&self) -> Box<dyn DetectorState>;
}
