//! The store itself: what is here, where it lies, and how it comes and goes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sotto_runtime::{CancelToken, Progress, ProgressSink, Stage};

use crate::error::{StoreError, shown};
use crate::kind::{KNOWN, Kinds};
use crate::layout::{self, Place};
use crate::manifest::Manifest;
use crate::name::{Commit, ModelName, Revision, split_revision};
use crate::origin::configuration;
use crate::pull::{Pull, PullRequest};
use crate::transport::Transport;

/// A folder of models. Cheap to clone; several processes may use the same folder at once.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) root: PathBuf,
    /// What can be pulled, and what is known of what is imported.
    pub(crate) kinds: Kinds,
}

/// One revision of a model in the store.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Installed {
    /// The model.
    pub name: ModelName,
    /// The commit.
    pub commit: Commit,
    /// Whether the name without a revision means this one.
    pub active: bool,
    /// Whether a [rollback](Store::rollback) leads to this one.
    pub previous: bool,
    /// What a loader opens: a folder, or a ggml file.
    pub path: PathBuf,
    /// The manifest, or why it cannot be used.
    pub manifest: Result<Manifest, String>,
    /// What is missing or of the wrong length; contents are not read. Empty for a sound revision.
    pub problems: Vec<String>,
}

impl Store {
    /// The store in `folder`, which need not exist yet. Writes nothing.
    ///
    /// # Errors
    /// [`StoreError::Configuration`] when there is something else than a folder.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let root = folder.into();
        if root.exists() && !root.is_dir() {
            let shown = root.display();
            return Err(configuration(&format!("{shown} is not a folder; open the store in one")));
        }
        Ok(Self { root, kinds: KNOWN })
    }

    /// `SOTTO_MODELS`, else `sotto/models` in the user's data folder: `$XDG_DATA_HOME` or `~/.local/share`,
    /// `~/Library/Application Support` on macOS, `%LOCALAPPDATA%` on Windows.
    ///
    /// # Errors
    /// [`StoreError::Configuration`] when the environment names no such folder.
    pub fn default_dir() -> Result<PathBuf, StoreError> {
        default_dir(|name| std::env::var_os(name).map(PathBuf::from), std::env::consts::OS)
            .ok_or_else(|| configuration("the environment names no folder for models; open the store in one"))
    }

    /// The folder of this store.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.root
    }

    /// Where the model of this name lies: its folder, or its ggml file. Never uses the network, reads no weights.
    ///
    /// `name` is a full name, or the last part of one where that is unambiguous (`whisper-tiny.en`, `ggml-tiny.en`),
    /// each with an optional `@revision` (branch or tag as pulled, or the first seven or more digits of a commit).
    ///
    /// # Errors
    /// [`StoreError::Name`], [`StoreError::NotInstalled`], [`StoreError::Ambiguous`]; [`StoreError::Damaged`] and
    /// [`StoreError::Manifest`] when it is here but must not be loaded.
    pub fn resolve(&self, name: &str) -> Result<PathBuf, StoreError> {
        let (model, commit) = self.find(name)?;
        let folder = Place::new(&self.root, &model).revision(&commit);
        let manifest = self.sound(&model, &folder)?;
        Ok(manifest.entry(&folder))
    }

    /// Fetches a model, or goes on with a pull that was stopped, and makes it active. Blocks.
    ///
    /// A model that is here complete is returned without any network call, unless the request says `update`. Another
    /// process that fetches the same model is waited for. `progress` gets [`Stage::Download`] and [`Stage::Verify`] in
    /// bytes of all files together; `cancel` is observed within about 20 ms and keeps what has arrived.
    ///
    /// # Errors
    /// Every kind of [`StoreError`]. Whatever happens, the store holds only complete, checked revisions under their
    /// names.
    pub fn pull(
        &self,
        request: &PullRequest,
        transport: &dyn Transport,
        progress: &dyn ProgressSink,
        cancel: &CancelToken,
    ) -> Result<PathBuf, StoreError> {
        cancel.check()?;
        let place = Place::new(&self.root, &request.model);
        if !request.update
            && let Some((commit, path)) = self.already_here(&place, request)?
            && place.active() == Some(commit)
        {
            return Ok(path);
        }
        layout::create_folder(&self.root)?;
        let waiting = || {
            let subject = format!("{} (waits for another change of it)", request.model).into();
            progress.report(&Progress { stage: Stage::Download, done: 0, total: None, subject });
        };
        let _lock = place.lock(request.origin.patience().lock, cancel, waiting)?;
        place.recover()?;
        if !request.update
            && let Some((commit, path)) = self.already_here(&place, request)?
        {
            if place.active().as_ref() != Some(&commit) {
                place.set_active(&commit)?;
            }
            return Ok(path);
        }
        let commit =
            Pull { root: &self.root, kinds: self.kinds, place: &place, request, transport, progress, cancel }.run()?;
        let folder = place.revision(&commit);
        Ok(self.sound(&request.model, &folder)?.entry(&folder))
    }

    /// Everything in the store, by name and commit. Reads manifests and file lengths, no contents. Folders inside the
    /// store that cannot be read are passed over: the models beside them are listed all the same.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the store's own folder cannot be read; a store that does not exist is empty.
    pub fn list(&self) -> Result<Vec<Installed>, StoreError> {
        let mut all = Vec::new();
        for name in layout::models(&self.root)? {
            let place = Place::new(&self.root, &name);
            let (active, previous) = (place.active(), self.previous(&place));
            for commit in place.commits().unwrap_or_default() {
                let folder = place.revision(&commit);
                let manifest = Manifest::read(&folder).map_err(|error| error.to_string());
                let path = manifest.as_ref().map_or_else(|_| folder.clone(), |manifest| manifest.entry(&folder));
                let problems = match &manifest {
                    Ok(manifest) => manifest.problems(&folder),
                    Err(reason) => vec![reason.clone()],
                };
                let (active, previous) = (active.as_ref() == Some(&commit), previous.as_ref() == Some(&commit));
                all.push(Installed { name: name.clone(), commit, active, previous, path, manifest, problems });
            }
        }
        Ok(all)
    }

    /// Makes another version that is here the one that the plain name means: a branch, tag or label as pulled or
    /// imported, or the first seven or more digits of a commit. What was active until now is where
    /// [`rollback`](Self::rollback) leads. Models that are loaded stay as they are.
    ///
    /// Rewrites one small file, also while a pull of the same model runs, and never waits for that.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve): a version that is damaged or not here is not made active.
    pub fn activate(&self, name: &str, revision: &Revision) -> Result<Installed, StoreError> {
        let model = self.model(name)?;
        let place = Place::new(&self.root, &model);
        let commit = self.revision(&place, &format!("{name}@{revision}"), revision)?;
        self.sound(&model, &place.revision(&commit))?;
        place.set_active(&commit)?;
        self.installed(&model, &commit)
    }

    /// Makes the version active that was active before the present one; called again, the one before that. Up to 15
    /// are remembered; those that have been removed or damaged meanwhile are passed over. Nothing is deleted: what
    /// was rolled back stays until it is removed, and can be [activated](Self::activate) again.
    ///
    /// # Errors
    /// [`StoreError::NoEarlierVersion`], or as [`resolve`](Self::resolve).
    pub fn rollback(&self, name: &str) -> Result<Installed, StoreError> {
        let model = self.model(name)?;
        let place = Place::new(&self.root, &model);
        if place.commits()?.is_empty() {
            return Err(self.not_installed(name));
        }
        let lock = place.lock_pointer()?;
        let none = || StoreError::NoEarlierVersion { name: model.to_string() };
        let earlier = self.previous(&place).ok_or_else(none)?;
        place.write_history(place.history().into_iter().skip_while(|commit| *commit != earlier))?;
        drop(lock);
        self.installed(&model, &earlier)
    }

    /// Removes a model, or with `name@revision` one revision of it, together with what an unfinished pull left.
    /// Returns the number of bytes that became free.
    ///
    /// # Errors
    /// [`StoreError::NotInstalled`], [`StoreError::Ambiguous`], [`StoreError::Busy`] while a pull runs.
    pub fn remove(&self, name: &str) -> Result<u64, StoreError> {
        let (text, revision) = split_revision(name)?;
        let model = self.model(text)?;
        let place = Place::new(&self.root, &model);
        // A model that is not here must not leave a lock file behind.
        if place.commits()?.is_empty() && place.leftovers(None)?.is_empty() {
            return Err(self.not_installed(name));
        }
        let _lock = place.lock(Duration::ZERO, &CancelToken::new(), || {})?;
        let (commits, leftovers) = match &revision {
            Some(revision) => (vec![self.revision(&place, name, revision)?], Vec::new()),
            None => (place.commits()?, place.leftovers(None)?),
        };
        let mut freed = 0_u64;
        for commit in &commits {
            freed = freed.saturating_add(layout::folder_size(&place.revision(commit))?);
            place.discard(commit)?;
        }
        for leftover in &leftovers {
            freed = freed.saturating_add(layout::folder_size(leftover)?);
            layout::remove_folder(leftover)?;
        }
        self.settle(&place)?;
        Ok(freed)
    }

    /// Reads every file of a model and compares it with the hash in its manifest. Returns the manifest.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] with all damaged files, else as [`resolve`](Self::resolve).
    pub fn verify(
        &self,
        name: &str,
        progress: &dyn ProgressSink,
        cancel: &CancelToken,
    ) -> Result<Manifest, StoreError> {
        let (model, commit) = self.find(name)?;
        let folder = Place::new(&self.root, &model).revision(&commit);
        let manifest = self.sound(&model, &folder)?;
        let problems = crate::verify::damage(&manifest, &folder, progress, cancel)?;
        sound_unless(manifest, &model, problems)
    }

    /// Commit and path of what the request asks for, when it is here complete. Changes nothing: it needs no lock.
    fn already_here(&self, place: &Place<'_>, request: &PullRequest) -> Result<Option<(Commit, PathBuf)>, StoreError> {
        let found = match &request.revision {
            None => place.active(),
            Some(revision) => self.matching(place, revision)?,
        };
        let Some(commit) = found else { return Ok(None) };
        let folder = place.revision(&commit);
        let Ok(manifest) = self.sound(&request.model, &folder) else { return Ok(None) };
        let path = manifest.entry(&folder);
        Ok(Some((commit, path)))
    }

    /// The model and the commit that a name means.
    fn find(&self, name: &str) -> Result<(ModelName, Commit), StoreError> {
        let (text, revision) = split_revision(name)?;
        let model = self.model(text)?;
        let place = Place::new(&self.root, &model);
        let commit = match &revision {
            Some(revision) => self.revision(&place, name, revision)?,
            None => place.active().ok_or_else(|| self.not_installed(name))?,
        };
        if place.revision(&commit).is_dir() { Ok((model, commit)) } else { Err(self.not_installed(name)) }
    }

    /// The model of a full or a short name. A full name need not be installed.
    fn model(&self, text: &str) -> Result<ModelName, StoreError> {
        if text.contains('/') {
            return text.parse();
        }
        crate::name::check_component(text).map_err(|reason| StoreError::Name { name: shown(text), reason })?;
        let mut fitting = layout::models(&self.root)?;
        fitting.retain(|model| model.aliases(self.kinds.endings()).any(|alias| alias == text));
        match fitting.len() {
            0 => Err(self.not_installed(text)),
            1 => Ok(fitting.remove(0)),
            _ => {
                let candidates = fitting.iter().map(ToString::to_string).collect();
                Err(StoreError::Ambiguous { name: text.to_owned(), candidates })
            }
        }
    }

    /// The installed commit that a revision means.
    fn revision(&self, place: &Place<'_>, name: &str, revision: &Revision) -> Result<Commit, StoreError> {
        self.matching(place, revision)?.ok_or_else(|| self.not_installed(name))
    }

    /// By the digits of the commit, or by the branch or tag that it was pulled as; of several, the latest pulled.
    fn matching(&self, place: &Place<'_>, revision: &Revision) -> Result<Option<Commit>, StoreError> {
        let commits = place.commits()?;
        if let Some(commit) = commits.iter().find(|commit| revision.may_abbreviate(commit)) {
            return Ok(Some(commit.clone()));
        }
        let pulled = commits.into_iter().filter_map(|commit| {
            let manifest = Manifest::read(&place.revision(&commit)).ok()?;
            (manifest.revision == revision.as_str()).then_some((manifest.pulled_at, commit))
        });
        Ok(pulled.max().map(|(_, commit)| commit))
    }

    /// The manifest of a revision folder that may be loaded.
    pub(crate) fn sound(&self, model: &ModelName, folder: &Path) -> Result<Manifest, StoreError> {
        let manifest = Manifest::read(folder)?;
        let mut problems = manifest.problems(folder);
        if manifest.name != *model {
            problems.push(format!("the manifest is that of {}", manifest.name));
        }
        sound_unless(manifest, model, problems)
    }

    /// After a removal: points the name at the revision that it meant before, else at the latest that is left, or
    /// clears the empty folders away.
    fn settle(&self, place: &Place<'_>) -> Result<(), StoreError> {
        let left = place.commits()?;
        if left.is_empty() {
            return place.clear_away();
        }
        let _lock = place.lock_pointer()?;
        let history = place.history();
        if history.first().is_none_or(|active| !left.contains(active)) {
            let age = |commit: &Commit| Manifest::read(&place.revision(commit)).map(|manifest| manifest.pulled_at).ok();
            let latest = left.iter().max_by_key(|commit| age(commit)).cloned();
            let earlier = history.into_iter().filter(|commit| left.contains(commit));
            // Where there is an earlier one, the latest is not asked for.
            let mut kept: Vec<_> = earlier.collect();
            if kept.is_empty() {
                kept.extend(latest);
            }
            place.write_history(kept)?;
        }
        Ok(())
    }

    /// What a rollback leads to: the latest of the earlier commits that is here complete.
    fn previous(&self, place: &Place<'_>) -> Option<Commit> {
        let sound = |commit: &Commit| self.sound(place.name(), &place.revision(commit)).is_ok();
        place.history().into_iter().skip(1).find(sound)
    }

    /// The entry of [`list`](Self::list) for one commit.
    pub(crate) fn installed(&self, model: &ModelName, commit: &Commit) -> Result<Installed, StoreError> {
        let found = self.list()?.into_iter().find(|entry| entry.name == *model && entry.commit == *commit);
        found.ok_or_else(|| self.not_installed(&format!("{model}@{commit}")))
    }

    fn not_installed(&self, name: &str) -> StoreError {
        StoreError::NotInstalled { name: shown(name), dir: self.root.clone() }
    }
}

fn sound_unless(manifest: Manifest, model: &ModelName, problems: Vec<String>) -> Result<Manifest, StoreError> {
    if problems.is_empty() {
        return Ok(manifest);
    }
    Err(StoreError::Damaged { name: model.to_string(), problems, imported: manifest.is_imported() })
}

/// [`Store::default_dir`] on any platform, from any environment. Empty variables count as unset.
fn default_dir(variable: impl Fn(&str) -> Option<PathBuf>, os: &str) -> Option<PathBuf> {
    let set = |name| variable(name).filter(|path| !path.as_os_str().is_empty());
    if let Some(explicit) = set("SOTTO_MODELS") {
        return Some(explicit);
    }
    let data = match os {
        "windows" => set("LOCALAPPDATA")?,
        "macos" => set("HOME")?.join("Library/Application Support"),
        // The specification ignores a relative XDG_DATA_HOME.
        _ => match set("XDG_DATA_HOME").filter(|path| path.is_absolute()) {
            Some(data) => data,
            None => set("HOME")?.join(".local/share"),
        },
    };
    Some(data.join("sotto").join("models"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_folder_follows_each_platform() {
        let with = |pairs: &'static [(&str, &str)], os| {
            default_dir(move |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()), os)
        };
        let is = |path: &str| Some(PathBuf::from(path));
        assert_eq!(with(&[("SOTTO_MODELS", "/m"), ("HOME", "/h")], "linux"), is("/m"));
        assert_eq!(with(&[("SOTTO_MODELS", ""), ("HOME", "/h")], "linux"), is("/h/.local/share/sotto/models"));
        assert_eq!(with(&[("XDG_DATA_HOME", "/d"), ("HOME", "/h")], "linux"), is("/d/sotto/models"));
        assert_eq!(with(&[("XDG_DATA_HOME", "d"), ("HOME", "/h")], "linux"), is("/h/.local/share/sotto/models"));
        assert_eq!(with(&[("HOME", "/h")], "macos"), is("/h/Library/Application Support/sotto/models"));
        assert_eq!(with(&[("LOCALAPPDATA", "/l")], "windows"), is("/l/sotto/models"));
        assert_eq!(with(&[], "linux"), None);
    }

    #[test]
    fn a_store_that_does_not_exist_is_empty_and_stays_so() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path().join("none")).unwrap();
        assert!(store.list().unwrap().is_empty());
        assert!(matches!(store.resolve("openai/whisper-tiny.en"), Err(StoreError::NotInstalled { .. })));
        assert!(matches!(store.resolve("whisper-tiny.en"), Err(StoreError::NotInstalled { .. })));
        assert!(matches!(store.remove("openai/whisper-tiny.en"), Err(StoreError::NotInstalled { .. })));
        assert!(matches!(store.resolve("../../etc/passwd"), Err(StoreError::Name { .. })));
        assert!(!store.dir().exists());
    }
}
