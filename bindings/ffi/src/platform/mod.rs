//! What differs between systems: where log lines go, and how threads of ours are known to the Java virtual machine.

#[cfg(target_os = "android")]
mod android;
#[cfg(target_vendor = "apple")]
mod apple;
#[cfg(not(any(target_os = "android", target_vendor = "apple")))]
mod host;

#[cfg(target_os = "android")]
pub(crate) use android::{helper_setup, install_logger};
#[cfg(target_vendor = "apple")]
pub(crate) use apple::{helper_setup, install_logger};
#[cfg(not(any(target_os = "android", target_vendor = "apple")))]
pub(crate) use host::{helper_setup, install_logger};
