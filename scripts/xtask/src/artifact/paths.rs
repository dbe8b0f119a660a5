//! Nothing in a package names a folder of the machine that built it: not for privacy, and not for builds that shall be
//! the same elsewhere.

use std::path::Path;

use super::contents::Contents;
use super::finding;
use crate::report::Finding;
use crate::zip::Archive;

/// Folders of people and tools, wherever the package was built. What the compiler says of its own library, `/rustc/…`,
/// is the same on every machine.
const FOLDERS: &[&str] = &["/.cargo/", "/.rustup/", "/Users/", "/home/", "/root/", "\\Users\\"];

/// Looks through all files, and through the classes of jars.
pub fn check(contents: &Contents, folders: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, file) in &contents.files {
        // Licences are other people's texts, and may speak of folders; this machine's are in none.
        let prose = name.ends_with(super::LICENCES);
        let known = folders.iter().map(String::as_str).chain(FOLDERS.iter().copied().filter(|_| !prose));
        let patterns: Vec<&[u8]> = known.map(str::as_bytes).collect();
        if let Some(text) = find(&file.data, &patterns) {
            findings.push(named(name, &text));
        }
        if name.ends_with(".jar") {
            findings.extend(in_jar(name, &file.data, &patterns));
        }
    }
    findings
}

fn in_jar(name: &str, data: &[u8], patterns: &[&[u8]]) -> Vec<Finding> {
    let Ok(archive) = Archive::read(data.to_vec()) else {
        return vec![finding(format!("{name} is no archive"), "pack it again")];
    };
    let found = archive.entries().iter().filter_map(|entry| {
        let text = find(&archive.data(entry).ok()?, patterns)?;
        Some(named(&format!("{name}!{}", entry.name), &text))
    });
    found.collect()
}

fn named(file: &str, text: &str) -> Finding {
    let remedy = "build with `cargo xtask`, which maps such paths away; for code of Java, without debug paths";
    finding(format!("{file} names a folder of the build machine: {text:?}"), remedy)
}

/// The text around the first match.
fn find(data: &[u8], patterns: &[&[u8]]) -> Option<String> {
    let at = (0..data.len()).find(|&at| {
        // Every pattern begins with one of these; looking at nothing else keeps this fast without optimisation.
        matches!(data[at], b'/' | b'\\') && patterns.iter().any(|pattern| data[at..].starts_with(pattern))
    })?;
    let printable = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
    let start = at - data[..at].iter().rev().take(20).take_while(|byte| printable(byte)).count();
    let text = data[start..].iter().take(100).take_while(|byte| printable(byte)).copied();
    Some(String::from_utf8_lossy(&text.collect::<Vec<u8>>()).into_owned())
}

/// The folders of this machine that a build could name.
pub fn of_this_machine(root: &Path) -> Vec<String> {
    let homes =
        ["HOME", "CARGO_HOME", "RUSTUP_HOME", "USERPROFILE"].into_iter().filter_map(|name| std::env::var(name).ok());
    let folders = homes.chain([root.display().to_string()]);
    // With a slash behind it, and at least two parts or a name that is no usual word of the field.
    folders
        .filter(|folder| folder.len() > 1 && folder.starts_with(['/', '\\']))
        .map(|folder| format!("{folder}/"))
        .collect()
}
