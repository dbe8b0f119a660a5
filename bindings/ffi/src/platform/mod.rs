//! What differs between systems: where log lines go, what its tracer is, how threads of ours are known to the Java
//! virtual machine, and its way around UniFFI where that is too slow.

#[cfg(target_os = "android")]
mod android;
#[cfg(target_vendor = "apple")]
mod apple;
// Apps on Apple's systems have no Java virtual machine.
#[cfg(not(target_vendor = "apple"))]
mod direct;
#[cfg(not(any(target_os = "android", target_vendor = "apple")))]
mod host;

#[cfg(target_os = "android")]
pub(crate) use android::{helper_setup, install_logger, tracer};
#[cfg(target_vendor = "apple")]
pub(crate) use apple::{helper_setup, install_logger, tracer};
#[cfg(not(any(target_os = "android", target_vendor = "apple")))]
pub(crate) use host::{helper_setup, install_logger, tracer};
