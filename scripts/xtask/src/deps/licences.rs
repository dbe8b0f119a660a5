//! Every third-party crate may be used under licences of the allow-list.

use std::collections::BTreeSet;

use super::graph::{Graph, Package};
use super::policy::Policy;
use super::spdx::Expression;
use crate::report::Finding;

/// Checks all crates of the graphs that are not ours; each crate is reported once.
pub fn check(graphs: &[&Graph], policy: &Policy) -> Vec<Finding> {
    let mut seen = BTreeSet::new();
    graphs
        .iter()
        .flat_map(|graph| graph.packages())
        .filter(|package| !package.member && seen.insert((&package.name, &package.version)))
        .filter_map(|package| check_one(package, policy))
        .collect()
}

fn check_one(package: &Package, policy: &Policy) -> Option<Finding> {
    let who = format!("{} {}", package.name, package.version);
    let Some(text) = &package.licence else {
        // Our own crates appear here as path dependencies of the fuzzing workspace and state their licence.
        return Some(Finding {
            what: format!("{who} states no licence expression"),
            remedy: "read its licence file, then leave the crate out or ask its authors to state one".into(),
        });
    };
    let remedy =
        "use another crate, or add the licence to `allow` in deny.toml if it suits MIT OR Apache-2.0".to_owned();
    match Expression::parse(text) {
        Err(error) => Some(Finding { what: format!("{who}: licence `{text}` cannot be read: {error}"), remedy }),
        Ok(expression) if expression.satisfied(&|licence| policy.allows_licence(licence)) => None,
        Ok(_) => Some(Finding { what: format!("{who}: licence `{text}` is not on the allow-list"), remedy }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::graph::example::{Crate, graph};
    use super::*;

    fn check_licence(licence: &str) -> Vec<Finding> {
        let policy = Policy::parse("[licenses]\nallow = [\"MIT\", \"ISC\"]").unwrap();
        check(&[&graph(&[Crate("theirs", "1.2.3", licence, &[])])], &policy)
    }

    #[test]
    fn an_allowed_choice_passes() {
        assert_eq!(check_licence("GPL-3.0-only OR MIT"), []);
        assert_eq!(check_licence("MIT AND ISC"), []);
    }

    #[test]
    fn a_licence_outside_the_list_is_found_with_crate_and_version() {
        let findings = check_licence("MIT AND GPL-3.0-only");
        assert_eq!(findings.len(), 1);
        assert!(findings[0].what.starts_with("theirs 1.2.3"), "{}", findings[0]);
    }

    #[test]
    fn an_expression_that_cannot_be_read_is_found() {
        assert!(check_licence("MIT OR")[0].what.contains("incomplete"));
    }

    #[test]
    fn a_crate_in_two_graphs_is_reported_once() {
        let policy = Policy::parse("").unwrap();
        let graph = graph(&[Crate("theirs", "1.0.0", "MIT", &[])]);
        assert_eq!(check(&[&graph, &graph], &policy).len(), 1);
    }
}
