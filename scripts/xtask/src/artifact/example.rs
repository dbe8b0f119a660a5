//! Packages for tests: sound ones, from which each test takes or spoils one thing.

use super::contents::{Contents, File};
use super::{ANDROID_NOTICES, Kind, LICENCES, Options, SBOM, check};
use crate::android::{Aar, Abi, write_aar};
use crate::apple::{Binary, SLICES, archive};
use crate::inventory::Notices;
use crate::library::Machine;
use crate::library::example::{Dylib, SharedObject, universal};
use std::path::Path;

/// Licences and SBOM of a library with one dependency.
pub fn notices() -> Notices {
    let component = |name: &str| {
        serde_json::json!({
            "type": "library", "bom-ref": format!("pkg:cargo/{name}@1.0.0"), "name": name, "version": "1.0.0",
            "purl": format!("pkg:cargo/{name}@1.0.0"), "licenses": [{ "expression": "MIT" }],
        })
    };
    let sbom = serde_json::json!({
        "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        "metadata": { "component": component("sotto-ffi") }, "components": [component("once_cell")],
    });
    Notices { licences: "once_cell 1.0.0: MIT\n\nPermission is granted\n".into(), sbom: sbom.to_string() }
}

const RULES: &str = "# Read by name.\n-keep class dev.sotto.ffi.** { *; }\n-keep class com.sun.jna.** { *; }\n";

/// A sound AAR, as its files.
pub fn aar() -> Contents {
    let package = Aar {
        manifest: "<manifest xmlns:android=\"a\" package=\"dev.sotto.android\">\n</manifest>\n".into(),
        rules: RULES.into(),
        classes: vec![("dev/sotto/android/Microphone.class".into(), b"class".to_vec())],
        libraries: Abi::ALL.iter().map(|abi| (*abi, library(*abi).write())).collect(),
        notices: notices(),
    };
    Contents::of_archive(Path::new("sotto.aar"), write_aar(&package)).unwrap()
}

/// A sound library for an ABI.
pub fn library(abi: Abi) -> SharedObject {
    let align = if abi == Abi::ArmeabiV7a { 4096 } else { 16384 };
    SharedObject { machine: abi.machine(), align, ..SharedObject::sound() }
}

/// A sound APK, as its files.
pub fn apk() -> Contents {
    let mut contents = Contents::default();
    let mut add = |name: &str, data: Vec<u8>, stored_at| {
        contents.files.insert(name.to_owned(), File { data, stored_at });
    };
    add("AndroidManifest.xml", b"binary".to_vec(), None);
    add("classes.dex", b"dex".to_vec(), None);
    for abi in Abi::ALL {
        add(&format!("lib/{abi}/libsotto_ffi.so"), library(abi).write(), Some(16384));
        add(&format!("lib/{abi}/libjnidispatch.so"), library(abi).write(), None);
    }
    add(&format!("{ANDROID_NOTICES}/{LICENCES}"), notices().licences.into_bytes(), None);
    add(&format!("{ANDROID_NOTICES}/{SBOM}"), notices().sbom.into_bytes(), None);
    contents
}

/// A sound XCFramework, as the files of its archive.
pub fn xcframework() -> Contents {
    let binaries: Vec<Binary> = SLICES
        .iter()
        .map(|slice| {
            let write = |machine: Machine| {
                Dylib { machine, platform: slice.platform, name: slice.install_name().leak(), ..Dylib::sound() }.write()
            };
            let parts: Vec<Vec<u8>> = slice.machines.iter().map(|machine| write(*machine)).collect();
            let bytes = if parts.len() == 1 { parts.concat() } else { universal(&parts) };
            Binary { slice: *slice, bytes }
        })
        .collect();
    let bytes = archive(&binaries, "#pragma once\n", &notices());
    Contents::of_archive(Path::new("SottoFFI.xcframework.zip"), bytes).unwrap()
}

/// The names of the rules that a package breaks.
pub fn broken(kind: Kind, contents: &Contents) -> Vec<&'static str> {
    broken_with(kind, contents, &Options::default())
}

/// The same with options.
pub fn broken_with(kind: Kind, contents: &Contents, options: &Options) -> Vec<&'static str> {
    let report = check("package", kind, contents, options);
    println!("{report}");
    report.broken()
}
