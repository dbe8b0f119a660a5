//! Names of models and revisions: what a user types, checked once, safe as paths and in addresses afterwards.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::error::{StoreError, shown};
use crate::manifest::ManifestFile;

/// A model as its publisher calls it: a whole repository (`openai/whisper-tiny.en`) or one file of a repository
/// (`ggerganov/whisper.cpp/ggml-tiny.en.bin`); or as whoever imports it calls it (`firefox/en-de`, `local/dictation`).
///
/// Every component is safe as a file name on all platforms: letters, digits, `.`, `_` and `-`, no leading dot, no
/// device name of Windows. So a name can be joined to a folder without further checks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelName {
    owner: String,
    repository: String,
    file: Option<String>,
}

impl ModelName {
    /// The name of an imported model: where it has one part only, its owner is `local`.
    ///
    /// # Errors
    /// [`StoreError::Name`].
    pub fn imported(name: &str) -> Result<Self, StoreError> {
        if name.contains('/') { name.parse() } else { format!("{LOCAL}/{name}").parse() }
    }

    /// `owner/name` of the repository.
    #[must_use]
    pub fn repository(&self) -> String {
        format!("{}/{}", self.owner, self.repository)
    }

    /// What follows `owner/name`: of a pulled model the path of its file; none where the name means a whole repository.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// Short forms that also find the model once it is installed: the last component, also without one of `endings`.
    pub(crate) fn aliases<'a>(
        &'a self,
        endings: impl Iterator<Item = &'static str> + 'a,
    ) -> impl Iterator<Item = &'a str> {
        let last = self.file.as_deref().map_or(self.repository.as_str(), last_component);
        let bare = endings.filter_map(move |ending| last.strip_suffix(ending)).filter(|bare| !bare.is_empty());
        std::iter::once(last).chain(bare)
    }

    /// Folder of the model relative to the store.
    pub(crate) fn folder(&self) -> PathBuf {
        self.to_string().split('/').collect()
    }

    /// The name as one path component. No component contains `--`, so different names stay different.
    pub(crate) fn slug(&self) -> String {
        self.to_string().replace('/', "--")
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.repository)?;
        self.file.as_ref().map_or(Ok(()), |file| write!(f, "/{file}"))
    }
}

impl FromStr for ModelName {
    type Err = StoreError;

    fn from_str(name: &str) -> Result<Self, StoreError> {
        let invalid = |reason| StoreError::Name { name: shown(name), reason };
        if name.len() > MAX_NAME {
            return Err(invalid("it is too long"));
        }
        let mut parts = name.splitn(3, '/');
        let (Some(owner), Some(repository)) = (parts.next(), parts.next()) else {
            return Err(invalid("the owner is missing"));
        };
        let file = parts.next();
        if name.split('/').count() > MAX_COMPONENTS {
            return Err(invalid("it has too many parts"));
        }
        for component in name.split('/') {
            check_component(component).map_err(invalid)?;
            if is_of_the_store(component) {
                return Err(invalid("a part of it is reserved"));
            }
        }
        Ok(Self { owner: owner.to_owned(), repository: repository.to_owned(), file: file.map(str::to_owned) })
    }
}

/// A branch, tag or commit of a repository, such as `main`, `v1` or `refs/pr/1`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Revision(String);

impl Revision {
    /// The branch that a name without `@` means.
    pub(crate) fn main() -> Self {
        Self("main".to_owned())
    }

    /// The revision as given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The revision as one segment of an address: the only character that needs escaping is `/`.
    pub(crate) fn encoded(&self) -> String {
        self.0.replace('/', "%2F")
    }

    /// Whether it can only mean a commit, and which: at least seven hexadecimal digits.
    pub(crate) fn may_abbreviate(&self, commit: &Commit) -> bool {
        self.0.len() >= 7 && commit.as_str().starts_with(&self.0.to_ascii_lowercase())
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Revision {
    type Err = StoreError;

    fn from_str(revision: &str) -> Result<Self, StoreError> {
        let sound = (1..=MAX_NAME).contains(&revision.len())
            && revision.split('/').all(|part| {
                !part.is_empty() && !part.starts_with(['.', '-']) && !part.contains("..") && part.chars().all(is_plain)
            });
        if sound {
            Ok(Self(revision.to_owned()))
        } else {
            Err(StoreError::Name {
                name: shown(revision),
                reason: "a revision has letters, digits, `.`, `_`, `-` and `/`",
            })
        }
    }
}

/// The full hash of a commit: 40 lower-case hexadecimal digits. Names the folder of a revision.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Commit(String);

impl Commit {
    /// A commit from its 40 hexadecimal digits, in any case; none for anything else.
    #[must_use]
    pub fn new(digits: &str) -> Option<Self> {
        (digits.len() == 40 && digits.bytes().all(|b| b.is_ascii_hexdigit())).then(|| Self(digits.to_ascii_lowercase()))
    }

    /// The commit of an imported model: the first 40 digits of the SHA-256 of one line `HASH  NAME` for each file, in
    /// order of name, as `sha256sum` prints them. The same files always have the same.
    #[must_use]
    pub fn of_files(files: &[ManifestFile]) -> Self {
        let mut lines: Vec<_> = files.iter().map(|file| (&file.path, &file.sha256)).collect();
        lines.sort();
        let text: String = lines.into_iter().map(|(path, hash)| format!("{hash}  {path}\n")).collect();
        Self(crate::digest::sha256_of(text.as_bytes())[..40].to_owned())
    }

    /// The 40 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first ten digits, enough for people.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[..10]
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Splits `name@revision`.
///
/// # Errors
/// [`StoreError::Name`] when either part is not what it should be.
pub(crate) fn split_revision(text: &str) -> Result<(&str, Option<Revision>), StoreError> {
    match text.split_once('@') {
        Some((name, revision)) => Ok((name, Some(revision.parse()?))),
        None => Ok((text, None)),
    }
}

/// Owner of what was imported under a name of one part.
const LOCAL: &str = "local";
/// Most parts of a name, which are as many folders.
pub(crate) const MAX_COMPONENTS: usize = 8;

/// Whether a part of a name would be mistaken for what the store itself keeps in a model's folder, on file systems
/// without upper and lower case too.
fn is_of_the_store(component: &str) -> bool {
    let lower = component.to_ascii_lowercase();
    lower == crate::layout::REVISIONS || lower == crate::layout::ACTIVE || lower.ends_with(".tmp")
}

/// Longest name and longest revision.
const MAX_NAME: usize = 300;
/// Longest component: file systems allow 255 bytes, suffixes such as `.part` come on top.
const MAX_COMPONENT: usize = 128;

/// Whether `component` is one path component that is safe to create on every platform.
pub(crate) fn check_component(component: &str) -> Result<(), &'static str> {
    if component.is_empty() {
        return Err("a part of it is empty");
    }
    if component.len() > MAX_COMPONENT {
        return Err("a part of it is too long");
    }
    if !component.chars().all(is_plain) {
        return Err("only letters, digits, `.`, `_` and `-` are allowed");
    }
    if component.starts_with(['.', '-']) || component.ends_with(['.', '-']) || component.contains("..") {
        return Err("a part of it starts or ends with a dot or a dash");
    }
    if component.contains("--") || component == crate::layout::REVISIONS {
        return Err("a part of it is reserved");
    }
    if is_device(component) {
        return Err("a part of it is a device name on Windows");
    }
    Ok(())
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

fn is_device(component: &str) -> bool {
    let stem = component.split('.').next().unwrap_or(component).to_ascii_uppercase();
    matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL")
        || (stem.len() == 4
            && (stem.starts_with("COM") || stem.starts_with("LPT"))
            && stem.as_bytes()[3].is_ascii_digit())
}

pub(crate) fn last_component(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kind::KNOWN;

    #[test]
    fn repositories_and_ggml_files_are_names() {
        let whole: ModelName = "openai/whisper-tiny.en".parse().unwrap();
        assert_eq!((whole.repository().as_str(), whole.file()), ("openai/whisper-tiny.en", None));
        let file: ModelName = "ggerganov/whisper.cpp/ggml-tiny.en.bin".parse().unwrap();
        assert_eq!(file.repository(), "ggerganov/whisper.cpp");
        assert_eq!(file.file(), Some("ggml-tiny.en.bin"));
        assert_eq!(file.aliases(KNOWN.endings()).collect::<Vec<_>>(), ["ggml-tiny.en.bin", "ggml-tiny.en"]);
        let text: ModelName = "a/b/c.txt".parse().unwrap();
        for (name, fits) in [(&file, true), (&whole, true), (&text, false)] {
            assert_eq!(KNOWN.check_name(name).is_ok(), fits, "{name}");
        }
    }

    #[test]
    fn imported_models_have_any_name_and_the_owner_local_where_none_is_given() {
        let name = |text: &str| ModelName::imported(text).unwrap().to_string();
        assert_eq!(name("dictation"), "local/dictation");
        assert_eq!(name("firefox/en-de"), "firefox/en-de");
        assert_eq!(name("a/b/c/d"), "a/b/c/d");
        let packed = ModelName::imported("tiny.de.sotto").unwrap();
        assert_eq!(packed.aliases(KNOWN.endings()).collect::<Vec<_>>(), ["tiny.de.sotto", "tiny.de"]);
        for wrong in ["", "..", "a b", "/x", "-x", "active"] {
            assert!(ModelName::imported(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_commit_of_files_is_that_of_sha256sum() {
        let file = |path: &str, byte| ManifestFile::new(path.to_owned(), 1, &[byte; 32]);
        let (a, b) = (file("a", 1), file("b", 2));
        // printf '%s  a\n%s  b\n' $(printf '01%.0s' {1..32}) $(printf '02%.0s' {1..32}) | sha256sum | head -c 40
        assert_eq!(Commit::of_files(&[a.clone(), b.clone()]).as_str(), "2b6ff496721ad82b0b5b289c06b726076519ef3f");
        assert_eq!(Commit::of_files(&[b, a.clone()]), Commit::of_files(&[a.clone(), file("b", 2)]));
        assert_ne!(Commit::of_files(std::slice::from_ref(&a)), Commit::of_files(&[file("b", 1)]));
    }

    #[test]
    fn names_that_could_leave_the_store_are_refused() {
        for name in [
            "whisper-tiny.en",
            "",
            "/",
            "a/",
            "/b",
            "../b",
            "a/..",
            "a/b/../c.bin",
            "a/b/../../../c.bin",
            ".a/b",
            "a/b\\c",
            "a/b:c",
            "a/nul",
            "a/com1.x",
            "a/b/active",
            "a/b/Revisions",
            "a/b/active.1-2.tmp",
            "a/b/c/d/e/f/g/h/i",
            "a/b c",
            "a/revisions",
            "a/b--c",
            "a/b/-x.bin",
            "a-/b",
            "a/b-",
            "a/b\0",
            "a//b.bin",
            "http://a/b",
        ] {
            assert!(matches!(name.parse::<ModelName>(), Err(StoreError::Name { .. })), "{name:?}");
        }
        assert!("a/".repeat(10_000).parse::<ModelName>().is_err());
    }

    #[test]
    fn revisions_are_branches_tags_pull_requests_and_commits() {
        assert_eq!("refs/pr/1".parse::<Revision>().unwrap().encoded(), "refs%2Fpr%2F1");
        for revision in ["", "..", "a/../b", "a//b", "a b", "a?b", "/a", "-a", "a%2F"] {
            assert!(revision.parse::<Revision>().is_err(), "{revision:?}");
        }
        let commit = Commit::new("0123456789ABCDEF0123456789abcdef01234567").unwrap();
        assert!("0123456".parse::<Revision>().unwrap().may_abbreviate(&commit));
        assert!(!"01234".parse::<Revision>().unwrap().may_abbreviate(&commit));
    }

    proptest! {
        #[test]
        fn every_accepted_name_stays_inside_its_folder_and_parses_back(name in "[a-zA-Z0-9./_\\-\\\\@: ]{0,40}") {
            if let Ok(parsed) = name.parse::<ModelName>() {
                prop_assert!(parsed.folder().components().all(|c| matches!(c, std::path::Component::Normal(_))));
                prop_assert_eq!(parsed.to_string(), name);
                prop_assert!(check_component(&parsed.slug().replace("--", "-")).is_ok());
            }
        }
    }
}
