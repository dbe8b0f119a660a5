//! The packages for Android and the JVM as a Maven repository: what Gradle staged where it has run, else the same
//! packages put together here.

use std::path::Path;

use serde::Deserialize;

use super::VERSION;
use crate::failure::Failure;
use crate::workspace;

const GROUP: &str = "dev.sotto";

/// Where `./gradlew publish` puts what it made.
const STAGED: &str = "android/build/staging";
/// The versions of what the packages stand on.
const CATALOGUE: &str = "android/gradle/libs.versions.toml";

/// One package.
pub struct Package {
    /// Its name.
    pub name: &'static str,
    /// What stands behind the version in the file's name, for what comes beside the package of that name.
    pub beside: Option<&'static str>,
    /// `jar` or `aar`.
    pub kind: &'static str,
    /// The archive.
    pub data: Vec<u8>,
}

/// A package that another one stands on.
struct Needs {
    group: &'static str,
    name: &'static str,
    /// The name of its version in the catalogue; none for packages of ours.
    version: Option<&'static str>,
    kind: &'static str,
    scope: &'static str,
}

const STANDARD_LIBRARY: Needs = Needs {
    group: "org.jetbrains.kotlin",
    name: "kotlin-stdlib",
    version: Some("kotlin"),
    kind: "jar",
    scope: "compile",
};
const COROUTINES: Needs = Needs {
    group: "org.jetbrains.kotlinx",
    name: "kotlinx-coroutines-core",
    version: Some("coroutines"),
    kind: "jar",
    scope: "compile",
};
/// With its library for every ABI. On the desk a program takes the JAR of the same name; both in one app clash.
const JNA: Needs =
    Needs { group: "net.java.dev.jna", name: "jna", version: Some("jna"), kind: "aar", scope: "runtime" };

const fn ours(name: &'static str, scope: &'static str) -> Needs {
    Needs { group: GROUP, name, version: None, kind: "jar", scope }
}

/// What each package stands on, as the build files of Gradle say.
fn needs(package: &str) -> Vec<Needs> {
    match package {
        "sotto-bindings" => vec![STANDARD_LIBRARY, COROUTINES],
        "sotto-kotlin" => vec![STANDARD_LIBRARY, COROUTINES, ours("sotto-bindings", "runtime")],
        "sotto-android" => vec![ours("sotto-kotlin", "compile"), JNA],
        _ => Vec::new(),
    }
}

/// What Gradle staged of this version, by the paths in its repository; nothing where it has not run.
///
/// # Errors
/// [`Failure::File`].
pub fn staged(root: &Path) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let folder = root.join(STAGED);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    for path in workspace::files_below(&folder)? {
        let name = path.strip_prefix(&folder).unwrap_or(&path).to_string_lossy().replace('\\', "/");
        // Older versions may lie beside this one.
        if name.contains(&format!("/{VERSION}/")) {
            files.push((name, workspace::read(&path)?));
        }
    }
    Ok(files)
}

/// The files of a repository with the packages.
///
/// # Errors
/// [`Failure`] when the catalogue of versions cannot be read.
pub fn repository(root: &Path, packages: Vec<Package>) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let catalogue = Catalogue::read(root)?;
    let mut files = Vec::new();
    for package in packages {
        let stem = format!("{}/{name}/{VERSION}/{name}-{VERSION}", GROUP.replace('.', "/"), name = package.name);
        match package.beside {
            Some(beside) => files.push((format!("{stem}-{beside}.{}", package.kind), package.data)),
            None => {
                files.push((format!("{stem}.pom"), pom(&package, &catalogue)?.into_bytes()));
                files.push((format!("{stem}.{}", package.kind), package.data));
            }
        }
    }
    Ok(files)
}

fn pom(package: &Package, catalogue: &Catalogue) -> Result<String, Failure> {
    let Package { name, kind, .. } = package;
    let mut dependencies = String::new();
    for Needs { group, name, version, kind, scope } in needs(name) {
        let version = match version {
            None => VERSION.to_owned(),
            Some(key) => catalogue.version(key)?,
        };
        let kind = if kind == "jar" { String::new() } else { format!("<type>{kind}</type>") };
        dependencies += &format!(
            "    <dependency><groupId>{group}</groupId><artifactId>{name}</artifactId><version>{version}</version>\
             {kind}<scope>{scope}</scope></dependency>\n"
        );
    }
    Ok(format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n  <modelVersion>4.0.0</modelVersion>\n  \
         <groupId>{GROUP}</groupId>\n  <artifactId>{name}</artifactId>\n  <version>{VERSION}</version>\n  \
         <packaging>{kind}</packaging>\n  <name>Sotto: {name}</name>\n  \
         <description>Speech-to-text on the device. Nothing that a user says leaves it.</description>\n  \
         <url>{url}</url>\n  <licenses>\n    \
         <license><name>MIT</name><url>https://opensource.org/license/mit</url></license>\n    \
         <license><name>Apache-2.0</name><url>https://www.apache.org/licenses/LICENSE-2.0</url></license>\n  \
         </licenses>\n  <dependencies>\n{dependencies}  </dependencies>\n</project>\n",
        url = env!("CARGO_PKG_REPOSITORY"),
    ))
}

/// The versions of what the packages stand on.
#[derive(Deserialize)]
pub struct Catalogue {
    versions: std::collections::BTreeMap<String, String>,
}

impl Catalogue {
    /// Reads Gradle's.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be read.
    pub fn read(root: &Path) -> Result<Self, Failure> {
        let text = workspace::read_text(&root.join(CATALOGUE))?;
        toml::from_str(&text).map_err(|error| Failure::form(CATALOGUE, error))
    }

    /// A version.
    ///
    /// # Errors
    /// [`Failure::Missing`] when it has none of that name.
    pub fn version(&self, key: &str) -> Result<String, Failure> {
        let found = self.versions.get(key).cloned();
        found.ok_or_else(|| Failure::missing(format!("{CATALOGUE} has no version `{key}`"), "add it there"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_lie_where_maven_looks_and_name_what_they_stand_on() {
        let root = tempfile::tempdir().unwrap();
        let versions = "[versions]\nkotlin = \"2.4.21\"\ncoroutines = \"1.11.0\"\njna = \"5.19.1\"\n";
        workspace::write(&root.path().join(CATALOGUE), versions.as_bytes()).unwrap();
        let package = |name, kind| Package { name, beside: None, kind, data: b"x".to_vec() };
        let files =
            repository(root.path(), vec![package("sotto-android", "aar"), package("sotto-kotlin", "jar")]).unwrap();
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        let stem = format!("dev/sotto/sotto-android/{VERSION}/sotto-android-{VERSION}");
        assert!(
            names.contains(&format!("{stem}.aar").as_str()) && names.contains(&format!("{stem}.pom").as_str()),
            "{names:?}"
        );
        let pom = String::from_utf8(files[0].1.clone()).unwrap();
        assert!(pom.contains("<packaging>aar</packaging>"), "{pom}");
        assert!(pom.contains("<artifactId>jna</artifactId><version>5.19.1</version><type>aar</type>"), "{pom}");
        assert!(pom.contains(&format!("<artifactId>sotto-kotlin</artifactId><version>{VERSION}</version>")), "{pom}");
    }

    #[test]
    fn a_version_that_is_missing_is_named() {
        let root = tempfile::tempdir().unwrap();
        workspace::write(&root.path().join(CATALOGUE), b"[versions]\nkotlin = \"2\"\n").unwrap();
        let package = Package { name: "sotto-kotlin", beside: None, kind: "jar", data: Vec::new() };
        assert!(repository(root.path(), vec![package]).unwrap_err().to_string().contains("`coroutines`"));
    }

    #[test]
    fn of_what_gradle_staged_this_version_is_taken() {
        let root = tempfile::tempdir().unwrap();
        assert!(staged(root.path()).unwrap().is_empty());
        for version in [VERSION, "0.0.1"] {
            let name = format!("{STAGED}/dev/sotto/sotto-android/{version}/sotto-android-{version}.aar");
            workspace::write(&root.path().join(name), b"x").unwrap();
        }
        let files = staged(root.path()).unwrap();
        assert_eq!(files.len(), 1);
        assert_eq!(files[0].0, format!("dev/sotto/sotto-android/{VERSION}/sotto-android-{VERSION}.aar"));
    }
}
