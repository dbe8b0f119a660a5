//! The folders and lists of an XCFramework around its binaries.

use std::path::Path;

use super::privacy::{self, dictionary};
use super::{FRAMEWORK, Slice, XCFRAMEWORK};
use crate::artifact::{LICENCES, SBOM, Value, write_plist};
use crate::failure::Failure;
use crate::inventory::Notices;
use crate::library::Machine;
use crate::workspace;
use crate::zip::{self, Member};

/// A linked library for one system.
#[derive(Debug, Clone)]
pub struct Binary {
    /// What it is for.
    pub slice: Slice,
    /// The library, of all processors.
    pub bytes: Vec<u8>,
}

/// A file of the XCFramework, or a link.
enum Piece {
    File(Vec<u8>),
    Program(Vec<u8>),
    Link(&'static str),
}

/// Everything by its path in the XCFramework.
fn pieces(binaries: &[Binary], header: &str, notices: &Notices) -> Vec<(String, Piece)> {
    let mut pieces = vec![("Info.plist".to_owned(), Piece::File(list(binaries).into_bytes()))];
    for Binary { slice, bytes } in binaries {
        let mut add = |path: String, piece| {
            pieces.push((format!("{}/{FRAMEWORK}.framework/{path}", slice.identifier), piece));
        };
        add(slice.binary(), Piece::Program(bytes.clone()));
        add(slice.headers("sottoFFI.h"), Piece::File(header.as_bytes().to_vec()));
        add(slice.modules("module.modulemap"), Piece::File(module_map().into_bytes()));
        add(slice.resources("Info.plist"), Piece::File(info(slice).into_bytes()));
        add(slice.resources("PrivacyInfo.xcprivacy"), Piece::File(privacy::manifest().into_bytes()));
        add(slice.resources(LICENCES), Piece::File(notices.licences.clone().into_bytes()));
        add(slice.resources(SBOM), Piece::File(notices.sbom.clone().into_bytes()));
        if slice.versioned() {
            add("Versions/Current".into(), Piece::Link("A"));
            add(FRAMEWORK.into(), Piece::Link("Versions/Current/sottoFFI"));
            add("Headers".into(), Piece::Link("Versions/Current/Headers"));
            add("Modules".into(), Piece::Link("Versions/Current/Modules"));
            add("Resources".into(), Piece::Link("Versions/Current/Resources"));
        }
    }
    pieces
}

/// Writes the folder.
///
/// # Errors
/// [`Failure::File`].
pub fn write_folder(folder: &Path, binaries: &[Binary], header: &str, notices: &Notices) -> Result<(), Failure> {
    workspace::fresh_folder(folder)?;
    for (path, piece) in pieces(binaries, header, notices) {
        let path = folder.join(path);
        match piece {
            Piece::File(data) | Piece::Program(data) => workspace::write(&path, &data)?,
            Piece::Link(to) => link(to, &path)?,
        }
    }
    Ok(())
}

#[cfg(unix)]
fn link(to: &str, path: &Path) -> Result<(), Failure> {
    std::os::unix::fs::symlink(to, path).map_err(Failure::file(path))
}

#[cfg(not(unix))]
fn link(_: &str, path: &Path) -> Result<(), Failure> {
    Err(Failure::missing(format!("{} must be a link", path.display()), "make XCFrameworks on a Mac"))
}

/// The same as an archive, as SwiftPM loads it.
pub fn archive(binaries: &[Binary], header: &str, notices: &Notices) -> Vec<u8> {
    let members = pieces(binaries, header, notices).into_iter().map(|(path, piece)| {
        let path = format!("{XCFRAMEWORK}/{path}");
        match piece {
            Piece::File(data) => Member::file(path, data),
            Piece::Program(data) => Member::file(path, data).executable(),
            Piece::Link(to) => Member::link(path, to),
        }
    });
    zip::write(members.collect())
}

/// What the generator's own map says besides, modules of one compiler among it, breaks on the next one
/// (mozilla/uniffi-rs issue 2917).
fn module_map() -> String {
    format!(
        "framework module {FRAMEWORK} {{\n    umbrella header \"sottoFFI.h\"\n    \
         export *\n    module * {{ export * }}\n}}\n"
    )
}

fn text(text: impl Into<String>) -> Value {
    Value::Text(text.into())
}

/// The list of frameworks.
fn list(binaries: &[Binary]) -> String {
    let libraries = binaries.iter().map(|Binary { slice, .. }| {
        let machines = slice.machines.iter().map(|machine| text(architecture(*machine)));
        let mut entry = dictionary([
            ("BinaryPath", text(format!("{FRAMEWORK}.framework/{}", slice.binary()))),
            ("LibraryIdentifier", text(slice.identifier)),
            ("LibraryPath", text(format!("{FRAMEWORK}.framework"))),
            ("SupportedArchitectures", Value::List(machines.collect())),
            ("SupportedPlatform", text(slice.system.0)),
        ]);
        if let (Value::Dictionary(entries), Some(variant)) = (&mut entry, slice.system.1) {
            entries.insert("SupportedPlatformVariant".into(), text(variant));
        }
        entry
    });
    write_plist(&dictionary([
        ("AvailableLibraries", Value::List(libraries.collect())),
        ("CFBundlePackageType", text("XFWK")),
        ("XCFrameworkFormatVersion", text("1.0")),
    ]))
}

/// What a framework says of itself.
fn info(slice: &Slice) -> String {
    let minimum = if slice.versioned() { "LSMinimumSystemVersion" } else { "MinimumOSVersion" };
    write_plist(&dictionary([
        ("CFBundleExecutable", text(FRAMEWORK)),
        ("CFBundleIdentifier", text("dev.sotto.ffi")),
        ("CFBundleInfoDictionaryVersion", text("6.0")),
        ("CFBundleName", text(FRAMEWORK)),
        ("CFBundlePackageType", text("FMWK")),
        ("CFBundleShortVersionString", text(env!("CARGO_PKG_VERSION"))),
        ("CFBundleVersion", text("1")),
        (minimum, text(slice.minimum)),
    ]))
}

fn architecture(machine: Machine) -> &'static str {
    match machine {
        Machine::X86_64 => "x86_64",
        _ => "arm64",
    }
}
