//! Snippets of the documentation, for who runs them: what people copy is what is tested.

use crate::failure::Failure;

/// A block of code of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snippet {
    /// What stands behind the three backticks.
    pub language: String,
    /// The code, a line end behind each line.
    pub code: String,
}

impl Snippet {
    /// The file that the first line names in a comment: `// File.kt`, `// File.kt: what it is`.
    pub fn file(&self) -> Option<&str> {
        let name = self.code.lines().next()?.strip_prefix("// ")?.split([':', ' ']).next()?;
        name.contains('.').then_some(name)
    }

    /// Lines that a person writes: not those that are empty or a comment.
    pub fn lines(&self) -> usize {
        self.code.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")).count()
    }
}

/// The blocks of code below a heading (`## On the JVM`), up to the next one of its rank.
///
/// # Errors
/// [`Failure::Missing`] when the page, which is called `name`, has no such heading.
pub fn below(page: &str, name: &str, heading: &str) -> Result<Vec<Snippet>, Failure> {
    let rank = heading.split(' ').next().unwrap_or_default();
    let mut lines = page.lines().skip_while(|line| *line != heading);
    if lines.next().is_none() {
        return Err(Failure::missing(format!("{name} has no heading `{heading}`"), "restore it: its snippets are run"));
    }
    let mut snippets: Vec<Snippet> = Vec::new();
    let mut open = false;
    for line in lines {
        match line.strip_prefix("```") {
            Some(_) if open => open = false,
            Some(language) => {
                open = true;
                snippets.push(Snippet { language: language.trim().to_owned(), code: String::new() });
            }
            None if open => {
                if let Some(snippet) = snippets.last_mut() {
                    snippet.code += line;
                    snippet.code.push('\n');
                }
            }
            // Deeper ones belong to it.
            None if line.split(' ').next() == Some(rank) => break,
            None => {}
        }
    }
    Ok(snippets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_belong_to_the_heading_above_them() {
        let page = "# A\n```kotlin\nno\n```\n## B\ntext\n```xml\n<a>\n</a>\n```\n### C\n\
                    ```kotlin\n// F.kt: a file\n\nval b = 1\n## no heading\n```\n## D\n```kotlin\nno\n```\n";
        let found = below(page, "page", "## B").unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].language.as_str(), found[0].code.as_str()), ("xml", "<a>\n</a>\n"));
        assert_eq!(found[0].file(), None);
        assert_eq!((found[1].file(), found[1].lines()), (Some("F.kt"), 2));
        assert!(below(page, "page", "## E").unwrap_err().to_string().contains("## E"));
    }
}
