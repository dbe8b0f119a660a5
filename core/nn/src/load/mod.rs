//! Loading, for all tasks: where a model comes from, and the kernels, threads, memory and device that it uses.

mod device;
mod error;
mod inventory;
mod opened;
mod options;
mod precision;
mod source;

pub use device::{ComputeDevice, DeviceStatus, Switch};
pub use error::{LoadError, TaskError};
pub use inventory::Inventory;
pub use opened::{Opened, OtherFile, check_task, open_folder_weights, read_settings};
pub use options::{LoadOptions, OtherLayout, SlowDevice};
pub use precision::Precision;
pub use source::{ModelBytes, ModelSource};
