//! Rust source as tokens, without what stands in it for tests alone: comments are no tokens, items under `#[cfg(test)]`
//! are left out, and so is documentation.

use proc_macro2::{Delimiter, Group, LexError, TokenStream, TokenTree};

/// What a file says when it is not built for tests.
#[derive(Debug)]
pub struct ShippedSource {
    /// Its tokens.
    pub tokens: Vec<TokenTree>,
    /// Modules that it has for tests alone.
    pub test_modules: Vec<String>,
}

impl ShippedSource {
    /// Reads a source file.
    ///
    /// # Errors
    /// When it is not made of Rust's tokens.
    pub fn read(text: &str) -> Result<Self, LexError> {
        let mut test_modules = Vec::new();
        let tokens = without_tests(text.parse()?, &mut test_modules);
        Ok(Self { tokens, test_modules })
    }
}

fn without_tests(stream: TokenStream, test_modules: &mut Vec<String>) -> Vec<TokenTree> {
    let (trees, mut kept, mut at) = (stream.into_iter().collect::<Vec<_>>(), Vec::new(), 0);
    while at < trees.len() {
        match (&trees[at], attribute(&trees[at..])) {
            (_, Some((words, behind))) if is_for_tests(&words) => {
                let item = &trees[at + behind..];
                if let [TokenTree::Ident(keyword), TokenTree::Ident(module), ..] = item
                    && keyword == "mod"
                {
                    test_modules.push(module.to_string());
                }
                let last = item.iter().position(ends_item).unwrap_or(item.len());
                at = (at + behind + last + 1).min(trees.len());
                continue;
            }
            (_, Some((words, behind))) if words.first().is_some_and(|word| word == "doc") => {
                at += behind;
                continue;
            }
            (TokenTree::Group(group), _) => {
                let inside = without_tests(group.stream(), test_modules);
                kept.push(Group::new(group.delimiter(), inside.into_iter().collect()).into());
            }
            (tree, _) => kept.push(tree.clone()),
        }
        at += 1;
    }
    kept
}

/// The names in an attribute that begins here, outermost first, and how many tokens it has.
fn attribute(trees: &[TokenTree]) -> Option<(Vec<String>, usize)> {
    let is = |at: usize, mark| matches!(trees.get(at), Some(TokenTree::Punct(found)) if found.as_char() == mark);
    let at = if is(1, '!') { 2 } else { 1 };
    match trees.get(at) {
        Some(TokenTree::Group(group)) if is(0, '#') && group.delimiter() == Delimiter::Bracket => {
            let mut words = Vec::new();
            collect_words(group.stream(), &mut words);
            Some((words, at + 1))
        }
        _ => None,
    }
}

fn collect_words(stream: TokenStream, words: &mut Vec<String>) {
    for tree in stream {
        match tree {
            TokenTree::Ident(word) => words.push(word.to_string()),
            TokenTree::Group(group) => collect_words(group.stream(), words),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

/// Whether an attribute leaves its item out of all builds but those of tests.
fn is_for_tests(words: &[String]) -> bool {
    let has = |word: &str| words.iter().any(|found| found == word);
    words.first().is_some_and(|word| word == "cfg") && has("test") && !has("not") && !has("any")
}

/// Whether an item ends with this token: a semicolon, or the braces of its body.
fn ends_item(tree: &TokenTree) -> bool {
    match tree {
        TokenTree::Punct(mark) => mark.as_char() == ';',
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Ident(_) | TokenTree::Literal(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_for_tests_only_is_left_out_whatever_it_is() {
        let source = ShippedSource::read(
            "//! Docs.\n#[cfg(test)]\nuse a::A;\n#[cfg(all(test, feature = \"x\"))]\nmod far;\n/* b */ fn b() {\n\
             #[cfg(test)]\nfn c() { d(); }\n}\n#[cfg(test)]\nmod tests {\n    fn e() {}\n}\n\
             #[cfg(not(test))]\nuse f::F;\n",
        );
        let source = source.unwrap();
        assert_eq!(source.test_modules, ["far", "tests"]);
        let expected = "fn b() {} #[cfg(not(test))] use f::F;".parse::<TokenStream>().unwrap();
        assert_eq!(TokenStream::from_iter(source.tokens).to_string(), expected.to_string());
    }

    #[test]
    fn what_is_no_rust_is_an_error() {
        for text in ["fn a( {", "let b = \"", "let c = 'de';"] {
            assert!(ShippedSource::read(text).is_err(), "{text}");
        }
    }
}
