//! What a source file imports: a reader of Rust's tokens that knows as much of the language as that takes.

/// A word of a source file. Comments and literals are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// A name or keyword.
    Name(String),
    /// `::`.
    Path,
    /// Any other character that is no space.
    Mark(char),
}

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

/// Reads a source file.
pub fn read(text: &str) -> Source {
    let tokens = tokens(text);
    let (mut source, mut at) = (Source::default(), 0);
    while at < tokens.len() {
        if let Some(behind) = test_item(&tokens, at, &mut source) {
            at = behind;
        } else if is(&tokens, at, "use") {
            let end = position(&tokens, at, ';');
            let shown = at > 0 && (is(&tokens, at - 1, "pub") || tokens[at - 1] == Token::Mark(')'));
            tree(&tokens[at + 1..end], &[], shown, &mut source.imports);
            at = end;
        } else if ["crate", "super"].iter().any(|root| is(&tokens, at, root)) {
            let (path, behind) = path(&tokens, at);
            if path.len() > 1 {
                source.imports.push(Import { path, shown_as: None });
            }
            at = behind;
        } else {
            at += 1;
        }
    }
    source
}

/// Where reading goes on behind an item that is compiled for tests only; `None` where there is none.
fn test_item(tokens: &[Token], at: usize, source: &mut Source) -> Option<usize> {
    let attribute = tokens.get(at) == Some(&Token::Mark('#')) && tokens.get(at + 1) == Some(&Token::Mark('['));
    if !attribute || !is(tokens, at + 2, "cfg") {
        return None;
    }
    let end = position(tokens, at, ']');
    let condition = &tokens[at + 3..end];
    let name = |word: &str| condition.contains(&Token::Name(word.to_owned()));
    if !name("test") || name("not") || name("any") {
        return None;
    }
    // Up to the end of the item: a semicolon, or the brace that closes its body.
    let (mut depth, mut next) = (0usize, end + 1);
    if is(tokens, next, "mod")
        && let Some(Token::Name(module)) = tokens.get(next + 1)
    {
        source.test_modules.push(module.clone());
    }
    while next < tokens.len() {
        match tokens[next] {
            Token::Mark('{') => depth += 1,
            Token::Mark('}') => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(next + 1);
                }
            }
            Token::Mark(';') if depth == 0 => return Some(next + 1),
            _ => {}
        }
        next += 1;
    }
    Some(next)
}

/// The names of a `use`, whose tokens stand between the keyword and the semicolon.
fn tree(tokens: &[Token], prefix: &[String], shown: bool, imports: &mut Vec<Import>) {
    let (mut path, mut at) = (prefix.to_vec(), 0);
    while at < tokens.len() {
        match &tokens[at] {
            Token::Name(word) if word == "as" => break,
            Token::Name(word) => path.push(word.clone()),
            Token::Mark('*') => path.push("*".to_owned()),
            Token::Mark('{') => {
                for part in parts(&tokens[at + 1..]) {
                    tree(part, &path, shown, imports);
                }
                return;
            }
            Token::Path | Token::Mark(_) => {}
        }
        at += 1;
    }
    let renamed = match tokens.get(at + 1) {
        Some(Token::Name(name)) => Some(name),
        _ => path.last(),
    };
    let shown_as = renamed.cloned().filter(|_| shown);
    if path.len() > prefix.len() {
        imports.push(Import { path, shown_as });
    }
}

/// The comma-separated parts of a list whose opening brace was read.
fn parts(tokens: &[Token]) -> Vec<&[Token]> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0usize, 0);
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Mark('{') => depth += 1,
            Token::Mark('}') if depth == 0 => {
                parts.push(&tokens[start..at]);
                break;
            }
            Token::Mark('}') => depth -= 1,
            Token::Mark(',') if depth == 0 => {
                parts.push(&tokens[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts
}

/// The path that begins at a name, and where it ends.
fn path(tokens: &[Token], at: usize) -> (Vec<String>, usize) {
    let (mut path, mut next) = (Vec::new(), at);
    while let Some(Token::Name(name)) = tokens.get(next) {
        path.push(name.clone());
        if tokens.get(next + 1) != Some(&Token::Path) {
            return (path, next + 1);
        }
        next += 2;
    }
    (path, next)
}

fn is(tokens: &[Token], at: usize, word: &str) -> bool {
    matches!(tokens.get(at), Some(Token::Name(name)) if name == word)
}

/// Where the next such character stands, or the end.
fn position(tokens: &[Token], at: usize, mark: char) -> usize {
    tokens[at..].iter().position(|token| *token == Token::Mark(mark)).map_or(tokens.len(), |found| at + found)
}

fn tokens(text: &str) -> Vec<Token> {
    let (mut tokens, mut rest) = (Vec::new(), text);
    while let Some(first) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
        } else if rest.starts_with("/*") {
            rest = rest.find("*/").map_or("", |end| &rest[end + 2..]);
        } else if let Some(behind) = literal(rest) {
            rest = behind;
        } else if first.is_alphabetic() || first == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            tokens.push(Token::Name(rest[..end].to_owned()));
            rest = &rest[end..];
        } else if let Some(behind) = rest.strip_prefix("::") {
            tokens.push(Token::Path);
            rest = behind;
        } else {
            if !first.is_whitespace() {
                tokens.push(Token::Mark(first));
            }
            rest = &rest[first.len_utf8()..];
        }
    }
    tokens
}

/// What follows a string or character that `text` begins with; `None` where it begins with neither.
fn literal(text: &str) -> Option<&str> {
    let raw = text.strip_prefix("br").or_else(|| text.strip_prefix('r'));
    if let Some(raw) = raw {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if let Some(content) = raw[hashes..].strip_prefix('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            return Some(content.find(&end).map_or("", |at| &content[at + end.len()..]));
        }
    }
    let text = text.strip_prefix('b').filter(|rest| rest.starts_with(['"', '\''])).unwrap_or(text);
    if let Some(content) = text.strip_prefix('"') {
        return Some(behind(content, '"'));
    }
    let content = text.strip_prefix('\'')?;
    // A lifetime has no quote behind its first character.
    let mut characters = content.chars();
    match (characters.next()?, characters.next()?) {
        ('\\', _) => Some(behind(content, '\'')),
        (_, '\'') => Some(characters.as_str()),
        _ => None,
    }
}

/// What follows the next `end` that no backslash precedes.
fn behind(content: &str, end: char) -> &str {
    let mut escaped = false;
    for (at, character) in content.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == end => return &content[at + character.len_utf8()..],
            _ => {}
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn import(path: &str, shown_as: Option<&str>) -> Import {
        Import { path: path.split("::").map(str::to_owned).collect(), shown_as: shown_as.map(str::to_owned) }
    }

    #[test]
    fn nested_lists_renamed_names_and_paths_in_code_are_read() {
        let source = read(
            "use crate::a::{self, b::{C, D as E}, *};\npub use inner::F;\npub(crate) use g::H as I;\n\
             fn f<'a>(x: &'a str) -> char { crate::j::K::new('\\'', \"use crate::no::No;\", r#\"crate::no\"#); 'x' }\n",
        );
        assert_eq!(
            source.imports,
            [
                import("crate::a::self", None),
                import("crate::a::b::C", None),
                import("crate::a::b::D", None),
                import("crate::a::*", None),
                import("inner::F", Some("F")),
                import("g::H", Some("I")),
                import("crate::j::K::new", None),
            ]
        );
    }

    #[test]
    fn what_is_for_tests_only_is_passed_over_whatever_it_is() {
        let source = read(
            "#[cfg(test)]\nuse crate::a::A;\n#[cfg(all(test, feature = \"x\"))]\nmod far;\n\
             #[cfg(test)]\nmod tests {\n    fn f() { use crate::b::B; }\n}\n#[cfg(not(test))]\nuse crate::c::C;\n",
        );
        assert_eq!(source.test_modules, ["far", "tests"]);
        assert_eq!(source.imports, [import("crate::c::C", None)]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_to_its_end(text in "[a-z:{}'\"\\\\/*#\\[\\]();,r]{0,60}") {
            let _ = read(&text);
        }
    }
}
