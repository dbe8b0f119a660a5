//! Sotto for Kotlin and Swift: converts, calls, maps errors, and nothing else.
//!
//! What both languages see is made from this crate by UniFFI (`cargo xtask bindings`); the packages in `android` and
//! `ios` wrap it in what their developers are used to. The rules of this surface:
//!
//! * Few objects, many records. Every object may be used from any thread.
//! * Work is a job: it is started, its events are awaited (`next_event`), it is cancelled by `cancel` or by letting go
//!   of it. No call computes on the caller's thread; those that look at files say so.
//! * Pull, not push: nothing here calls into the app from a thread of ours, but for log lines, and for spans where the
//!   app asks for them (`spans`): tracers take the time when they are called.
//! * Errors are one enum per task, each case with a reason and the next step. They never quote what was said.

// UniFFI's scaffolding is unsafe code of its own; none is written here but in `platform`.
#![deny(unsafe_code)]

#[cfg(test)]
mod conformance;
pub mod engine;
pub mod error;
pub mod logging;
pub mod packing;
mod platform;
pub mod profile;
pub mod source;
pub mod spans;
pub mod speech;
pub mod store;
pub mod text;
pub mod tracing;

uniffi::setup_scaffolding!("sotto");

/// Version of the library, as its packages have it.
#[uniffi::export]
#[must_use]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}
