//! The list of what was made and checked.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::workspace;

/// The name of the list in the folder.
pub const FILE: &str = "manifest.json";
/// Beside it: which projects ran on what it lists.
const TRIED: &str = "tried.json";

/// What was made, from what, and what is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of everything.
    pub version: String,
    /// The commit that it was made from; none when the sources were in no commit.
    pub commit: Option<String>,
    /// What a release needs and this machine could not make.
    pub missing: Vec<String>,
    /// SHA-256 of each file, by its path in the folder.
    pub files: BTreeMap<String, String>,
}

impl Manifest {
    /// An empty list.
    pub fn new(version: &str, commit: Option<String>) -> Self {
        Self { version: version.into(), commit, missing: Vec::new(), files: BTreeMap::new() }
    }

    /// Writes a file into the folder and lists it.
    ///
    /// # Errors
    /// [`Failure::File`].
    pub fn add(&mut self, folder: &Path, name: &str, data: &[u8]) -> Result<(), Failure> {
        workspace::write(&folder.join(name), data)?;
        self.files.insert(name.into(), workspace::sha256(data));
        Ok(())
    }

    /// Lists all files below a folder in the folder.
    ///
    /// # Errors
    /// [`Failure::File`].
    pub fn add_tree(&mut self, folder: &Path, name: &str) -> Result<(), Failure> {
        if folder.join(name).is_dir() {
            for (file, hash) in hashes(folder, &folder.join(name))? {
                self.files.insert(file, hash);
            }
        }
        Ok(())
    }

    /// Notes what could not be made.
    pub fn lacks(&mut self, what: &str) {
        self.missing.push(what.into());
    }

    /// Writes the list into the folder.
    ///
    /// # Errors
    /// [`Failure::File`].
    pub fn write(&self, folder: &Path) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(self).map_err(|error| Failure::form("the manifest", error))?;
        workspace::write(&folder.join(FILE), (text + "\n").as_bytes())
    }

    /// Reads the list of a folder.
    ///
    /// # Errors
    /// [`Failure`] when there is none or it is no list.
    pub fn read(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join(FILE);
        serde_json::from_slice(&workspace::read(&path)?)
            .map_err(|error| Failure::form(path.display().to_string(), error))
    }
}

/// Notes that a project ran on the files that the list names: on these and no others, as the list's own hash stands
/// there.
///
/// # Errors
/// [`Failure::File`].
pub fn note_tried(folder: &Path, project: &str) -> Result<(), Failure> {
    let mut tried = all_tried(folder);
    tried.insert(project.into(), workspace::sha256(&workspace::read(&folder.join(FILE))?));
    let text = serde_json::to_string_pretty(&tried).map_err(|error| Failure::form(TRIED, error))?;
    workspace::write(&folder.join(TRIED), (text + "\n").as_bytes())
}

/// Whether a project ran on the files that the list names.
pub fn is_tried(folder: &Path, project: &str) -> bool {
    let now = std::fs::read(folder.join(FILE)).map(|list| workspace::sha256(&list)).ok();
    now.is_some() && all_tried(folder).get(project) == now.as_ref()
}

fn all_tried(folder: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read(folder.join(TRIED)).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, hash) in self.files.iter().filter(|(name, _)| !name.starts_with("swift/")) {
            writeln!(f, "  {hash}  {name}")?;
        }
        for what in &self.missing {
            writeln!(f, "  --  missing: {what}")?;
        }
        match &self.commit {
            Some(commit) => write!(f, "sotto {} from {commit}", self.version),
            None => write!(f, "sotto {} from sources that are in no commit", self.version),
        }
    }
}

/// SHA-256 of every file below a folder, by its path in `root`; the list itself is left out, and what is noted beside
/// it.
///
/// # Errors
/// [`Failure::File`].
pub fn hashes(root: &Path, folder: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let mut hashes = BTreeMap::new();
    for path in workspace::files_below(folder)? {
        let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
        if name != FILE && name != TRIED {
            hashes.insert(name, workspace::sha256(&workspace::read(&path)?));
        }
    }
    Ok(hashes)
}
