//! Lines of at most 120 columns, in everything that people write and read.

use std::path::Path;

use super::{DepsError, read, tracked};
use crate::report::Finding;

/// The most columns.
const COLUMNS: usize = 120;

/// Kinds of files that are prose and code. Data, generated files, resources and style sheets are left alone.
const KINDS: [&str; 10] = ["rs", "toml", "md", "py", "sh", "kt", "kts", "java", "swift", "yml"];

/// Lines that cannot be broken: a row of a table, an address, a path.
fn is_whole(line: &str, kind: &str) -> bool {
    let text = line.trim_start();
    let is_table = kind == "md" && text.starts_with('|');
    // One word that is longer than the rest of a line, and at most a mark before it.
    let is_word = text.split_whitespace().any(|word| word.chars().count() + 24 > COLUMNS);
    is_table || is_word
}

/// Checks all files that git knows.
///
/// # Errors
/// When git cannot list them, or one cannot be read.
pub fn check(root: &Path) -> Result<Vec<Finding>, DepsError> {
    let mut findings = Vec::new();
    for file in tracked::files(root)? {
        let kind = Path::new(&file).extension().and_then(|kind| kind.to_str()).unwrap_or_default().to_owned();
        let path = root.join(&file);
        if !KINDS.contains(&kind.as_str()) || !path.is_file() {
            continue;
        }
        let lines = too_long(&read(&path)?, &kind);
        if let Some(first) = lines.first() {
            findings.push(Finding {
                what: format!(
                    "{file} has {} lines of more than {COLUMNS} columns, the first is line {first}",
                    lines.len()
                ),
                remedy: "break them; rustfmt leaves comments and strings alone".into(),
            });
        }
    }
    Ok(findings)
}

/// Numbers of the lines that are too long. Between the fences of a Markdown page, and indented, stands what is shown as
/// it is.
fn too_long(text: &str, kind: &str) -> Vec<usize> {
    let (mut numbers, mut fenced) = (Vec::new(), false);
    for (number, line) in (1..).zip(text.lines()) {
        fenced ^= kind == "md" && line.trim_start().starts_with("```");
        let shown = fenced || kind == "md" && line.starts_with("    ");
        if !shown && line.chars().count() > COLUMNS && !is_whole(line, kind) {
            numbers.push(number);
        }
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_found_by_columns_and_not_by_bytes() {
        let words = "word ".repeat(24);
        assert_eq!(too_long(&format!("{words}\n{words}more\n"), "rs"), [2]);
        assert_eq!(too_long(&"ü ".repeat(60), "rs"), [0; 0]);
    }

    #[test]
    fn what_cannot_be_broken_may_be_long() {
        let words = "word ".repeat(30);
        assert_eq!(too_long(&format!("| {words} |"), "md"), [0; 0]);
        assert_eq!(too_long(&format!("| {words} |"), "rs"), [1]);
        assert_eq!(too_long(&format!("```text\n{words}\n```\n{words}\n"), "md"), [4]);
        assert_eq!(too_long(&format!("// see {}", "x".repeat(130)), "rs"), [0; 0]);
        // A text can go on in the next line.
        assert_eq!(too_long(&format!("let text = \"{words}\";"), "rs"), [1]);
        assert_eq!(too_long(&format!("run {words}\\"), "sh"), [1]);
    }
}
