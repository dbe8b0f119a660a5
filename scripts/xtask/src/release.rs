//! `cargo xtask release`: all packages of a version, checked, and afterwards published as the very bytes that were checked.
//!
//! `--dry-run` makes everything that this machine can make into `target/xtask/release`, takes each package apart
//! ([`artifact`](crate::artifact)), and writes a manifest with the hash of each file. Whoever tests the release tests those
//! files: nothing is built again. `--promote` compares the files with the manifest and hands them out, or refuses: other
//! bytes, files that nobody checked, libraries that cannot run, packages that are missing, or sources that are in no commit.

mod manifest;
mod promote;
mod swift;

use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::workspace::{self, Workspace};
use crate::{android, apple, artifact, bindings, inventory};
use manifest::Manifest;

pub use promote::promote;

/// The version of everything that is released together.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Where the packages of a version will lie for those who load them.
const DOWNLOADS: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/releases/download");

/// Options of a dry run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Link against nothing even where an NDK is.
    pub stub: bool,
}

/// Makes and checks everything, and returns the folder.
///
/// # Errors
/// [`Failure`] when something cannot be built that this machine can build, or when a package breaks a rule.
pub fn dry_run(workspace: &Workspace, options: &Options) -> Result<PathBuf, Failure> {
    let folder = workspace.made("release").join(VERSION);
    workspace::fresh_folder(&folder)?;
    let mut manifest = Manifest::new(VERSION, commit(workspace)?);

    let check = bindings::Options { surface: bindings::Surface::Check, library: None };
    bindings::make(workspace, &check)?;
    let notices = inventory::notices(workspace)?;
    for (name, text) in [(artifact::LICENCES, &notices.licences), (artifact::SBOM, &notices.sbom)] {
        manifest.add(&folder, &format!("sotto-{VERSION}-{name}"), text.as_bytes())?;
    }
    make_aar(workspace, options, &notices, &folder, &mut manifest)?;
    let checksum = make_xcframework(workspace, &notices, &folder, &mut manifest)?;
    let url = format!("{DOWNLOADS}/{VERSION}/{}", xcframework_name());
    swift::distribution(
        workspace.root(),
        &folder.join("swift"),
        checksum.as_deref().map(|sum| (url.as_str(), sum)),
        &mut manifest,
    )?;
    manifest.add_tree(&folder, "swift")?;

    manifest.write(&folder)?;
    println!("{manifest}\n{}", workspace.shown(&folder));
    Ok(folder)
}

/// The commit that is built, unless something is changed that no commit has.
fn commit(workspace: &Workspace) -> Result<Option<String>, Failure> {
    let ask = |arguments: &[&str]| -> Result<String, Failure> {
        let output = workspace::capture(workspace.program("git").args(arguments))?;
        Ok(String::from_utf8_lossy(&output).trim().to_owned())
    };
    let clean = ask(&["status", "--porcelain"])?.is_empty();
    Ok(if clean { Some(ask(&["rev-parse", "HEAD"])?) } else { None })
}

fn make_aar(
    workspace: &Workspace,
    options: &Options,
    notices: &inventory::Notices,
    folder: &Path,
    manifest: &mut Manifest,
) -> Result<(), Failure> {
    let abis = android::Abi::ALL.to_vec();
    let built = android::build(workspace, &android::Options { abis, stub: options.stub, out: None })?;
    let stubs = built.iter().any(|built| !built.runnable);
    if stubs {
        manifest.lacks("libraries for Android that run: there is no NDK here");
    }
    let aar = android::Aar::gather(workspace, &built, notices.clone())?;
    let name = format!("sotto-android-{VERSION}.aar");
    manifest.add(folder, &name, &android::write_aar(&aar))?;
    verify(workspace, &folder.join(name), stubs)?;
    for (module, jar) in android::jars(workspace)? {
        manifest.add(folder, &format!("{module}-{VERSION}.jar"), &jar)?;
    }
    manifest.add(folder, &format!("sotto-starter-{VERSION}.aar"), &android::starter(workspace)?)?;
    for one in &built {
        let symbols = workspace.made("android").join("symbols").join(one.abi.name()).join(android::LIBRARY);
        manifest.add(folder, &format!("symbols/{}/{}", one.abi, android::LIBRARY), &workspace::read(&symbols)?)?;
    }
    Ok(())
}

fn xcframework_name() -> String {
    format!("SottoFFI-{VERSION}.xcframework.zip")
}

/// The hash of the archive, which is what SwiftPM calls its checksum; nothing without Xcode.
fn make_xcframework(
    workspace: &Workspace,
    notices: &inventory::Notices,
    folder: &Path,
    manifest: &mut Manifest,
) -> Result<Option<String>, Failure> {
    if !apple::has_xcode() {
        manifest.lacks("frameworks for Apple's systems: there is no Xcode here");
        return Ok(None);
    }
    let generated = bindings::generate(workspace, None)?;
    let built = apple::build(workspace, &generated.header, notices)?;
    let bytes = workspace::read(&built.with_extension("xcframework.zip"))?;
    manifest.add(folder, &xcframework_name(), &bytes)?;
    verify(workspace, &folder.join(xcframework_name()), false)?;
    Ok(Some(workspace::sha256(&bytes)))
}

fn verify(workspace: &Workspace, path: &Path, allow_stub: bool) -> Result<(), Failure> {
    let folders = artifact::folders_of_this_machine(workspace.root());
    let options = artifact::Options { allow_stub, folders, ..artifact::Options::default() };
    artifact::verify(path, &options)?.into_result()
}
