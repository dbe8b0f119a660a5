//! From a name to a complete model: ask the hub, check the room, fetch and check every file, then one rename.

use std::cell::Cell;
use std::path::Path;

use serde::Deserialize;
use sotto_runtime::{Bytes, CancelToken, Progress, ProgressSink, Stage};

use crate::api::RepositoryInfo;
use crate::digest::{Digest, decode};
use crate::download::{Download, Meter, Wanted, already_there};
use crate::error::{StoreError, shown};
use crate::hub::Hub;
use crate::layout::{Place, create_folder, write_atomically};
use crate::manifest::{FILE_NAME, Manifest, ManifestFile, now};
use crate::name::{Commit, ModelName, Revision, last_component, split_revision};
use crate::remote::Remote;
use crate::select::select;
use crate::transport::Transport;

/// What to fetch, from where.
#[derive(Debug, Clone)]
pub struct PullRequest {
    /// The model.
    pub model: ModelName,
    /// Branch, tag or commit; none means `main`.
    pub revision: Option<Revision>,
    /// Ask the hub also when the model is here: fetch a newer commit, and repair damaged files.
    pub update: bool,
    /// Where to fetch it.
    pub hub: Hub,
}

impl PullRequest {
    /// A request for `owner/name[/file][@revision]` from `hub`.
    ///
    /// # Errors
    /// [`StoreError::Name`] for anything else.
    pub fn new(reference: &str, hub: Hub) -> Result<Self, StoreError> {
        let (name, revision) = split_revision(reference)?;
        let model: ModelName = name.parse()?;
        model.check_file()?;
        Ok(Self { model, revision, update: false, hub })
    }

    /// The same request, asking the hub also when the model is here.
    #[must_use]
    pub fn with_update(mut self, update: bool) -> Self {
        self.update = update;
        self
    }
}

/// Room beyond the files themselves: manifest, folders, block sizes.
const SLACK: u64 = 1 << 20;

/// Fetches one commit of a model into its revision folder. The caller holds the lock.
pub(crate) struct Pull<'a> {
    pub(crate) root: &'a Path,
    pub(crate) place: &'a Place<'a>,
    pub(crate) request: &'a PullRequest,
    pub(crate) transport: &'a dyn Transport,
    pub(crate) progress: &'a dyn ProgressSink,
    pub(crate) cancel: &'a CancelToken,
}

impl Pull<'_> {
    /// Brings the model to the commit that its revision stands for now, and makes it active.
    pub(crate) fn run(&self) -> Result<Commit, StoreError> {
        let branch = Revision::main();
        let revision = self.request.revision.as_ref().unwrap_or(&branch);
        let remote = Remote::new(&self.request.hub, self.transport, self.request.model.repository(), revision)?;
        let info = remote.describe(self.cancel)?;
        if !self.is_here(&info.commit)? {
            self.fetch(&remote, revision, &info)?;
        }
        self.place.set_active(&info.commit)?;
        self.clear_leftovers(None)?;
        Ok(info.commit)
    }

    /// Deletes parts of other commits: nothing will ever go on from them.
    fn clear_leftovers(&self, keep: Option<&Commit>) -> Result<(), StoreError> {
        self.place.leftovers(keep)?.iter().try_for_each(|path| crate::layout::remove_folder(path))
    }

    /// Whether the commit lies here complete and, read in full, undamaged.
    fn is_here(&self, commit: &Commit) -> Result<bool, StoreError> {
        let folder = self.place.revision(commit);
        match Manifest::read(&folder) {
            Ok(manifest) => Ok(crate::verify::damage(&manifest, &folder, self.progress, self.cancel)?.is_empty()),
            Err(_) => Ok(false),
        }
    }

    fn fetch(&self, remote: &Remote<'_>, revision: &Revision, info: &RepositoryInfo) -> Result<(), StoreError> {
        let wanted = self.wanted(remote, info)?;
        let staging = self.place.staging(&info.commit);
        self.clear_leftovers(Some(&info.commit))?;
        create_folder(&staging)?;
        self.take_over(&wanted, &staging)?;
        self.check_room(&wanted, &staging)?;

        let ledger = Ledger::new(self.progress, wanted.iter().map(|file| file.size).sum());
        let mut files = Vec::with_capacity(wanted.len());
        for file in &wanted {
            let meter = FileMeter { ledger: &ledger, name: &file.name };
            let download = Download {
                remote,
                commit: &info.commit,
                wanted: file,
                folder: &staging,
                meter: &meter,
                cancel: self.cancel,
            };
            files.push(download.run()?);
            ledger.finish(file);
            if file.name == CONFIG && self.request.model.file().is_none() {
                check_config(&staging.join(CONFIG), remote, &self.request.model)?;
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let manifest = Manifest {
            name: self.request.model.clone(),
            revision: revision.to_string(),
            commit: info.commit.clone(),
            endpoint: Some(remote.hub().address()),
            licence: info.licence.clone(),
            pulled_at: now(),
            entry: self.request.model.file().map(|file| last_component(file).to_owned()),
            files,
        };
        write_atomically(&staging.join(FILE_NAME), manifest.to_json().as_bytes())?;
        self.place.install(&staging, &info.commit)
    }

    /// The files to fetch with what they must be, small ones first: a wrong configuration shows before gigabytes are
    /// spent.
    fn wanted(&self, remote: &Remote<'_>, info: &RepositoryInfo) -> Result<Vec<Wanted>, StoreError> {
        let mut wanted = Vec::new();
        for file in select(&self.request.model, info)? {
            let (size, digest) = remote.probe(file, &info.commit, self.cancel)?;
            let name = last_component(&file.path).to_owned();
            wanted.push(Wanted { path: file.path.clone(), name, size, digest });
        }
        wanted.sort_by_key(|file| (file.name != CONFIG, file.size));
        Ok(wanted)
    }

    /// Copies files that another revision on disk already has; their hash is checked like that of a download.
    fn take_over(&self, wanted: &[Wanted], staging: &Path) -> Result<(), StoreError> {
        for commit in self.place.commits()? {
            let folder = self.place.revision(&commit);
            let Ok(manifest) = Manifest::read(&folder) else { continue };
            for file in wanted.iter().filter(|file| already_there(staging, file) == 0) {
                self.cancel.check()?;
                let same = |known: &&ManifestFile| {
                    known.size == file.size && decode(&known.sha256).map(Digest::Sha256) == Some(file.digest)
                };
                if let Some(known) = manifest.files.iter().find(same) {
                    // Only a saving: where the copy fails, the file is fetched.
                    let target = staging.join(&file.name);
                    if std::fs::copy(folder.join(&known.path), &target).is_err() {
                        crate::layout::remove_file(&target)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn check_room(&self, wanted: &[Wanted], staging: &Path) -> Result<(), StoreError> {
        let missing = wanted.iter().map(|file| file.size.saturating_sub(already_there(staging, file)));
        check_room(self.root, missing.fold(0, u64::saturating_add))
    }
}

/// Refuses what the disk of `root` has no room for.
pub(crate) fn check_room(root: &Path, missing: u64) -> Result<(), StoreError> {
    let needed = missing.saturating_add(SLACK);
    let available = fs4::available_space(root).map_err(StoreError::io(root, "ask for the free space of"))?;
    if needed > available {
        let (needed, available) = (Bytes(needed), Bytes(available));
        return Err(StoreError::NoSpace { path: root.to_owned(), needed, available });
    }
    Ok(())
}

pub(crate) const CONFIG: &str = "config.json";

/// Not every hub states the model type in its description; the configuration itself does.
fn check_config(path: &Path, remote: &Remote<'_>, model: &ModelName) -> Result<(), StoreError> {
    #[derive(Deserialize)]
    struct Config {
        model_type: String,
    }
    let repository = model.repository();
    let text = std::fs::read(path).map_err(StoreError::io(path, "read"))?;
    let reason = match serde_json::from_slice::<Config>(&text) {
        Ok(config) if config.model_type == "whisper" => return Ok(()),
        Ok(config) => format!("its model type is `{}`", shown(&config.model_type)),
        Err(_) => format!("config.json from {} states no model type", remote.hub().host()),
    };
    Err(StoreError::NotWhisper { repository, reason })
}

/// Progress over all files of a pull. Reported bytes never go back, also when a file has to start over.
struct Ledger<'a> {
    sink: &'a dyn ProgressSink,
    total: u64,
    finished: Cell<u64>,
    downloaded: Cell<u64>,
    verified: Cell<u64>,
}

impl<'a> Ledger<'a> {
    fn new(sink: &'a dyn ProgressSink, total: u64) -> Self {
        Self { sink, total, finished: Cell::new(0), downloaded: Cell::new(0), verified: Cell::new(0) }
    }

    fn finish(&self, file: &Wanted) {
        self.finished.set(self.finished.get().saturating_add(file.size));
        self.report(Stage::Download, &self.downloaded, 0, &file.name);
    }

    fn report(&self, stage: Stage, reached: &Cell<u64>, bytes: u64, name: &str) {
        reached.set(reached.get().max(self.finished.get().saturating_add(bytes)));
        self.sink.report(&Progress { stage, done: reached.get(), total: Some(self.total), subject: name.into() });
    }
}

struct FileMeter<'a> {
    ledger: &'a Ledger<'a>,
    name: &'a str,
}

impl Meter for FileMeter<'_> {
    fn downloaded(&self, bytes: u64) {
        self.ledger.report(Stage::Download, &self.ledger.downloaded, bytes, self.name);
    }

    fn verified(&self, bytes: u64) {
        self.ledger.report(Stage::Verify, &self.ledger.verified, bytes, self.name);
    }
}
