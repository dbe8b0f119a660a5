//! What git knows: files, and no links. A link leads to a place of the machine on which it was made.

use std::path::Path;
use std::process::Command;

use super::DepsError;
use crate::report::Finding;

/// How git writes the mode of a symbolic link.
const LINK: &str = "120000";

/// The paths of all files that git knows, relative to the root.
///
/// # Errors
/// When git cannot list them.
pub fn files(root: &Path) -> Result<Vec<String>, DepsError> {
    Ok(entries(&listed(root)?).map(|(_, path)| path.to_owned()).collect())
}

/// Finds links among what git knows.
///
/// # Errors
/// When git cannot list it.
pub fn check_links(root: &Path) -> Result<Vec<Finding>, DepsError> {
    Ok(links(&listed(root)?).collect())
}

fn links(listed: &str) -> impl Iterator<Item = Finding> {
    entries(listed).filter(|(mode, _)| *mode == LINK).map(|(_, path)| Finding {
        what: format!("{path} is a symbolic link"),
        remedy: "take it out of git; name the place where it is needed, or copy the file".into(),
    })
}

/// Modes and paths.
fn entries(listed: &str) -> impl Iterator<Item = (&str, &str)> {
    // Mode, hash and stage, a tab, the path.
    listed.split('\0').filter_map(|entry| entry.split_once('\t')).filter_map(|(facts, path)| {
        let mode = facts.split(' ').next()?;
        Some((mode, path))
    })
}

fn listed(root: &Path) -> Result<String, DepsError> {
    let mut command = Command::new("git");
    command.args(["ls-files", "-s", "-z"]).current_dir(root);
    let shown = format!("git ls-files (in {})", root.display());
    let output = command.output().map_err(|source| DepsError::Start { command: shown.clone(), source })?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(DepsError::Git { command: shown, stderr });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_among_files() {
        let listed = ["100644 aa 0\ta b.rs", "120000 bb 0\tfolder/link", "100755 cc 0\tc.sh", ""].join("\0");
        let paths: Vec<&str> = entries(&listed).map(|(_, path)| path).collect();
        assert_eq!(paths, ["a b.rs", "folder/link", "c.sh"]);
        let found: Vec<String> = links(&listed).map(|finding| finding.what).collect();
        assert_eq!(found, ["folder/link is a symbolic link"]);
    }
}
