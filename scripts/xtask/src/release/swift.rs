//! The repository that Swift packages depend on by its address.
//!
//! SwiftPM reads a manifest in the root of a repository only, loads the whole repository, and sees what is committed.
//! Ours has its Swift in `ios`, models beside it, and generated code in no commit; so a release makes a small
//! repository of its own: manifest, sources, and the address and checksum of the frameworks (`docs/adr/0026`).

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
    workspace::write(&folder.join("Package.swift"), filled(&workspace::read_text(&package)?, frameworks)?.as_bytes())?;
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

/// The manifest with the address and checksum of this release where ours names a folder, and without the tests, which
/// need models that are not there.
fn filled(package: &str, frameworks: Option<(&str, &str)>) -> Result<String, Failure> {
    if !package.contains(LOCAL) {
        let remedy = "give it that line, which a release fills in";
        return Err(Failure::missing(format!("ios/Package.swift has no `{LOCAL}`"), remedy));
    }
    let text = match frameworks {
        Some((url, checksum)) => {
            let released = format!(".binaryTarget(name: \"sottoFFI\", url: \"{url}\", checksum: \"{checksum}\")");
            package.replace(LOCAL, &released)
        }
        None => package.to_owned(),
    };
    Ok(without(&text, ".testTarget("))
}

const LOCAL: &str = ".binaryTarget(name: \"sottoFFI\", path: \"SottoFFI.xcframework\")";

/// The text without a call and the comma and line behind it.
fn without(text: &str, call: &str) -> String {
    let Some((before, rest)) = text.split_once(call) else { return text.to_owned() };
    let mut depth = 1_usize;
    let end = rest.find(|letter| {
        depth = match letter {
            '(' => depth + 1,
            ')' => depth - 1,
            _ => depth,
        };
        depth == 0
    });
    let Some(end) = end else { return text.to_owned() };
    let after = rest[end + 1..].trim_start_matches(',');
    format!("{}{after}", before.trim_end_matches(' ').trim_end_matches('\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKAGE: &str = "let native: Target =\n    standsOnHost\n    ? .systemLibrary(name: \"sottoFFI\")\n    : \
                           .binaryTarget(name: \"sottoFFI\", path: \"SottoFFI.xcframework\")\n\n\
                           targets: [\n    native,\n    \
                           .testTarget(name: \"T\", dependencies: [.target(name: \"Sotto\")]),\n]\n";

    #[test]
    fn address_and_checksum_are_filled_in_where_swiftpm_reads_them() {
        let text = filled(PACKAGE, Some(("https://example.org/a.zip", "00ff"))).unwrap();
        let released = ".binaryTarget(name: \"sottoFFI\", url: \"https://example.org/a.zip\", checksum: \"00ff\")\n";
        assert!(text.contains(released) && !text.contains("path:"), "{text}");
    }

    #[test]
    fn a_manifest_without_their_place_is_an_error_that_says_what_to_write() {
        let error = filled("let package = 1\n", Some(("u", "c"))).unwrap_err().to_string();
        assert!(error.contains(LOCAL), "{error}");
    }

    #[test]
    fn tests_stay_at_home() {
        let text = filled(PACKAGE, None).unwrap();
        assert!(text.ends_with("targets: [\n    native,\n]\n"), "{text}");
        assert_eq!(without("a(b", "a("), "a(b", "what does not end is left alone");
    }

    /// The manifest of this workspace has what a release looks for.
    #[test]
    fn our_own_manifest_can_be_filled_in() {
        let package = crate::workspace::Workspace::here().root().join("ios/Package.swift");
        let text = filled(&workspace::read_text(&package).unwrap(), Some(("https://a", "00"))).unwrap();
        assert!(text.contains("checksum: \"00\"") && !text.contains("testTarget"), "{text}");
        assert_eq!(text.matches('(').count(), text.matches(')').count());
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
