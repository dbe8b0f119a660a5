//! Dependencies point one way: the table below is the layer diagram of `docs/ARCHITECTURE.md`.

use super::graph::Graph;
use crate::report::Finding;

/// One workspace crate, and the workspace crates that its code may use.
struct Layer {
    name: &'static str,
    may_use: &'static [&'static str],
}

/// Bottom up. A crate may use only crates of earlier lines; its tests may use [`FOR_TESTS`] too.
const LAYERS: &[Layer] = &[
    Layer { name: "sotto-runtime", may_use: &[] },
    Layer { name: "sotto-kernels", may_use: &["sotto-runtime"] },
    Layer { name: "sotto-nn", may_use: &["sotto-runtime", "sotto-kernels"] },
    Layer { name: "sotto-audio", may_use: &["sotto-kernels"] },
    Layer { name: "sotto-text", may_use: &[] },
    Layer { name: "sotto-starter", may_use: &[] },
    Layer { name: "sotto-speech", may_use: TASK },
    Layer { name: "sotto-store", may_use: &["sotto-runtime"] },
    Layer {
        name: "sotto",
        may_use: &[
            "sotto-store",
            "sotto-runtime",
            "sotto-kernels",
            "sotto-nn",
            "sotto-audio",
            "sotto-text",
            "sotto-speech",
            "sotto-starter",
        ],
    },
    Layer {
        name: "sotto-cli",
        may_use: &[
            "sotto-runtime",
            "sotto-kernels",
            "sotto-nn",
            "sotto-audio",
            "sotto-text",
            "sotto-speech",
            "sotto-starter",
            "sotto",
            "sotto-store",
        ],
    },
    Layer { name: "sotto-ffi", may_use: &["sotto"] },
    Layer { name: BINDGEN, may_use: &[] },
    Layer { name: TESTKIT, may_use: &["sotto-runtime", "sotto-kernels", "sotto-nn", "sotto-audio", "sotto-text"] },
    Layer { name: "xtask", may_use: &[] },
];

/// What every task may use; tasks do not know each other. The starter models are bytes only: a task's smallest parts,
/// such as the voice activity detector, come with it.
const TASK: &[&str] = &["sotto-runtime", "sotto-kernels", "sotto-nn", "sotto-audio", "sotto-text", "sotto-starter"];

const TESTKIT: &str = "sotto-testkit";

/// UniFFI's generators as programs of this workspace, so that their version is the library's.
const BINDGEN: &str = "sotto-bindgen";

/// Crates that know another language or a phone's system: they belong to the top, so that the core runs and is tested
/// without either.
const FOREIGN: &[&str] =
    &["android_logger", "jni", "ndk", "ndk-context", "oslog", "uniffi", "uniffi_bindgen", "uniffi_core"];

/// The crates that may know them.
const BINDINGS: &[&str] = &["sotto-ffi", BINDGEN];

/// What the tests of any crate may use as well: the test kit, and the starter models, which are bytes only and run
/// everywhere.
const FOR_TESTS: &[&str] = &[TESTKIT, "sotto-starter"];

/// Crates that talk to a network, and the TLS below them.
const NETWORK: &[&str] = &[
    "attohttpc",
    "curl",
    "h2",
    "hf-hub",
    "hyper",
    "minreq",
    "mio",
    "native-tls",
    "openssl",
    "openssl-sys",
    "quinn",
    "reqwest",
    "rustls",
    "socket2",
    "tokio",
    "tungstenite",
    "ureq",
];

/// The crates that may reach the network with every feature on: the store fetches models.
const ONLINE: &[&str] = &["sotto-store", "sotto-cli", "xtask"];

/// What apps link. They hold the store, whose network is a cargo feature, so they are looked at as apps build them
/// ([`check_phones`]): cargo's one graph of the whole workspace has the features of the command line in it.
pub const PHONES: &[&str] = &["sotto", "sotto-ffi"];

/// Whether a workspace crate becomes part of what users get.
pub fn ships(name: &str) -> bool {
    name != TESTKIT && name != BINDGEN && name != "xtask"
}

/// Checks that workspace crates use lower ones only.
pub fn check_order(graph: &Graph) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in graph.members() {
        let Some(layer) = LAYERS.iter().find(|layer| layer.name == package.name) else {
            findings.push(Finding {
                what: format!("{} has no place in the layer order", package.name),
                remedy: "add it to the table in scripts/xtask/src/deps/layers.rs and to docs/ARCHITECTURE.md".into(),
            });
            continue;
        };
        for edge in &package.edges {
            let used = &graph.packages()[edge.to];
            let of_tests_only = !edge.beyond_tests();
            let allowed = layer.may_use.contains(&used.name.as_str())
                || (of_tests_only && FOR_TESTS.contains(&used.name.as_str()));
            if used.member && !allowed {
                findings.push(misplaced(&package.name, &used.name));
            }
        }
    }
    findings
}

/// Checks that nothing below the bindings reaches a crate of another language or of a phone's system, however deep; its
/// own optional features included.
pub fn check_bindings(graph: &Graph) -> Vec<Finding> {
    let below = graph.members().map(|package| package.name.as_str()).filter(|name| !BINDINGS.contains(name));
    graph
        .reach(below)
        .into_iter()
        .filter(|&(index, _)| FOREIGN.contains(&graph.packages()[index].name.as_str()))
        .map(|(_, path)| Finding {
            what: format!("{} knows another language or system: {}", path[0], path.join(" → ")),
            remedy: "that belongs to bindings/ffi; hand what it needs down as a value or a trait".into(),
        })
        .collect()
}

fn misplaced(user: &str, used: &str) -> Finding {
    let remedy = if used == TESTKIT {
        "make it a dev-dependency: the test kit does not ship"
    } else {
        "move the shared part down, or change the seam by an ADR and the table in scripts/xtask/src/deps/layers.rs"
    };
    Finding { what: format!("{user} depends on {used}, which is not below it"), remedy: remedy.into() }
}

/// Checks that no crate but the store and what stands on it reaches a network crate, however deep.
pub fn check_network(graph: &Graph) -> Vec<Finding> {
    let offline = graph.members().map(|package| package.name.as_str());
    let offline = offline.filter(|name| !ONLINE.contains(name) && !PHONES.contains(name));
    graph
        .reach(offline)
        .into_iter()
        .filter(|&(index, _)| NETWORK.contains(&graph.packages()[index].name.as_str()))
        .map(|(_, path)| Finding {
            what: format!("{} reaches the network: {}", path[0], path.join(" → ")),
            remedy: "turn off the feature that needs it; only sotto-store may fetch anything".into(),
        })
        .collect()
}

/// Checks what `cargo tree --prefix none` lists for each crate of [`PHONES`], as apps build it: no network crate.
pub fn check_phones<'a>(trees: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, tree) in trees {
        let mut listed = tree.lines().filter_map(|line| line.split(' ').next());
        if listed.next() != Some(name) {
            let what = format!("cargo tree does not begin with {name}, so what it links is not known");
            findings.push(Finding { what, remedy: "mend the call in scripts/xtask/src/deps.rs".into() });
        }
        let mut found: Vec<_> = listed.filter(|used| NETWORK.contains(used)).collect();
        found.sort_unstable();
        found.dedup();
        findings.extend(found.into_iter().map(|used| Finding {
            what: format!("{name}, as apps link it, contains {used}"),
            remedy: format!(
                "leave the feature `network` of the store off there; `cargo tree -p {name} -i {used}` shows who asks"
            ),
        }));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::graph::Kind;
    use super::super::graph::example::{Crate, graph};
    use super::*;

    #[test]
    fn the_table_itself_points_one_way() {
        for (index, layer) in LAYERS.iter().enumerate() {
            let below: Vec<&str> = LAYERS[..index].iter().map(|layer| layer.name).collect();
            for used in layer.may_use {
                assert!(below.contains(used), "{} may use {used}, which is not above it in the table", layer.name);
            }
        }
    }

    #[test]
    fn tasks_do_not_know_the_store_or_each_other() {
        for task in ["sotto-store", "sotto", "sotto-speech"] {
            assert!(!TASK.contains(&task));
        }
    }

    fn with_edge(user: &str, used: &str, kind: Kind) -> Graph {
        graph(&[Crate(user, "0.1.0", "MIT", &[(used, "0.1.0", kind)]), Crate(used, "0.1.0", "MIT", &[])])
    }

    #[test]
    fn depending_downwards_passes() {
        assert_eq!(check_order(&with_edge("sotto-speech", "sotto-nn", Kind::Normal)), []);
        assert_eq!(check_order(&with_edge("sotto-cli", "sotto-store", Kind::Normal)), []);
    }

    #[test]
    fn depending_upwards_or_sideways_is_found_even_from_tests() {
        for (user, used) in [("sotto-nn", "sotto-speech"), ("sotto-audio", "sotto-text"), ("sotto-store", "sotto")] {
            for kind in [Kind::Normal, Kind::Build, Kind::Dev] {
                let findings = check_order(&with_edge(user, used, kind));
                assert_eq!(findings.len(), 1, "{user} → {used}, {kind:?}");
                assert!(findings[0].what.contains(used));
            }
        }
    }

    #[test]
    fn another_language_below_the_bindings_is_found_with_its_path() {
        let graph = graph(&[
            Crate("sotto-speech", "0.1.0", "MIT", &[("audio-sink", "1.0.0", Kind::Normal)]),
            Crate("audio-sink", "1.0.0", "MIT", &[("jni", "0.22.4", Kind::Normal)]),
            Crate("jni", "0.22.4", "MIT", &[]),
        ]);
        let findings = check_bindings(&graph);
        assert_eq!(findings.len(), 1);
        assert!(findings[0].what.contains("sotto-speech → audio-sink → jni"), "{}", findings[0]);
        for (user, used) in [("sotto-ffi", "jni"), ("sotto-ffi", "uniffi"), ("sotto-bindgen", "uniffi")] {
            assert_eq!(check_bindings(&with_edge(user, used, Kind::Normal)), [], "{user} → {used}");
        }
        assert_eq!(check_bindings(&with_edge("sotto", "uniffi", Kind::Normal)).len(), 1);
    }

    #[test]
    fn the_bindings_stand_on_the_public_crate_alone() {
        assert_eq!(check_order(&with_edge("sotto-ffi", "sotto", Kind::Normal)), []);
        assert_eq!(check_order(&with_edge("sotto-ffi", "sotto-starter", Kind::Dev)), []);
        for used in ["sotto-speech", "sotto-store", "sotto-runtime"] {
            assert_eq!(check_order(&with_edge("sotto-ffi", used, Kind::Normal)).len(), 1, "{used}");
        }
        assert_eq!(check_order(&with_edge("sotto-bindgen", "sotto-ffi", Kind::Normal)).len(), 1);
    }

    #[test]
    fn the_test_kit_is_for_tests_only() {
        assert_eq!(check_order(&with_edge("sotto-nn", "sotto-testkit", Kind::Dev)), []);
        let findings = check_order(&with_edge("sotto-nn", "sotto-testkit", Kind::Normal));
        assert!(findings[0].remedy.contains("dev-dependency"), "{}", findings[0]);
    }

    #[test]
    fn a_crate_without_a_place_is_found() {
        let findings = check_order(&graph(&[Crate("sotto-new", "0.1.0", "MIT", &[])]));
        assert!(findings[0].what.contains("sotto-new"), "{}", findings[0]);
    }

    #[test]
    fn a_network_crate_below_a_task_is_found_with_its_path() {
        let graph = graph(&[
            Crate("sotto-speech", "0.1.0", "MIT", &[("tokenizers", "0.23.2", Kind::Normal)]),
            Crate("tokenizers", "0.23.2", "MIT", &[("hf-hub", "0.4.0", Kind::Normal)]),
            Crate("hf-hub", "0.4.0", "MIT", &[]),
        ]);
        let findings = check_network(&graph);
        assert_eq!(findings.len(), 1);
        assert!(findings[0].what.contains("sotto-speech → tokenizers → hf-hub"), "{}", findings[0]);
    }

    #[test]
    fn what_apps_link_may_hold_the_store_but_not_its_network() {
        let without = "sotto v0.1.0 (/x)\nsotto-store v0.1.0 (/y)\nhttp v1.5.0\n";
        assert_eq!(check_phones([("sotto", without)]), []);
        let with = format!("{without}ureq v3.5.1\nrustls v0.23.46\nureq v3.5.1 (*)\n");
        let findings = check_phones([("sotto", &*with)]);
        assert_eq!(findings.len(), 2);
        assert!(
            findings[0].what.contains("rustls") && findings[1].what.contains("sotto, as apps link it, contains ureq")
        );
        assert_eq!(check_phones([("sotto", "")]).len(), 1, "an empty tree proves nothing");
    }

    #[test]
    fn the_store_may_reach_the_network_and_so_may_what_tests_need() {
        assert_eq!(check_network(&with_edge("sotto-store", "ureq", Kind::Normal)), []);
        assert_eq!(check_network(&with_edge("sotto-speech", "ureq", Kind::Dev)), []);
    }
}
