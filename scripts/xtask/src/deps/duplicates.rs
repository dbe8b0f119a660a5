//! One version of each crate in everything that ships.
//!
//! Two versions of a crate are two copies of its code in an app and two incompatible sets of its types. Looked at per
//! platform and without tests: `cargo metadata` of one platform is what one build contains.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::Graph;
use super::layers;
use super::policy::Policy;
use crate::report::Finding;

/// Checks the graphs of all platforms; duplicates that are not listed, and list entries that are of no use, are found.
pub fn check(platforms: &[Graph], policy: &Policy) -> Vec<Finding> {
    let mut findings = BTreeMap::new();
    let mut used = BTreeSet::new();
    for graph in platforms {
        for (name, versions) in shipped_versions(graph) {
            if versions.len() < 2 {
                continue;
            }
            let skip_of = |version: &str| policy.skips().iter().position(|skip| skip.covers(&name, version));
            used.extend(versions.keys().filter_map(|version| skip_of(version)));
            let unlisted = versions.keys().filter(|version| skip_of(version).is_none()).count();
            if unlisted > 1 {
                findings.insert(name.clone(), duplicate(&name, &versions));
            }
        }
    }
    let stale = policy.skips().iter().enumerate().filter(|(index, _)| !used.contains(index)).map(|(_, skip)| Finding {
        what: format!("deny.toml tolerates {}, which is no duplicate any more", skip.spec),
        remedy: "remove the entry".into(),
    });
    findings.into_values().chain(stale).collect()
}

/// Versions of each crate that the shipped crates reach, each with a path that leads there.
fn shipped_versions(graph: &Graph) -> BTreeMap<String, BTreeMap<String, String>> {
    let roots = graph.members().map(|package| package.name.as_str()).filter(|name| layers::ships(name));
    let mut versions: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for (index, path) in graph.reach(roots) {
        let package = &graph.packages()[index];
        let of_crate = versions.entry(package.name.clone()).or_default();
        of_crate.entry(package.version.clone()).or_insert_with(|| path.join(" → "));
    }
    versions
}

fn duplicate(name: &str, versions: &BTreeMap<String, String>) -> Finding {
    let listed: Vec<String> = versions.iter().map(|(version, path)| format!("{version} ({path})")).collect();
    Finding {
        what: format!("{name} in {} versions: {}", versions.len(), listed.join("; ")),
        remedy: "bring the dependants to one version, or add the older one to `skip` in deny.toml with the reason"
            .into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::graph::Kind;
    use super::super::graph::example::{Crate, graph};
    use super::*;

    fn two_versions(kind: Kind) -> [Graph; 1] {
        [graph(&[
            Crate("sotto", "0.1.0", "MIT", &[("rand", "0.9.5", Kind::Normal), ("old", "1.0.0", kind)]),
            Crate("old", "1.0.0", "MIT", &[("rand", "0.8.6", Kind::Normal)]),
            Crate("rand", "0.8.6", "MIT", &[]),
            Crate("rand", "0.9.5", "MIT", &[]),
        ])]
    }

    fn skipping(spec: &str) -> Policy {
        Policy::parse(&format!("[bans]\nskip = [{{ crate = \"{spec}\", reason = \"old needs it\" }}]")).unwrap()
    }

    #[test]
    fn two_versions_are_found_with_the_paths_to_both() {
        let findings = check(&two_versions(Kind::Normal), &Policy::default());
        assert_eq!(findings.len(), 1);
        assert!(findings[0].what.contains("sotto → old → rand"), "{}", findings[0]);
        assert!(findings[0].what.contains("0.9.5 (sotto → rand)"), "{}", findings[0]);
    }

    #[test]
    fn a_listed_duplicate_passes() {
        assert_eq!(check(&two_versions(Kind::Normal), &skipping("rand@0.8")), []);
    }

    #[test]
    fn what_only_tests_need_does_not_ship() {
        assert_eq!(check(&two_versions(Kind::Dev), &Policy::default()), []);
    }

    #[test]
    fn a_list_entry_without_a_duplicate_is_found() {
        let findings = check(&two_versions(Kind::Dev), &skipping("rand@0.8"));
        assert!(findings[0].what.contains("no duplicate any more"), "{}", findings[0]);
    }
}
