//! Whether a model's second processor is in use, and if not, why.

use std::sync::{Arc, Mutex, PoisonError};

/// The device that a model's networks compute on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ComputeDevice {
    /// Sotto's kernels on the CPU.
    #[default]
    Cpu,
    /// The GPU of Apple devices, with the CPU as fallback; needs the cargo feature `metal`. Used only while the app is
    /// in the foreground; the app has to report that to the model. A model in [`Precision::F32`](super::Precision::F32)
    /// computes in f32 there, any other in f16. Costs memory for a second copy of the weights.
    Metal,
    /// The code of the GPU, run on the CPU by candle: slow, for tests on machines without a GPU. Needs the cargo
    /// feature `candle`.
    CandleCpu,
}

/// State of a model's [`ComputeDevice`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceStatus {
    /// No other device was asked for: the CPU computes.
    Cpu,
    /// The device computes.
    Running,
    /// The app is in the background: the CPU computes.
    Paused,
    /// The device failed: the CPU computes, and no result was lost. The device is tried again the next time that the
    /// app comes to the foreground, unless it could not even load the networks.
    Failed {
        /// The device's error message.
        reason: String,
    },
}

/// Whether the second processor may be used; shared by a model's networks and the owner of the model.
#[derive(Debug, Clone)]
pub struct Switch(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    status: DeviceStatus,
    /// Whether the networks are loaded on the device.
    loaded: bool,
    #[cfg(feature = "reference")]
    passes_to_failure: Option<usize>,
}

impl Switch {
    /// A switch that is on if a device was asked for.
    #[must_use]
    pub fn new(asked: bool) -> Self {
        let status = if asked { DeviceStatus::Running } else { DeviceStatus::Cpu };
        Self(Arc::new(Mutex::new(State {
            status,
            loaded: asked,
            #[cfg(feature = "reference")]
            passes_to_failure: None,
        })))
    }

    fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The state of the device.
    #[must_use]
    pub fn status(&self) -> DeviceStatus {
        self.with(|state| state.status.clone())
    }

    /// Whether the next pass may be tried on the device.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.with(|state| state.status == DeviceStatus::Running)
    }

    /// Records that the device failed in a pass.
    pub fn fail(&self, reason: &dyn std::fmt::Display) {
        // candle's errors have a backtrace behind the first line.
        let reason = reason.to_string().lines().next().unwrap_or_default().to_owned();
        self.with(|state| state.status = DeviceStatus::Failed { reason });
    }

    /// Records that the device could not load the networks; it is not tried again.
    pub fn give_up(&self, reason: &dyn std::fmt::Display) {
        self.fail(reason);
        self.with(|state| state.loaded = false);
    }

    /// Sets whether the application is in the foreground. The device is used only there; coming to the foreground lets
    /// a failed device be tried again.
    pub fn set_foreground(&self, foreground: bool) {
        self.with(|state| {
            if state.loaded {
                state.status = if foreground { DeviceStatus::Running } else { DeviceStatus::Paused };
            }
        });
    }

    /// Whether a test asked for the pass that begins to fail.
    #[cfg(feature = "reference")]
    #[must_use]
    pub fn fails_now(&self) -> bool {
        self.with(|state| match &mut state.passes_to_failure {
            Some(0) => true,
            Some(passes) => {
                *passes -= 1;
                false
            }
            None => false,
        })
    }

    /// For tests: after the next `passes` passes, the device fails.
    #[cfg(feature = "reference")]
    pub fn fail_after(&self, passes: Option<usize>) {
        self.with(|state| state.passes_to_failure = passes);
    }
}
