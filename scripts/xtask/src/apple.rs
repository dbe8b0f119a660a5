//! `cargo xtask xcframework`: dynamic frameworks for phones, their simulator and Macs.
//!
//! Dynamic, because two static Rust libraries in one app clash on names of the runtime; real frameworks whose map says
//! `framework module`, because newer compilers find nothing else; hidden symbols but for UniFFI's. Only the linker
//! needs Xcode: where that is missing, what can be built without it is built and checked, and the rest is said to be
//! missing.

mod framework;
mod privacy;
mod static_check;

use std::path::PathBuf;

use crate::failure::Failure;
use crate::inventory::Notices;
use crate::library::Machine;
use crate::shipped;
use crate::workspace::{self, Workspace, run};

pub use crate::library::Platform;
pub use framework::{Binary, archive, write_folder};
pub use static_check::check as check_static;

/// The name of the framework and of its C module, which the generated Swift imports.
pub const FRAMEWORK: &str = "sottoFFI";
/// The name of what is made.
pub const XCFRAMEWORK: &str = "SottoFFI.xcframework";

/// One framework of the XCFramework.
#[derive(Debug, Clone, Copy)]
pub struct Slice {
    /// Its folder.
    pub identifier: &'static str,
    /// The system.
    pub platform: Platform,
    /// The processors, in the order of the targets.
    pub machines: &'static [Machine],
    /// Rust's targets.
    pub targets: &'static [&'static str],
    /// Apple's names of the system and its variant.
    pub system: (&'static str, Option<&'static str>),
    /// The oldest version of the system.
    pub minimum: &'static str,
}

/// All frameworks.
pub const SLICES: [Slice; 3] = [
    Slice {
        identifier: "ios-arm64",
        platform: Platform::Ios,
        machines: &[Machine::Arm64],
        targets: &["aarch64-apple-ios"],
        system: ("ios", None),
        minimum: "16.0",
    },
    Slice {
        identifier: "ios-arm64_x86_64-simulator",
        platform: Platform::Simulator,
        machines: &[Machine::Arm64, Machine::X86_64],
        targets: &["aarch64-apple-ios-sim", "x86_64-apple-ios"],
        system: ("ios", Some("simulator")),
        minimum: "16.0",
    },
    Slice {
        identifier: "macos-arm64_x86_64",
        platform: Platform::MacOs,
        machines: &[Machine::Arm64, Machine::X86_64],
        targets: &["aarch64-apple-darwin", "x86_64-apple-darwin"],
        system: ("macos", None),
        minimum: "13.0",
    },
];

impl Slice {
    /// Frameworks for Macs keep versions beside each other; those for phones are flat.
    fn versioned(&self) -> bool {
        self.platform == Platform::MacOs
    }

    fn inside(&self, mac: &str, phone: &str) -> String {
        if self.versioned() { format!("Versions/A/{mac}") } else { phone.to_owned() }
    }

    /// The path of the binary in the framework.
    pub fn binary(&self) -> String {
        self.inside(FRAMEWORK, FRAMEWORK)
    }

    /// The path of a header in the framework.
    pub fn headers(&self, name: &str) -> String {
        self.inside(&format!("Headers/{name}"), &format!("Headers/{name}"))
    }

    /// The path of a module map in the framework.
    pub fn modules(&self, name: &str) -> String {
        self.inside(&format!("Modules/{name}"), &format!("Modules/{name}"))
    }

    /// The path of a resource in the framework.
    pub fn resources(&self, name: &str) -> String {
        self.inside(&format!("Resources/{name}"), name)
    }

    /// The name by which apps load it.
    pub fn install_name(&self) -> String {
        format!("@rpath/{FRAMEWORK}.framework/{}", self.binary())
    }

    /// The variable by which compiler and linker take the oldest version of the system.
    fn minimum_variable(&self) -> &'static str {
        if self.platform == Platform::MacOs { "MACOSX_DEPLOYMENT_TARGET" } else { "IPHONEOS_DEPLOYMENT_TARGET" }
    }
}

/// Whether Xcode is here.
pub fn has_xcode() -> bool {
    cfg!(target_os = "macos")
        && workspace::capture(std::process::Command::new("xcrun").args(["--find", "lipo"])).is_ok()
}

/// Builds the XCFramework as a folder and, for SwiftPM, as an archive beside it.
///
/// # Errors
/// [`Failure::Missing`] without Xcode; other failures of the build.
pub fn build(workspace: &Workspace, header: &str, notices: &Notices) -> Result<PathBuf, Failure> {
    if !has_xcode() {
        return Err(Failure::missing(
            "frameworks are linked by Xcode, which is not here",
            "run this on a Mac with Xcode; `cargo xtask xcframework --check` builds and checks what needs no Xcode",
        ));
    }
    let binaries = SLICES.iter().map(|slice| link(workspace, slice)).collect::<Result<Vec<_>, _>>()?;
    let folder = workspace.made("apple").join(XCFRAMEWORK);
    write_folder(&folder, &binaries, header, notices)?;
    workspace::write(&folder.with_extension("xcframework.zip"), &archive(&binaries, header, notices))?;
    Ok(folder)
}

/// Builds the library for each processor of a framework and joins them.
fn link(workspace: &Workspace, slice: &Slice) -> Result<Binary, Failure> {
    let mut parts = Vec::new();
    for target in slice.targets {
        let flags = [format!("-Clink-arg=-Wl,-install_name,{}", slice.install_name())];
        run(shipped::cargo(workspace, target, "cdylib", &[], &flags).env(slice.minimum_variable(), slice.minimum))?;
        parts.push(shipped::result(workspace, target, "libsotto_ffi.dylib"));
    }
    let folder = workspace.made("apple").join("binaries").join(slice.identifier);
    workspace::fresh_folder(&folder)?;
    let joined = folder.join(FRAMEWORK);
    run(workspace.program("xcrun").args(["lipo", "-create", "-output"]).arg(&joined).args(&parts))?;
    run(workspace.program("xcrun").arg("dsymutil").arg(&joined))?;
    // Local names and lines for debuggers go, and with them the signature that the linker made.
    run(workspace.program("xcrun").args(["strip", "-S", "-x"]).arg(&joined))?;
    run(workspace.program("codesign").args(["--force", "--sign", "-"]).arg(&joined))?;
    Ok(Binary { slice: *slice, bytes: workspace::read(&joined)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_follow_the_two_layouts_of_frameworks() {
        let [phone, _, mac] = SLICES;
        assert_eq!(phone.install_name(), "@rpath/sottoFFI.framework/sottoFFI");
        assert_eq!(phone.resources("PrivacyInfo.xcprivacy"), "PrivacyInfo.xcprivacy");
        assert_eq!(mac.install_name(), "@rpath/sottoFFI.framework/Versions/A/sottoFFI");
        assert_eq!(mac.resources("PrivacyInfo.xcprivacy"), "Versions/A/Resources/PrivacyInfo.xcprivacy");
    }

    #[test]
    fn every_target_has_its_processor() {
        for slice in SLICES {
            assert_eq!(slice.targets.len(), slice.machines.len(), "{}", slice.identifier);
        }
    }
}
