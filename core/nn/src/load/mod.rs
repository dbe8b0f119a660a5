//! Loading, as every model needs it: where it comes from, with which kernels, threads, memory and devices it computes.

mod device;
mod options;
mod precision;
mod source;

pub use device::{ComputeDevice, DeviceStatus, Switch};
pub use options::{KernelError, LoadOptions, OtherLayout, SlowDevice};
pub use precision::{Precision, QuantizedPrecision};
pub use source::{ModelBytes, ModelSource, SAFETENSORS_START, begins_as_safetensors, is_safetensors};
