//! A file of Kotlin or Swift as a tree of items: the text before a body, and the items of that body.
//!
//! Not a parser of either language: it knows comments, strings, brackets and where a line goes on. That is enough for
//! what one generator writes, and the same for both.

/// One declaration, statement or annotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What stands before the body, or all of it.
    pub head: String,
    /// What stands in the body, where there is one.
    pub items: Vec<Item>,
}

/// Reads a whole file.
pub fn parse(source: &str) -> Vec<Item> {
    let text: Vec<char> = without_comments(source).chars().collect();
    Reader { text: &text, next: 0 }.items()
}

struct Reader<'a> {
    text: &'a [char],
    next: usize,
}

impl Reader<'_> {
    /// Items up to the brace that closes this body, or the end.
    fn items(&mut self) -> Vec<Item> {
        let mut items = Vec::new();
        let mut head = String::new();
        let mut brackets = 0_usize;
        while let Some(&letter) = self.text.get(self.next) {
            if let Some(string) = self.string() {
                head.push_str(&string);
                continue;
            }
            self.next += 1;
            match letter {
                '{' if brackets == 0 => {
                    let inner = self.items();
                    items.push(Item { head: std::mem::take(&mut head), items: inner });
                }
                '}' if brackets == 0 => break,
                '\n' | ';' if brackets == 0 => {
                    if letter == ';' || !self.goes_on(&head) {
                        finish(&mut head, &mut items);
                    } else {
                        head.push(' ');
                    }
                }
                // A body between round brackets, such as a lambda's, is no body of a declaration.
                '(' | '[' | '{' => {
                    brackets += 1;
                    head.push(letter);
                }
                ')' | ']' | '}' => {
                    brackets = brackets.saturating_sub(1);
                    head.push(letter);
                }
                _ => head.push(letter),
            }
        }
        finish(&mut head, &mut items);
        items
    }

    /// A string that begins here, with its quotes.
    fn string(&mut self) -> Option<String> {
        if self.text.get(self.next) != Some(&'"') {
            return None;
        }
        let start = self.next;
        let rest = &self.text[start..];
        let long = rest.starts_with(&['"', '"', '"']);
        let mut at = if long { 3 } else { 1 };
        while at < rest.len() {
            if long && rest[at..].starts_with(&['"', '"', '"']) {
                at += 3;
                break;
            }
            match rest[at] {
                '\\' => at += 2,
                '"' if !long => {
                    at += 1;
                    break;
                }
                _ => at += 1,
            }
        }
        self.next = (start + at).min(self.text.len());
        Some(self.text[start..self.next].iter().collect())
    }

    /// Whether a declaration goes on behind the end of a line.
    fn goes_on(&self, head: &str) -> bool {
        let head = head.trim();
        if head.is_empty() {
            return false;
        }
        let next = self.text[self.next..].iter().find(|letter| !letter.is_whitespace());
        let opened = head.ends_with([':', '=', ',']) || head.ends_with("->");
        // Swift's generator breaks the line behind the access of an error's enum.
        opened || head == "public" || next.is_some_and(|next| "{=.:".contains(*next))
    }
}

fn finish(head: &mut String, items: &mut Vec<Item>) {
    let text = std::mem::take(head);
    if !text.trim().is_empty() {
        items.push(Item { head: text.trim().to_owned(), items: Vec::new() });
    }
}

/// The text with a space for each comment; a comment inside a string is none.
fn without_comments(source: &str) -> String {
    let mut text = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(letter) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = rest.find('\n').map_or("", |end| &rest[end..]);
        } else if rest.starts_with("/*") {
            rest = rest[2..].find("*/").map_or("", |end| &rest[end + 4..]);
            text.push(' ');
        } else if letter == '"' {
            let end = string_end(rest);
            text.push_str(&rest[..end]);
            rest = &rest[end..];
        } else {
            text.push(letter);
            rest = &rest[letter.len_utf8()..];
        }
    }
    text
}

/// Where a string that begins with a quote ends; a short one ends with its line at the latest.
fn string_end(text: &str) -> usize {
    if let Some(rest) = text.strip_prefix("\"\"\"") {
        return rest.find("\"\"\"").map_or(text.len(), |end| end + 6);
    }
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            '\n' => return at,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn heads(items: &[Item]) -> Vec<&str> {
        items.iter().map(|item| item.head.trim()).collect()
    }

    #[test]
    fn bodies_are_items_of_their_own() {
        let items = parse("class A: B\n{\n    fun a(): Int {\n return 1 }\n    val b = 1\n}\nfun c()\n");
        assert_eq!(heads(&items), ["class A: B", "fun c()"]);
        assert_eq!(heads(&items[0].items), ["fun a(): Int", "val b = 1"]);
    }

    #[test]
    fn comments_and_braces_in_strings_are_no_structure() {
        let items = parse("/* { */ val a = \"} // {\" // }\nval b = \"\"\" } \" \"\"\"\nval c = \"\\\"}\"\n");
        assert_eq!(heads(&items), ["val a = \"} // {\"", "val b = \"\"\" } \" \"\"\"", "val c = \"\\\"}\""]);
    }

    #[test]
    fn a_declaration_goes_on_where_its_brackets_or_its_end_say_so() {
        let items = parse(
            "data class A (\n  val a: Int = 1\n  ,\n  val b: () -> Unit = { }\n) : B()\n\n{\n}\n\
             public \nenum E: X {\n case a\n}\n",
        );
        assert_eq!(items.len(), 2, "{items:?}");
        assert!(items[0].head.contains("val b"), "{items:?}");
        assert!(items[1].head.trim().starts_with("public"), "{items:?}");
        assert_eq!(heads(&items[1].items), ["case a"]);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[a-z{}()\"/*\\\\\n =:]{0,120}") {
            let _ = parse(&text);
        }
    }
}
