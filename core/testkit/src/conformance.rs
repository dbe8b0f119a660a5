//! The table of cases that Rust, the command line, Kotlin and Swift run (`bindings/conformance/README.md`), and the
//! files that it names.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

const TABLE: &str = include_str!("../../../bindings/conformance/speech.json");
const TEXT: &[u8] = b"This is no model, and no recording either.\n";

/// Bytes in front of the recording in [`Files::inside`].
pub const IN_FRONT: u64 = 4099;

/// The cases that `surface` runs: `rust`, `cli`.
///
/// # Panics
/// When the table is no JSON.
#[must_use]
pub fn cases(surface: &str) -> Vec<Value> {
    let table: Value = serde_json::from_str(TABLE).expect("bindings/conformance/speech.json is JSON");
    let runs =
        |case: &&Value| case["surfaces"].as_array().is_none_or(|surfaces| surfaces.iter().any(|name| name == surface));
    table["cases"].as_array().into_iter().flatten().filter(runs).cloned().collect()
}

/// Whether `name` is what is wanted, or one of what is.
#[must_use]
pub fn is_one_of(name: &str, wanted: &Value) -> bool {
    match wanted {
        Value::Array(names) => names.iter().any(|wanted| wanted == name),
        wanted => wanted == name,
    }
}

/// Whether there are words, each with a start in seconds before its end, that follow each other.
#[must_use]
pub fn words_are_timed(words: &[(f64, f64)]) -> bool {
    !words.is_empty()
        && words.iter().all(|(start, end)| start < end)
        && words.windows(2).all(|pair| pair[0].1 <= pair[1].0 + 1e-6)
}

/// A folder with everything that the table names as a file.
#[derive(Debug)]
pub struct Files(TempDir);

impl Files {
    /// Writes the files, of which most are made of the starter model and of the demo recording.
    ///
    /// # Panics
    /// When the folder cannot be written.
    #[must_use]
    pub fn new(starter: &[u8], demo: &[u8]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let inside = [&vec![7; IN_FRONT as usize], demo, &[9; 100][..]].concat();
        let files: [(&str, &[u8]); 8] = [
            ("starter.sotto", starter),
            ("cut.sotto", &starter[..starter.len() / 2]),
            ("text.sotto", TEXT),
            ("empty.sotto", b""),
            ("demo.flac", demo),
            ("cut.flac", &demo[..demo.len() / 2]),
            ("text.wav", TEXT),
            ("demo.inside", &inside),
        ];
        for (name, bytes) in files {
            fs::write(folder.path().join(name), bytes).expect("a file of the table");
        }
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// Where they are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.0.path()
    }

    /// The model that the table calls `name`.
    #[must_use]
    pub fn model(&self, name: &str) -> PathBuf {
        self.path(&format!("{name}.sotto"))
    }

    /// The recording that the table calls `name`.
    ///
    /// # Panics
    /// When the table has no such recording.
    #[must_use]
    pub fn recording(&self, name: &str) -> PathBuf {
        self.path(match name {
            "demo" => "demo.flac",
            "cut" => "cut.flac",
            "text" => "text.wav",
            "missing" => "missing.wav",
            other => panic!("the table has a recording called {other}, which nobody makes"),
        })
    }

    /// The recording called `name` between other bytes, [`IN_FRONT`] of them before it.
    #[must_use]
    pub fn inside(&self, name: &str) -> PathBuf {
        self.path(&format!("{name}.inside"))
    }
}
