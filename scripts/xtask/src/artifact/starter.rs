//! The package of the starter model: a model, its card, and nothing else.

use super::contents::Contents;
use super::finding;
use crate::report::Finding;

const MODEL: &str = "sotto/starter.en.sotto";
const CARD: &str = "sotto/README.md";

/// The model is there, can be mapped where it lies, and comes with its card.
pub fn check(contents: &Contents) -> Vec<Finding> {
    let mut findings = Vec::new();
    // An AAR has a manifest, a JAR has none.
    let android = contents.data("AndroidManifest.xml").is_some();
    let folder = if android { "assets/" } else { "" };
    match contents.files.get(&format!("{folder}{MODEL}")) {
        None => findings.push(finding(format!("there is no {folder}{MODEL}"), "pack the one of core/starter")),
        Some(file) => {
            if android && file.stored_at.is_none() {
                let what = format!("{folder}{MODEL} is compressed, so that no app can map it");
                findings.push(finding(what, "store it: noCompress in Gradle"));
            }
            // A safetensors file: the length of its header, then the header.
            if file.data.get(8) != Some(&b'{') {
                findings
                    .push(finding(format!("{folder}{MODEL} is no packed model"), "is it a pointer of a large file?"));
            }
        }
    }
    if contents.data(&format!("{folder}{CARD}")).is_none() {
        findings
            .push(finding(format!("there is no {folder}{CARD}"), "pack the card: it says what the model was made of"));
    }
    for name in contents.names(|name| name.ends_with(".so") || (name.ends_with(".class"))) {
        findings.push(finding(format!("{name} does not belong to a model"), "pack it with the library"));
    }
    findings
}
