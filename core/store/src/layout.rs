//! Where things lie in a store.
//!
//! ```text
//! STORE/
//!   openai/whisper-tiny.en/                     a model
//!     active                                    the commit that the name means, below it those that it meant before
//!     revisions/COMMIT/                         one complete revision: its files and sotto.json; never changed
//!   ggerganov/whisper.cpp/ggml-tiny.en.bin/     a single file is a model of its own, laid out the same way
//!   .partial/SLUG@COMMIT/                       a pull that is not complete: NAME.part, NAME.etag, complete files
//!   .partial/SLUG@import/                       an import that is not complete
//!   .locks/SLUG.lock                            held while revisions come and go
//!   .locks/SLUG.active                          held while `active` is rewritten, for a moment
//! ```
//!
//! Revisions of one model lie side by side; switching between them rewrites `active` and nothing else. A revision
//! appears by one rename, so a reader sees all of it or nothing, and needs no lock.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fs4::TryLockError;
use sotto_runtime::CancelToken;

use crate::error::StoreError;
use crate::manifest::Manifest;
use crate::name::{Commit, MAX_COMPONENTS, ModelName};

/// Folder of the revisions inside a model's folder.
pub(crate) const REVISIONS: &str = "revisions";
pub(crate) const ACTIVE: &str = "active";
const PARTIAL: &str = ".partial";
const LOCKS: &str = ".locks";

/// Paths of one model in one store.
pub(crate) struct Place<'a> {
    root: &'a Path,
    name: &'a ModelName,
}

impl<'a> Place<'a> {
    pub(crate) fn new(root: &'a Path, name: &'a ModelName) -> Self {
        Self { root, name }
    }

    pub(crate) fn name(&self) -> &'a ModelName {
        self.name
    }

    /// The store.
    pub(crate) fn root(&self) -> &'a Path {
        self.root
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.root.join(self.name.folder())
    }

    pub(crate) fn revision(&self, commit: &Commit) -> PathBuf {
        self.folder().join(REVISIONS).join(commit.as_str())
    }

    /// Commits whose folders exist, sorted. A model that is not there has none.
    pub(crate) fn commits(&self) -> Result<Vec<Commit>, StoreError> {
        let mut commits: Vec<_> =
            names_in(&self.folder().join(REVISIONS))?.iter().filter_map(|name| Commit::new(name)).collect();
        commits.sort();
        Ok(commits)
    }

    /// The commit that the name means; none where the pointer is missing or unreadable.
    pub(crate) fn active(&self) -> Option<Commit> {
        self.history().into_iter().next()
    }

    /// The commit that the name means and those that it meant before, the latest first; some of them may be gone. Empty
    /// where the pointer is missing or unreadable.
    pub(crate) fn history(&self) -> Vec<Commit> {
        let mut text = String::new();
        let read = File::open(self.folder().join(ACTIVE)).and_then(|file| {
            // More than a longest history in its longest form is none of ours.
            file.take(100 * MAX_HISTORY as u64).read_to_string(&mut text)
        });
        let lines = if read.is_ok() { text.lines() } else { "".lines() };
        lines.map_while(|line| Commit::new(line.trim())).take(MAX_HISTORY).collect()
    }

    /// Makes `commit` what the name means. What it meant until now is what a rollback leads to.
    pub(crate) fn set_active(&self, commit: &Commit) -> Result<(), StoreError> {
        let _lock = self.lock_pointer()?;
        let before = self.history();
        if before.first() == Some(commit) {
            return Ok(());
        }
        let earlier = before.into_iter().filter(|earlier| earlier != commit);
        self.write_history(std::iter::once(commit.clone()).chain(earlier))
    }

    /// Writes the pointer. The caller holds [`lock_pointer`](Self::lock_pointer).
    pub(crate) fn write_history(&self, commits: impl IntoIterator<Item = Commit>) -> Result<(), StoreError> {
        let text: String = commits.into_iter().take(MAX_HISTORY).map(|commit| format!("{commit}\n")).collect();
        write_atomically(&self.folder().join(ACTIVE), text.as_bytes())
    }

    /// The right to rewrite the pointer. Held for a moment only, also inside the lock of the model and never around
    /// it: so a name can be switched while a pull of the same model runs.
    pub(crate) fn lock_pointer(&self) -> Result<Lock, StoreError> {
        self.take_lock(ACTIVE, POINTER_PATIENCE, &CancelToken::new(), || {})
    }

    /// Where a pull of `commit` collects its files.
    pub(crate) fn staging(&self, commit: &Commit) -> PathBuf {
        self.root.join(PARTIAL).join(format!("{}@{commit}", self.name.slug()))
    }

    /// Where an import collects its files; their commit is known only when all are read.
    pub(crate) fn import_staging(&self) -> PathBuf {
        self.root.join(PARTIAL).join(format!("{}@import", self.name.slug()))
    }

    /// A folder that is about to be deleted.
    fn trash(&self) -> PathBuf {
        self.root.join(PARTIAL).join(format!("{}@removed", self.name.slug()))
    }

    /// Folders that earlier pulls and removals of this model left behind, without the one of `keep`.
    pub(crate) fn leftovers(&self, keep: Option<&Commit>) -> Result<Vec<PathBuf>, StoreError> {
        let partial = self.root.join(PARTIAL);
        let kept = keep.map(|commit| self.staging(commit));
        let prefix = format!("{}@", self.name.slug());
        let ours = names_in(&partial)?.into_iter().filter(|entry| entry.starts_with(&prefix));
        Ok(ours.map(|entry| partial.join(entry)).filter(|path| Some(path) != kept.as_ref()).collect())
    }

    /// Deletes a revision. Renamed first: a removal that is cut short leaves nothing that looks like a model.
    pub(crate) fn discard(&self, commit: &Commit) -> Result<(), StoreError> {
        let trash = self.trash();
        create_folder(&self.root.join(PARTIAL))?;
        remove_folder(&trash)?;
        rename(&self.revision(commit), &trash)?;
        remove_folder(&trash)
    }

    /// Installs what an import had complete when it was cut short: its source may be gone already. The caller holds
    /// the lock.
    pub(crate) fn recover(&self) -> Result<(), StoreError> {
        let staging = self.import_staging();
        match Manifest::read(&staging) {
            Ok(manifest) if manifest.name == *self.name && manifest.problems(&staging).is_empty() => {
                self.install(&staging, &manifest.commit)
            }
            _ => Ok(()),
        }
    }

    /// Gives a complete staging folder its final name. What lay there before (a damaged copy) goes.
    pub(crate) fn install(&self, staging: &Path, commit: &Commit) -> Result<(), StoreError> {
        let target = self.revision(commit);
        let parent = self.folder().join(REVISIONS);
        create_folder(&parent)?;
        sync_folder(staging)?;
        if target.exists() {
            self.discard(commit)?;
        }
        rename(staging, &target)?;
        sync_folder(&parent)
    }

    /// Deletes the pointer and the folders that are empty without it, up to the store. Other models below stay.
    pub(crate) fn clear_away(&self) -> Result<(), StoreError> {
        let folder = self.folder();
        remove_file(&folder.join(ACTIVE))?;
        // What a crash left of a pointer.
        for name in names_in(&folder)?.iter().filter(|name| name.starts_with(ACTIVE) && name.ends_with(".tmp")) {
            remove_file(&folder.join(name))?;
        }
        // Fails where something is left, which is the purpose.
        let _ = fs::remove_dir(folder.join(REVISIONS));
        let empty = folder.ancestors().take_while(|&ancestor| ancestor != self.root);
        empty.map(fs::remove_dir).find(Result::is_err);
        Ok(())
    }

    /// Takes the lock of this model, waiting at most `patience`; `waiting` is called once when another process has it.
    pub(crate) fn lock(
        &self,
        patience: Duration,
        cancel: &CancelToken,
        waiting: impl FnOnce(),
    ) -> Result<Lock, StoreError> {
        self.take_lock("lock", patience, cancel, waiting)
    }

    fn take_lock(
        &self,
        kind: &str,
        patience: Duration,
        cancel: &CancelToken,
        waiting: impl FnOnce(),
    ) -> Result<Lock, StoreError> {
        let folder = self.root.join(LOCKS);
        create_folder(&folder)?;
        let path = folder.join(format!("{}.{kind}", self.name.slug()));
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(StoreError::io(&path, "open"))?;
        let start = Instant::now();
        let mut waiting = Some(waiting);
        loop {
            cancel.check()?;
            // Not the standard library's: on Android that knows no locks.
            match fs4::FileExt::try_lock(&file) {
                Ok(()) => return Ok(Lock { _file: file }),
                Err(TryLockError::Error(error)) => return Err(StoreError::io(&path, "lock")(error)),
                Err(TryLockError::WouldBlock) if start.elapsed() >= patience => {
                    return Err(StoreError::Busy { name: self.name.to_string() });
                }
                Err(TryLockError::WouldBlock) => {
                    if let Some(waiting) = waiting.take() {
                        waiting();
                    }
                    std::thread::sleep(POLL);
                }
            }
        }
    }
}

/// So many commits are remembered below the active one: more than anybody goes back.
const MAX_HISTORY: usize = 16;
/// Longer than writing a line takes on any disk, shorter than anybody waits.
const POINTER_PATIENCE: Duration = Duration::from_secs(10);

/// How often a waiting process looks at the lock and the cancel token.
const POLL: Duration = Duration::from_millis(50);

/// The right to change one model; given back on drop, and by the system when the process dies.
///
/// The file itself stays: deleting it while another process opens it would give two processes two different locks.
pub(crate) struct Lock {
    _file: File,
}

/// Models in the store, sorted by name. Foreign folders are passed over, and so are those that cannot be read: one of
/// them must not hide the others.
///
/// # Errors
/// [`StoreError::Io`] when the store itself cannot be read.
pub(crate) fn models(root: &Path) -> Result<Vec<ModelName>, StoreError> {
    let mut found = Vec::new();
    let mut open: Vec<(String, usize)> = vec![(String::new(), 0)];
    while let Some((path, depth)) = open.pop() {
        let folder = root.join(&path);
        if folder.join(REVISIONS).is_dir() {
            found.extend(path.parse::<ModelName>());
        }
        if depth < MAX_COMPONENTS {
            let names = match names_in(&folder) {
                Err(error) if path.is_empty() => return Err(error),
                names => names.unwrap_or_default(),
            };
            let inner = names.into_iter().filter(|name| !name.starts_with('.') && name != REVISIONS);
            open.extend(inner.map(|name| (if path.is_empty() { name } else { format!("{path}/{name}") }, depth + 1)));
        }
    }
    found.sort();
    Ok(found)
}

/// Names of the entries of a folder; none where it is missing or not a folder.
pub(crate) fn names_in(folder: &Path) -> Result<Vec<String>, StoreError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(StoreError::io(folder, "list")(error)),
    };
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect())
}

pub(crate) fn create_folder(path: &Path) -> Result<(), StoreError> {
    fs::create_dir_all(path).map_err(StoreError::io(path, "create the folder"))
}

pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    fs::rename(from, to).map_err(StoreError::io(to, "rename into place"))
}

/// Bytes of the files directly inside a folder.
pub(crate) fn folder_size(path: &Path) -> Result<u64, StoreError> {
    let size =
        |name: String| fs::metadata(path.join(name)).map_or(0, |found| if found.is_file() { found.len() } else { 0 });
    Ok(names_in(path)?.into_iter().map(size).fold(0, u64::saturating_add))
}

/// Deletes a folder; a missing one is fine.
pub(crate) fn remove_folder(path: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::io(path, "delete")(error)),
        _ => Ok(()),
    }
}

/// Deletes a file; a missing one is fine.
pub(crate) fn remove_file(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::io(path, "delete")(error)),
        _ => Ok(()),
    }
}

/// Writes a small file so that a reader or a power cut sees the old contents or the new, never a mixture. Of two that
/// write at once the last one wins, and neither fails: each has a temporary file of its own.
pub(crate) fn write_atomically(path: &Path, contents: &[u8]) -> Result<(), StoreError> {
    static WRITTEN: AtomicU64 = AtomicU64::new(0);
    let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
    let temporary = path.with_extension(format!("{}-{number}.tmp", std::process::id()));
    let write = || {
        let mut file = File::create(&temporary)?;
        file.write_all(contents)?;
        file.sync_all()
    };
    let written = write().map_err(StoreError::io(&temporary, "write")).and_then(|()| rename(&temporary, path));
    if written.is_err() {
        // What a full disk cut off must not stay; the failure itself says what is wrong.
        let _ = fs::remove_file(&temporary);
    }
    written?;
    path.parent().map_or(Ok(()), sync_folder)
}

/// Makes renames inside a folder durable. Windows has no such call and needs none.
#[cfg(unix)]
pub(crate) fn sync_folder(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(StoreError::io(path, "sync"))
}

#[cfg(not(unix))]
pub(crate) fn sync_folder(_: &Path) -> Result<(), StoreError> {
    Ok(())
}
