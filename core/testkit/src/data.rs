//! Where real weights and recordings lie.

use std::path::{Path, PathBuf};
use std::sync::Once;

/// The folder of real weights and recordings: `SOTTO_DATA`, else `../shared/data` beside the repository.
///
/// `None`, with one message per test program on stderr, where the default folder is absent: such tests skip.
///
/// # Panics
/// When `SOTTO_DATA` is set to something that is not a folder: a typing error must not skip tests.
#[must_use]
pub fn data_dir() -> Option<PathBuf> {
    if let Some(given) = std::env::var_os("SOTTO_DATA") {
        let folder = PathBuf::from(given);
        assert!(folder.is_dir(), "SOTTO_DATA={} is not a folder", folder.display());
        return Some(folder);
    }
    let folder = workspace_root().join("../shared/data");
    if folder.is_dir() {
        return Some(folder);
    }
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        eprintln!("skipped: tests on real data need {} (set SOTTO_DATA to the data folder)", folder.display());
    });
    None
}

/// The folder of the complete multilingual model `whisper-base`: in `SOTTO_MODELS`, else in
/// `~/.cache/sotto/real-models`, where `scripts/test.sh fetch` puts it.
///
/// `None`, with one message per test program on stderr, where the model is absent: such tests skip.
///
/// # Panics
/// When `SOTTO_MODELS` is set to something that is not a folder: a typing error must not skip tests.
#[must_use]
pub fn whisper_base() -> Option<PathBuf> {
    let models = match std::env::var_os("SOTTO_MODELS") {
        Some(given) => {
            let folder = PathBuf::from(given);
            assert!(folder.is_dir(), "SOTTO_MODELS={} is not a folder", folder.display());
            Some(folder)
        }
        None => std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache/sotto/real-models")),
    };
    let folder = models?.join("whisper-base");
    if folder.join("model.safetensors").is_file() {
        return Some(folder);
    }
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        let path = folder.display();
        eprintln!(
            "skipped: tests of languages need {path} (scripts/test.sh fetch; SOTTO_MODELS is the folder around it)"
        );
    });
    None
}

/// Whether tests that take minutes shall run: `SOTTO_LONG=1`, as `scripts/test.sh long` sets it.
#[must_use]
pub fn long_tests() -> bool {
    std::env::var_os("SOTTO_LONG").is_some_and(|value| value == "1")
}

/// Whether tests that run a whole recognizer shall be left out: `SOTTO_QUICK=1`, as `scripts/test.sh aarch64` sets it,
/// because a window of audio takes minutes under emulation.
#[must_use]
pub fn quick_tests() -> bool {
    std::env::var_os("SOTTO_QUICK").is_some_and(|value| !value.is_empty())
}

/// The folder of the workspace's `Cargo.toml`.
#[must_use]
pub fn workspace_root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_root_holds_the_workspace() {
        let manifest = std::fs::read_to_string(workspace_root().join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[workspace]"));
    }

    #[test]
    fn the_data_folder_is_the_one_described() {
        let Some(folder) = data_dir() else { return };
        assert!(folder.join("speech/manifest.tsv").is_file());
    }
}
