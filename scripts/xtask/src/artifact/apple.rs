//! What an XCFramework holds: one framework per system, each with a module map and a privacy manifest.

use super::contents::Contents;
use super::finding;
use super::plist::{self, Value};
use crate::apple::{FRAMEWORK, Platform, SLICES};
use crate::library::{self, Machine};
use crate::report::Finding;

/// Whether a path is the binary of our framework. In frameworks for Macs it lies in a folder for its version, and what
/// is beside that are links.
pub fn is_binary(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    match parts[..] {
        [.., framework, name] if framework == format!("{FRAMEWORK}.framework") => name == FRAMEWORK,
        [.., framework, "Versions", _, name] if framework == format!("{FRAMEWORK}.framework") => name == FRAMEWORK,
        _ => false,
    }
}

/// The folder of the XCFramework in the package: none for a folder, its name for an archive.
fn root(contents: &Contents) -> Option<String> {
    let mut names = contents.names(|name| name.ends_with("Info.plist") && !name.contains(".framework/"));
    names.next().map(|name| name.trim_end_matches("Info.plist").to_owned())
}

fn value<'a>(dictionary: &'a Value, key: &str) -> Option<&'a Value> {
    match dictionary {
        Value::Dictionary(entries) => entries.get(key),
        _ => None,
    }
}

fn text<'a>(dictionary: &'a Value, key: &str) -> &'a str {
    match value(dictionary, key) {
        Some(Value::Text(text)) => text,
        _ => "",
    }
}

/// The list of slices is right, and each has a framework for the system and processors that it promises.
pub fn slices(contents: &Contents) -> Vec<Finding> {
    let remedy = "make it again with `cargo xtask xcframework`";
    let Some(root) = root(contents) else { return vec![finding("there is no Info.plist", remedy)] };
    let plist = match plist::parse(&contents.text(&format!("{root}Info.plist")).unwrap_or_default()) {
        Ok(plist) => plist,
        Err(error) => return vec![finding(format!("Info.plist: {error}"), remedy)],
    };
    let listed = match value(&plist, "AvailableLibraries") {
        Some(Value::List(listed)) => listed.as_slice(),
        _ => &[],
    };
    let mut findings = Vec::new();
    for slice in SLICES {
        let Some(entry) = listed.iter().find(|entry| text(entry, "LibraryIdentifier") == slice.identifier) else {
            findings.push(finding(format!("Info.plist does not list {}", slice.identifier), remedy));
            continue;
        };
        if text(entry, "LibraryPath") != format!("{FRAMEWORK}.framework") {
            findings.push(finding(format!("Info.plist: {} is no {FRAMEWORK}.framework", slice.identifier), remedy));
        }
        let folder = format!("{root}{}/{FRAMEWORK}.framework/", slice.identifier);
        let Some(binary) = contents.names(|name| name.starts_with(&folder) && is_binary(name)).next() else {
            findings.push(finding(format!("there is no binary in {folder}"), remedy));
            continue;
        };
        findings.extend(misfit(binary, contents.data(binary).unwrap_or_default(), slice.platform, slice.machines));
        for needed in [slice.resources("Info.plist"), slice.headers("sottoFFI.h")] {
            if contents.data(&format!("{folder}{needed}")).is_none() {
                findings.push(finding(format!("there is no {folder}{needed}"), remedy));
            }
        }
    }
    findings
}

/// A binary for another system, or without a processor that is promised.
fn misfit(path: &str, bytes: &[u8], platform: Platform, machines: &[Machine]) -> Vec<Finding> {
    let remedy = "build it for the right target";
    // What cannot be read is found where libraries are looked at.
    let slices = library::slices(bytes).unwrap_or_default();
    let mut findings = Vec::new();
    if let Some(slice) = slices.iter().find(|slice| slice.platform != platform) {
        findings.push(finding(format!("{path} is for {:?}, not for {platform:?}", slice.platform), remedy));
    }
    for machine in machines {
        if !slices.iter().any(|slice| slice.machine == *machine) {
            findings.push(finding(format!("{path} has nothing for {machine:?}"), remedy));
        }
    }
    let own = format!("@rpath/{FRAMEWORK}.framework/");
    if let Some(slice) = slices.iter().find(|slice| !slice.name.as_deref().unwrap_or("").starts_with(&own)) {
        let name = slice.name.as_deref().unwrap_or("nothing");
        findings.push(finding(format!("{path} calls itself {name}"), format!("give it the name {own}{FRAMEWORK}")));
    }
    findings
}

/// Each framework says that it is one: otherwise newer compilers do not find its headers, or two libraries' maps
/// collide.
pub fn module_maps(contents: &Contents) -> Vec<Finding> {
    let remedy = "write `framework module` without the compiler's own modules, as `cargo xtask xcframework` does";
    let mut findings = Vec::new();
    for slice in SLICES {
        let end = format!("{}/{FRAMEWORK}.framework/{}", slice.identifier, slice.modules("module.modulemap"));
        let Some(name) = contents.names(|name| name.ends_with(&end)).next() else {
            findings.push(finding(format!("there is no {end}"), remedy));
            continue;
        };
        let text = contents.text(name).unwrap_or_default();
        if !text.contains(&format!("framework module {FRAMEWORK} {{")) {
            findings.push(finding(format!("{name} does not say `framework module {FRAMEWORK}`"), remedy));
        }
        if text.contains("_Builtin_") {
            findings.push(finding(format!("{name} uses a module of one compiler"), remedy));
        }
    }
    if let Some(stray) = contents.names(|name| name.ends_with("/Headers/module.modulemap")).next() {
        findings.push(finding(format!("{stray} collides with other libraries' maps"), remedy));
    }
    findings
}

/// Each framework carries a privacy manifest: nothing is collected, and the reasons for what the system asks about are
/// given.
pub fn privacy(contents: &Contents) -> Vec<Finding> {
    let mut findings = Vec::new();
    for slice in SLICES {
        let end = format!("{}/{FRAMEWORK}.framework/{}", slice.identifier, slice.resources("PrivacyInfo.xcprivacy"));
        match contents.names(|name| name.ends_with(&end)).next() {
            None => findings.push(finding(format!("there is no {end}"), "pack it: stores refuse apps without it")),
            Some(name) => findings.extend(privacy_of(name, &contents.text(name).unwrap_or_default())),
        }
    }
    findings
}

fn privacy_of(name: &str, manifest: &str) -> Vec<Finding> {
    let remedy = "see ios/Sources/Sotto/PrivacyInfo.xcprivacy";
    let plist = match plist::parse(manifest) {
        Ok(plist) => plist,
        Err(error) => return vec![finding(format!("{name}: {error}"), remedy)],
    };
    let mut findings = Vec::new();
    let mut ask = |holds: bool, what: &str| {
        if !holds {
            findings.push(finding(format!("{name}: {what}"), remedy));
        }
    };
    let empty = |key| matches!(value(&plist, key), Some(Value::List(list)) if list.is_empty());
    ask(matches!(value(&plist, "NSPrivacyTracking"), Some(Value::Boolean(false))), "NSPrivacyTracking is not false");
    ask(empty("NSPrivacyTrackingDomains"), "NSPrivacyTrackingDomains is not an empty list");
    ask(empty("NSPrivacyCollectedDataTypes"), "NSPrivacyCollectedDataTypes is not an empty list");
    let accessed = match value(&plist, "NSPrivacyAccessedAPITypes") {
        Some(Value::List(list)) => list.as_slice(),
        _ => &[],
    };
    // Rust's standard library calls both: `stat`, and `mach_absolute_time`.
    for category in ["NSPrivacyAccessedAPICategoryFileTimestamp", "NSPrivacyAccessedAPICategorySystemBootTime"] {
        let entry = accessed.iter().find(|entry| text(entry, "NSPrivacyAccessedAPIType") == category);
        let reasons = entry.and_then(|entry| value(entry, "NSPrivacyAccessedAPITypeReasons"));
        let given = matches!(reasons, Some(Value::List(list)) if !list.is_empty());
        ask(given, &format!("{category} has no reason"));
    }
    findings
}
