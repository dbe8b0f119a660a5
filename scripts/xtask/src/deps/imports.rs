//! Inside a crate: files of different folders do not import each other in a circle, or a reader finds no end to begin
//! at.
//!
//! A module and the modules below it are one folder. Tests do not count: they may look anywhere. What a module
//! re-exports counts as an import from where it is defined.

mod modules;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use modules::Modules;

use super::{DepsError, Graph};
use crate::report::Finding;

/// Checks the sources of all workspace crates.
///
/// # Errors
/// When a source file cannot be read, or is no Rust.
pub fn check(graph: &Graph) -> Result<Vec<Finding>, DepsError> {
    let mut findings = Vec::new();
    for package in graph.members() {
        let source = package.manifest_path.with_file_name("src");
        if source.is_dir() {
            findings.extend(check_crate(&package.name, &source)?);
        }
    }
    Ok(findings)
}

fn check_crate(name: &str, source: &Path) -> Result<Vec<Finding>, DepsError> {
    Ok(circles(&Modules::read(source)?).into_iter().map(|circle| finding(name, &circle)).collect())
}

/// Files of different folders that import each other, and how.
#[derive(Debug, PartialEq, Eq)]
struct Circle {
    /// The imports between folders that are part of it: who imports whom.
    imports: Vec<(String, String)>,
}

fn finding(name: &str, circle: &Circle) -> Finding {
    let imports: Vec<String> = circle.imports.iter().map(|(from, to)| format!("{from} → {to}")).collect();
    Finding {
        what: format!("{name}: files of different folders import each other in a circle: {}", imports.join(", ")),
        remedy: "move what both need to a module of its own, or into the lower of the two".into(),
    }
}

fn circles(modules: &Modules) -> Vec<Circle> {
    let edges = modules.imports();
    let circle = |members: BTreeSet<&str>| {
        let inside = |(from, to): &(&str, &str)| members.contains(from) && members.contains(to);
        let pairs = edges.iter().flat_map(|(from, to)| to.iter().map(move |to| (from.as_str(), to.as_str())));
        let between = pairs.filter(inside).filter(|(from, to)| modules.folder(from) != modules.folder(to));
        let imports: Vec<(String, String)> = between.map(|(from, to)| (from.to_owned(), to.to_owned())).collect();
        (!imports.is_empty()).then_some(Circle { imports })
    };
    components(&edges).into_iter().filter_map(circle).collect()
}

/// Groups of two modules or more, each of which leads to all others of its group.
fn components(edges: &BTreeMap<String, BTreeSet<String>>) -> Vec<BTreeSet<&str>> {
    let reachable: BTreeMap<&str, BTreeSet<&str>> =
        edges.keys().map(|from| (from.as_str(), reach(edges, from))).collect();
    let mut groups: Vec<BTreeSet<&str>> = Vec::new();
    for (&module, reached) in &reachable {
        let leads_back = |other: &&str| reachable.get(other).is_some_and(|back| back.contains(module));
        let group: BTreeSet<&str> = reached.iter().copied().filter(leads_back).chain([module]).collect();
        if group.len() > 1 && !groups.contains(&group) {
            groups.push(group);
        }
    }
    groups
}

fn reach<'e>(edges: &'e BTreeMap<String, BTreeSet<String>>, from: &str) -> BTreeSet<&'e str> {
    let (mut reached, mut waiting) = (BTreeSet::new(), vec![from.to_owned()]);
    while let Some(module) = waiting.pop() {
        for next in edges.get(&module).into_iter().flatten() {
            if reached.insert(next.as_str()) {
                waiting.push(next.clone());
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<Vec<(String, String)>> {
        circles(&Modules::of(files.iter().copied()).unwrap()).into_iter().map(|circle| circle.imports).collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect()
    }

    #[test]
    fn two_folders_that_import_each_other_are_a_circle_also_by_way_of_a_third() {
        let files = [
            ("lib.rs", "mod a;\nmod b;\n"),
            ("a/mod.rs", "mod inner;\npub use inner::A;\n"),
            ("a/inner.rs", "use crate::b::B;\npub struct A(B);\n"),
            ("b/mod.rs", "mod inner;\npub use inner::B;\n"),
            ("b/inner.rs", "use super::other::C;\npub struct B(C);\n"),
            ("b/other.rs", "pub struct C(crate::a::A);\n"),
        ];
        assert_eq!(found(&files), [pairs(&[("a/inner", "b/inner"), ("b/other", "a/inner")])]);
        let mended = [&files[..5], &[("b/other.rs", "pub struct C;\n")]].concat();
        assert_eq!(found(&mended), [[]; 0]);
    }

    #[test]
    fn a_module_and_those_below_it_are_one_folder_and_so_are_neighbours() {
        assert_eq!(
            found(&[
                ("lib.rs", "mod deps;\nmod x;\nmod y;\n"),
                ("deps.rs", "mod graph;\nuse graph::Graph;\npub struct Error;\nfn f(_: Graph) {}\n"),
                ("deps/graph.rs", "use super::Error;\npub struct Graph(Error);\n"),
                ("x.rs", "use crate::y::Y;\npub struct X;\n"),
                ("y.rs", "use crate::x::X;\npub struct Y;\n"),
            ]),
            [[]; 0]
        );
    }

    #[test]
    fn tests_comments_and_strings_import_nothing() {
        assert_eq!(
            found(&[
                ("lib.rs", "mod a;\nmod b;\n"),
                (
                    "a/mod.rs",
                    "pub struct A;\n#[cfg(test)]\nmod tests {\n    use crate::b::B;\n}\n#[cfg(test)]\nmod far;\n"
                ),
                ("a/far.rs", "use crate::b::B;\n"),
                (
                    "b/mod.rs",
                    "// crate::a::X\nuse crate::a::A;\nconst TEXT: &str = \"crate::b::c\";\npub struct B(A);\n"
                ),
                ("b/c.rs", "pub struct C;\n"),
            ]),
            [[]; 0]
        );
    }

    #[test]
    fn the_workspace_reads() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let modules = Modules::read(&source).unwrap();
        let edges = modules.imports();
        assert!(edges["deps/imports"].contains("deps/imports/modules"), "{edges:?}");
        assert!(edges["deps"].contains("report"), "{edges:?}");
        assert!(edges.values().all(|to| !to.contains("deps/imports/tests")));
    }
}
