//! `cargo xtask bindings`: Kotlin and Swift from the library, and a watch on what apps see of them.
//!
//! UniFFI reads its own notes out of the host's library. What it writes is not committed; what is public in it is, as
//! two short texts in `bindings/api`, so that a change of the surface shows in a review and never happens unnoticed.

mod difference;
mod generate;
mod surface;

use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::workspace::{self, Workspace};

pub use generate::generate;

/// What to do about a surface that is not the one written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    /// Say so.
    Tell,
    /// Fail.
    Check,
    /// Write it down.
    Accept,
}

/// A language, for builds that ask for one of them in a place of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// For the JVM and Android.
    Kotlin,
    /// For Apple's systems, and Linux.
    Swift,
}

/// Options of the chore.
#[derive(Debug, Clone)]
pub struct Options {
    /// What to do about a changed surface.
    pub surface: Surface,
    /// A library that is built already; else one is built.
    pub library: Option<PathBuf>,
}

/// Generates the bindings where the Kotlin and Swift builds look for them, and compares the surface.
///
/// # Errors [`Failure`] when something cannot be built, and with [`Surface::Check`] when the surface is not the one
/// written down.
pub fn make(workspace: &Workspace, options: &Options) -> Result<(), Failure> {
    let generated = generate(workspace, options.library.as_deref())?;
    generated.install(workspace)?;
    let changed = [("kotlin", surface::kotlin(&generated.kotlin)?), ("swift", surface::swift(&generated.swift)?)]
        .into_iter()
        .map(|(language, text)| compare(workspace, language, &text, options.surface))
        .collect::<Result<Vec<bool>, _>>()?
        .contains(&true);
    if changed && options.surface == Surface::Check {
        return Err(Failure::Broken(
            "the surface for apps is not the one in bindings/api; if that is meant, run `cargo xtask bindings \
             --accept`, look at the difference and commit it"
                .into(),
        ));
    }
    Ok(())
}

/// Generates the bindings of one language into a folder, for builds that keep what they generate to themselves.
///
/// # Errors
/// [`Failure`] when something cannot be built.
pub fn make_one(workspace: &Workspace, language: Language, library: Option<&Path>, out: &Path) -> Result<(), Failure> {
    let out = absolute(workspace, out);
    generate(workspace, library)?.write_one(language, &out)?;
    println!("{}: written", workspace.shown(&out));
    Ok(())
}

/// Whether the surface differs from the one written down, which is shown or mended.
fn compare(workspace: &Workspace, language: &str, text: &str, what: Surface) -> Result<bool, Failure> {
    let path = workspace.root().join(format!("bindings/api/{language}.txt"));
    let old = if path.exists() { workspace::read_text(&path)? } else { String::new() };
    let shown = workspace.shown(&path);
    if old == text {
        println!("{shown}: unchanged");
        return Ok(false);
    }
    println!("{shown}: the surface has changed\n{}", difference::lines(&old, text));
    if what == Surface::Accept {
        workspace::write(&path, text.as_bytes())?;
        println!("{shown}: written");
    }
    Ok(true)
}

/// Folders that hold what is generated; none of it is committed.
const KOTLIN: &str = "android/sotto-bindings/build/generated/uniffi";
const SWIFT: &str = "ios/Sources/SottoBindings";
const C_MODULE: &str = "ios/Sources/sottoFFI";

/// The starter model, committed once, and where SwiftPM wants a resource.
const STARTER: &str = "core/starter/models/speech/starter.en.sotto";
const STARTER_RESOURCE: &str = "ios/Sources/SottoStarter/Resources/starter.en.sotto";

/// The name of the host's library.
fn library_name() -> String {
    format!("{}sotto_ffi{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX)
}

fn absolute(workspace: &Workspace, path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| workspace.root().join(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Names behind a word at the beginning of a line.
    fn names<'a>(text: &'a str, words: &[&str]) -> BTreeSet<&'a str> {
        let start = |line: &'a str| words.iter().find_map(|word| line.trim_start().strip_prefix(word));
        text.lines().filter_map(|line| start(line)?.split(['(', ':']).next()).collect()
    }

    #[test]
    fn both_languages_have_the_same_functions() {
        let root = Workspace::here().root().join("bindings/api");
        let read = |language: &str| workspace::read_text(&root.join(format!("{language}.txt"))).unwrap();
        let (kotlin, swift) = (read("kotlin"), read("swift"));
        let functions = names(&kotlin, &["fun ", "suspend fun "]);
        assert!(functions.len() > 20, "{functions:?}");
        assert_eq!(functions, names(&swift, &["func ", "static func "]));
    }
}
