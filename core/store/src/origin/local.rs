//! A folder on this machine: a revision of a store, on another disk or brought along.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use sotto_runtime::CancelToken;

use super::server::Patience;
use super::{Answer, Ask, Description, Identity, Part, Source, folder};
use crate::error::StoreError;
use crate::manifest::{FILE_NAME, MAX_BYTES};
use crate::name::{ModelName, Revision};
use crate::transport::Body;

/// Size of the pieces that are handed over.
const PIECE: usize = 256 << 10;

/// A folder on this machine that holds one version of a model: a copy of what a store keeps under `revisions/COMMIT`,
/// with its `sotto.json`. A folder without one is [imported](crate::Store::import).
#[derive(Debug, Clone)]
pub struct LocalFolder {
    path: PathBuf,
    pub(super) patience: Patience,
}

impl LocalFolder {
    /// The folder at `path`, which is looked at when it is pulled from.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), patience: Patience::default() }
    }

    /// The same folder with other limits, of which only the wait for another process counts.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }
}

/// A folder on this machine, asked for one model.
pub(crate) struct Present<'a> {
    pub(super) folder: &'a LocalFolder,
    pub(super) model: &'a ModelName,
    pub(super) revision: Option<&'a Revision>,
}

impl Source for Present<'_> {
    fn identity(&self) -> Identity<'_> {
        let path = std::path::absolute(&self.folder.path);
        Identity {
            host: self.folder.path.display().to_string(),
            address: path.as_ref().unwrap_or(&self.folder.path).display().to_string(),
            patience: &self.folder.patience,
        }
    }

    fn describe(&self, cancel: &CancelToken) -> Result<Description, StoreError> {
        cancel.check()?;
        let place = self.identity().host;
        let path = self.folder.path.join(FILE_NAME);
        let (file, _) = regular(&path)?.ok_or_else(|| folder::refused(&place, "there is no sotto.json"))?;
        let mut text = Vec::new();
        file.take(MAX_BYTES + 1).read_to_end(&mut text).map_err(StoreError::io(&path, "read"))?;
        folder::describe(&text, &place, self.model, self.revision)
    }

    fn open(&self, ask: &Ask<'_>, _: &CancelToken) -> Result<Answer, StoreError> {
        let path = self.folder.path.join(ask.path);
        let host = self.identity().host;
        let (mut file, length) = regular(&path)?.ok_or_else(|| folder::missing(&host, ask.path))?;
        if ask.from > length {
            return Ok(Answer::Lost);
        }
        file.seek(SeekFrom::Start(ask.from)).map_err(StoreError::io(&path, "read"))?;
        let body = Box::new(Pieces { file, path });
        let part = Part { length: Some(length - ask.from), tag: None, host, body };
        Ok(if ask.from == 0 { Answer::Whole(part) } else { Answer::Rest(part) })
    }
}

/// The file at `path` and its length; none where there is no regular file. Whatever else is there is not opened: a
/// pipe would wait for ever.
fn regular(path: &Path) -> Result<Option<(File, u64)>, StoreError> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() => {
            Ok(Some((File::open(path).map_err(StoreError::io(path, "open"))?, found.len())))
        }
        Ok(_) => Ok(None),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(StoreError::io(path, "open")(error)),
    }
}

/// A file that is read piece by piece.
struct Pieces {
    file: File,
    path: PathBuf,
}

impl Body for Pieces {
    fn piece(&mut self, cancel: &CancelToken) -> Result<Option<Vec<u8>>, StoreError> {
        cancel.check()?;
        let mut piece = vec![0; PIECE];
        let read = loop {
            match self.file.read(&mut piece) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read.map_err(StoreError::io(&self.path, "read"))?,
            }
        };
        piece.truncate(read);
        Ok((read > 0).then_some(piece))
    }
}
