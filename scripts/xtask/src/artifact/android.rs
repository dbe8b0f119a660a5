//! What Android's packages hold besides libraries.

use super::contents::Contents;
use super::finding;
use crate::report::Finding;
use crate::zip::Archive;

/// What R8 must keep in a minified app: the generated classes, which JNA reads by their names, and JNA, whose native
/// half does the same.
const KEPT: &[&str] = &["dev.sotto.ffi.", "com.sun.jna."];

/// The manifest names a package and asks for no way to the network.
pub fn manifest(contents: &Contents) -> Vec<Finding> {
    let Some(text) = contents.text("AndroidManifest.xml") else {
        return vec![finding("there is no AndroidManifest.xml", "pack it")];
    };
    let mut findings = Vec::new();
    if !text.contains("<manifest") || !text.contains("package=\"") || !text.contains("</manifest>") {
        findings.push(finding(
            "AndroidManifest.xml is no manifest with a package",
            "see android/ for the one that is meant",
        ));
    }
    // A library's manifest is merged into every app that uses it.
    for permission in ["android.permission.INTERNET", "android.permission.ACCESS_NETWORK_STATE"] {
        if text.contains(permission) {
            let what = format!("AndroidManifest.xml asks for {permission}");
            findings.push(finding(what, "remove it: what an app loads by itself is the app's to declare"));
        }
    }
    if contents.data("R.txt").is_none() {
        findings.push(finding("there is no R.txt", "pack one, empty where there are no resources"));
    }
    findings
}

/// There are classes, of the names that apps use. Those that are generated come in a JAR of their own.
pub fn classes(contents: &Contents) -> Vec<Finding> {
    let remedy = "build android/ (Maven or Gradle) before packing";
    let Some(data) = contents.data("classes.jar") else {
        return vec![finding("there is no classes.jar", remedy)];
    };
    let Ok(archive) = Archive::read(data.to_vec()) else {
        return vec![finding("classes.jar is no archive", remedy)];
    };
    let ours = |name: &str| name.starts_with("dev/sotto/") && name.ends_with(".class");
    if archive.entries().iter().any(|entry| ours(&entry.name)) {
        return Vec::new();
    }
    vec![finding("classes.jar has no class in dev/sotto", remedy)]
}

/// A JAR of ours has classes of ours and nothing that a system loads.
pub fn jar(contents: &Contents) -> Vec<Finding> {
    let remedy = "build android/ (Maven or Gradle) before packing";
    let mut findings = Vec::new();
    if contents.names(|name| name.starts_with("dev/sotto/") && name.ends_with(".class")).next().is_none() {
        findings.push(finding("there is no class in dev/sotto", remedy));
    }
    for name in contents.names(|name| name.ends_with(".so") || name.starts_with("com/") || name.starts_with("kotlin/"))
    {
        findings.push(finding(format!("{name} is not ours to ship in it"), "depend on it by its coordinates"));
    }
    findings
}

/// The rules for R8 that go to apps keep what is reached by name.
pub fn rules(contents: &Contents) -> Vec<Finding> {
    let remedy = "pack the rules of android/ as proguard.txt";
    let Some(text) = contents.text("proguard.txt") else {
        return vec![finding("there is no proguard.txt: minified apps fail at their start", remedy)];
    };
    let rules: String = text.lines().map(|line| line.split('#').next().unwrap_or("")).collect::<Vec<_>>().join("\n");
    if rules.trim().is_empty() {
        return vec![finding("proguard.txt has no rule: minified apps fail at their start", remedy)];
    }
    let mut findings = Vec::new();
    let keeps: Vec<&str> = rules.split("-keep").skip(1).collect();
    for name in KEPT {
        if !keeps.iter().any(|rule| rule.contains(name)) {
            findings.push(finding(format!("proguard.txt does not keep {name}**"), remedy));
        }
    }
    if rules.matches('{').count() != rules.matches('}').count() {
        findings.push(finding("proguard.txt has a brace without its other half", remedy));
    }
    findings
}

/// An app has a manifest, code, and JNA's library beside each of ours.
pub fn app(contents: &Contents) -> Vec<Finding> {
    let mut findings: Vec<Finding> = ["AndroidManifest.xml", "classes.dex"]
        .into_iter()
        .filter(|name| contents.data(name).is_none_or(<[u8]>::is_empty))
        .map(|name| finding(format!("there is no {name}"), "assemble the app again"))
        .collect();
    for ours in contents.names(|name| name.starts_with("lib/") && name.ends_with("/libsotto_ffi.so")) {
        let jna = ours.replace("libsotto_ffi.so", "libjnidispatch.so");
        if contents.data(&jna).is_none() {
            findings.push(finding(format!("there is no {jna}"), "depend on JNA's AAR, not on its jar"));
        }
    }
    findings
}
