//! What a library says is shown by apps, on screens that have no command line: no text of a library names a command of
//! `sotto`, an option or a variable of the environment. It says what to do in the words of the operations ("pull it
//! first"), and the command line adds what to type (`core/cli/src/hint.rs`).
//!
//! Read are all string literals of what apps link, tests left out. A literal that is an option or a variable and
//! nothing else is not a message.

use super::graph::Graph;
use super::unsafe_code::rust_files;
use super::{DepsError, read};
use crate::report::Finding;

/// Members of the workspace that only run on a desk.
const ON_THE_DESK: &[&str] = &["sotto-bindgen", "sotto-cli", "sotto-testkit", "xtask"];

const REMEDY: &str = "say what to do in the words of the library's operations; the command line adds its own words in \
                      core/cli/src/hint.rs";

/// Checks the texts of all crates that apps link.
///
/// # Errors
/// When a source file cannot be read.
pub fn check(graph: &Graph) -> Result<Vec<Finding>, DepsError> {
    let mut findings = Vec::new();
    for package in graph.members().filter(|package| !ON_THE_DESK.contains(&package.name.as_str())) {
        for file in rust_files(&package.manifest_path.with_file_name("src"))? {
            // A file of tests, which its parent includes for tests alone.
            if file.file_name().is_some_and(|name| name == "tests.rs") {
                continue;
            }
            for (line, text) in literals(&without_tests(&read(&file)?)) {
                if let Some(words) = typed(&text) {
                    let what = format!("{}:{line} says `{words}`", file.display());
                    findings.push(Finding { what, remedy: REMEDY.into() });
                }
            }
        }
    }
    Ok(findings)
}

/// The text with the lines of its test modules emptied. They begin and end as rustfmt lays them out.
fn without_tests(text: &str) -> String {
    let mut kept = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let opens = |next: &&str| next.starts_with("mod ") && next.ends_with('{');
        if line == "#[cfg(test)]" && lines.peek().is_some_and(opens) {
            for inner in lines.by_ref() {
                kept.push('\n');
                if inner == "}" {
                    break;
                }
            }
        } else {
            kept += line;
        }
        kept.push('\n');
    }
    kept
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

/// The string literals of Rust source, with the lines that they begin on. Escapes stay as they are written, but for
/// line ends, which are joined as the compiler joins them.
fn literals(source: &str) -> Vec<(usize, String)> {
    let mut reader = Reader { rest: source, line: 1 };
    let mut found = Vec::new();
    while let Some(letter) = reader.rest.chars().next() {
        let line = reader.line;
        if reader.rest.starts_with("//") {
            reader.skip_to("\n");
        } else if reader.rest.starts_with("/*") {
            reader.skip_block();
        } else if let Some(hashes) = raw(reader.rest) {
            reader.skip(1 + hashes + 1);
            let end = format!("\"{}", "#".repeat(hashes));
            found.push((line, reader.skip_to(&end).to_owned()));
        } else if letter == '"' {
            reader.skip(1);
            found.push((line, reader.string()));
        } else if letter == '\'' {
            reader.character();
        } else if letter.is_alphanumeric() || letter == '_' {
            // Whole words, so that the `r` of a name opens nothing; the prefix of `br"…"` is skipped with its `b`.
            let word: usize = reader
                .rest
                .chars()
                .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
                .map(char::len_utf8)
                .sum();
            let opens = word <= 2 && reader.rest[..word].ends_with('r') && raw(&reader.rest[word - 1..]).is_some();
            reader.skip(if opens { word - 1 } else { word });
        } else {
            reader.skip(letter.len_utf8());
        }
    }
    found
}

/// The number of hashes of a raw string that begins here.
fn raw(text: &str) -> Option<usize> {
    let rest = text.strip_prefix('r')?;
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    rest[hashes..].starts_with('"').then_some(hashes)
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Reader<'a> {
    fn skip(&mut self, bytes: usize) -> &'a str {
        let (skipped, rest) = self.rest.split_at(bytes.min(self.rest.len()));
        self.line += skipped.matches('\n').count();
        self.rest = rest;
        skipped
    }

    /// What lies before `end`, which is skipped too.
    fn skip_to(&mut self, end: &str) -> &'a str {
        let at = self.rest.find(end).unwrap_or(self.rest.len());
        let before = self.skip(at);
        self.skip(end.len());
        before
    }

    fn skip_block(&mut self) {
        let mut depth = 0_usize;
        loop {
            if self.rest.starts_with("/*") {
                depth += 1;
                self.skip(2);
            } else if self.rest.starts_with("*/") {
                depth -= 1;
                self.skip(2);
            } else {
                let Some(letter) = self.rest.chars().next() else { return };
                self.skip(letter.len_utf8());
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) -> String {
        let mut text = String::new();
        while let Some(letter) = self.rest.chars().next() {
            self.skip(letter.len_utf8());
            match letter {
                '"' => break,
                '\\' if self.rest.starts_with('\n') => {
                    let spaces = self.rest.len() - self.rest.trim_start().len();
                    self.skip(spaces);
                }
                '\\' => {
                    let next = self.rest.chars().next().map_or(0, char::len_utf8);
                    text.push(letter);
                    text += self.skip(next);
                }
                _ => text.push(letter),
            }
        }
        text
    }

    /// A character, or the mark of a lifetime.
    fn character(&mut self) {
        self.skip(1);
        let mut letters = self.rest.chars();
        match letters.next() {
            Some('\\') => {
                self.skip(2);
                self.skip_to("'");
            }
            Some(letter) if letters.next() == Some('\'') => {
                self.skip(letter.len_utf8() + 1);
            }
            _ => {}
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
fn f<'a>(quote: char) -> &'a str { if quote == '"' || quote == '\'' || quote == '\u{22}' { "one" } else { r#"two "x""# } }
const LINE: &str = "three \
    words \" and more";
const BYTES: &[u8] = br"four";
const NAME: &str = bar"";
#[cfg(test)]
mod tests {
    const IN_TESTS: &str = "set HF_TOKEN or not";
}
const LAST: &str = "five";
"##;
        let found = literals(&without_tests(source));
        let texts: Vec<&str> = found.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["one", "two \"x\"", "three words \\\" and more", "four", "", "five"]);
        assert_eq!(found.last().unwrap().0, 13, "{found:?}");
    }

    #[test]
    fn source_that_is_cut_anywhere_ends() {
        let source = "fn a() { /* x */ let b = r#\"c\"#; 'd'; \"e\\n\" } // f";
        for end in 0..source.len() {
            literals(&source[..end]);
        }
    }
}
