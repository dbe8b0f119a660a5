//! What a source file imports: its `use` items, and paths of its own crate in code.

use proc_macro2::{LexError, TokenStream, TokenTree};
use syn::UseTree;

use super::super::shipped_source::ShippedSource;

/// An imported name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The path as it stands there.
    pub path: Vec<String>,
    /// Under which name others see it in this module; `None` where they do not.
    pub shown_as: Option<String>,
}

/// What a file says of modules.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// Names that it uses.
    pub imports: Vec<Import>,
    /// Modules that exist in tests only.
    pub test_modules: Vec<String>,
}

impl Source {
    /// Reads a source file.
    ///
    /// # Errors
    /// When it is not made of Rust's tokens.
    pub fn read(text: &str) -> Result<Self, LexError> {
        let ShippedSource { tokens, test_modules } = ShippedSource::read(text)?;
        let mut imports = Vec::new();
        collect(&tokens, &mut imports);
        Ok(Self { imports, test_modules })
    }
}

fn collect(trees: &[TokenTree], imports: &mut Vec<Import>) {
    let mut at = 0;
    while let Some(tree) = trees.get(at) {
        match tree {
            TokenTree::Ident(word) if word == "use" => {
                let behind = &trees[at + 1..];
                let names = &behind[..behind.iter().position(|tree| is_mark(tree, ';')).unwrap_or(behind.len())];
                // What is no item, `use<'a>` of an opaque type, is no tree either.
                if let Ok(tree) = syn::parse2(TokenStream::from_iter(names.iter().cloned())) {
                    names_of(&tree, &mut Vec::new(), is_shown(&trees[..at]), imports);
                    at += names.len();
                }
            }
            TokenTree::Ident(word) if word == "crate" || word == "super" => {
                let path = path(&trees[at..]);
                at += 3 * (path.len() - 1);
                if path.len() > 1 {
                    imports.push(Import { path, shown_as: None });
                }
            }
            TokenTree::Group(group) => collect(&group.stream().into_iter().collect::<Vec<_>>(), imports),
            _ => {}
        }
        at += 1;
    }
}

fn is_mark(tree: &TokenTree, mark: char) -> bool {
    matches!(tree, TokenTree::Punct(found) if found.as_char() == mark)
}

/// Whether what stands before an item makes it visible: `pub`, or `pub` with whom it is visible to.
fn is_shown(before: &[TokenTree]) -> bool {
    let before = match before {
        [rest @ .., TokenTree::Group(_)] => rest,
        all => all,
    };
    matches!(before.last(), Some(TokenTree::Ident(word)) if word == "pub")
}

/// The path that begins at a name: names with two colons between them.
fn path(trees: &[TokenTree]) -> Vec<String> {
    let mut path = Vec::new();
    for part in trees.chunks(3) {
        let Some(TokenTree::Ident(name)) = part.first() else { break };
        path.push(name.to_string());
        if !part[1..].iter().all(|mark| is_mark(mark, ':')) || part.len() < 3 {
            break;
        }
    }
    path
}

/// The names of a `use` below a path.
fn names_of(tree: &UseTree, path: &mut Vec<String>, shown: bool, imports: &mut Vec<Import>) {
    let (name, shown_as) = match tree {
        UseTree::Path(below) => {
            path.push(below.ident.to_string());
            names_of(&below.tree, path, shown, imports);
            path.pop();
            return;
        }
        UseTree::Group(group) => {
            group.items.iter().for_each(|tree| names_of(tree, path, shown, imports));
            return;
        }
        UseTree::Name(name) => (name.ident.to_string(), name.ident.to_string()),
        UseTree::Rename(renamed) => (renamed.ident.to_string(), renamed.rename.to_string()),
        UseTree::Glob(_) => ("*".to_owned(), "*".to_owned()),
    };
    let path = path.iter().cloned().chain([name]).collect();
    imports.push(Import { path, shown_as: Some(shown_as).filter(|_| shown) });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn import(path: &str, shown_as: Option<&str>) -> Import {
        Import { path: path.split("::").map(str::to_owned).collect(), shown_as: shown_as.map(str::to_owned) }
    }

    #[test]
    fn nested_lists_renamed_names_and_paths_in_code_are_read() {
        let source = Source::read(
            "use crate::a::{self, b::{C, D as E}, *};\npub use inner::F;\npub(crate) use g::H as I;\n\
             fn f<'a>(x: &'a str) -> impl L + use<'a> {\n\
             crate::j::K::new('\\'', \"use crate::no::No;\", r#\"crate::no\"#); m!(super::n); 'x'; crate }\n",
        );
        assert_eq!(
            source.unwrap().imports,
            [
                import("crate::a::self", None),
                import("crate::a::b::C", None),
                import("crate::a::b::D", None),
                import("crate::a::*", None),
                import("inner::F", Some("F")),
                import("g::H", Some("I")),
                import("crate::j::K::new", None),
                import("super::n", None),
            ]
        );
    }

    #[test]
    fn tests_import_nothing() {
        let source = Source::read(
            "#[cfg(test)]\nuse crate::a::A;\n#[cfg(test)]\nmod tests {\n    fn f() { use crate::b::B; }\n}\n\
             #[cfg(not(test))]\nuse crate::c::C;\n",
        );
        let imports = vec![import("crate::c::C", None)];
        assert_eq!(source.unwrap(), Source { imports, test_modules: vec!["tests".into()] });
    }
}
