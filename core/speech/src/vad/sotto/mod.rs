//! Sotto's own detector: small enough to be built in; trained by `scripts/train/vad`. Its model card, with data,
//! licence and figures, is beside the weights in `core/starter/models/vad`.

mod network;
mod weights;

use std::sync::{Arc, OnceLock};

use super::detector::{Detector, DetectorState, STEP};
use super::options::VadOptions;
use network::State;
pub use weights::SottoVad;

impl SottoVad {
    /// The built-in detector. The first call unpacks its weights (about a millisecond, 0.4 MB), which all callers
    /// share.
    #[must_use]
    pub fn builtin() -> Arc<Self> {
        static BUILTIN: OnceLock<Arc<SottoVad>> = OnceLock::new();
        let weights = || Self::from_bytes(sotto_starter::vad().into(), "built-in voice activity detector");
        Arc::clone(BUILTIN.get_or_init(|| Arc::new(weights().expect("the library holds its file, and tests load it"))))
    }
}

impl Detector for SottoVad {
    fn begin(self: Arc<Self>) -> Box<dyn DetectorState> {
        Box::new(SottoState { state: State::new(), vad: self })
    }

    fn options(&self) -> VadOptions {
        VadOptions::SOTTO
    }

    /// A second: a motor that is switched on there sounds like a voice, until it goes on.
    fn settles(&self) -> usize {
        16_000
    }
}

#[derive(Debug, Clone)]
struct SottoState {
    vad: Arc<SottoVad>,
    state: State,
}

impl DetectorState for SottoState {
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
