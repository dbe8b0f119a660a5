//! The texts of all licences of what ships, each text once with the crates that it belongs to.

use std::collections::BTreeMap;

use super::Crate;
use crate::failure::Failure;
use crate::workspace;

/// Licences whose text is the same for everybody: the copy of one crate serves another that brings none.
const SAME_FOR_ALL: &[(&str, &str)] =
    &[("Apache-2.0", "Apache License"), ("MPL-2.0", "Mozilla Public License Version 2.0")];

/// All texts.
///
/// # Errors [`Failure::Missing`] for a crate whose text can be had neither from itself, nor from another crate of its
/// repository, nor, for licences that are the same for everybody, from any crate.
pub fn write(crates: &[Crate]) -> Result<String, Failure> {
    let mut own = BTreeMap::new();
    for one in crates {
        own.insert((one.name.as_str(), one.version.as_str()), texts_of(one)?);
    }
    // By what a text says, with white space as it comes: who it belongs to, and how it is written.
    let mut groups: BTreeMap<String, (Vec<&Crate>, String)> = BTreeMap::new();
    for one in crates {
        let mut texts = chosen(&one.licence, own[&(one.name.as_str(), one.version.as_str())].clone());
        if texts.is_empty() {
            texts.extend(borrowed(one, crates, &own)?);
        }
        for text in texts {
            let key = text.split_whitespace().collect::<Vec<_>>().join(" ");
            groups.entry(key).or_insert_with(|| (Vec::new(), text)).0.push(one);
        }
    }
    let mut groups: Vec<(Vec<&Crate>, String)> = groups.into_values().collect();
    // Ours first, then the texts that speak for most.
    groups.sort_by_key(|(users, text)| (!users.iter().any(|one| one.ours), usize::MAX - users.len(), text.clone()));
    let mut all = String::from(HEAD);
    for one in crates {
        all.push_str(&format!("{} {}: {}\n", one.name, one.version, one.licence));
    }
    for (users, text) in groups {
        let names: Vec<String> = users.iter().map(|one| format!("{} {}", one.name, one.version)).collect();
        all.push_str(&format!("\n{}\n{}\n\n{}\n", "=".repeat(79), wrapped(&names), text.trim_end()));
    }
    Ok(all)
}

const HEAD: &str = "Sotto is licensed under MIT or Apache-2.0, at your choice. It contains the software below, \
                    each part under its\nown licence; of what may be used under MIT or another one, MIT is chosen. \
                    Files under MPL-2.0 are used\nunchanged; their source is at the address that the SBOM names.\n\n";

/// Names with commas, in lines.
fn wrapped(names: &[String]) -> String {
    let mut lines = vec![String::new()];
    for (at, name) in names.iter().enumerate() {
        let word = if at + 1 == names.len() { name.clone() } else { format!("{name},") };
        let line = lines.last_mut().map_or(0, |line| line.len());
        if line > 0 && line + 1 + word.len() > 100 {
            lines.push(word);
        } else if let Some(line) = lines.last_mut() {
            line.push_str(if line.is_empty() { "" } else { " " });
            line.push_str(&word);
        }
    }
    lines.join("\n")
}

/// The texts in a crate's folder by the names of their files; for our own crates, which have none each, those of the
/// workspace.
fn texts_of(one: &Crate) -> Result<BTreeMap<String, String>, Failure> {
    let folders = one.folder.iter().flat_map(|folder| folder.ancestors().take(if one.ours { 3 } else { 1 }));
    for folder in folders {
        let mut texts = BTreeMap::new();
        for entry in std::fs::read_dir(folder).map_err(Failure::file(folder))? {
            let path = entry.map_err(Failure::file(folder))?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
            if path.is_file() && is_licence(&name) {
                texts.insert(name, workspace::read_text(&path)?);
            }
        }
        if !texts.is_empty() {
            return Ok(texts);
        }
    }
    Ok(BTreeMap::new())
}

/// Whether a file, by its name in small letters, holds a licence or what belongs to one.
fn is_licence(name: &str) -> bool {
    let starts = ["licen", "copying", "copyright", "unlicense", "notice"];
    starts.iter().any(|start| name.starts_with(start)) && !name.ends_with(".rs") && !name.ends_with(".html")
}

/// The texts of the licence that is chosen. Most crates offer MIT or Apache-2.0, each with a copy of the latter's
/// eleven kilobytes.
fn chosen(licence: &str, mut texts: BTreeMap<String, String>) -> Vec<String> {
    let alternatives = licence.replace(['(', ')'], " ");
    let offers_mit = alternatives.contains(" OR ") && alternatives.split_whitespace().any(|word| word == "MIT");
    if offers_mit && texts.keys().any(|name| name.contains("mit")) {
        texts.retain(|name, _| !["apache", "bsd", "unlicense", "zlib"].iter().any(|other| name.contains(other)));
    }
    texts.into_values().collect()
}

/// The text for a crate that brings none.
fn borrowed(
    one: &Crate,
    crates: &[Crate],
    own: &BTreeMap<(&str, &str), BTreeMap<String, String>>,
) -> Result<Vec<String>, Failure> {
    let texts = |other: &Crate| own[&(other.name.as_str(), other.version.as_str())].clone().into_values();
    let repository = |one: &Crate| {
        one.repository.as_ref().map(|url| url.trim_end_matches('/').trim_end_matches(".git").to_lowercase())
    };
    let sibling = crates.iter().find(|other| {
        repository(one).is_some()
            && repository(other) == repository(one)
            && other.licence == one.licence
            && texts(other).len() > 0
    });
    if let Some(sibling) = sibling {
        return Ok(texts(sibling).collect());
    }
    let choices = one.licence.split(" OR ").map(|choice| choice.trim_matches(['(', ')', ' ']));
    for choice in choices {
        let Some((_, mark)) = SAME_FOR_ALL.iter().find(|(name, _)| *name == choice) else { continue };
        let begins = |text: &String| text.split_whitespace().collect::<Vec<_>>().join(" ").starts_with(mark);
        let mut all = crates.iter().flat_map(texts).filter(begins).collect::<Vec<_>>();
        all.sort();
        if let Some(text) = all.into_iter().next() {
            return Ok(vec![text]);
        }
    }
    let what = format!("{} {} ({}) brings no licence text", one.name, one.version, one.licence);
    Err(Failure::missing(what, "ask its authors for the file, or do without the crate"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn one(root: &Path, name: &str, licence: &str, files: &[(&str, &str)]) -> Crate {
        let folder = root.join(name);
        std::fs::create_dir_all(&folder).unwrap();
        for (name, text) in files {
            std::fs::write(folder.join(name), text).unwrap();
        }
        Crate {
            name: name.into(),
            version: "1.0.0".into(),
            licence: licence.into(),
            repository: Some(format!("https://example.org/{}", name.split('-').next().unwrap())),
            checksum: None,
            folder: Some(folder),
            uses: Vec::new(),
            ours: false,
        }
    }

    #[test]
    fn the_same_text_stands_there_once_with_all_its_crates() {
        let root = tempfile::tempdir().unwrap();
        let one = |name, files| one(root.path(), name, "MIT", files);
        let text = write(&[
            one("a", &[("LICENSE-MIT", "Permission of A\nis granted")]),
            one("b", &[("LICENSE", "Permission of A is\ngranted"), ("src.rs", "no licence")]),
            one("c", &[("COPYING", "Permission of C")]),
        ])
        .unwrap();
        assert_eq!(text.matches("Permission of A").count(), 1, "{text}");
        assert!(text.contains("a 1.0.0, b 1.0.0\n\nPermission of A"), "{text}");
        assert!(text.contains("c 1.0.0\n\nPermission of C") && !text.contains("no licence"), "{text}");
    }

    #[test]
    fn a_crate_without_a_text_takes_its_siblings_or_one_that_is_the_same_for_all() {
        let root = tempfile::tempdir().unwrap();
        let one = |name, licence, files| one(root.path(), name, licence, files);
        let mpl = [("LICENSE", "Mozilla Public License Version 2.0\nterms")];
        let text = write(&[
            one("pulp", "MIT", &[("LICENSE", "Copyright pulp")]),
            one("pulp-flag", "MIT", &[]),
            one("symphonia", "MPL-2.0", &mpl),
            one("uniffi", "MPL-2.0", &[]),
        ])
        .unwrap();
        assert!(text.contains("pulp 1.0.0, pulp-flag 1.0.0\n\nCopyright pulp"), "{text}");
        assert!(text.contains("symphonia 1.0.0, uniffi 1.0.0\n\nMozilla"), "{text}");
        // A text of the MIT licence names its authors: nobody else's serves.
        let error = write(&[one("x", "MIT", &[("LICENSE", "Copyright x")]), one("y", "MIT", &[])]).unwrap_err();
        assert!(error.to_string().contains("y 1.0.0"), "{error}");
    }

    #[test]
    fn of_several_licences_mit_is_chosen_and_what_comes_on_top_stays() {
        let root = tempfile::tempdir().unwrap();
        let files =
            [("LICENSE-MIT", "mit"), ("LICENSE-APACHE", "apache"), ("LICENSE-UNICODE", "unicode"), ("NOTICE", "n")];
        let text = |licence| write(&[one(root.path(), "a", licence, &files)]).unwrap();
        let both = text("(MIT OR Apache-2.0) AND Unicode-3.0");
        assert!(both.contains("\nmit\n") && both.contains("\nunicode\n") && both.contains("\nn\n"), "{both}");
        assert!(!both.contains("\napache\n"), "{both}");
        assert!(text("MIT AND Apache-2.0").contains("\napache\n"), "both apply");
    }

    #[test]
    fn our_own_crates_have_the_texts_of_the_workspace() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("LICENSE-MIT"), "Copyright ours").unwrap();
        let ours = Crate { ours: true, ..one(root.path(), "core/sotto", "MIT", &[]) };
        assert!(write(&[ours]).unwrap().contains("Copyright ours"));
    }
}
