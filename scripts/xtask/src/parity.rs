//! The parity table: each feature by its name in Rust, on the command line, in Kotlin and in Swift
//! (`bindings/conformance/features.json`), checked against the sources and written to `docs/PARITY.md`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use serde::Deserialize;

use crate::failure::Failure;
use crate::workspace::{self, Workspace};

const FEATURES: &str = "bindings/conformance/features.json";
const CASES: &str = "bindings/conformance/speech.json";
const PAGE: &str = "docs/PARITY.md";

/// Where a surface's names are, and how its files end.
const SURFACES: [(&str, &[&str], &str); 4] = [
    (
        "Rust",
        &[
            "core/sotto/src",
            "core/speech/src",
            "core/runtime/src",
            "core/store/src",
            "core/nn/src",
            "core/kernels/src",
            "core/text/src",
        ],
        "rs",
    ),
    ("command line", &["core/cli/src"], "rs"),
    ("Kotlin", &["android/sotto-kotlin/src/main", "android/sotto-android/src/main"], "kt"),
    ("Swift", &["ios/Sources/Sotto", "ios/Sources/SottoStarter"], "swift"),
];

#[derive(Debug, Deserialize)]
struct Table {
    features: Vec<Feature>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Feature {
    key: String,
    what: String,
    rust: String,
    cli: String,
    kotlin: String,
    swift: String,
    note: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Cases {
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
struct Case {
    name: String,
    feature: String,
}

impl Feature {
    fn names(&self) -> [&str; 4] {
        [&self.rust, &self.cli, &self.kotlin, &self.swift]
    }
}

/// Checks that every name of the table exists and every case has a feature of it; writes the page, or compares it with
/// what it is where `only_check` says so.
///
/// # Errors
/// [`Failure`] with everything that is missing.
pub fn run(workspace: &Workspace, only_check: bool) -> Result<(), Failure> {
    let root = workspace.root();
    let table: Table = read(&root.join(FEATURES))?;
    let cases: Cases = read(&root.join(CASES))?;
    let sources = SURFACES.map(|(_, folders, extension)| words_below(root, folders, extension));
    let mut problems = Vec::new();
    for feature in &table.features {
        for ((surface, ..), (name, words)) in SURFACES.iter().zip(feature.names().iter().zip(&sources)) {
            let words = words.as_ref().map_err(ToString::to_string);
            let words = words.map_err(|problem| Failure::form(*surface, problem))?;
            problems.extend(missing(name, words).map(|word| format!("{}: {surface} has no `{word}`", feature.key)));
        }
        if feature.names().contains(&"-") && feature.note.is_none() {
            problems.push(format!("{}: a surface is left out without a note that says why", feature.key));
        }
    }
    let keys: BTreeSet<&str> = table.features.iter().map(|feature| feature.key.as_str()).collect();
    for case in cases.cases.iter().filter(|case| !keys.contains(case.feature.as_str())) {
        problems.push(format!("the case \"{}\" is about `{}`, which is no feature", case.name, case.feature));
    }
    let page = page(&table, &cases);
    let path = root.join(PAGE);
    if !only_check {
        workspace::write(&path, page.as_bytes())?;
        println!("{PAGE}: written, {} features", table.features.len());
    } else if workspace::read_text(&path).ok().as_deref() != Some(page.as_str()) {
        problems.push(format!("{PAGE} is out of date; run cargo xtask parity"));
    }
    if problems.is_empty() { Ok(()) } else { Err(Failure::form(FEATURES, problems.join("\n  "))) }
}

fn read<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<T, Failure> {
    let text = workspace::read_text(path)?;
    serde_json::from_str(&text).map_err(|error| Failure::form(path.display().to_string(), error.to_string()))
}

/// All words of the sources below some folders.
fn words_below(root: &Path, folders: &[&str], extension: &str) -> Result<BTreeSet<String>, Failure> {
    let mut words = BTreeSet::new();
    for folder in folders {
        for path in workspace::files_below(&root.join(folder))? {
            if path.extension().is_some_and(|found| found == extension) {
                let text = workspace::read_text(&path)?;
                let parts = text.split(|character: char| !character.is_alphanumeric() && character != '_');
                words.extend(parts.filter(|word| !word.is_empty()).map(str::to_owned));
            }
        }
    }
    Ok(words)
}

/// The words of a name that no source has. Options of the command line are fields there, commands are variants.
fn missing(name: &str, words: &BTreeSet<String>) -> Option<String> {
    if name == "-" {
        return None;
    }
    let parts = name.split([':', '.', ' ']).filter(|part| !part.is_empty());
    parts.into_iter().find(|part| !is_there(part, words)).map(str::to_owned)
}

fn is_there(part: &str, words: &BTreeSet<String>) -> bool {
    if let Some(option) = part.strip_prefix("--") {
        return words.contains(&option.replace('-', "_"));
    }
    let mut letters = part.chars();
    let capital = letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>());
    words.contains(part) || capital.is_some_and(|variant| words.contains(&variant))
}

fn page(table: &Table, cases: &Cases) -> String {
    let mut page = String::from(
        "# Parity\nWhat Sotto can do, and what it is called in each language. Made by `cargo xtask parity` from\n\
         `bindings/conformance/features.json`; the numbers count the cases of `bindings/conformance/speech.json` \
         that every\nsurface runs.\n\n\
         | feature | Rust | command line | Kotlin | Swift | cases | |\n|---|---|---|---|---|---|---|\n",
    );
    for feature in &table.features {
        let count = cases.cases.iter().filter(|case| case.feature == feature.key).count();
        let [rust, cli, kotlin, swift] = feature.names().map(|name| match name {
            "-" => "–".to_owned(),
            name => format!("`{name}`"),
        });
        let counted = if count == 0 { String::new() } else { count.to_string() };
        let note = feature.note.as_deref().unwrap_or_default();
        let _ = writeln!(page, "| {} | {rust} | {cli} | {kotlin} | {swift} | {counted} | {note} |", feature.what);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> BTreeSet<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn a_name_is_there_when_all_its_words_are() {
        let words = words("Engine load_speech Transcribe vad_threshold");
        assert_eq!(missing("Engine::load_speech", &words), None);
        assert_eq!(missing("transcribe --vad-threshold", &words), None, "commands are variants, options fields");
        assert_eq!(missing("-", &words), None);
        assert_eq!(missing("Engine::unload", &words).as_deref(), Some("unload"));
        assert_eq!(missing("transcribe --beam", &words).as_deref(), Some("--beam"));
    }

    #[test]
    fn the_page_counts_the_cases_of_a_feature() {
        let feature = |key: &str| Feature {
            key: key.into(),
            what: format!("What {key} is"),
            rust: "A::b".into(),
            cli: "-".into(),
            kotlin: "A.b".into(),
            swift: "A.b".into(),
            note: Some("why".into()),
        };
        let table = Table { features: vec![feature("one"), feature("two")] };
        let case = |feature: &str| Case { name: "it holds".into(), feature: feature.into() };
        let page = page(&table, &Cases { cases: vec![case("one"), case("one")] });
        assert!(page.contains("| What one is | `A::b` | – | `A.b` | `A.b` | 2 | why |"), "{page}");
        assert!(page.contains("| What two is | `A::b` | – | `A.b` | `A.b` |  | why |"), "{page}");
    }
}
