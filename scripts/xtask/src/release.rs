//! `cargo xtask release`: all packages of a version, checked, and afterwards published as the very bytes that were
//! checked.
//!
//! `--dry-run` makes everything that this machine can make into `target/xtask/release`, takes each package apart
//! ([`artifact`]), and writes a manifest with the hash of each file. Whoever tests the release tests
//! those files: nothing is built again. `--promote` compares the files with the manifest and hands them out, or
//! refuses: other bytes, files that nobody checked, libraries that cannot run, packages that are missing, or sources
//! that are in no commit.

mod consumer;
mod manifest;
mod maven;
mod promote;
mod swift;

use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::workspace::{self, Workspace};
use crate::{android, apple, artifact, bindings, inventory};
use manifest::Manifest;

pub use consumer::{try_maven, try_swift};
pub use promote::promote;

/// The version of everything that is released together.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Where the packages of a version will lie for those who load them.
const DOWNLOADS: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/releases/download");

/// A part of a release, for a look at it alone: what is made is not complete and is never promoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The packages for Android and the JVM.
    Android,
    /// The frameworks and the Swift package.
    Swift,
}

/// Options of a dry run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Link against nothing even where an NDK is.
    pub stub: bool,
    /// Make one part alone.
    pub only: Option<Part>,
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
    if options.only != Some(Part::Swift) {
        make_android(workspace, options, &notices, &folder, &mut manifest)?;
    }
    if options.only != Some(Part::Android) {
        make_swift(workspace, &notices, &folder, &mut manifest)?;
    }
    if options.only.is_some() {
        manifest.lacks("the other part: only one was asked for");
    }
    // Whoever edits or commits meanwhile makes packages of which nobody can say what they were made from.
    if manifest.commit.is_some() && manifest.commit != commit(workspace)? {
        println!("The sources changed while they were built: what was made belongs to no commit.");
        manifest.commit = None;
    }
    manifest.write(&folder)?;
    promote::unchanged(&folder)?;
    println!("{manifest}\n{}", workspace.shown(&folder));
    println!(
        "Next: `cargo xtask release --try-maven {0}` and `--try-swift {0}` let strangers' projects run on it.",
        workspace.shown(&folder)
    );
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

fn make_android(
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
        manifest.lacks("libraries for Android that run: these were linked against nothing (no NDK, or --stub)");
    }
    let mut files = maven::staged(workspace.root())?;
    if files.is_empty() {
        println!(
            "Gradle has staged nothing (android/build/staging): the packages are put together from what Maven compiled."
        );
        android::compile(workspace)?;
        files = maven::repository(workspace.root(), packages(workspace, &built, notices)?)?;
    }
    for (name, data) in files {
        let name = format!("maven/{name}");
        manifest.add(folder, &name, &data)?;
        let beside = ["-sources.jar", "-javadoc.jar"].iter().any(|ending| name.ends_with(ending));
        if (name.ends_with(".aar") || name.ends_with(".jar")) && !beside {
            verify(workspace, &folder.join(name), stubs)?;
        }
    }
    for one in &built {
        let symbols = workspace.made("android").join("symbols").join(one.abi.name()).join(android::LIBRARY);
        manifest.add(folder, &format!("symbols/{}/{}", one.abi, android::LIBRARY), &workspace::read(&symbols)?)?;
    }
    Ok(())
}

/// The packages as Gradle makes them.
fn packages(
    workspace: &Workspace,
    built: &[android::Built],
    notices: &inventory::Notices,
) -> Result<Vec<maven::Package>, Failure> {
    let aar = android::write_aar(&android::Aar::gather(workspace, built, notices.clone())?);
    let package = |(name, kind, data)| maven::Package { name, beside: None, kind, data };
    let starter = android::starter(workspace)?;
    let aars = [("sotto-android", "aar", aar), ("sotto-starter", "aar", starter)];
    let jars = android::jars(workspace)?.into_iter().map(|(name, data)| (name, "jar", data));
    let mut packages: Vec<maven::Package> = jars.chain(aars).map(package).collect();
    // For programs that are no Android apps: there is nothing that would read an asset.
    let (name, beside) = ("sotto-starter", Some("resources"));
    packages.push(maven::Package { name, beside, kind: "jar", data: android::starter_resources(workspace)? });
    Ok(packages)
}

fn make_swift(
    workspace: &Workspace,
    notices: &inventory::Notices,
    folder: &Path,
    manifest: &mut Manifest,
) -> Result<(), Failure> {
    let checksum = make_xcframework(workspace, notices, folder, manifest)?;
    let url = format!("{DOWNLOADS}/{VERSION}/{}", xcframework_name());
    let frameworks = checksum.as_deref().map(|checksum| (url.as_str(), checksum));
    swift::distribution(workspace.root(), &folder.join("swift"), frameworks, manifest)?;
    manifest.add_tree(folder, "swift")
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
