//! The crates of the shipped library.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

use serde::Deserialize;

use super::PLATFORMS;
use crate::failure::Failure;
use crate::shipped::PACKAGE;
use crate::workspace::{self, Workspace};

/// One crate whose code is in the library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crate {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its licence, as an SPDX expression.
    pub licence: String,
    /// Where its source is kept.
    pub repository: Option<String>,
    /// SHA-256 of the package on the registry; none for our own.
    pub checksum: Option<String>,
    /// The folder of its source on this machine; none for the standard library where it does not come with texts.
    pub folder: Option<PathBuf>,
    /// Crates of this list that it is built on, as name and version.
    pub uses: Vec<(String, String)>,
    /// Whether it is one of ours.
    pub ours: bool,
}

impl Crate {
    /// Its address in the language of SBOMs (purl).
    pub fn purl(&self) -> String {
        let kind = if self.name == STANDARD_LIBRARY { "generic/rust" } else { "cargo" };
        format!("pkg:{kind}/{}@{}", self.name, self.version)
    }
}

/// The name under which the standard library stands in the list.
const STANDARD_LIBRARY: &str = "std";

/// Everything in the library, on any platform, in the order of names and versions.
///
/// # Errors
/// [`Failure`] when cargo fails.
pub fn shipped(workspace: &Workspace) -> Result<Vec<Crate>, Failure> {
    let mut wanted = BTreeSet::new();
    for platform in PLATFORMS {
        let mut tree = workspace.cargo();
        tree.args(["tree", "--locked", "--package", PACKAGE, "--edges", "normal,no-proc-macro", "--target", platform]);
        tree.args(["--prefix", "none", "--format", "{p}"]);
        wanted.extend(listed(&String::from_utf8_lossy(&workspace::capture(&mut tree)?)));
    }
    let mut command = workspace.cargo();
    let metadata = workspace::capture(command.args(["metadata", "--locked", "--format-version", "1"]))?;
    let metadata: Metadata =
        serde_json::from_slice(&metadata).map_err(|error| Failure::form("what `cargo metadata` printed", error))?;
    let lock = workspace::read_text(&workspace.root().join("Cargo.lock"))?;
    let lock: Lock = toml::from_str(&lock).map_err(|error| Failure::form("Cargo.lock", error))?;
    let mut crates = join(&wanted, metadata, &lock)?;
    crates.push(standard_library(workspace)?);
    crates.sort_by(|one, other| (&one.name, &one.version).cmp(&(&other.name, &other.version)));
    Ok(crates)
}

/// Name and version of each line `name v1.2.3 (path) (*)`.
fn listed(tree: &str) -> BTreeSet<(String, String)> {
    let words = tree.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    words
        .filter_map(|words| Some(((*words.first()?).to_owned(), words.get(1)?.strip_prefix('v')?.to_owned())))
        .collect()
}

fn join(wanted: &BTreeSet<(String, String)>, metadata: Metadata, lock: &Lock) -> Result<Vec<Crate>, Failure> {
    let ids: HashMap<String, (String, String)> = metadata
        .packages
        .iter()
        .map(|package| (package.id.clone(), (package.name.clone(), package.version.clone())))
        .collect();
    let mut uses: HashMap<String, Vec<(String, String)>> = HashMap::new();
    for node in metadata.resolve.nodes {
        let normal = node.deps.iter().filter(|dep| dep.dep_kinds.iter().any(|kind| kind.kind.is_none()));
        let mut below: Vec<(String, String)> =
            normal.filter_map(|dep| ids.get(&dep.pkg).filter(|used| wanted.contains(*used)).cloned()).collect();
        below.sort();
        uses.insert(node.id, below);
    }
    let checksums: BTreeMap<(&str, &str), &String> = lock
        .package
        .iter()
        .filter_map(|package| Some(((package.name.as_str(), package.version.as_str()), package.checksum.as_ref()?)))
        .collect();
    let mut crates = Vec::new();
    for package in metadata.packages {
        if !wanted.contains(&(package.name.clone(), package.version.clone())) {
            continue;
        }
        let Some(licence) = package.license else {
            return Err(Failure::missing(
                format!("{} states no licence", package.name),
                "`cargo xtask deps` says more",
            ));
        };
        crates.push(Crate {
            checksum: checksums.get(&(package.name.as_str(), package.version.as_str())).map(|text| (*text).clone()),
            ours: metadata.workspace_members.contains(&package.id),
            uses: uses.remove(&package.id).unwrap_or_default(),
            folder: package.manifest_path.parent().map(PathBuf::from),
            // Old crates write OR as a slash.
            licence: licence.replace(" / ", " OR ").replace('/', " OR "),
            name: package.name,
            version: package.version,
            repository: package.repository,
        });
    }
    if crates.len() == wanted.len() {
        return Ok(crates);
    }
    Err(Failure::form("what cargo says", format!("{} crates in the tree, {} known", wanted.len(), crates.len())))
}

/// The compiler brings it, and it is linked in.
fn standard_library(workspace: &Workspace) -> Result<Crate, Failure> {
    let ask = |argument: &[&str]| -> Result<String, Failure> {
        Ok(String::from_utf8_lossy(&workspace::capture(workspace.rustc().args(argument))?).trim().to_owned())
    };
    let version = ask(&["--version"])?;
    let folder = PathBuf::from(ask(&["--print", "sysroot"])?).join("share/doc/rust");
    Ok(Crate {
        name: STANDARD_LIBRARY.into(),
        version: version.split_whitespace().nth(1).unwrap_or_default().into(),
        licence: "MIT OR Apache-2.0".into(),
        repository: Some("https://github.com/rust-lang/rust".into()),
        checksum: None,
        folder: folder.is_dir().then_some(folder),
        uses: Vec::new(),
        ours: false,
    })
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    repository: Option<String>,
    manifest_path: PathBuf,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dep>,
}

#[derive(Deserialize)]
struct Dep {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    checksum: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn example(licence: Option<&str>) -> Result<Vec<Crate>, Failure> {
        let metadata = json!({
            "workspace_members": ["ffi"],
            "packages": [
                { "id": "ffi", "name": "sotto-ffi", "version": "0.1.0", "license": "MIT", "repository": null,
                  "manifest_path": "/w/ffi/Cargo.toml" },
                { "id": "a1", "name": "a", "version": "1.0.0", "license": licence, "repository": "https://a",
                  "manifest_path": "/r/a/Cargo.toml" },
                { "id": "a2", "name": "a", "version": "2.0.0", "license": "MIT", "repository": null,
                  "manifest_path": "/r/a2/Cargo.toml" },
            ],
            "resolve": { "nodes": [
                { "id": "ffi", "deps": [
                    { "pkg": "a1", "dep_kinds": [{ "kind": null }] },
                    { "pkg": "a2", "dep_kinds": [{ "kind": "build" }] },
                ] },
                { "id": "a1", "deps": [] },
            ] },
        });
        let wanted = listed("sotto-ffi v0.1.0 (/w/ffi)\na v1.0.0\na v1.0.0 (*)\n\n");
        let lock =
            Lock { package: vec![Locked { name: "a".into(), version: "1.0.0".into(), checksum: Some("abc".into()) }] };
        join(&wanted, serde_json::from_value(metadata).unwrap(), &lock)
    }

    #[test]
    fn only_what_is_in_the_tree_is_listed_with_what_it_is_built_on() {
        let crates = example(Some("MIT/Apache-2.0")).unwrap();
        assert_eq!(crates.len(), 2);
        assert_eq!(crates[0].uses, [("a".to_owned(), "1.0.0".to_owned())]);
        assert!(crates[0].ours && !crates[1].ours);
        assert_eq!(crates[1].licence, "MIT OR Apache-2.0");
        assert_eq!(crates[1].checksum.as_deref(), Some("abc"));
        assert_eq!(crates[1].purl(), "pkg:cargo/a@1.0.0");
    }

    #[test]
    fn a_crate_without_a_licence_is_an_error() {
        assert!(example(None).unwrap_err().to_string().contains("states no licence"));
    }
}
