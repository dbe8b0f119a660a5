//! What a library consists of: which sections, and whose code, take the bytes.

use std::collections::BTreeMap;

use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};

/// A few lines: the size of what ships, and the largest parts of it by the names in its unstripped copy.
pub fn summary(name: &str, stripped: &[u8], symbols: &[u8]) -> String {
    const SHOWN: usize = 12;
    let mut text = format!("{name}: {} bytes", stripped.len());
    let list = |title: &str, parts: Vec<(String, u64)>| {
        let shown = parts.iter().take(SHOWN).map(|(name, bytes)| format!("{name} {}", kilobytes(*bytes)));
        format!("\n  {title}: {}", shown.collect::<Vec<_>>().join(", "))
    };
    text += &list("sections", by_section(stripped));
    text += &list("code and constants by crate", by_crate(symbols));
    text
}

fn kilobytes(bytes: u64) -> String {
    format!("{} kB", bytes.div_ceil(1000))
}

fn sorted(parts: BTreeMap<String, u64>) -> Vec<(String, u64)> {
    let mut parts: Vec<(String, u64)> = parts.into_iter().filter(|(_, bytes)| *bytes > 0).collect();
    parts.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    parts
}

fn by_section(bytes: &[u8]) -> Vec<(String, u64)> {
    let mut parts = BTreeMap::new();
    if let Ok(file) = object::File::parse(bytes) {
        for section in file.sections() {
            let bytes = section.file_range().map_or(0, |(_, bytes)| bytes);
            *parts.entry(section.name().unwrap_or("?").to_owned()).or_insert(0) += bytes;
        }
    }
    sorted(parts)
}

fn by_crate(bytes: &[u8]) -> Vec<(String, u64)> {
    let mut parts = BTreeMap::new();
    if let Ok(file) = object::File::parse(bytes) {
        for symbol in file.symbols().filter(|symbol| matches!(symbol.kind(), SymbolKind::Text | SymbolKind::Data)) {
            let name = symbol.name().unwrap_or_default();
            *parts.entry(crate_of(name)).or_insert(0) += symbol.size();
        }
    }
    sorted(parts)
}

/// The crate of a mangled name: the first path in it. A trait's method counts for the type that it is on, and code that
/// was made for one caller counts for the crate that wrote it.
fn crate_of(name: &str) -> String {
    let path = legacy(name).or_else(|| v0(name));
    path.filter(|path| !path.is_empty()).unwrap_or_else(|| "without a path".into())
}

/// `_ZN` and parts with their lengths; a type stands as `_$LT$path..to..Type…`.
fn legacy(name: &str) -> Option<String> {
    let rest = name.strip_prefix("_ZN")?;
    let digits = rest.find(|letter: char| !letter.is_ascii_digit())?;
    let length: usize = rest[..digits].parse().ok()?;
    let mut part = rest.get(digits..digits + length)?;
    for marker in ["_$LT$", "$LT$", "$RF$", "mut$u20$", "$BP$", "dyn$u20$", "$u5b$", "$LP$"] {
        part = part.strip_prefix(marker).unwrap_or(part);
    }
    let end = part.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(part.len());
    Some(part[..end].to_owned())
}

/// `_R`; the first crate root is `C`, a disambiguator, and a name with its length.
fn v0(name: &str) -> Option<String> {
    let rest = name.strip_prefix("_R")?;
    let at = rest.find("Cs").or_else(|| rest.find('C'))?;
    let rest = &rest[at + 1..];
    let rest = if rest.starts_with('s') { rest.split_once('_')?.1 } else { rest };
    let digits = rest.find(|letter: char| !letter.is_ascii_digit())?;
    let length: usize = rest[..digits].parse().ok()?;
    Some(rest[digits..].trim_start_matches('_').get(..length)?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mangled_names_lead_to_their_crates() {
        for (name, expected) in [
            ("_ZN11sotto_audio3mel6frames17h0123456789abcdefE", "sotto_audio"),
            (
                "_ZN71_$LT$symphonia_core..io..Reader$u20$as$u20$core..fmt..Debug$GT$3fmt17h0123456789abcdefE",
                "symphonia_core",
            ),
            ("_RNvNtCs1234_7mycrate3foo3bar", "mycrate"),
            ("_RNvC6_123foo3bar", "123foo"),
            ("memcpy", "without a path"),
            ("_ZN", "without a path"),
            ("_ZN99short", "without a path"),
        ] {
            assert_eq!(crate_of(name), expected, "{name}");
        }
    }

    #[test]
    fn the_summary_names_sections_and_size() {
        let library = crate::library::example::SharedObject::sound().write();
        let text = summary("lib.so", &library, &library);
        assert!(text.contains(&format!("{} bytes", library.len())) && text.contains(".dynstr"), "{text}");
        assert!(summary("lib.so", b"", b"").contains("0 bytes"));
    }
}
