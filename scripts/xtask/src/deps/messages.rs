//! What a library says is shown by apps, on screens that have no command line: no text of a library names a command of
//! `sotto`, an option or a variable of the environment. It says what to do in the words of the operations ("pull it
//! first"), and the command line adds what to type (`core/cli/src/hint.rs`).
//!
//! Read are all string literals of what apps link, tests left out. A literal that is an option or a variable and
//! nothing else is not a message.

use proc_macro2::TokenTree;
use syn::Lit;

use super::graph::Graph;
use super::shipped_source::ShippedSource;
use super::unsafe_code::rust_files;
use super::{DepsError, lex, read};
use crate::report::Finding;

/// Members of the workspace that only run on a desk.
const ON_THE_DESK: &[&str] = &["sotto-bindgen", "sotto-cli", "sotto-testkit", "xtask"];

const REMEDY: &str = "say what to do in the words of the library's operations; the command line adds its own words in \
                      core/cli/src/hint.rs";

/// Checks the texts of all crates that apps link.
///
/// # Errors
/// When a source file cannot be read, or is no Rust.
pub fn check(graph: &Graph) -> Result<Vec<Finding>, DepsError> {
    let mut findings = Vec::new();
    for package in graph.members().filter(|package| !ON_THE_DESK.contains(&package.name.as_str())) {
        for file in rust_files(&package.manifest_path.with_file_name("src"))? {
            // A file of tests, which its parent includes for tests alone.
            if file.file_name().is_some_and(|name| name == "tests.rs") {
                continue;
            }
            let source = ShippedSource::read(&read(&file)?).map_err(lex(&file))?;
            let mut texts = Vec::new();
            literals(source.tokens, &mut texts);
            for (line, text) in texts {
                if let Some(words) = typed(&text) {
                    let what = format!("{}:{line} says `{words}`", file.display());
                    findings.push(Finding { what, remedy: REMEDY.into() });
                }
            }
        }
    }
    Ok(findings)
}

/// What a person would type into a terminal, where a text has it among other words.
fn typed(text: &str) -> Option<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let bare = |word: &str| word.trim_matches(|sign: char| !sign.is_alphanumeric() && sign != '-').to_owned();
    for (at, word) in words.iter().enumerate() {
        let command = word.ends_with("`sotto") && words.get(at + 1).is_some_and(|next| !next.starts_with(PLACE));
        if command {
            return Some(format!("sotto {}", bare(words[at + 1])));
        }
        if words.len() == 1 || word.contains(PLACE) {
            continue;
        }
        let word = bare(word);
        if word.strip_prefix("--").is_some_and(|name| name.starts_with(|letter: char| letter.is_ascii_lowercase())) {
            return Some(word);
        }
        let variable = word.trim_matches('-');
        let signs = |letter: char| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_';
        let begins = variable.starts_with(|letter: char| letter.is_ascii_uppercase());
        if begins && variable.contains('_') && variable.chars().all(signs) {
            return Some(variable.to_owned());
        }
    }
    None
}

/// The start of a place that a value is written to.
const PLACE: char = '{';

/// The texts of all string literals, with the lines that they begin on.
fn literals(trees: impl IntoIterator<Item = TokenTree>, found: &mut Vec<(usize, String)>) {
    for tree in trees {
        match tree {
            TokenTree::Group(group) => literals(group.stream(), found),
            TokenTree::Literal(literal) => {
                let line = literal.span().start().line;
                match Lit::new(literal) {
                    Lit::Str(text) => found.push((line, text.value())),
                    Lit::ByteStr(bytes) => found.push((line, String::from_utf8_lossy(&bytes.value()).into_owned())),
                    _ => {}
                }
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_found_among_words() {
        for (text, expected) in [
            ("not here; fetch it with `sotto models pull {name}`", "sotto models"),
            ("set HF_TOKEN or ask", "HF_TOKEN"),
            ("give a token (HF_TOKEN)", "HF_TOKEN"),
            ("pass --token-file FILE", "--token-file"),
            ("pass `--token-file`", "--token-file"),
        ] {
            assert_eq!(typed(text).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "HF_TOKEN",
            "--exact",
            "pull it first",
            "more than {MAX_TOKENS} tokens",
            "sotto packed {VERSION} int8",
            "a JSON of sotto",
            "one -- two",
            "UTF-8 and A_b",
        ] {
            assert_eq!(typed(text), None, "{text}");
        }
    }

    #[test]
    fn only_literals_are_read_and_tests_are_not() {
        let source = r##"
//! Set HF_TOKEN or not.
/* "not /* here */ either" */
fn f<'a>(quote: char) -> &'a str {
    if quote == '"' || quote == '\'' || quote == '\u{22}' { "one" } else { r#"two "x""# }
}
const LINE: &str = "three \
    words \" and more";
const BYTES: &[u8] = br"four";
fn g() { write!(out, "in a macro") }
#[doc = "set HF_TOKEN or not"]
#[cfg(test)]
mod tests {
    const IN_TESTS: &str = "set HF_TOKEN or not";
}
const LAST: &str = "five";
"##;
        let (source, mut found) = (ShippedSource::read(source).unwrap(), Vec::new());
        literals(source.tokens, &mut found);
        let texts: Vec<&str> = found.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["one", "two \"x\"", "three words \" and more", "four", "in a macro", "five"]);
        assert_eq!(found.last().unwrap().0, 16, "{found:?}");
    }
}
