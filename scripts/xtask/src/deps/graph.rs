//! The dependency graph as `cargo metadata` resolves it.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;

use serde::Deserialize;

/// Why one crate depends on another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// For its code.
    Normal,
    /// For its build script.
    Build,
    /// For its tests, examples and benches.
    Dev,
}

/// One resolved dependency.
#[derive(Debug, Clone)]
pub struct Edge {
    /// Index of the crate that is depended on.
    pub to: usize,
    /// All the reasons for it; never empty.
    pub kinds: Vec<Kind>,
}

impl Edge {
    /// Whether more than the tests need it.
    pub fn beyond_tests(&self) -> bool {
        self.kinds.iter().any(|&kind| kind != Kind::Dev)
    }
}

/// What a crate builds.
#[derive(Debug, Clone, Deserialize)]
pub struct Target {
    /// `lib`, `bin`, `test`, `custom-build`…
    pub kind: Vec<String>,
    /// Its root file.
    pub src_path: PathBuf,
}

/// One crate in one version.
#[derive(Debug, Clone)]
pub struct Package {
    /// The name in its manifest.
    pub name: String,
    /// Its exact version.
    pub version: String,
    /// Its licence expression, where it states one.
    pub licence: Option<String>,
    /// Its `Cargo.toml`.
    pub manifest_path: PathBuf,
    /// Everything it builds.
    pub targets: Vec<Target>,
    /// Whether it belongs to the workspace.
    pub member: bool,
    /// What it depends on, in the resolved graph.
    pub edges: Vec<Edge>,
}

/// All crates of one resolution.
#[derive(Debug, Clone)]
pub struct Graph(Vec<Package>);

impl Graph {
    /// Reads what `cargo metadata --format-version 1` printed.
    ///
    /// # Errors
    /// When the text is not JSON of that form. Dependencies on packages that the list lacks are left out, as cargo does
    /// with other platforms' crates.
    pub fn from_json(json: &[u8]) -> serde_json::Result<Self> {
        let raw: RawMetadata = serde_json::from_slice(json)?;
        // The package list names every crate of the lock file; only resolved ones are part of this graph.
        let mut nodes: HashMap<String, Vec<RawDep>> =
            raw.resolve.nodes.into_iter().map(|node| (node.id, node.deps)).collect();
        let packages: Vec<RawPackage> =
            raw.packages.into_iter().filter(|package| nodes.contains_key(&package.id)).collect();
        let index: HashMap<String, usize> =
            packages.iter().enumerate().map(|(index, package)| (package.id.clone(), index)).collect();
        let packages = packages
            .into_iter()
            .map(|package| Package {
                edges: nodes
                    .remove(&package.id)
                    .unwrap_or_default()
                    .into_iter()
                    .filter_map(|dep| dep.edge(&index))
                    .collect(),
                member: raw.workspace_members.contains(&package.id),
                name: package.name,
                version: package.version,
                licence: package.license,
                manifest_path: package.manifest_path,
                targets: package.targets,
            })
            .collect();
        Ok(Self(packages))
    }

    /// All crates.
    pub fn packages(&self) -> &[Package] {
        &self.0
    }

    /// The crates of the workspace.
    pub fn members(&self) -> impl Iterator<Item = &Package> {
        self.0.iter().filter(|package| package.member)
    }

    /// Indices of everything reachable from `roots` (themselves included) without dev-dependencies, each with the path
    /// of crate names that leads to it.
    pub fn reach<'a>(&'a self, roots: impl IntoIterator<Item = &'a str>) -> Vec<(usize, Vec<&'a str>)> {
        let mut before: HashMap<usize, Option<usize>> = HashMap::new();
        let mut queue = VecDeque::new();
        for root in roots {
            if let Some(index) = self.0.iter().position(|package| package.member && package.name == root) {
                before.insert(index, None);
                queue.push_back(index);
            }
        }
        let mut order = Vec::new();
        while let Some(index) = queue.pop_front() {
            order.push(index);
            for edge in self.0[index].edges.iter().filter(|edge| edge.beyond_tests()) {
                before.entry(edge.to).or_insert_with(|| {
                    queue.push_back(edge.to);
                    Some(index)
                });
            }
        }
        order.into_iter().map(|index| (index, self.path_to(index, &before))).collect()
    }

    fn path_to(&self, end: usize, before: &HashMap<usize, Option<usize>>) -> Vec<&str> {
        let steps = std::iter::successors(Some(end), |index| before.get(index).copied().flatten());
        let mut path: Vec<&str> = steps.map(|index| self.0[index].name.as_str()).collect();
        path.reverse();
        path
    }
}

#[derive(Deserialize)]
struct RawMetadata {
    packages: Vec<RawPackage>,
    workspace_members: Vec<String>,
    resolve: RawResolve,
}

#[derive(Deserialize)]
struct RawPackage {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct RawResolve {
    nodes: Vec<RawNode>,
}

#[derive(Deserialize)]
struct RawNode {
    id: String,
    deps: Vec<RawDep>,
}

#[derive(Deserialize)]
struct RawDep {
    pkg: String,
    dep_kinds: Vec<RawKind>,
}

#[derive(Deserialize)]
struct RawKind {
    /// Cargo writes null for normal dependencies.
    kind: Option<Kind>,
}

impl RawDep {
    fn edge(self, index: &HashMap<String, usize>) -> Option<Edge> {
        let to = *index.get(&self.pkg)?;
        Some(Edge { to, kinds: self.dep_kinds.into_iter().map(|raw| raw.kind.unwrap_or(Kind::Normal)).collect() })
    }
}

#[cfg(test)]
pub mod example {
    //! Small made-up metadata for the tests of the rules.

    use super::{Graph, Kind};
    use serde_json::{Value, json};

    /// A made-up crate: name, version, licence and dependencies as (name, version, kind).
    pub struct Crate<'a>(pub &'a str, pub &'a str, pub &'a str, pub &'a [(&'a str, &'a str, Kind)]);

    /// A graph of made-up crates. Those whose name starts with `sotto` or is `xtask` are workspace members.
    pub fn graph(crates: &[Crate<'_>]) -> Graph {
        let id = |name: &str, version: &str| format!("{name}@{version}");
        let packages: Vec<Value> = crates
            .iter()
            .map(|Crate(name, version, licence, _)| {
                json!({
                    "id": id(name, version), "name": name, "version": version, "license": licence,
                    "manifest_path": format!("/w/{name}/Cargo.toml"),
                    "targets": [{ "kind": ["lib"], "src_path": format!("/w/{name}/src/lib.rs") }],
                })
            })
            .collect();
        let nodes: Vec<Value> = crates
            .iter()
            .map(|Crate(name, version, _, dependencies)| {
                let deps: Vec<Value> = dependencies
                    .iter()
                    .map(|(name, version, kind)| {
                        let kind = match kind {
                            Kind::Normal => Value::Null,
                            Kind::Build => json!("build"),
                            Kind::Dev => json!("dev"),
                        };
                        json!({ "pkg": id(name, version), "dep_kinds": [{ "kind": kind }] })
                    })
                    .collect();
                json!({ "id": id(name, version), "deps": deps })
            })
            .collect();
        let members: Vec<String> = crates
            .iter()
            .filter(|Crate(name, ..)| name.starts_with("sotto") || *name == "xtask")
            .map(|Crate(name, version, ..)| id(name, version))
            .collect();
        let metadata = json!({ "packages": packages, "workspace_members": members, "resolve": { "nodes": nodes } });
        Graph::from_json(metadata.to_string().as_bytes()).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::example::{Crate, graph};
    use super::*;

    #[test]
    fn reach_follows_normal_and_build_dependencies_but_not_those_of_tests() {
        let graph = graph(&[
            Crate("sotto", "0.1.0", "MIT", &[("a", "1.0.0", Kind::Normal), ("t", "1.0.0", Kind::Dev)]),
            Crate("a", "1.0.0", "MIT", &[("b", "1.0.0", Kind::Build)]),
            Crate("b", "1.0.0", "MIT", &[]),
            Crate("t", "1.0.0", "MIT", &[]),
        ]);
        let paths: Vec<Vec<&str>> = graph.reach(["sotto"]).into_iter().map(|(_, path)| path).collect();
        assert_eq!(paths, [vec!["sotto"], vec!["sotto", "a"], vec!["sotto", "a", "b"]]);
    }

    #[test]
    fn crates_of_the_lock_file_that_were_not_resolved_are_no_part_of_the_graph() {
        let json =
            br#"{"packages":[{"id":"w","name":"w","version":"1.0.0","license":null,"manifest_path":"","targets":[]}],
            "workspace_members":[],"resolve":{"nodes":[]}}"#;
        assert!(Graph::from_json(json).unwrap().packages().is_empty());
    }

    #[test]
    fn text_that_is_not_metadata_is_an_error() {
        assert!(Graph::from_json(b"{}").is_err());
        assert!(Graph::from_json(b"error: no manifest").is_err());
    }
}
