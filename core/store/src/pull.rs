//! From a name to a complete model: ask its origin, check the room, fetch and check every file, then one rename.

use std::cell::Cell;
use std::path::Path;

use sotto_runtime::{Bytes, CancelToken, Progress, ProgressSink, Stage};

use crate::api::RemoteFile;
use crate::digest::{Digest, decode};
use crate::download::{Download, Meter, Wanted, already_there};
use crate::error::StoreError;
use crate::kind::{CONFIG, KNOWN, Kind, Kinds, MAX_CONFIG, model_type, refuse_unsafe_names};
use crate::layout::{Place, create_folder, remove_file, remove_folder, write_atomically};
use crate::manifest::{FILE_NAME, Manifest, ManifestFile, now};
use crate::name::{Commit, ModelName, Revision, last_component, split_revision};
use crate::origin::{Description, Origin, Source};
use crate::transport::Transport;

/// What to fetch, from where.
#[derive(Debug, Clone)]
pub struct PullRequest {
    /// The model.
    pub model: ModelName,
    /// Branch, tag or commit; none means `main` of a hub, and of a folder what it has.
    pub revision: Option<Revision>,
    /// Ask the origin also when the model is here: fetch a newer commit, and repair damaged files.
    pub update: bool,
    /// Where to fetch it.
    pub origin: Origin,
}

impl PullRequest {
    /// A request for `owner/name[/file][@revision]` from a [`Hub`](crate::Hub), a [`WebFolder`](crate::WebFolder) or a
    /// [`LocalFolder`](crate::LocalFolder). A folder has its model under one name, which must be this one.
    ///
    /// # Errors
    /// [`StoreError::Name`] for anything else, [`StoreError::UnknownKind`] for a file of a hub that cannot be a model.
    pub fn new(reference: &str, origin: impl Into<Origin>) -> Result<Self, StoreError> {
        let (name, revision) = split_revision(reference)?;
        let request = Self { model: name.parse()?, revision, update: false, origin: origin.into() };
        request.check_name(KNOWN)?;
        Ok(request)
    }

    /// A hub has one file of a repository under such a name; a folder says itself what its name means.
    fn check_name(&self, kinds: Kinds) -> Result<(), StoreError> {
        match self.origin {
            Origin::Hub(_) => kinds.check_name(&self.model),
            Origin::Web(_) | Origin::Local(_) => Ok(()),
        }
    }

    /// The same request, asking its origin also when the model is here.
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
    pub(crate) kinds: Kinds,
    pub(crate) place: &'a Place<'a>,
    pub(crate) request: &'a PullRequest,
    pub(crate) transport: &'a dyn Transport,
    pub(crate) progress: &'a dyn ProgressSink,
    pub(crate) cancel: &'a CancelToken,
}

impl Pull<'_> {
    /// Brings the model to the commit that its revision stands for now, and makes it active.
    pub(crate) fn run(&self) -> Result<Commit, StoreError> {
        let PullRequest { model, revision, origin, .. } = self.request;
        self.request.check_name(self.kinds)?;
        let source = origin.source(model, revision.as_ref(), self.transport)?;
        let described = source.describe(self.cancel)?;
        if !self.is_here(&*source, &described)? {
            self.fetch(&*source, &described)?;
        }
        self.place.set_active(&described.info.commit)?;
        self.clear_leftovers(None)?;
        Ok(described.info.commit)
    }

    /// Deletes parts of other commits: nothing will ever go on from them.
    fn clear_leftovers(&self, keep: Option<&Commit>) -> Result<(), StoreError> {
        self.place.leftovers(keep)?.iter().try_for_each(|path| remove_folder(path))
    }

    /// Whether the commit lies here complete and, read in full, undamaged. A commit has one content: an origin that
    /// states another one is not believed.
    fn is_here(&self, source: &dyn Source, described: &Description) -> Result<bool, StoreError> {
        let folder = self.place.revision(&described.info.commit);
        let Ok(manifest) = Manifest::read(&folder) else { return Ok(false) };
        if let Some(file) = contradiction(&manifest, &described.info.files) {
            let commit = manifest.commit.short();
            let reason = format!("it states another {file} for the commit {commit} than the one that is here");
            return Err(StoreError::Reply { host: source.identity().host, reason });
        }
        Ok(crate::verify::damage(&manifest, &folder, self.progress, self.cancel)?.is_empty())
    }

    fn fetch(&self, source: &dyn Source, described: &Description) -> Result<(), StoreError> {
        let repository = self.request.model.repository();
        let Description { info, .. } = described;
        refuse_unsafe_names(&repository, &info.files)?;
        let staging = self.place.staging(&info.commit);
        self.clear_leftovers(Some(&info.commit))?;
        create_folder(&staging)?;
        let filled = Fetching { pull: self, source, described, repository, staging: &staging }.fill();
        if let Err(StoreError::UnknownKind { .. } | StoreError::MissingFile { .. } | StoreError::PickleOnly { .. }) =
            filled
        {
            // This commit will never be a model: nothing goes on from its parts.
            remove_folder(&staging)?;
        }
        filled?;
        self.place.install(&staging, &info.commit)
    }
}

/// One commit on its way into a staging folder.
struct Fetching<'a> {
    pull: &'a Pull<'a>,
    source: &'a dyn Source,
    described: &'a Description,
    /// For messages.
    repository: String,
    staging: &'a Path,
}

impl Fetching<'_> {
    /// Brings all files and their manifest into the staging folder.
    fn fill(&self) -> Result<(), StoreError> {
        let (kind, wanted) = self.wanted()?;
        self.take_over(&wanted)?;
        self.check_room(&wanted)?;

        let ledger = Ledger::new(self.pull.progress, wanted.iter().map(|file| file.size).sum());
        let mut files = Vec::with_capacity(wanted.len());
        for file in &wanted {
            files.push(self.download(file, &FileMeter { ledger: &ledger, name: &file.name })?);
            ledger.finish(file);
            kind.check(self.pull.kinds, &self.repository, self.staging, &file.name)?;
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let Description { info, revision, single } = self.described;
        let manifest = Manifest {
            name: self.pull.request.model.clone(),
            revision: revision.to_string(),
            commit: info.commit.clone(),
            endpoint: Some(self.source.identity().address),
            licence: info.licence.clone(),
            pulled_at: now(),
            entry: single.as_deref().map(|file| last_component(file).to_owned()),
            files,
        };
        write_atomically(&self.staging.join(FILE_NAME), manifest.to_json().as_bytes())
    }

    fn download(&self, wanted: &Wanted, meter: &dyn Meter) -> Result<ManifestFile, StoreError> {
        let (source, folder, cancel) = (self.source, self.staging, self.pull.cancel);
        Download { source, commit: &self.described.info.commit, wanted, folder, meter, cancel }.run()
    }

    /// The kind of the model, and its files with what they must be, small ones first: a wrong configuration shows
    /// before gigabytes are spent.
    fn wanted(&self) -> Result<(&'static Kind, Vec<Wanted>), StoreError> {
        let (kinds, repository, files) = (self.pull.kinds, &self.repository, &self.described.info.files);
        let (kind, selected) = match &self.described.single {
            Some(path) => {
                let (kind, file) = kinds.single_file(repository, path, files)?;
                (kind, vec![file])
            }
            None => {
                let kind = kinds.folder(repository, self.model_type()?.as_deref(), files)?;
                (kind, kind.select(kinds, repository, files)?)
            }
        };
        let mut wanted = selected.into_iter().map(|file| self.probe(file)).collect::<Result<Vec<_>, _>>()?;
        wanted.sort_by_key(|file| (file.name != CONFIG, file.size));
        Ok((kind, wanted))
    }

    fn probe(&self, file: &RemoteFile) -> Result<Wanted, StoreError> {
        let (size, digest) = self.source.probe(file, &self.described.info.commit, self.pull.cancel)?;
        Ok(Wanted { path: file.path.clone(), name: last_component(&file.path).to_owned(), size, digest })
    }

    /// What the description calls the model, or else its configuration, which is fetched for that.
    fn model_type(&self) -> Result<Option<String>, StoreError> {
        let info = &self.described.info;
        let config = info.files.iter().find(|file| file.path == CONFIG);
        let Some(config) = config.filter(|_| info.model_type.is_none()) else { return Ok(info.model_type.clone()) };
        let config = self.probe(config)?;
        if config.size > MAX_CONFIG {
            let found = format!("its {CONFIG} is longer than any");
            return Err(self.pull.kinds.unknown(&self.repository, found, Vec::new()));
        }
        check_room(self.pull.root, config.size)?;
        self.download(&config, &Unmetered)?;
        Ok(model_type(&self.staging.join(CONFIG)))
    }

    /// Copies files that another revision on disk already has; their hash is checked like that of a download.
    fn take_over(&self, wanted: &[Wanted]) -> Result<(), StoreError> {
        for commit in self.pull.place.commits()? {
            let folder = self.pull.place.revision(&commit);
            let Ok(manifest) = Manifest::read(&folder) else { continue };
            for file in wanted.iter().filter(|file| already_there(self.staging, file) == 0) {
                self.pull.cancel.check()?;
                let same = |known: &&ManifestFile| {
                    known.size == file.size && decode(&known.sha256).map(Digest::Sha256) == Some(file.digest)
                };
                if let Some(known) = manifest.files.iter().find(same) {
                    // Only a saving: where the copy fails, the file is fetched.
                    let target = self.staging.join(&file.name);
                    if std::fs::copy(folder.join(&known.path), &target).is_err() {
                        remove_file(&target)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn check_room(&self, wanted: &[Wanted]) -> Result<(), StoreError> {
        let missing = wanted.iter().map(|file| file.size.saturating_sub(already_there(self.staging, file)));
        check_room(self.pull.root, missing.fold(0, u64::saturating_add))
    }
}

/// A file of which the manifest and the list state different SHA-256.
fn contradiction<'a>(manifest: &'a Manifest, listed: &[RemoteFile]) -> Option<&'a str> {
    let differs = |known: &&ManifestFile| {
        let digest = decode(&known.sha256).map(Digest::Sha256);
        let listed = listed.iter().filter(|file| file.path == known.path).filter_map(|file| file.digest);
        listed.into_iter().any(|stated| matches!(stated, Digest::Sha256(_)) && Some(stated) != digest)
    };
    manifest.files.iter().find(differs).map(|known| &*known.path)
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

/// A small file that is fetched before it is known what else there is: counted when all are.
struct Unmetered;

impl Meter for Unmetered {
    fn downloaded(&self, _: u64) {}

    fn verified(&self, _: u64) {}
}
