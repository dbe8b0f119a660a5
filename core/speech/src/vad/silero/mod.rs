//! Silero VAD (github.com/snakers4/silero-vad): the 16 kHz networks of versions 5 and 6.

mod network;
mod weights;

use std::sync::Arc;

use super::detector::{Detector, DetectorState, STEP};
use network::State;
pub use weights::SileroVad;

impl Detector for SileroVad {
    fn begin(self: Arc<Self>) -> Box<dyn DetectorState> {
        Box::new(SileroState { state: State::new(), vad: self })
    }
}

#[derive(Debug, Clone)]
struct SileroState {
    vad: Arc<SileroVad>,
    state: State,
}

impl DetectorState for SileroState {
    fn step(&mut self, step: &[f32; STEP]) -> f32 {
        self.state.step(&self.vad, step)
    }

    fn reset(&mut self) {
        self.state.reset();
    }

    fn duplicate(&self) -> Box<dyn DetectorState> {
        Box::new(self.clone())
    }
}
