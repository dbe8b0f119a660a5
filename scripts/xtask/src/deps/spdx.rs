//! Licence expressions (SPDX specification 2.3, annex D).
//!
//! `MIT OR Apache-2.0`, `(MIT OR Apache-2.0) AND Unicode-3.0`, `Apache-2.0 WITH LLVM-exception`; also the slash of old
//! crates (`MIT/Apache-2.0`), which crates.io always read as OR. AND binds closer than OR, WITH closer than both.

use std::fmt;

// Deeper nesting than any real expression has; keeps recursion bounded.
const MAX_DEPTH: usize = 32;

/// A parsed expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression {
    /// One licence, with its exception where it has one: `Apache-2.0 WITH LLVM-exception`.
    Licence(String),
    /// All of them apply.
    And(Vec<Self>),
    /// One of them may be chosen.
    Or(Vec<Self>),
}

/// Why a text is not a licence expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParseError {
    /// The text ended where a licence was expected.
    Incomplete,
    /// A word or parenthesis that cannot stand where it stands.
    Unexpected(String),
    /// More than 32 parentheses inside each other.
    TooDeep,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incomplete => f.write_str("the expression is incomplete"),
            Self::Unexpected(token) => write!(f, "`{token}` is unexpected"),
            Self::TooDeep => f.write_str("the parentheses are nested too deeply"),
        }
    }
}

impl Expression {
    /// Parses an expression.
    ///
    /// # Errors
    /// [`ParseError`] naming the token that does not fit.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mut parser = Parser { tokens: tokens(text), next: 0 };
        let expression = parser.or(0)?;
        match parser.peek() {
            None => Ok(expression),
            Some(token) => Err(ParseError::Unexpected(token.to_owned())),
        }
    }

    /// Whether the licences that `allowed` accepts suffice to use the work.
    pub fn satisfied(&self, allowed: &dyn Fn(&str) -> bool) -> bool {
        match self {
            Self::Licence(licence) => allowed(licence),
            Self::And(parts) => parts.iter().all(|part| part.satisfied(allowed)),
            Self::Or(parts) => parts.iter().any(|part| part.satisfied(allowed)),
        }
    }
}

fn tokens(text: &str) -> Vec<String> {
    let spaced = text.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    spaced.split_whitespace().map(str::to_owned).collect()
}

struct Parser {
    tokens: Vec<String>,
    next: usize,
}

impl Parser {
    fn peek(&self) -> Option<&str> {
        self.tokens.get(self.next).map(String::as_str)
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.peek() == Some(token);
        self.next += usize::from(found);
        found
    }

    fn or(&mut self, depth: usize) -> Result<Expression, ParseError> {
        let mut parts = vec![self.and(depth)?];
        while self.take("OR") {
            parts.push(self.and(depth)?);
        }
        Ok(single_or(parts, Expression::Or))
    }

    fn and(&mut self, depth: usize) -> Result<Expression, ParseError> {
        let mut parts = vec![self.operand(depth)?];
        while self.take("AND") {
            parts.push(self.operand(depth)?);
        }
        Ok(single_or(parts, Expression::And))
    }

    fn operand(&mut self, depth: usize) -> Result<Expression, ParseError> {
        if depth > MAX_DEPTH {
            return Err(ParseError::TooDeep);
        }
        if self.take("(") {
            let inner = self.or(depth + 1)?;
            return if self.take(")") { Ok(inner) } else { Err(self.unexpected()) };
        }
        let mut licence = self.name()?;
        if self.take("WITH") {
            licence = format!("{licence} WITH {}", self.name()?);
        }
        Ok(Expression::Licence(licence))
    }

    fn name(&mut self) -> Result<String, ParseError> {
        let name = self.peek().filter(|token| is_name(token)).map(str::to_owned).ok_or_else(|| self.unexpected())?;
        self.next += 1;
        Ok(name)
    }

    fn unexpected(&self) -> ParseError {
        self.peek().map_or(ParseError::Incomplete, |token| ParseError::Unexpected(token.to_owned()))
    }
}

fn single_or(mut parts: Vec<Expression>, many: impl Fn(Vec<Expression>) -> Expression) -> Expression {
    if parts.len() == 1 { parts.remove(0) } else { many(parts) }
}

fn is_name(token: &str) -> bool {
    !["AND", "OR", "WITH"].contains(&token)
        && token.chars().all(|letter| letter.is_ascii_alphanumeric() || "-.+:".contains(letter))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn satisfied(text: &str, allowed: &[&str]) -> bool {
        Expression::parse(text).unwrap().satisfied(&|licence| allowed.contains(&licence))
    }

    #[test]
    fn one_side_of_an_or_suffices() {
        assert!(satisfied("MIT OR GPL-3.0-only", &["MIT"]));
        assert!(!satisfied("GPL-2.0-only OR GPL-3.0-only", &["MIT"]));
    }

    #[test]
    fn both_sides_of_an_and_are_needed() {
        assert!(satisfied("MIT AND Unicode-3.0", &["MIT", "Unicode-3.0"]));
        assert!(!satisfied("MIT AND Unicode-3.0", &["MIT"]));
    }

    #[test]
    fn and_binds_closer_than_or_and_parentheses_closest() {
        // MIT, or GPL and ISC together.
        assert!(satisfied("MIT OR GPL-3.0-only AND ISC", &["MIT"]));
        assert!(!satisfied("(MIT OR GPL-3.0-only) AND ISC", &["MIT"]));
        assert!(satisfied("(MIT OR Apache-2.0) AND NCSA", &["Apache-2.0", "NCSA"]));
    }

    #[test]
    fn an_exception_belongs_to_its_licence() {
        let text = "Apache-2.0 WITH LLVM-exception OR Zlib";
        assert!(satisfied(text, &["Apache-2.0 WITH LLVM-exception"]));
        assert!(!satisfied(text, &["Apache-2.0"]));
    }

    #[test]
    fn the_slash_of_old_crates_means_or() {
        assert!(satisfied("MIT/Apache-2.0", &["Apache-2.0"]));
        assert!(satisfied("Unlicense / MIT", &["MIT"]));
    }

    #[test]
    fn broken_expressions_name_the_token() {
        let cases = [
            ("", ParseError::Incomplete),
            ("MIT OR", ParseError::Incomplete),
            ("(MIT", ParseError::Incomplete),
            ("MIT Apache-2.0", ParseError::Unexpected("Apache-2.0".into())),
            ("AND MIT", ParseError::Unexpected("AND".into())),
            ("MIT)", ParseError::Unexpected(")".into())),
            ("MIT WITH OR", ParseError::Unexpected("OR".into())),
            ("see LICENSE!", ParseError::Unexpected("LICENSE!".into())),
        ];
        for (text, error) in cases {
            assert_eq!(Expression::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_instead_of_exhausting_the_stack() {
        let deep = format!("{}MIT{}", "(".repeat(100_000), ")".repeat(100_000));
        assert_eq!(Expression::parse(&deep), Err(ParseError::TooDeep));
    }

    fn expression() -> impl Strategy<Value = Expression> {
        let licence = prop::sample::select(vec!["MIT", "ISC", "Apache-2.0 WITH LLVM-exception", "Zlib"]);
        licence.prop_map(|name| Expression::Licence(name.into())).prop_recursive(4, 24, 3, |inner| {
            let parts = prop::collection::vec(inner, 2..4);
            prop_oneof![parts.clone().prop_map(Expression::And), parts.prop_map(Expression::Or)]
        })
    }

    fn written(expression: &Expression) -> String {
        let join = |parts: &[Expression], word: &str| {
            let parts: Vec<String> = parts.iter().map(written).collect();
            format!("({})", parts.join(word))
        };
        match expression {
            Expression::Licence(name) => name.clone(),
            Expression::And(parts) => join(parts, " AND "),
            Expression::Or(parts) => join(parts, " OR "),
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_parsed_back(expression in expression()) {
            prop_assert_eq!(Expression::parse(&written(&expression)), Ok(expression));
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in "[A-Z()/ +.-]{0,80}") {
            let _ = Expression::parse(&text);
        }
    }
}
