//! `cargo xtask verify-artifact FILE`: takes a package apart that is about to go to apps.
//!
//! Each rule is here because somebody's release broke it: libraries for one ABI only, rules for R8 that were empty,
//! paths of the build machine in strings, pages of 4 KB that newer phones refuse to map. The rules, by what they read:
//!
//! * [`native`]: every ABI, size, page alignment, exported names, names of the network, whether the library can run at
//!   all;
//! * [`paths`]: nothing in the package names a folder of the machine that built it;
//! * [`android`]: manifest, classes, rules for R8, how an APK stores libraries;
//! * [`starter`]: the package of the starter model;
//! * [`apple`]: slices of an XCFramework, their module maps and privacy manifests;
//! * [`notices`]: licences and SBOM, and that the two speak of the same crates.

mod android;
mod apple;
mod contents;
#[cfg(test)]
mod example;
mod native;
mod notices;
mod paths;
mod plist;
mod starter;
#[cfg(test)]
mod tests;

use std::path::Path;

use crate::failure::Failure;
use crate::report::{Finding, Report};

use contents::Contents;
pub use paths::of_this_machine as folders_of_this_machine;
pub use plist::{Value, write as write_plist};

/// Where the licence texts of what is shipped stand in an AAR and an APK: assets are what an app can show to its users,
/// as most licences ask.
pub const LICENCES: &str = "licences.txt";
/// The list of what is shipped (CycloneDX).
pub const SBOM: &str = "sbom.cdx.json";
/// The folder of both in Android's packages.
pub const ANDROID_NOTICES: &str = "assets/sotto";

/// The kinds of packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A library for Android.
    Aar,
    /// An app for Android.
    Apk,
    /// Classes for any Java machine.
    Jar,
    /// The starter model alone, as Android's asset or as a resource of a JAR.
    Starter,
    /// Frameworks for Apple's systems.
    XcFramework,
    /// One library for Android, before it is packed.
    Library,
}

/// What is asked of a package.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// A library that was linked against nothing passes. It is said in the report, and such a package is never
    /// promoted.
    pub allow_stub: bool,
    /// An APK without native libraries passes, as tests assemble them where no library can be linked.
    pub without_native: bool,
    /// Folders that no package may name.
    pub folders: Vec<String>,
}

/// Checks a package.
///
/// # Errors
/// [`Failure`] when the file cannot be read, or is no package of a known kind. Broken rules are in the report.
pub fn verify(path: &Path, options: &Options) -> Result<Report, Failure> {
    let kind = kind(path)?;
    let contents = if kind == Kind::Library { Contents::of_file(path)? } else { Contents::read(path)? };
    Ok(check(&path.display().to_string(), kind, &contents, options))
}

fn check(name: &str, kind: Kind, contents: &Contents, options: &Options) -> Report {
    let mut report = Report::on(name);
    // What holds no library of ours holds no crate either, whose licence would have to be told.
    let with_crates = !matches!(kind, Kind::Jar | Kind::Starter);
    let native_expected = with_crates && !(kind == Kind::Apk && options.without_native);
    match kind {
        Kind::Aar => {
            report.add("manifest", android::manifest(contents));
            report.add("classes", android::classes(contents));
            report.add("rules for R8", android::rules(contents));
        }
        Kind::Apk => report.add("contents of the app", android::app(contents)),
        Kind::Jar => report.add("classes", android::jar(contents)),
        Kind::Starter => report.add("model", starter::check(contents)),
        Kind::Library => {}
        Kind::XcFramework => {
            report.add("slices", apple::slices(contents));
            report.add("module maps", apple::module_maps(contents));
            report.add("privacy manifests", apple::privacy(contents));
        }
    }
    if native_expected {
        let libraries = native::Libraries::of(kind, contents);
        report.add("a library for every ABI", libraries.every_abi());
        report.add("size", libraries.size());
        report.add("page alignment", libraries.alignment());
        report.add("exported names", libraries.exports());
        report.add("no network", libraries.network());
        report.add("what the libraries need", libraries.needed());
        if !options.allow_stub {
            report.add("can run", libraries.runnable());
        } else if !libraries.runnable().is_empty() {
            report.leave_out("whether the library runs: it was linked against nothing (--stub)");
        }
    } else if with_crates {
        report.leave_out("native libraries, which this app was assembled without");
    }
    report.add("no folder of the build machine", paths::check(contents, &options.folders));
    if with_crates && kind != Kind::Library {
        let (licences, sbom) = notices::check(kind, contents);
        report.add("licences", licences);
        report.add("SBOM", sbom);
    }
    report
}

fn kind(path: &Path) -> Result<Kind, Failure> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let starter = name.starts_with("sotto-starter-");
    if starter && (name.ends_with(".aar") || name.ends_with(".jar")) {
        return Ok(Kind::Starter);
    }
    let kinds = [
        (".aar", Kind::Aar),
        (".apk", Kind::Apk),
        (".jar", Kind::Jar),
        (".xcframework", Kind::XcFramework),
        (".so", Kind::Library),
    ];
    let zipped = [(".xcframework.zip", Kind::XcFramework)];
    kinds.into_iter().chain(zipped).find(|(ending, _)| name.ends_with(ending)).map(|(_, kind)| kind).ok_or_else(|| {
        Failure::form(
            path.display().to_string(),
            "the name must end in .aar, .apk, .jar, .so, .xcframework or .xcframework.zip",
        )
    })
}

/// A finding in one line.
fn finding(what: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding { what: what.into(), remedy: remedy.into() }
}
