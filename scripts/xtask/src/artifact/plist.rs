//! Property lists in XML, as Apple's tools write them: enough of XML for these files, and strict about it.

use std::collections::BTreeMap;

/// What a property list holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `<true/>`, `<false/>`
    Boolean(bool),
    /// `<dict>`
    Dictionary(BTreeMap<String, Value>),
    /// `<array>`
    List(Vec<Value>),
    /// `<string>`, and everything else that is written as text: numbers, dates, data.
    Text(String),
}

// Deeper than any real list; keeps recursion bounded.
const MAX_DEPTH: usize = 32;

/// Reads a property list.
///
/// # Errors
/// What is wrong, in words.
pub fn parse(text: &str) -> Result<Value, String> {
    let mut reader = Reader { rest: text.trim_start_matches('\u{feff}') };
    reader.prologue()?;
    reader.open("plist")?;
    let value = reader.value(0)?;
    reader.close("plist")?;
    reader.space()?;
    if reader.rest.is_empty() { Ok(value) } else { Err("something stands behind the list".into()) }
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    /// The declaration and the document type.
    fn prologue(&mut self) -> Result<(), String> {
        self.space()?;
        for (start, end) in [("<?xml", "?>"), ("<!DOCTYPE", ">")] {
            if self.rest.starts_with(start) {
                self.rest = self.behind(end)?;
            }
            self.space()?;
        }
        Ok(())
    }

    fn behind(&self, end: &str) -> Result<&'a str, String> {
        self.rest.split_once(end).map(|(_, rest)| rest).ok_or_else(|| format!("`{end}` is missing"))
    }

    /// White space and comments.
    fn space(&mut self) -> Result<(), String> {
        loop {
            self.rest = self.rest.trim_start();
            if !self.rest.starts_with("<!--") {
                return Ok(());
            }
            self.rest = self.behind("-->")?;
        }
    }

    /// The next tag: its name, and whether it closes what it opens.
    fn tag(&mut self) -> Result<(&'a str, bool), String> {
        self.space()?;
        let inside = self.rest.strip_prefix('<').ok_or("a tag is missing")?;
        let (tag, rest) = inside.split_once('>').ok_or("a tag does not end")?;
        self.rest = rest;
        let closed = tag.ends_with('/');
        let name = tag.trim_end_matches('/').split_whitespace().next().unwrap_or("");
        Ok((name, closed))
    }

    fn open(&mut self, name: &str) -> Result<(), String> {
        match self.tag()? {
            (found, false) if found == name => Ok(()),
            (found, _) => Err(format!("<{found}> stands where <{name}> is expected")),
        }
    }

    fn close(&mut self, name: &str) -> Result<(), String> {
        self.open(&format!("/{name}"))
    }

    /// Whether the tag that closes `name` is next; it is taken.
    fn ends(&mut self, name: &str) -> Result<bool, String> {
        self.space()?;
        let ends = self.rest.starts_with(&format!("</{name}>"));
        if ends {
            self.close(name)?;
        }
        Ok(ends)
    }

    fn text(&mut self, name: &str) -> Result<String, String> {
        let (text, _) = self.rest.split_once('<').ok_or_else(|| format!("<{name}> does not end"))?;
        self.rest = &self.rest[text.len()..];
        self.close(name)?;
        Ok(text
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&quot;", "\"")
            .replace("&apos;", "'")
            .replace("&amp;", "&"))
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        if depth > MAX_DEPTH {
            return Err("the list is nested too deeply".into());
        }
        let (name, closed) = self.tag()?;
        match (name, closed) {
            ("true", true) => Ok(Value::Boolean(true)),
            ("false", true) => Ok(Value::Boolean(false)),
            ("array", true) => Ok(Value::List(Vec::new())),
            ("dict", true) => Ok(Value::Dictionary(BTreeMap::new())),
            ("string", true) => Ok(Value::Text(String::new())),
            ("array", false) => {
                let mut list = Vec::new();
                while !self.ends("array")? {
                    list.push(self.value(depth + 1)?);
                }
                Ok(Value::List(list))
            }
            ("dict", false) => {
                let mut entries = BTreeMap::new();
                while !self.ends("dict")? {
                    self.open("key")?;
                    let key = self.text("key")?;
                    let value = self.value(depth + 1)?;
                    if entries.insert(key.clone(), value).is_some() {
                        return Err(format!("`{key}` stands there twice"));
                    }
                }
                Ok(Value::Dictionary(entries))
            }
            ("string" | "integer" | "real" | "date" | "data", false) => Ok(Value::Text(self.text(name)?)),
            _ => Err(format!("<{name}> is not understood")),
        }
    }
}

/// Writes a property list.
pub fn write(value: &Value) -> String {
    let mut text = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
         <plist version=\"1.0\">\n",
    );
    write_value(&mut text, value, 0);
    text.push_str("</plist>\n");
    text
}

fn write_value(text: &mut String, value: &Value, depth: usize) {
    let indent = "\t".repeat(depth);
    let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    match value {
        Value::Boolean(value) => text.push_str(&format!("{indent}<{value}/>\n")),
        Value::Text(value) => text.push_str(&format!("{indent}<string>{}</string>\n", escaped(value))),
        Value::List(list) => {
            text.push_str(&format!("{indent}<array>\n"));
            list.iter().for_each(|value| write_value(text, value, depth + 1));
            text.push_str(&format!("{indent}</array>\n"));
        }
        Value::Dictionary(entries) => {
            text.push_str(&format!("{indent}<dict>\n"));
            for (key, value) in entries {
                text.push_str(&format!("{indent}\t<key>{}</key>\n", escaped(key)));
                write_value(text, value, depth + 1);
            }
            text.push_str(&format!("{indent}</dict>\n"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn dictionary(entries: &[(&str, Value)]) -> Value {
        Value::Dictionary(entries.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect())
    }

    #[test]
    fn what_is_written_is_read_back() {
        let value = dictionary(&[
            ("a<&>", Value::Text("x & y < z".into())),
            ("list", Value::List(vec![Value::Boolean(true), Value::List(Vec::new())])),
            ("empty", dictionary(&[])),
        ]);
        assert_eq!(parse(&write(&value)), Ok(value));
    }

    #[test]
    fn comments_numbers_and_empty_tags_are_understood() {
        let text = "<?xml version=\"1.0\"?><!-- a --><plist version=\"1.0\"><!-- b --><dict>\
                    <key>n</key><integer>3</integer><key>s</key><string/></dict></plist>";
        let expected = dictionary(&[("n", Value::Text("3".into())), ("s", Value::Text(String::new()))]);
        assert_eq!(parse(text), Ok(expected));
    }

    #[test]
    fn what_is_not_well_formed_is_refused_in_words() {
        for text in [
            "",
            "<plist>",
            "<plist><dict></plist>",
            "<plist><dict><key>a</key></dict></plist>",
            "<plist><dict><key>a</key><true/><key>a</key><true/></dict></plist>",
            "<plist><array><true></array></plist>",
            "<plist><true/></plist> more",
            "bplist00",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        let deep = format!("<plist>{}{}</plist>", "<array>".repeat(10_000), "</array>".repeat(10_000));
        assert!(parse(&deep).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(
            text in "(<plist>|</plist>|<dict>|</dict>|<key>|</key>|<true/>|<!--|-->|a|<){0,20}",
        ) {
            let _ = parse(&text);
        }
    }
}
