//! What ships: every crate whose code is in the library for phones, the list of them (`cargo xtask sbom`) and their
//! licences (`cargo xtask licences`).
//!
//! Cargo resolves features per package and platform, so it is asked by `cargo tree` for exactly what a build of
//! `sotto-ffi` contains, for each platform that ships; build scripts, procedural macros and tests are not in a package.
//! The standard library is.

mod crates;
mod licences;
mod sbom;

use crate::failure::Failure;
use crate::workspace::Workspace;

pub use crates::{Crate, shipped};

/// The platforms whose packages carry these lists.
pub const PLATFORMS: &[&str] = &[
    "aarch64-linux-android",
    "armv7-linux-androideabi",
    "x86_64-linux-android",
    "aarch64-apple-ios",
    "aarch64-apple-darwin",
];

/// The two texts that go into every package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notices {
    /// The texts of all licences.
    pub licences: String,
    /// The list of crates, as CycloneDX.
    pub sbom: String,
}

/// Makes both.
///
/// # Errors
/// [`Failure`] when cargo fails, or a crate brings no licence text and none can be had elsewhere.
pub fn notices(workspace: &Workspace) -> Result<Notices, Failure> {
    let crates = shipped(workspace)?;
    Ok(Notices { licences: licences::write(&crates)?, sbom: sbom::write(&crates)? })
}
