//! The part of `deny.toml` that is read here, so that cargo-deny in hosted CI and this tool share one list.

use std::path::Path;

use serde::Deserialize;

use super::{DepsError, read};

/// Allowed licences, tolerated duplicates and the platforms that ship.
#[derive(Debug, Default, Deserialize)]
pub struct Policy {
    #[serde(default)]
    graph: GraphSection,
    #[serde(default)]
    licenses: LicenseSection,
    #[serde(default)]
    bans: BanSection,
}

#[derive(Debug, Default, Deserialize)]
struct GraphSection {
    #[serde(default)]
    targets: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
struct LicenseSection {
    #[serde(default)]
    allow: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
struct BanSection {
    #[serde(default)]
    skip: Vec<Skip>,
}

/// A version that may exist beside another one of the same crate.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Skip {
    /// `name@version`; the version may stop after any component: `base64@0.13`.
    #[serde(rename = "crate")]
    pub spec: String,
    /// Who needs the old version.
    pub reason: String,
}

impl Skip {
    /// Whether the entry speaks of this crate and version.
    pub fn covers(&self, name: &str, version: &str) -> bool {
        let Some((wanted, prefix)) = self.spec.split_once('@') else { return false };
        let rest = version.strip_prefix(prefix);
        wanted == name && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-', '+']))
    }
}

impl Policy {
    /// Reads `deny.toml`.
    ///
    /// # Errors
    /// When the file is missing or not of the expected form.
    pub fn read(path: &Path) -> Result<Self, DepsError> {
        let text = read(path)?;
        Self::parse(&text).map_err(|source| DepsError::Policy { path: path.to_owned(), source })
    }

    /// Parses the text of `deny.toml`.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// Platforms whose dependency trees must be free of duplicates.
    pub fn targets(&self) -> &[String] {
        &self.graph.targets
    }

    /// Whether a licence, with its exception where it has one, is on the list.
    pub fn allows_licence(&self, licence: &str) -> bool {
        self.licenses.allow.iter().any(|allowed| allowed == licence)
    }

    /// The tolerated duplicates.
    pub fn skips(&self) -> &[Skip] {
        &self.bans.skip
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skip_covers_whole_version_components_only() {
        let skip = Skip { spec: "base64@0.1".into(), reason: "old".into() };
        assert!(skip.covers("base64", "0.1.9"));
        assert!(skip.covers("base64", "0.1"));
        assert!(!skip.covers("base64", "0.13.1"));
        assert!(!skip.covers("base65", "0.1.9"));
    }

    #[test]
    fn a_skip_without_a_version_covers_nothing() {
        let skip = Skip { spec: "base64".into(), reason: "old".into() };
        assert!(!skip.covers("base64", "0.13.1"));
    }

    #[test]
    fn a_skip_without_a_reason_is_refused() {
        assert!(Policy::parse("[bans]\nskip = [{ crate = \"base64@0.13\" }]").is_err());
    }

    #[test]
    fn the_policy_of_this_workspace_can_be_read_and_is_not_empty() {
        let policy = Policy::read(&crate::workspace::Workspace::here().root().join("deny.toml")).unwrap();
        assert!(policy.allows_licence("MIT") && policy.allows_licence("Apache-2.0"));
        assert!(!policy.allows_licence("GPL-3.0-only"));
        assert!(policy.targets().len() >= 4, "the phone targets are listed");
    }
}
