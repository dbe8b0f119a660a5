//! An AAR without Gradle: the archive that the format describes, made of what other builds left.

use std::path::Path;

use super::link::API;
use super::{Abi, Built, LIBRARY};
use crate::artifact::{ANDROID_NOTICES, LICENCES, SBOM};
use crate::failure::Failure;
use crate::inventory::Notices;
use crate::workspace::{self, Workspace};
use crate::zip::{self, Member};

/// The rules for R8 that go to apps. They lie in the JAR of the bindings too, for builds without Android's plugin.
const RULES: &str = "android/sotto-bindings/src/main/resources/META-INF/proguard/sotto.pro";
const MANIFEST: &str = "android/sotto-android/src/main/AndroidManifest.xml";
/// The module whose classes are in the AAR. What it stands on comes as JARs of its own, as Gradle publishes them.
const MODULE: &str = "sotto-android";
/// The modules that are published as JARs.
const JARS: &[&str] = &["sotto-bindings", "sotto-kotlin"];
/// The model for apps that bring none.
const STARTER: &str = "core/starter/models/speech";

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
        let manifest = with_package(&workspace::read_text(&root.join(MANIFEST))?, "dev.sotto.android");
        let classes = compiled(root, MODULE)?;
        let libraries = libraries
            .iter()
            .map(|built| Ok((built.abi, workspace::read(&built.library)?)))
            .collect::<Result<Vec<_>, Failure>>()?;
        Ok(Self { manifest, rules: workspace::read_text(&rules)?, classes, libraries, notices })
    }
}

/// What Maven compiled of a module: classes, Kotlin's notes beside them, and rules for R8; nothing else belongs into an
/// app.
fn compiled(root: &Path, module: &str) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let folder = root.join("android").join(module).join("target/classes");
    if !folder.is_dir() {
        let remedy = "run Maven in android/ first (`mvn package`), or `scripts/test.sh`";
        return Err(Failure::missing(format!("{} is missing", folder.display()), remedy));
    }
    let mut found = Vec::new();
    for path in workspace::files_below(&folder)? {
        let name = path.strip_prefix(&folder).unwrap_or(&path).to_string_lossy().replace('\\', "/");
        if [".class", ".kotlin_module", ".pro"].iter().any(|ending| name.ends_with(ending)) {
            found.push((name, workspace::read(&path)?));
        }
    }
    Ok(found)
}

/// The JARs that the AAR stands on, by the names of their modules.
///
/// # Errors
/// [`Failure::Missing`] when Maven has not run.
pub fn jars(workspace: &Workspace) -> Result<Vec<(&'static str, Vec<u8>)>, Failure> {
    JARS.iter().map(|module| Ok((*module, jar(&compiled(workspace.root(), module)?)))).collect()
}

/// Compiles the modules by Maven, against the host's library that the chore `bindings` built: what lies there from an
/// earlier time may be made of other sources.
///
/// # Errors
/// [`Failure`] when Maven is missing or fails.
pub fn compile(workspace: &Workspace) -> Result<(), Failure> {
    let mut maven = workspace.program("mvn");
    // In its folder: Maven looks for its settings (.mvn) from there.
    maven.current_dir(workspace.root().join("android")).args(["--batch-mode", "--quiet", "-Dmaven.test.skip=true"]);
    maven.arg(format!("-Dsotto.library.dir={}", workspace.target().join("debug").display()));
    maven.args(["-pl", MODULE, "-am", "clean", "compile"]);
    workspace::run(&mut maven)
}

/// The starter model as a resource, for programs on the desk.
///
/// # Errors
/// [`Failure::File`] when the model is not there.
pub fn starter_resources(workspace: &Workspace) -> Result<Vec<u8>, Failure> {
    let folder = workspace.root().join(STARTER);
    let member = |name: &str| Ok(Member::file(format!("sotto/{name}"), workspace::read(&folder.join(name))?));
    Ok(zip::write(vec![member("starter.en.sotto")?.stored(), member("README.md")?]))
}

/// The AAR of the starter model, which is an asset that apps map from their package: it is stored, not compressed.
///
/// # Errors
/// [`Failure::File`] when the model is not there.
pub fn starter(workspace: &Workspace) -> Result<Vec<u8>, Failure> {
    let folder = workspace.root().join(STARTER);
    let asset = |name: &str| Ok(Member::file(format!("assets/sotto/{name}"), workspace::read(&folder.join(name))?));
    Ok(zip::write(vec![
        Member::file("AndroidManifest.xml", with_package("<manifest/>", "dev.sotto.starter").into_bytes()),
        Member::file("classes.jar", jar(&[])).stored(),
        Member::file("R.txt", Vec::new()),
        asset("starter.en.sotto")?.stored(),
        asset("README.md")?,
    ]))
}

fn jar(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    zip::write(files.iter().map(|(name, data)| Member::file(name, data.clone())).collect())
}

/// Gradle takes the package and the oldest Android from its own build file; in an AAR they stand in the manifest.
fn with_package(manifest: &str, namespace: &str) -> String {
    if manifest.contains("package=\"") {
        return manifest.to_owned();
    }
    let android = "xmlns:android=\"http://schemas.android.com/apk/res/android\"";
    let oldest = format!("    <uses-sdk android:minSdkVersion=\"{API}\" />\n");
    match manifest.split_once("<manifest") {
        Some((before, rest)) if rest.trim_start().starts_with("/>") => {
            format!("{before}<manifest {android} package=\"{namespace}\">\n{oldest}</manifest>\n")
        }
        Some((before, rest)) => {
            let whole = format!("{before}<manifest package=\"{namespace}\"{rest}");
            whole.replace("</manifest>", &format!("{oldest}</manifest>"))
        }
        None => manifest.to_owned(),
    }
}

/// The archive.
pub fn write(aar: &Aar) -> Vec<u8> {
    let mut members = vec![
        Member::file("AndroidManifest.xml", aar.manifest.clone().into_bytes()),
        // Packed already.
        Member::file("classes.jar", jar(&aar.classes)).stored(),
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
        assert_eq!(with_package(own, "c"), own);
        let manifest = with_package("<?xml version=\"1.0\"?>\n<manifest xmlns:android=\"x\">\n<a/></manifest>", "c.d");
        assert!(manifest.contains("<manifest package=\"c.d\" xmlns:android=\"x\">"), "{manifest}");
        assert_eq!(manifest.matches("android:minSdkVersion=\"26\"").count(), 1, "{manifest}");
        assert!(with_package("<manifest/>", "c").contains("</manifest>"));
        assert!(with_package("<manifest />", "c").contains("package="));
    }

    #[test]
    fn only_what_apps_need_goes_into_a_jar() {
        let root = tempfile::tempdir().unwrap();
        let classes = root.path().join("android/sotto-android/target/classes");
        for name in ["dev/sotto/A.class", "META-INF/a.kotlin_module", "notes.txt", "META-INF/maven/pom.xml"] {
            workspace::write(&classes.join(name), b"x").unwrap();
        }
        let names: Vec<String> = compiled(root.path(), MODULE).unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["META-INF/a.kotlin_module", "dev/sotto/A.class"]);
        let error = compiled(root.path(), "gone").unwrap_err().to_string();
        assert!(error.contains("mvn"), "{error}");
    }

    #[test]
    fn the_starter_model_can_be_mapped_from_its_package() {
        let bytes = starter(&Workspace::here()).unwrap();
        let archive = crate::zip::Archive::read(bytes).unwrap();
        let model = archive.entries().iter().find(|entry| entry.name == "assets/sotto/starter.en.sotto").unwrap();
        assert!(archive.stored_at(model).unwrap().is_some());
    }
}
