//! The networks on a second processor (candle's devices), with the CPU behind it.
//!
//! `network` computes, by candle; `encoder` and `decoder` decide where a pass runs. A pass that the device cannot do, or may
//! not do because the app went to the background, is done by the CPU: the audio's states are kept in main memory, and a
//! hypothesis knows its tokens, from which the CPU makes the caches that it lacks. So no text is lost, at the cost of feeding
//! the tokens of the window at hand once more.

#[cfg(feature = "candle")]
pub(super) mod decoder;
#[cfg(feature = "candle")]
pub(super) mod encoder;
#[cfg(feature = "candle")]
mod network;
mod switch;
#[cfg(all(test, feature = "candle"))]
mod tests;

#[cfg(feature = "candle")]
use sotto_nn::candle::{BridgeError, DeviceTensors};
use sotto_nn::layers::TensorSource;
use sotto_nn::weights::WeightError;

use super::{Decoder, Dimensions, Encoder, Precision};

pub(crate) use switch::Switch;
pub use switch::{ComputeDevice, DeviceStatus};

/// Puts the networks on `device` beside those of the CPU, which take over when it fails; where it cannot take them, or the build
/// has none, the networks come back as they were and `switch` knows the reason.
#[cfg_attr(not(feature = "candle"), expect(unused_variables, reason = "a build without candle has no device"))]
pub(super) fn with_device(
    device: ComputeDevice,
    cpu: (Encoder, Decoder),
    source: &impl TensorSource,
    precision: Precision,
    dimensions: &Dimensions,
    switch: &Switch,
) -> Result<(Encoder, Decoder), WeightError> {
    #[cfg(feature = "candle")]
    let opened = match device {
        ComputeDevice::Cpu => return Ok(cpu),
        ComputeDevice::Metal => candle_core::Device::new_metal(0),
        ComputeDevice::CandleCpu => Ok(candle_core::Device::Cpu),
    };
    #[cfg(not(feature = "candle"))]
    match device {
        ComputeDevice::Cpu => {}
        ComputeDevice::Metal => switch.give_up(&"built without the cargo feature `metal`"),
        ComputeDevice::CandleCpu => switch.give_up(&"built without the cargo feature `candle`"),
    }
    #[cfg(feature = "candle")]
    match opened.map_err(BridgeError::from).and_then(|device| load(&device, source, precision, dimensions)) {
        Ok((encoder, decoder)) => {
            return Ok((
                Encoder::Device(encoder::Encoder::new(cpu.0, encoder, switch.clone())),
                Decoder::Device(decoder::Decoder::new(cpu.1, decoder, switch.clone())),
            ));
        }
        Err(BridgeError::Weights(error)) => return Err(error),
        Err(error) => switch.give_up(&error),
    }
    Ok(cpu)
}

#[cfg(feature = "candle")]
fn load(
    device: &candle_core::Device,
    source: &impl TensorSource,
    precision: Precision,
    dimensions: &Dimensions,
) -> Result<(network::Encoder, network::Decoder), BridgeError> {
    let tensors = DeviceTensors::new(source, device, element(precision));
    Ok((network::Encoder::load(&tensors, dimensions)?, network::Decoder::load(&tensors, dimensions)?))
}

/// Bytes of a weight on the device.
pub(super) fn weight_bytes(precision: Precision) -> u64 {
    match precision {
        Precision::F32 => 4,
        Precision::Mixed | Precision::Int8 => 2,
    }
}

#[cfg(feature = "candle")]
fn element(precision: Precision) -> candle_core::DType {
    match precision {
        Precision::F32 => candle_core::DType::F32,
        Precision::Mixed | Precision::Int8 => candle_core::DType::F16,
    }
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

/// The result of a pass on the device; `None` when the CPU has to do it. `pass` is not begun while the device is off.
#[cfg(feature = "candle")]
fn on_device<R>(
    switch: &Switch,
    pass: impl FnOnce() -> Result<R, PassError>,
) -> Result<Option<R>, sotto_runtime::Cancelled> {
    if !switch.is_on() {
        return Ok(None);
    }
    #[cfg(test)]
    if switch.fails_now() {
        // The pass runs, and its result is lost: the worst that a device can do.
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
