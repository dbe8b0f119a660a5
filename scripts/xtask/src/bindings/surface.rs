//! What apps can reach of a generated file: public declarations, without bodies, comments, checksums and scaffolding.

mod items;
mod kotlin;
mod swift;

use crate::failure::Failure;
use items::Item;

/// The public declarations of generated Kotlin.
///
/// # Errors
/// [`Failure::Form`] when there are none, which means that the generator writes in another way than this reads.
pub fn kotlin(source: &str) -> Result<String, Failure> {
    write("Kotlin", "kotlin.rs", kotlin::surface(&items::parse(source)))
}

/// The public declarations of generated Swift.
///
/// # Errors
/// As for Kotlin.
pub fn swift(source: &str) -> Result<String, Failure> {
    write("Swift", "swift.rs", swift::surface(&items::parse(source)))
}

fn write(language: &str, reader: &str, declarations: Vec<Declaration>) -> Result<String, Failure> {
    if declarations.is_empty() {
        let reader = format!("nothing public found; see scripts/xtask/src/bindings/surface/{reader}");
        return Err(Failure::form(format!("the generated {language}"), reader));
    }
    let mut text = format!(
        "# The generated {language} that apps can reach. \
         Written by `cargo xtask bindings --accept`; read the difference.\n"
    );
    for declaration in sorted(declarations) {
        text.push('\n');
        declaration.write(&mut text, 0);
    }
    Ok(text)
}

/// One declaration and what is declared in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Declaration {
    head: String,
    members: Vec<Self>,
}

impl Declaration {
    fn write(&self, text: &mut String, depth: usize) {
        text.push_str(&"    ".repeat(depth));
        text.push_str(&self.head);
        text.push('\n');
        for member in &self.members {
            member.write(text, depth + 1);
        }
    }
}

/// In an order that does not depend on that of the Rust modules. What stands in a type keeps its order: cases of an
/// enum have numbers.
fn sorted(mut declarations: Vec<Declaration>) -> Vec<Declaration> {
    declarations.sort();
    declarations
}

/// Whether a declaration belongs to the machinery of UniFFI: every name with its mark in it, and those given.
fn is_machinery(name: &str, others: &[&str]) -> bool {
    name.to_ascii_lowercase().starts_with("uniffi") || name.starts_with("FfiConverter") || others.contains(&name)
}

/// The word behind `keyword` in a head.
fn word_behind<'a>(head: &'a str, keyword: &str) -> Option<&'a str> {
    let rest = if let Some(rest) = head.strip_prefix(keyword) {
        rest
    } else {
        let (_, rest) = head.split_once(&format!(" {keyword}"))?;
        rest
    };
    let rest = rest.strip_prefix(' ')?.trim_start();
    let end = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(rest.len());
    Some(&rest[..end])
}

/// The head of an item without what Kotlin and Swift let stand around it.
fn head_of(item: &Item) -> String {
    let mut head = item.head.replace('`', "").split_whitespace().collect::<Vec<_>>().join(" ");
    for (loose, tight) in [
        ("( ", "("),
        (" )", ")"),
        (" ,", ","),
        (" (", "("),
        (" :", ":"),
        (")async", ") async"),
        (")throws", ") throws"),
    ] {
        head = head.replace(loose, tight);
    }
    head
}
