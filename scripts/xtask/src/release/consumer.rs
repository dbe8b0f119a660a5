//! A stranger's project: stands outside this workspace, depends on what a dry run staged as apps do, and transcribes
//! with it.

mod maven;
mod snippet;
mod swift;

pub use maven::try_maven;
pub use swift::try_swift;

/// A recording of this repository, and words that are said in it.
const RECORDING: &str = "core/starter/audio/demo.flac";
const SAID: &str = "quarter past nine";
