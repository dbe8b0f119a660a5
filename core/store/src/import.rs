//! A model that the user already has, taken into the store: a folder, or a single file such as a packed model.
//!
//! The files are copied (or moved) into a staging folder, hashed on the way, and get their manifest; one rename makes
//! them a revision. Until then the source is complete: whatever cuts an import short, the model is in its old place
//! or in the store, never in neither.

use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};
use sotto_runtime::{CancelToken, NoProgress, Progress, ProgressSink, Stage};

use crate::api::RemoteFile;
use crate::digest::FileHash;
use crate::error::{StoreError, shown};
use crate::kind::{self, CONFIG, Kinds};
use crate::layout::{Place, REVISIONS, create_folder, names_in, remove_file, remove_folder, rename, write_atomically};
use crate::manifest::{FILE_NAME, MAX_FILES, Manifest, ManifestFile, now};
use crate::name::{Commit, ModelName, Revision, check_component, last_component, split_revision};
use crate::pull::check_room;
use crate::store::{Installed, Store};

/// What to import, and what it is called from then on.
#[derive(Debug, Clone)]
pub struct ImportRequest {
    /// The model.
    pub model: ModelName,
    /// What this version is called (`NAME@REVISION` finds it); none means `imported`.
    pub revision: Option<Revision>,
    /// Licence to be noted, such as `apache-2.0`.
    pub licence: Option<String>,
    /// The source is not kept: files go once the model is installed. On one file system nothing is copied.
    pub take: bool,
    /// How long to wait for another process that is changing the same model.
    pub patience: Duration,
}

impl ImportRequest {
    /// A request for `name[@revision]`; a name of one part gets the owner `local`.
    ///
    /// # Errors
    /// [`StoreError::Name`].
    pub fn new(reference: &str) -> Result<Self, StoreError> {
        let (name, revision) = split_revision(reference)?;
        let model = ModelName::imported(name)?;
        Ok(Self { model, revision, licence: None, take: false, patience: Duration::from_secs(30 * 60) })
    }
}

/// What an import brought.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Imported {
    /// The model, which is active now.
    pub installed: Installed,
    /// Names in the source folder that are no part of the model: sub-folders, and of a folder of a known kind what
    /// [`pull`](Store::pull) would not fetch. They stay where they are, also when the model was moved.
    pub left_out: Vec<String>,
    /// Files that were to be moved and could not be deleted behind the import; both copies are there.
    pub kept: Vec<PathBuf>,
}

impl Store {
    /// Takes a model from the file system into the store and makes it active. Blocks.
    ///
    /// `path` is a file, which becomes a model of one file, or a folder, whose files become the model; where it is of a
    /// known kind, those that [`pull`](Self::pull) would fetch. Hidden files and sub-folders stay behind. The contents
    /// may be anything: what kind of model it is decides whoever loads it. The same files imported again are the same
    /// version.
    ///
    /// Cost: each byte is read and hashed once, and written once unless it can be moved. `progress` gets
    /// [`Stage::Write`] in bytes of all files; `cancel` is observed every 256 KiB and leaves the store and the source
    /// as they were.
    ///
    /// # Errors
    /// [`StoreError::Import`], [`StoreError::NoSpace`], [`StoreError::DiskFull`], [`StoreError::Busy`],
    /// [`StoreError::Io`]; of a folder of a known kind also [`StoreError::PickleOnly`] and [`StoreError::MissingFile`].
    pub fn import(
        &self,
        request: &ImportRequest,
        path: &Path,
        progress: &dyn ProgressSink,
        cancel: &CancelToken,
    ) -> Result<Imported, StoreError> {
        self.import_with(request, progress, cancel, |import| {
            let source = Source::find(path, request, self)?;
            import.fill(&source, request.take)?;
            Ok(source)
        })
    }

    /// As [`import`](Self::import), for one file that is read from a stream: what a document provider of a platform
    /// hands over, which may have neither a path nor a length. `name` is what the file is called there; its ending is
    /// kept.
    ///
    /// # Errors
    /// As [`import`](Self::import); [`StoreError::Io`] when the stream cannot be read.
    pub fn import_stream(
        &self,
        request: &ImportRequest,
        name: &str,
        stream: &mut dyn Read,
        progress: &dyn ProgressSink,
        cancel: &CancelToken,
    ) -> Result<Imported, StoreError> {
        self.import_with(request, progress, cancel, |import| {
            let name = stored_name(&request.model, Path::new(name));
            import.copy(stream, Path::new(&name), &name)?;
            if import.done == 0 {
                return Err(StoreError::Import { path: name.into(), reason: "it is empty".to_owned() });
            }
            Ok(Source { single: Some(name), ..Source::default() })
        })
    }

    fn import_with(
        &self,
        request: &ImportRequest,
        progress: &dyn ProgressSink,
        cancel: &CancelToken,
        fill: impl FnOnce(&mut Import<'_>) -> Result<Source, StoreError>,
    ) -> Result<Imported, StoreError> {
        cancel.check()?;
        create_folder(&self.root)?;
        let place = Place::new(&self.root, &request.model);
        let waiting = || {
            let subject = format!("{} (waits for another change of it)", request.model).into();
            progress.report(&Progress { stage: Stage::Write, done: 0, total: None, subject });
        };
        let _lock = place.lock(request.patience, cancel, waiting)?;
        place.recover()?;
        let staging = place.import_staging();
        remove_folder(&staging)?;
        create_folder(&staging)?;
        let files = Vec::new();
        let mut import =
            Import { place: &place, staging, progress, cancel, files, done: 0, total: None, moved_in: false };
        let imported = fill(&mut import).and_then(|source| {
            let commit = import.install(request, &source)?;
            place.set_active(&commit)?;
            let kept = source.delete(request.take);
            Ok(Imported { installed: self.installed(&request.model, &commit)?, left_out: source.left_out, kept })
        });
        if imported.is_err() && !import.moved_in {
            // The failure itself says what is wrong; what stays here goes with the next import.
            let _ = remove_folder(&import.staging);
        }
        imported
    }
}

/// The files of an import, where they lie now.
#[derive(Default)]
struct Source {
    /// Path of each file and its name in the store, in order of name.
    files: Vec<(PathBuf, String)>,
    left_out: Vec<String>,
    /// Name in the store of the only file, where the source is not a folder.
    single: Option<String>,
}

impl Source {
    fn find(path: &Path, request: &ImportRequest, store: &Store) -> Result<Self, StoreError> {
        let root = &store.root;
        let refused = |reason: &str| StoreError::Import { path: path.to_owned(), reason: reason.to_owned() };
        let found = fs::metadata(path).map_err(StoreError::io(path, "import"))?;
        if request.take && is_kept(path, root) {
            return Err(refused("it is part of a model in the store and cannot be moved out of that; copy it"));
        }
        if found.is_file() {
            if found.len() == 0 {
                return Err(refused("it is empty"));
            }
            let name = stored_name(&request.model, path);
            return Ok(Self { files: vec![(path.to_owned(), name.clone())], single: Some(name), ..Self::default() });
        }
        if !found.is_dir() {
            return Err(refused("it is neither a file nor a folder"));
        }
        if path.join(REVISIONS).is_dir() && is_kept(path, root) {
            return Err(refused("it is a whole model of the store; name the folder of one of its versions"));
        }
        let mut source = Self::default();
        let mut names = names_in(path)?;
        names.sort();
        for name in names.into_iter().filter(|name| !name.starts_with('.') && name != FILE_NAME) {
            let file = path.join(&name);
            let found = fs::metadata(&file).map_err(StoreError::io(&file, "import"))?;
            match check_component(&name) {
                _ if found.is_dir() => source.left_out.push(name),
                _ if !found.is_file() => return Err(refused(&format!("{:?} in it is not a file", shown(&name)))),
                Err(reason) => {
                    let reason = format!("the file name {:?} in it: {reason}; rename or remove it", shown(&name));
                    return Err(refused(&reason));
                }
                Ok(()) => source.files.push((file, name)),
            }
        }
        source.keep_the_kind(store.kinds, path, &request.model)?;
        match source.files.len() {
            0 => Err(refused("there is no file in it")),
            found if found > MAX_FILES => Err(refused("it has more files than any model")),
            _ => Ok(source),
        }
    }

    /// Of a folder of a known kind takes what a pull would fetch: other frameworks' files are as large as the model.
    fn keep_the_kind(&mut self, kinds: Kinds, folder: &Path, model: &ModelName) -> Result<(), StoreError> {
        let Some(kind) = kind::model_type(&folder.join(CONFIG)).and_then(|found| kinds.of_type(&found)) else {
            return Ok(());
        };
        let listed = |(_, name): &(PathBuf, String)| RemoteFile { path: name.clone(), size: None, digest: None };
        let listing: Vec<_> = self.files.iter().map(listed).collect();
        let selected = kind.select(kinds, &model.repository(), &listing)?;
        let wanted: Vec<_> = selected.into_iter().map(|file| file.path.as_str()).collect();
        let (files, others) = self.files.drain(..).partition(|(_, name)| wanted.contains(&name.as_str()));
        self.files = files;
        self.left_out.extend(others.into_iter().map(|(_, name): (PathBuf, String)| name));
        self.left_out.sort();
        Ok(())
    }

    /// Deletes the files behind an import that takes them. Returns those that stayed.
    fn delete(&self, take: bool) -> Vec<PathBuf> {
        let gone = self.files.iter().filter(|_| take).map(|(path, _)| path);
        let mut kept: Vec<_> = gone.filter(|path| remove_file(path).is_err()).cloned().collect();
        kept.sort();
        if let Some(folder) =
            self.files.first().and_then(|(path, _)| path.parent()).filter(|_| take && self.single.is_none())
        {
            // Fails where something is left, which is the purpose.
            let _ = fs::remove_dir(folder);
        }
        kept
    }
}

/// What a single file is called in the store: as its model, with the ending that loaders know it by. The source may be
/// called anything.
fn stored_name(model: &ModelName, path: &Path) -> String {
    let name = model.to_string();
    let last = last_component(&name);
    match path.extension().and_then(|extension| extension.to_str()) {
        Some(extension) if !last.ends_with(&format!(".{extension}")) => {
            let with = format!("{last}.{extension}");
            if check_component(&with).is_ok() { with } else { last.to_owned() }
        }
        _ => last.to_owned(),
    }
}

/// Whether the store itself keeps something there. Beside its models an app's folder may hold what it likes.
fn is_kept(path: &Path, root: &Path) -> bool {
    let (Ok(path), Ok(root)) = (path.canonicalize(), root.canonicalize()) else { return false };
    let Ok(inside) = path.strip_prefix(&root) else { return root.starts_with(&path) };
    let of_the_store = |name: &std::ffi::OsStr| name == REVISIONS || name.as_encoded_bytes().starts_with(b".");
    inside.iter().any(of_the_store) || path.join(REVISIONS).is_dir()
}

/// An import under way. The lock of the model is held.
struct Import<'a> {
    place: &'a Place<'a>,
    staging: PathBuf,
    progress: &'a dyn ProgressSink,
    cancel: &'a CancelToken,
    files: Vec<ManifestFile>,
    done: u64,
    total: Option<u64>,
    /// The only copy is in the staging folder: it may not be deleted.
    moved_in: bool,
}

impl Import<'_> {
    /// Brings all files into the staging folder; a single one that is to be moved is only hashed, and moved at the end.
    fn fill(&mut self, source: &Source, take: bool) -> Result<(), StoreError> {
        let mut total = 0_u64;
        for (path, _) in &source.files {
            total = total.saturating_add(State::of(path)?.length);
        }
        self.total = Some(total);
        let mut room_is_checked = false;
        for (path, name) in &source.files {
            let before = State::of(path)?;
            let target = self.staging.join(name);
            // A link that was moved would lead nowhere, so what it leads to is copied.
            let take = take && !path.is_symlink();
            if take && source.single.is_some() {
                self.hash(path, name)?;
            } else if take && fs::hard_link(path, &target).is_ok() {
                self.hash(&target, name)?;
            } else {
                if !std::mem::replace(&mut room_is_checked, true) {
                    check_room(self.place.root(), total.saturating_sub(self.done))?;
                }
                let mut file = File::open(path).map_err(StoreError::io(path, "open"))?;
                self.copy(&mut file, path, name)?;
            }
            if State::of(path)? != before {
                return Err(StoreError::Import { path: path.clone(), reason: CHANGED.to_owned() });
            }
        }
        Ok(())
    }

    /// Notes the hash of a file without copying it.
    fn hash(&mut self, path: &Path, name: &str) -> Result<(), StoreError> {
        let before = self.done;
        let cancel = self.cancel;
        let hash = FileHash::of(path, cancel, |bytes| {
            self.done += bytes;
            self.report(name);
        })?;
        self.files.push(ManifestFile::new(name.to_owned(), self.done - before, &hash.sha256));
        Ok(())
    }

    /// Copies a stream into the staging folder and notes its hash; `path` names it in messages.
    fn copy(&mut self, stream: &mut dyn Read, path: &Path, name: &str) -> Result<(), StoreError> {
        let target = self.staging.join(name);
        let mut file = File::create(&target).map_err(StoreError::io(&target, "create"))?;
        let mut hash = Sha256::new();
        let mut block = vec![0; 256 << 10];
        let before = self.done;
        loop {
            self.cancel.check()?;
            let read = match stream.read(&mut block) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(StoreError::io(path, "read")(error)),
            };
            hash.update(&block[..read]);
            file.write_all(&block[..read]).map_err(StoreError::io(&target, "write"))?;
            self.done += read as u64;
            self.report(name);
        }
        file.sync_all().map_err(StoreError::io(&target, "write"))?;
        self.files.push(ManifestFile::new(name.to_owned(), self.done - before, &hash.finalize().into()));
        Ok(())
    }

    fn report(&self, name: &str) {
        let (done, total) = (self.done, self.total);
        self.progress.report(&Progress { stage: Stage::Write, done, total, subject: name.into() });
    }

    /// Makes what was filled in a revision, unless the very files are here already. Returns its commit.
    fn install(&mut self, request: &ImportRequest, source: &Source) -> Result<Commit, StoreError> {
        self.files.sort_by(|a, b| a.path.cmp(&b.path));
        let commit = Commit::of_files(&self.files);
        let manifest = Manifest {
            name: request.model.clone(),
            revision: request.revision.as_ref().map_or("imported", Revision::as_str).to_owned(),
            commit: commit.clone(),
            endpoint: None,
            licence: request.licence.as_deref().map(shown),
            pulled_at: now(),
            entry: source.single.clone(),
            files: std::mem::take(&mut self.files),
        };
        let folder = self.place.revision(&commit);
        if let Ok(there) = Manifest::read(&folder)
            && there.files == manifest.files
            && crate::verify::damage(&there, &folder, &NoProgress, self.cancel)?.is_empty()
        {
            // The same files under another label or licence.
            write_atomically(&folder.join(FILE_NAME), manifest.to_json().as_bytes())?;
            remove_folder(&self.staging)?;
            return Ok(commit);
        }
        write_atomically(&self.staging.join(FILE_NAME), manifest.to_json().as_bytes())?;
        if let (Some(name), Some((path, _))) = (&source.single, source.files.first())
            && !self.staging.join(name).exists()
        {
            self.move_in(path, name, &manifest.files[0])?;
        }
        self.place.install(&self.staging, &commit)?;
        Ok(commit)
    }

    /// Renames the only file of a model into the staging folder; copies it where that is on another file system.
    fn move_in(&mut self, path: &Path, name: &str, expected: &ManifestFile) -> Result<(), StoreError> {
        let target = self.staging.join(name);
        if fs::rename(path, &target).is_ok() {
            self.moved_in = true;
            // Nobody may have written to it since it was hashed, as far as its length tells.
            return match fs::metadata(&target) {
                Ok(found) if found.len() == expected.size => Ok(()),
                _ => {
                    rename(&target, path)?;
                    self.moved_in = false;
                    Err(StoreError::Import { path: path.to_owned(), reason: CHANGED.to_owned() })
                }
            };
        }
        check_room(self.place.root(), expected.size)?;
        let mut file = File::open(path).map_err(StoreError::io(path, "open"))?;
        self.done = 0;
        self.copy(&mut file, path, name)?;
        match self.files.pop() {
            Some(copied) if copied == *expected => Ok(()),
            _ => Err(StoreError::Import { path: path.to_owned(), reason: CHANGED.to_owned() }),
        }
    }
}

const CHANGED: &str = "it changed while it was imported";

/// What tells whether somebody wrote to a file meanwhile.
#[derive(PartialEq, Eq)]
struct State {
    length: u64,
    modified: Option<SystemTime>,
}

impl State {
    fn of(path: &Path) -> Result<Self, StoreError> {
        let found = fs::metadata(path).map_err(StoreError::io(path, "import"))?;
        Ok(Self { length: found.len(), modified: found.modified().ok() })
    }
}
