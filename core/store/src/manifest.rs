//! `sotto.json`: what a model on disk is, where it came from and what its files must be.
//!
//! Written last, before the folder gets its final name: a revision folder without a sound manifest is not a model.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::digest::{decode, hex};
use crate::error::{StoreError, shown};
use crate::name::{Commit, ModelName, check_component, last_component};

/// Name of the manifest inside a revision folder.
pub(crate) const FILE_NAME: &str = "sotto.json";
/// Format number that this version writes and the highest that it reads.
const FORMAT: u32 = 1;
/// No model has this many files; a longer list is hostile.
pub(crate) const MAX_FILES: usize = 4096;
/// Longest manifest: 4,096 files at 256 bytes each.
pub(crate) const MAX_BYTES: u64 = 1 << 20;

/// What one revision of a model consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Manifest {
    /// The model.
    pub name: ModelName,
    /// Branch, tag or commit that was asked for; of an imported model what it was called.
    pub revision: String,
    /// The commit that it stood for; of an imported model a hash of its files ([`Commit::of_files`]).
    pub commit: Commit,
    /// Address of the hub or the folder that it was pulled from; none of an imported model.
    pub endpoint: Option<String>,
    /// Licence as the publisher's model card states it, such as `apache-2.0`.
    pub licence: Option<String>,
    /// When the pull or the import was complete: RFC 3339, UTC, whole seconds.
    pub pulled_at: String,
    /// The file that a loader opens; none where it opens the folder. One of `files`.
    pub entry: Option<String>,
    /// Every file of the model, in order of name. At least one.
    pub files: Vec<ManifestFile>,
}

/// One file of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFile {
    /// File name inside the revision folder.
    pub path: String,
    /// Length in bytes.
    pub size: u64,
    /// SHA-256 of the contents, 64 hexadecimal digits.
    pub sha256: String,
}

/// The manifest as it stands in the file, before anything is checked.
#[derive(Serialize, Deserialize)]
struct Raw {
    format: u32,
    name: String,
    revision: String,
    commit: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    endpoint: Option<String>,
    #[serde(default)]
    licence: Option<String>,
    pulled_at: String,
    /// [`FOLDER`] or a file; by the name where it is missing, as in the first manifests.
    #[serde(default)]
    entry: Option<String>,
    files: Vec<ManifestFile>,
}

/// The entry of a model whose loader opens the folder.
const FOLDER: &str = ".";

impl Manifest {
    /// Reads and checks the text of a manifest. Never panics; memory is bounded by the length of the text.
    ///
    /// # Errors
    /// What is wrong, in words for a message.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        if json.len() as u64 > MAX_BYTES {
            return Err("longer than any manifest".to_owned());
        }
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let version: Version =
            serde_json::from_slice(json).map_err(|e| format!("not a manifest ({})", shown(&e.to_string())))?;
        if version.format == 0 || version.format > FORMAT {
            return Err(format!("format {} was written by a newer Sotto", version.format));
        }
        let raw: Raw =
            serde_json::from_slice(json).map_err(|e| format!("not a manifest ({})", shown(&e.to_string())))?;
        check_files(&raw.files)?;
        let name: ModelName = raw.name.parse().map_err(|_| format!("`{}` is not a model name", shown(&raw.name)))?;
        let entry = match raw.entry {
            None => name.file().map(|file| last_component(file).to_owned()),
            Some(entry) => Some(entry).filter(|entry| entry != FOLDER),
        };
        if let Some(entry) = entry.as_ref().filter(|&entry| !raw.files.iter().any(|file| file.path == *entry)) {
            return Err(format!("the file to open, {:?}, is not among its files", shown(entry)));
        }
        Ok(Self {
            name,
            entry,
            commit: Commit::new(&raw.commit).ok_or("the commit is not a hash")?,
            revision: raw.revision,
            endpoint: raw.endpoint,
            licence: raw.licence,
            pulled_at: raw.pulled_at,
            files: raw.files,
        })
    }

    /// Text of the manifest; [`parse`](Self::parse) reads it back.
    #[must_use]
    pub fn to_json(&self) -> String {
        let raw = Raw {
            format: FORMAT,
            name: self.name.to_string(),
            revision: self.revision.clone(),
            commit: self.commit.to_string(),
            endpoint: self.endpoint.clone(),
            licence: self.licence.clone(),
            pulled_at: self.pulled_at.clone(),
            entry: Some(self.entry.clone().unwrap_or_else(|| FOLDER.to_owned())),
            files: self.files.clone(),
        };
        // Strings and numbers only: this cannot fail, and an empty text would be refused by `parse`.
        serde_json::to_string_pretty(&raw).unwrap_or_default() + "\n"
    }

    /// Bytes of all files together.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.size))
    }

    /// Reads the manifest of a revision folder.
    pub(crate) fn read(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join(FILE_NAME);
        let mut text = Vec::new();
        let file = std::fs::File::open(&path).map_err(StoreError::io(&path, "open"))?;
        file.take(MAX_BYTES + 1).read_to_end(&mut text).map_err(StoreError::io(&path, "read"))?;
        Self::parse(&text).map_err(|reason| StoreError::Manifest { path, reason })
    }

    /// What is missing or of the wrong length in `folder`; reads no contents.
    pub(crate) fn problems(&self, folder: &Path) -> Vec<String> {
        let problem = |file: &ManifestFile| match std::fs::metadata(folder.join(&file.path)) {
            Ok(found) if !found.is_file() => Some(format!("{} is not a file", file.path)),
            Ok(found) if found.len() == file.size => None,
            Ok(found) => Some(format!("{} has {} bytes instead of {}", file.path, found.len(), file.size)),
            Err(_) => Some(format!("{} is missing", file.path)),
        };
        self.files.iter().filter_map(problem).collect()
    }

    /// Whether it was imported, not pulled.
    #[must_use]
    pub fn is_imported(&self) -> bool {
        self.endpoint.is_none()
    }

    /// What a loader opens: one file, or the folder.
    pub(crate) fn entry(&self, folder: &Path) -> PathBuf {
        self.entry.as_ref().map_or_else(|| folder.to_owned(), |file| folder.join(file))
    }
}

impl ManifestFile {
    /// The entry of a file whose SHA-256 is known.
    pub(crate) fn new(path: String, size: u64, sha256: &[u8; 32]) -> Self {
        Self { path, size, sha256: hex(sha256) }
    }
}

fn check_files(files: &[ManifestFile]) -> Result<(), String> {
    if files.is_empty() {
        return Err("it lists no files".to_owned());
    }
    if files.len() > MAX_FILES {
        return Err("it lists more files than any model has".to_owned());
    }
    let mut seen = BTreeSet::new();
    for file in files {
        check_component(&file.path).map_err(|reason| format!("file name {:?}: {reason}", shown(&file.path)))?;
        if !seen.insert(&file.path) || file.path == FILE_NAME {
            return Err(format!("{} is listed twice", file.path));
        }
        if decode::<32>(&file.sha256).is_none() {
            return Err(format!("the hash of {} is not a SHA-256", file.path));
        }
    }
    Ok(())
}

/// The present moment as RFC 3339 in UTC, such as `2025-03-01T12:00:00Z`.
pub(crate) fn now() -> String {
    // A clock before 1970 is wrong; its date is only shown, so the epoch does no harm.
    rfc3339(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
}

/// Seconds since 1970 as RFC 3339; days to date by the era arithmetic of Howard Hinnant's "chrono-compatible low-level
/// date algorithms" (`civil_from_days`).
fn rfc3339(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> Manifest {
        Manifest {
            name: "openai/whisper-tiny.en".parse().unwrap(),
            revision: "main".to_owned(),
            commit: Commit::new(&"ab".repeat(20)).unwrap(),
            endpoint: Some("https://example.org".to_owned()),
            licence: Some("apache-2.0".to_owned()),
            pulled_at: "2025-03-01T12:00:00Z".to_owned(),
            entry: None,
            files: vec![ManifestFile::new("config.json".to_owned(), 2, &[7; 32])],
        }
    }

    #[test]
    fn a_manifest_reads_back_as_it_was_written() {
        assert_eq!(Manifest::parse(sample().to_json().as_bytes()).unwrap(), sample());
    }

    #[test]
    fn what_a_loader_opens_is_stated_or_follows_from_the_name() {
        let folder = Path::new("x");
        assert_eq!(sample().entry(folder), folder);
        let mut single = sample();
        single.entry = Some("config.json".to_owned());
        assert_eq!(Manifest::parse(single.to_json().as_bytes()).unwrap().entry(folder), folder.join("config.json"));
        single.entry = Some("other.bin".to_owned());
        assert!(Manifest::parse(single.to_json().as_bytes()).unwrap_err().contains("other.bin"));
        // As written before there was such a field.
        let mut early = sample().to_json().replace("  \"entry\": \".\",\n", "");
        assert!(!early.contains("entry"));
        assert_eq!(Manifest::parse(early.as_bytes()).unwrap(), sample());
        early = early.replace("openai/whisper-tiny.en", "a/b/c.bin").replace("config.json", "c.bin");
        assert_eq!(Manifest::parse(early.as_bytes()).unwrap().entry.as_deref(), Some("c.bin"));
    }

    #[test]
    fn an_imported_model_has_no_hub() {
        let mut imported = sample();
        imported.endpoint = None;
        assert!(imported.is_imported() && !imported.to_json().contains("endpoint"));
        assert_eq!(Manifest::parse(imported.to_json().as_bytes()).unwrap(), imported);
    }

    #[test]
    fn unknown_fields_are_kept_for_the_future_but_newer_formats_are_refused() {
        let with_more = sample().to_json().replacen('{', "{\"later\": [1],", 1);
        assert_eq!(Manifest::parse(with_more.as_bytes()).unwrap(), sample());
        let newer = sample().to_json().replace("\"format\": 1", "\"format\": 2");
        assert!(Manifest::parse(newer.as_bytes()).unwrap_err().contains("newer"));
    }

    #[test]
    fn files_that_leave_the_folder_repeat_or_have_no_hash_are_refused() {
        for (from, to) in [
            ("config.json", "../config.json"),
            ("config.json", "/etc/passwd"),
            ("config.json", "a\\\\b"),
            ("config.json", FILE_NAME),
            (&*hex(&[7; 32]), "00"),
            (&*"ab".repeat(20), "ab"),
        ] {
            assert!(Manifest::parse(sample().to_json().replace(from, to).as_bytes()).is_err(), "{to}");
        }
        let mut twice = sample();
        twice.files.push(twice.files[0].clone());
        assert!(Manifest::parse(twice.to_json().as_bytes()).unwrap_err().contains("twice"));
        let mut none = sample();
        none.files.clear();
        assert!(Manifest::parse(none.to_json().as_bytes()).is_err());
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        // date -u -d @N +%FT%TZ
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(rfc3339(1_740_830_399), "2025-03-01T11:59:59Z");
        assert_eq!(rfc3339(4_107_542_400), "2100-03-01T00:00:00Z");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Manifest::parse(&text);
        }

        #[test]
        fn damaged_manifests_are_errors_or_still_safe(at in 0usize..400, byte in any::<u8>()) {
            let mut text = sample().to_json().into_bytes();
            let at = at % text.len();
            text[at] = byte;
            if let Ok(manifest) = Manifest::parse(&text) {
                prop_assert!(manifest.files.iter().all(|file| check_component(&file.path).is_ok()));
            }
        }
    }
}
