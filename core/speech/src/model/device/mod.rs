//! The networks on a second processor (candle's devices), with the CPU as fallback.
//!
//! `network` computes with candle; `encoder` and `decoder` decide where a pass runs. If the device fails, or may not be
//! used because the app went to the background, the CPU does the pass: the encoder states are kept in main memory, and
//! a hypothesis knows its tokens, from which the CPU rebuilds its caches. So no text is lost; the cost is feeding the
//! tokens of the current window again.

#[cfg(feature = "candle")]
mod decoder;
#[cfg(feature = "candle")]
mod encoder;
#[cfg(feature = "candle")]
mod network;
#[cfg(all(test, feature = "reference"))]
mod tests;
#[cfg(feature = "candle")]
mod whisper;

use std::sync::Arc;

#[cfg(feature = "candle")]
use sotto_nn::candle::{BridgeError, DeviceTensors};
use sotto_nn::layers::TensorSource;
use sotto_nn::load::{ComputeDevice, Precision, Switch};
use sotto_nn::weights::WeightError;

use super::config::Dimensions;
use super::network::{AnyWhisper, Whisper};
#[cfg(feature = "candle")]
use whisper::Network;

/// Where a network shall compute.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(feature = "candle"), expect(dead_code, reason = "a build without candle has no device"))]
pub(super) struct Place<'a> {
    pub(super) device: ComputeDevice,
    pub(super) switch: &'a Switch,
    pub(super) precision: Precision,
    pub(super) dimensions: &'a Dimensions,
}

impl Place<'_> {
    /// Loads a network onto the device, with the CPU's network as fallback. If the device cannot load it, or this build
    /// does not support it, returns the CPU's network unchanged; the switch has the reason.
    #[cfg_attr(not(feature = "candle"), expect(unused_variables, reason = "a build without candle has no device"))]
    pub(super) fn put(
        self,
        cpu: impl Whisper + 'static,
        source: &impl TensorSource,
    ) -> Result<Arc<dyn AnyWhisper>, WeightError> {
        if self.device == ComputeDevice::Cpu {
            return Ok(Arc::new(cpu));
        }
        #[cfg(not(feature = "candle"))]
        self.switch.give_up(&match self.device {
            ComputeDevice::Metal => "built without the cargo feature `metal`",
            _ => "built without the cargo feature `candle`",
        });
        #[cfg(feature = "candle")]
        let opened = sotto_nn::candle::open(self.device).map(|device| device.unwrap_or(candle_core::Device::Cpu));
        #[cfg(feature = "candle")]
        match opened.map_err(BridgeError::from).and_then(|device| self.load(&device, source)) {
            Ok((encoder, decoder)) => return Ok(Arc::new(Network::new(cpu, encoder, decoder, self.switch))),
            Err(BridgeError::Weights(error)) => return Err(error),
            Err(error) => self.switch.give_up(&error),
        }
        Ok(Arc::new(cpu))
    }

    #[cfg(feature = "candle")]
    fn load(
        self,
        device: &candle_core::Device,
        source: &impl TensorSource,
    ) -> Result<(network::Encoder, network::Decoder), BridgeError> {
        let tensors = DeviceTensors::new(source, device, element(self.precision));
        let (encoder, decoder) = (network::Encoder::load, network::Decoder::load);
        Ok((encoder(&tensors, self.dimensions)?, decoder(&tensors, self.dimensions)?))
    }
}

/// Bytes of a weight on the device.
pub(super) fn weight_bytes(precision: Precision) -> u64 {
    if precision == Precision::F32 { 4 } else { 2 }
}

#[cfg(feature = "candle")]
fn element(precision: Precision) -> candle_core::DType {
    if precision == Precision::F32 { candle_core::DType::F32 } else { candle_core::DType::F16 }
}

/// Why a pass has no result.
#[cfg(feature = "candle")]
#[derive(Debug)]
enum PassError {
    Cancelled(sotto_runtime::Cancelled),
    Device(candle_core::Error),
}

#[cfg(feature = "candle")]
impl From<sotto_runtime::Cancelled> for PassError {
    fn from(cancelled: sotto_runtime::Cancelled) -> Self {
        Self::Cancelled(cancelled)
    }
}

#[cfg(feature = "candle")]
impl From<candle_core::Error> for PassError {
    fn from(error: candle_core::Error) -> Self {
        Self::Device(error)
    }
}

/// Runs a pass on the device; `None` if the CPU has to do it. `pass` is not called while the device is off.
#[cfg(feature = "candle")]
fn on_device<R>(
    switch: &Switch,
    pass: impl FnOnce() -> Result<R, PassError>,
) -> Result<Option<R>, sotto_runtime::Cancelled> {
    if !switch.is_on() {
        return Ok(None);
    }
    #[cfg(feature = "reference")]
    if switch.fails_now() {
        // Runs the pass and drops its result: the worst failure of a device.
        let _ = pass();
        switch.fail(&"a test wanted it");
        return Ok(None);
    }
    match pass() {
        Ok(result) => Ok(Some(result)),
        Err(PassError::Cancelled(cancelled)) => Err(cancelled),
        Err(PassError::Device(error)) => {
            switch.fail(&error);
            Ok(None)
        }
    }
}
