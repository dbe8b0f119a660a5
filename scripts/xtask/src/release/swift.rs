//! The repository that Swift packages depend on by its address.
//!
//! SwiftPM reads a manifest in the root of a repository only, loads the whole repository, and sees what is committed. Ours has
//! its Swift in `ios`, models beside it, and generated code in no commit; so a release makes a small repository of its own:
//! manifest, sources, and the address and checksum of the frameworks (`docs/adr/0026`).

use std::path::Path;

use super::manifest::Manifest;
use crate::failure::Failure;
use crate::workspace;

/// The folder of the Swift package.
const SOURCE: &str = "ios";
/// What else goes along from the root.
const BESIDE: &[&str] = &["LICENSE-APACHE", "LICENSE-MIT"];

/// Makes the repository's contents; `frameworks` are the address and the checksum of the archive.
///
/// # Errors
/// [`Failure`] when the Swift package lacks the two lines that are filled in.
pub fn distribution(
    root: &Path,
    folder: &Path,
    frameworks: Option<(&str, &str)>,
    manifest: &mut Manifest,
) -> Result<(), Failure> {
    let source = root.join(SOURCE);
    let package = source.join("Package.swift");
    if !package.exists() {
        manifest.lacks("the Swift package: there is no ios/Package.swift");
        return Ok(());
    }
    let (url, checksum) = frameworks.unwrap_or_default();
    workspace::write(
        &folder.join("Package.swift"),
        filled(&workspace::read_text(&package)?, url, checksum)?.as_bytes(),
    )?;
    for path in workspace::files_below(&source.join("Sources"))? {
        let name = path.strip_prefix(&source).unwrap_or(&path);
        workspace::write(&folder.join(name), &workspace::read(&path)?)?;
    }
    let readme = source.join("README.md");
    if readme.exists() {
        workspace::write(&folder.join("README.md"), &workspace::read(&readme)?)?;
    }
    for name in BESIDE {
        workspace::write(&folder.join(name), &workspace::read(&root.join(name))?)?;
    }
    Ok(())
}

/// The manifest with the address and checksum of this release, and without its tests, which need models that are not there.
fn filled(package: &str, url: &str, checksum: &str) -> Result<String, Failure> {
    let mut text = package.to_owned();
    for (name, value) in [("releaseURL", url), ("releaseChecksum", checksum)] {
        let start = format!("let {name} = \"");
        let Some((before, rest)) = text.split_once(&start) else {
            let remedy = format!("give it a line `{start}\"`, which a release fills in");
            return Err(Failure::missing(format!("ios/Package.swift has no {name}"), remedy));
        };
        let (_, after) = rest.split_once('"').unwrap_or(("", rest));
        text = format!("{before}{start}{value}\"{after}");
    }
    let (from, to) = ("// tests: begin", "// tests: end");
    if let Some((before, (_, after))) =
        text.split_once(from).and_then(|(before, rest)| Some((before, rest.split_once(to)?)))
    {
        text = format!("{}{}", before.trim_end(), after);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKAGE: &str =
        "// swift-tools-version: 6.0\nlet releaseURL = \"\"\nlet releaseChecksum = \"old\"\nlet package = 1\n";

    #[test]
    fn address_and_checksum_are_filled_in_where_swiftpm_reads_them() {
        let text = filled(PACKAGE, "https://example.org/a.zip", "00ff").unwrap();
        assert_eq!(
            text,
            "// swift-tools-version: 6.0\nlet releaseURL = \"https://example.org/a.zip\"\n\
             let releaseChecksum = \"00ff\"\nlet package = 1\n"
        );
    }

    #[test]
    fn a_manifest_without_their_places_is_an_error_that_says_what_to_write() {
        let error = filled("let package = 1\n", "", "").unwrap_err().to_string();
        assert!(error.contains("let releaseURL = \"\""), "{error}");
    }

    #[test]
    fn tests_stay_at_home() {
        let package = format!("{PACKAGE}a,\n// tests: begin\nb,\n// tests: end\nc\n");
        let text = filled(&package, "u", "c").unwrap();
        assert!(text.ends_with("a,\nc\n"), "{text}");
    }

    #[test]
    fn sources_and_licences_go_along_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let files =
            ["LICENSE-APACHE", "LICENSE-MIT", "ios/Sources/Sotto/Sotto.swift", "ios/Tests/T.swift", "core/secret.rs"];
        for name in files {
            workspace::write(&root.path().join(name), b"x").unwrap();
        }
        let out = root.path().join("out");
        let mut manifest = Manifest::new("0.1.0", None);
        distribution(root.path(), &out, None, &mut manifest).unwrap();
        assert_eq!(manifest.missing.len(), 1, "there is no package yet");

        workspace::write(&root.path().join("ios/Package.swift"), PACKAGE.as_bytes()).unwrap();
        distribution(root.path(), &out, Some(("u", "c")), &mut manifest).unwrap();
        let names: Vec<String> = workspace::files_below(&out)
            .unwrap()
            .iter()
            .map(|path| path.strip_prefix(&out).unwrap().display().to_string())
            .collect();
        assert_eq!(names, ["LICENSE-APACHE", "LICENSE-MIT", "Package.swift", "Sources/Sotto/Sotto.swift"]);
    }
}
