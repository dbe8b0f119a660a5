//! Every third-party crate that we name in a manifest has its reason in `docs/ARCHITECTURE.md`.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::Graph;
use crate::report::Finding;

/// Checks the direct dependencies of all workspace crates, those of tests included, against the rows of the document's
/// tables. A row without a dependency is found too.
pub fn check(graph: &Graph, document: &str) -> Vec<Finding> {
    let mut users: BTreeMap<&str, &str> = BTreeMap::new();
    for package in graph.members() {
        for used in package.edges.iter().map(|edge| &graph.packages()[edge.to]).filter(|used| !used.member) {
            users.entry(&used.name).or_insert(&package.name);
        }
    }
    let reasons = reasons(document);
    let missing = users.iter().filter(|(name, _)| !reasons.contains(*name)).map(|(name, user)| Finding {
        what: format!("{name}, used by {user}, has no reason in docs/ARCHITECTURE.md"),
        remedy: format!("add a row `| `{name}` | why |` there, or do without it"),
    });
    let stale = reasons.iter().filter(|name| !users.contains_key(*name)).map(|name| Finding {
        what: format!("docs/ARCHITECTURE.md gives a reason for {name}, which no crate of ours uses"),
        remedy: "remove the row, and the line in [workspace.dependencies]".into(),
    });
    missing.chain(stale).collect()
}

/// Names in the first column of table rows under the heading that speaks of dependencies: ``| `name`, `other` | why
/// |``.
fn reasons(document: &str) -> BTreeSet<&str> {
    let section = document.lines().skip_while(|line| *line != HEADING).skip(1);
    section
        .take_while(|line| !line.starts_with("## "))
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next())
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect()
}

const HEADING: &str = "## Why each dependency";

#[cfg(test)]
mod tests {
    use super::super::graph::Kind;
    use super::super::graph::example::{Crate, graph};
    use super::*;

    const DOCUMENT: &str = "# Title\n| `elsewhere` | no reason |\n\n## Why each dependency\n\n\
                            | crate | why |\n|---|---|\n| `half`, `gemm` | numbers (`rayon` inside) |\n\n\
                            ## Next\n| `later` | no |\n";

    fn ours(dependencies: &[(&str, &str, Kind)]) -> Graph {
        let mut crates = vec![Crate("sotto-nn", "0.1.0", "MIT", dependencies)];
        crates.extend(dependencies.iter().map(|(name, version, _)| Crate(name, version, "MIT", &[])));
        graph(&crates)
    }

    #[test]
    fn only_the_first_column_of_the_section_counts() {
        assert_eq!(reasons(DOCUMENT), BTreeSet::from(["half", "gemm"]));
    }

    #[test]
    fn a_dependency_without_a_row_is_found_even_when_only_tests_use_it() {
        let used =
            [("half", "2.7.1", Kind::Normal), ("gemm", "0.19.0", Kind::Normal), ("proptest", "1.12.0", Kind::Dev)];
        let findings = check(&ours(&used), DOCUMENT);
        assert_eq!(findings.len(), 1);
        assert!(findings[0].what.contains("proptest, used by sotto-nn"), "{}", findings[0]);
    }

    #[test]
    fn a_row_without_a_dependency_is_found() {
        let findings = check(&ours(&[("half", "2.7.1", Kind::Normal)]), DOCUMENT);
        assert_eq!(findings.len(), 1);
        assert!(findings[0].what.contains("gemm"), "{}", findings[0]);
    }
}
