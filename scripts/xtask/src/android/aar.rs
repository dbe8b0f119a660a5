//! An AAR without Gradle: the archive that the format describes, made of what other builds left.

use std::path::Path;

use super::{Abi, Built, LIBRARY};
use crate::artifact::{ANDROID_NOTICES, LICENCES, SBOM};
use crate::failure::Failure;
use crate::inventory::Notices;
use crate::workspace::{self, Workspace};
use crate::zip::{self, Member};

/// The rules for R8 that go to apps.
const RULES: &str = "android/sotto-android/consumer-rules.pro";
const MANIFEST: &str = "android/sotto-android/src/main/AndroidManifest.xml";
/// Where Maven leaves classes, by module: generated code, the API, and what needs Android.
const CLASSES: &[&str] = &[
    "android/sotto-bindings/target/classes",
    "android/sotto-kotlin/target/classes",
    "android/sotto-android/target/classes",
];
/// The package of the manifest.
const NAMESPACE: &str = "dev.sotto.android";

/// What goes into an AAR.
#[derive(Debug, Clone)]
pub struct Aar {
    /// AndroidManifest.xml.
    pub manifest: String,
    /// Rules for R8.
    pub rules: String,
    /// Classes and what lies beside them, by their paths in the jar.
    pub classes: Vec<(String, Vec<u8>)>,
    /// Libraries.
    pub libraries: Vec<(Abi, Vec<u8>)>,
    /// Licences and SBOM.
    pub notices: Notices,
}

impl Aar {
    /// Collects everything.
    ///
    /// # Errors
    /// [`Failure::Missing`] naming what has not been built.
    pub fn gather(workspace: &Workspace, libraries: &[Built], notices: Notices) -> Result<Self, Failure> {
        let root = workspace.root();
        let rules = root.join(RULES);
        if !rules.exists() {
            return Err(Failure::missing(format!("{RULES} is missing"), "without it minified apps fail: restore it"));
        }
        let manifest = root.join(MANIFEST);
        let manifest = if manifest.exists() { workspace::read_text(&manifest)? } else { "<manifest/>".into() };
        let mut classes = Vec::new();
        for folder in CLASSES {
            classes.extend(classes_below(&root.join(folder))?);
        }
        let libraries = libraries
            .iter()
            .map(|built| Ok((built.abi, workspace::read(&built.library)?)))
            .collect::<Result<Vec<_>, Failure>>()?;
        Ok(Self {
            manifest: with_package(&manifest),
            rules: workspace::read_text(&rules)?,
            classes,
            libraries,
            notices,
        })
    }
}

/// Class files, and Kotlin's notes beside them; nothing else belongs into an app.
fn classes_below(folder: &Path) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    if !folder.is_dir() {
        let remedy = "run Maven in android/ first (`mvn package`), or `scripts/test.sh`";
        return Err(Failure::missing(format!("{} is missing", folder.display()), remedy));
    }
    let mut found = Vec::new();
    for path in workspace::files_below(folder)? {
        let name = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().replace('\\', "/");
        if name.ends_with(".class") || name.ends_with(".kotlin_module") {
            found.push((name, workspace::read(&path)?));
        }
    }
    Ok(found)
}

/// Gradle takes the package from its own build file; in an AAR it stands in the manifest.
fn with_package(manifest: &str) -> String {
    if manifest.contains("package=\"") {
        return manifest.to_owned();
    }
    let namespace = "xmlns:android=\"http://schemas.android.com/apk/res/android\"";
    match manifest.split_once("<manifest") {
        Some((before, rest)) if rest.trim_start().starts_with("/>") => {
            format!("{before}<manifest {namespace} package=\"{NAMESPACE}\">\n</manifest>\n")
        }
        Some((before, rest)) => format!("{before}<manifest package=\"{NAMESPACE}\"{rest}"),
        None => manifest.to_owned(),
    }
}

/// The archive.
pub fn write(aar: &Aar) -> Vec<u8> {
    let jar = aar.classes.iter().map(|(name, data)| Member::file(name, data.clone())).collect();
    let mut members = vec![
        Member::file("AndroidManifest.xml", aar.manifest.clone().into_bytes()),
        // Packed already.
        Member::file("classes.jar", zip::write(jar)).stored(),
        Member::file("proguard.txt", aar.rules.clone().into_bytes()),
        Member::file("R.txt", Vec::new()),
        Member::file(format!("{ANDROID_NOTICES}/{LICENCES}"), aar.notices.licences.clone().into_bytes()),
        Member::file(format!("{ANDROID_NOTICES}/{SBOM}"), aar.notices.sbom.clone().into_bytes()),
    ];
    for (abi, library) in &aar.libraries {
        members.push(Member::file(format!("jni/{abi}/{LIBRARY}"), library.clone()));
    }
    zip::write(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_is_added_where_gradle_keeps_it_elsewhere() {
        let own = "<manifest package=\"a.b\"/>";
        assert_eq!(with_package(own), own);
        let manifest =
            with_package("<?xml version=\"1.0\"?>\n<manifest xmlns:android=\"x\">\n<application/></manifest>");
        assert!(manifest.contains("<manifest package=\"dev.sotto.android\" xmlns:android=\"x\">"), "{manifest}");
        assert!(with_package("<manifest/>").contains("</manifest>"));
        assert!(with_package("<manifest />").contains("package="));
    }

    #[test]
    fn only_classes_and_kotlins_notes_go_into_the_jar() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["dev/sotto/A.class", "META-INF/sotto.kotlin_module", "notes.txt", "META-INF/maven/pom.xml"] {
            workspace::write(&folder.path().join(name), b"x").unwrap();
        }
        let names: Vec<String> = classes_below(folder.path()).unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["META-INF/sotto.kotlin_module", "dev/sotto/A.class"]);
        let error = classes_below(&folder.path().join("gone")).unwrap_err().to_string();
        assert!(error.contains("mvn"), "{error}");
    }
}
