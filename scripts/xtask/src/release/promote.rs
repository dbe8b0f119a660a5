//! Handing out what was tested, or refusing to.

use std::path::Path;

use super::manifest::{self, Manifest};
use crate::failure::Failure;
use crate::report::{Finding, Report};
use crate::workspace;

/// The projects that must have run on a release: `--try-maven`, `--try-swift`.
const TRIED_BY: &[&str] = &["maven", "swift"];

/// Copies the files of a dry run to where they are published from, when they are the very files that its manifest lists
/// and nothing is missing. Nothing is copied otherwise.
///
/// # Errors
/// [`Failure::Broken`] with the reasons on the screen; [`Failure`] when a file cannot be read or written.
pub fn promote(folder: &Path, to: &Path) -> Result<(), Failure> {
    let listed = Manifest::read(folder)?;
    let mut report = report(folder, &listed)?;
    report.add("complete", complete(&listed));
    report.add("strangers' projects", tried(folder));
    report.into_result()?;
    if to.exists() {
        return Err(Failure::missing(format!("{} exists already", to.display()), "a version is published once"));
    }
    for name in listed.files.keys().map(String::as_str).chain([manifest::FILE]) {
        let data = workspace::read(&folder.join(name))?;
        // Between the check and now somebody may have written.
        if name != manifest::FILE && listed.files.get(name) != Some(&workspace::sha256(&data)) {
            return Err(Failure::Broken(format!("{name} has changed while it was copied")));
        }
        workspace::write(&to.join(name), &data)?;
    }
    println!("{}: {} files", to.display(), listed.files.len());
    Ok(())
}

/// Whether the files of a folder are those that its manifest lists: between the check of a package and a later step
/// somebody may have written.
///
/// # Errors
/// As [`promote`].
pub fn unchanged(folder: &Path) -> Result<(), Failure> {
    report(folder, &Manifest::read(folder)?)?.into_result()
}

fn report(folder: &Path, listed: &Manifest) -> Result<Report, Failure> {
    let found = manifest::hashes(folder, folder)?;
    let mut report = Report::on(format!("sotto {}", listed.version));
    report.add("the bytes that were tested", same(listed, &found));
    Ok(report)
}

/// The projects that must have run on these very files.
fn tried(folder: &Path) -> Vec<Finding> {
    let missing = TRIED_BY.iter().filter(|project| !manifest::is_tried(folder, project));
    let finding = |project: &&str| Finding {
        what: format!("no project that depends on it by {project} ran on these files"),
        remedy: format!("run `cargo xtask release --try-{project} {}`", folder.display()),
    };
    missing.map(finding).collect()
}

fn same(listed: &Manifest, found: &std::collections::BTreeMap<String, String>) -> Vec<Finding> {
    let remedy = "make and test the release again";
    let mut findings = Vec::new();
    for (name, hash) in &listed.files {
        match found.get(name) {
            None => findings.push(Finding { what: format!("{name} is gone"), remedy: remedy.into() }),
            Some(other) if other != hash => {
                findings.push(Finding { what: format!("{name} is not what was tested"), remedy: remedy.into() });
            }
            Some(_) => {}
        }
    }
    for name in found.keys().filter(|name| !listed.files.contains_key(*name)) {
        findings.push(Finding { what: format!("{name} was never tested"), remedy: remedy.into() });
    }
    if listed.files.is_empty() {
        findings.push(Finding { what: "the manifest lists nothing".into(), remedy: remedy.into() });
    }
    findings
}

fn complete(listed: &Manifest) -> Vec<Finding> {
    let lacking = listed.missing.iter().map(|what| Finding {
        what: what.clone(),
        remedy: "make the release on a machine with an NDK and Xcode".into(),
    });
    let uncommitted = listed.commit.is_none().then(|| Finding {
        what: "it was made from sources that are in no commit".into(),
        remedy: "commit, then make and test the release again".into(),
    });
    lacking.chain(uncommitted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    /// A complete dry run of two files.
    fn made(root: &Path) -> (PathBuf, Manifest) {
        let folder = root.join("0.1.0");
        let mut manifest = Manifest::new("0.1.0", Some("abc".into()));
        manifest.add(&folder, "sotto.aar", b"tested").unwrap();
        workspace::write(&folder.join("swift/Package.swift"), b"tested too").unwrap();
        manifest.add_tree(&folder, "swift").unwrap();
        manifest.write(&folder).unwrap();
        try_all(&folder);
        (folder, manifest)
    }

    fn try_all(folder: &Path) {
        TRIED_BY.iter().for_each(|project| manifest::note_tried(folder, project).unwrap());
    }

    fn refused(folder: &Path, to: &Path) -> String {
        let error = promote(folder, to).unwrap_err().to_string();
        assert!(!to.exists(), "nothing is copied");
        error
    }

    #[test]
    fn the_bytes_that_were_tested_are_handed_out_once() {
        let root = tempfile::tempdir().unwrap();
        let (folder, _) = made(root.path());
        let to = root.path().join("out");
        promote(&folder, &to).unwrap();
        assert_eq!(std::fs::read(to.join("sotto.aar")).unwrap(), b"tested");
        assert_eq!(std::fs::read(to.join("swift/Package.swift")).unwrap(), b"tested too");
        assert!(promote(&folder, &to).unwrap_err().to_string().contains("published once"));
    }

    #[test]
    fn other_bytes_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let (folder, _) = made(root.path());
        for (name, data) in [("sotto.aar", "other!"), ("swift/Package.swift", "tested toO")] {
            let old = std::fs::read(folder.join(name)).unwrap();
            std::fs::write(folder.join(name), data).unwrap();
            assert!(refused(&folder, &root.path().join("out")).contains("the bytes that were tested"), "{name}");
            std::fs::write(folder.join(name), old).unwrap();
        }
    }

    #[test]
    fn one_other_bit_anywhere_is_refused_also_after_the_tests() {
        let root = tempfile::tempdir().unwrap();
        let (folder, manifest) = made(root.path());
        for name in manifest.files.keys() {
            let old = std::fs::read(folder.join(name)).unwrap();
            for byte in 0..old.len() {
                let mut other = old.clone();
                other[byte] ^= 1;
                std::fs::write(folder.join(name), other).unwrap();
                assert!(unchanged(&folder).is_err(), "{name}, byte {byte}");
                refused(&folder, &root.path().join("out"));
            }
            std::fs::write(folder.join(name), old).unwrap();
        }
        unchanged(&folder).unwrap();
        promote(&folder, &root.path().join("out")).unwrap();
    }

    #[test]
    fn what_no_project_ran_on_is_refused_and_so_is_what_was_made_anew_since() {
        let root = tempfile::tempdir().unwrap();
        let (folder, mut manifest) = made(root.path());
        manifest.add(&folder, "sotto.aar", b"made anew").unwrap();
        manifest.write(&folder).unwrap();
        assert!(refused(&folder, &root.path().join("out")).contains("strangers' projects"));
        manifest::note_tried(&folder, "maven").unwrap();
        assert!(refused(&folder, &root.path().join("out")).contains("strangers' projects"));
        manifest::note_tried(&folder, "swift").unwrap();
        promote(&folder, &root.path().join("out")).unwrap();
    }

    #[test]
    fn files_that_are_gone_or_new_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let (folder, _) = made(root.path());
        std::fs::write(folder.join("new.aar"), b"x").unwrap();
        refused(&folder, &root.path().join("out"));
        std::fs::remove_file(folder.join("new.aar")).unwrap();
        std::fs::remove_file(folder.join("sotto.aar")).unwrap();
        refused(&folder, &root.path().join("out"));
    }

    #[test]
    fn what_is_incomplete_or_in_no_commit_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let (folder, manifest) = made(root.path());
        let mut lacking = manifest.clone();
        lacking.lacks("frameworks");
        lacking.write(&folder).unwrap();
        try_all(&folder);
        assert!(refused(&folder, &root.path().join("out")).ends_with("complete"));
        Manifest { commit: None, ..manifest }.write(&folder).unwrap();
        try_all(&folder);
        assert!(refused(&folder, &root.path().join("out")).contains("complete"));
    }
}
