//! Licences and SBOM of a package: both are there, and they speak of the same crates.

use serde_json::Value;

use super::contents::Contents;
use super::{ANDROID_NOTICES, Kind, LICENCES, SBOM, finding};
use crate::apple;
use crate::report::Finding;

/// What is wrong with the licences, and with the SBOM.
pub fn check(kind: Kind, contents: &Contents) -> (Vec<Finding>, Vec<Finding>) {
    let mut licences = Vec::new();
    let mut sboms = Vec::new();
    for folder in folders(kind, contents) {
        let (components, findings) = sbom(&folder, contents);
        sboms.extend(findings);
        licences.extend(texts(&folder, contents, &components));
    }
    (licences, sboms)
}

/// Where both stand; in an XCFramework each slice has its own, because each becomes part of another app.
fn folders(kind: Kind, contents: &Contents) -> Vec<String> {
    if kind != Kind::XcFramework {
        return vec![ANDROID_NOTICES.into()];
    }
    let binaries = contents.names(super::apple::is_binary);
    let folders: Vec<String> = binaries
        .map(|name| {
            let framework =
                name.rsplit_once(&format!("{}.framework/", apple::FRAMEWORK)).map_or("", |(folder, _)| folder);
            let resources = if name.contains("/Versions/") { "/Versions/A/Resources" } else { "" };
            format!("{framework}{}.framework{resources}", apple::FRAMEWORK)
        })
        .collect();
    if folders.is_empty() { vec!["the framework".into()] } else { folders }
}

/// The names of the components, and what is wrong with the list.
fn sbom(folder: &str, contents: &Contents) -> (Vec<String>, Vec<Finding>) {
    let name = format!("{folder}/{SBOM}");
    let remedy = "make it with `cargo xtask sbom` and pack it";
    let found = |what: String| (Vec::new(), vec![finding(what, remedy)]);
    let Some(data) = contents.data(&name) else { return found(format!("there is no {name}")) };
    let json: Value = match serde_json::from_slice(data) {
        Ok(json) => json,
        Err(error) => return found(format!("{name}: {error}")),
    };
    if json["bomFormat"] != "CycloneDX" || !["1.5", "1.6", "1.7"].iter().any(|version| json["specVersion"] == *version)
    {
        return found(format!("{name} is no CycloneDX list of version 1.5 or later"));
    }
    let empty = Vec::new();
    let components = json["components"].as_array().unwrap_or(&empty);
    let text = |component: &Value, key: &str| component[key].as_str().unwrap_or_default().to_owned();
    let mut findings = Vec::new();
    if text(&json["metadata"]["component"], "name").is_empty() {
        findings.push(finding(format!("{name} does not say what it describes"), remedy));
    }
    if components.is_empty() {
        findings.push(finding(format!("{name} lists nothing"), remedy));
    }
    for component in components {
        let complete = !text(component, "version").is_empty()
            && text(component, "purl").starts_with("pkg:")
            && component["licenses"].as_array().is_some_and(|licences| !licences.is_empty());
        if !complete {
            let who = text(component, "name");
            findings.push(finding(format!("{name}: `{who}` lacks its version, its purl or its licence"), remedy));
        }
    }
    (components.iter().map(|component| text(component, "name")).collect(), findings)
}

fn texts(folder: &str, contents: &Contents, components: &[String]) -> Vec<Finding> {
    let name = format!("{folder}/{LICENCES}");
    let remedy = "make it with `cargo xtask licences` and pack it";
    let Some(text) = contents.text(&name) else { return vec![finding(format!("there is no {name}"), remedy)] };
    let mentions = |component: &&String| {
        text.split(|letter: char| !letter.is_alphanumeric() && letter != '-' && letter != '_')
            .any(|word| word == **component)
    };
    let missing: Vec<&String> = components.iter().filter(|component| !mentions(component)).collect();
    if text.trim().is_empty() {
        vec![finding(format!("{name} is empty"), remedy)]
    } else if let Some(first) = missing.first() {
        let what = format!("{name} has no licence of {first}, nor of {} others of the SBOM", missing.len() - 1);
        vec![finding(what, remedy)]
    } else {
        Vec::new()
    }
}
