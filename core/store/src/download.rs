//! One file from its origin to disk: resumed where it stopped, checked before it gets its name.
//!
//! While a file is incomplete it is `NAME.part`, next to `NAME.etag` with the entity tag of the server that sent it. A
//! resumed request says `If-Range` with that tag, so a file that changed meanwhile starts over. Whatever a server
//! does, the hash of the finished file decides.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use sotto_runtime::CancelToken;

use crate::digest::{Digest, FileHash};
use crate::error::{NetworkFailure, StoreError};
use crate::layout::{remove_file, rename, sync_folder, write_atomically};
use crate::manifest::ManifestFile;
use crate::name::Commit;
use crate::origin::{Answer, Ask, Part, Source};
use crate::retry::Attempts;

/// This many new bytes make up for earlier failures, so that a bad line is endured but a server that sends crumbs is
/// not.
const PROGRESS: u64 = 1 << 20;

/// A file to fetch, and what it must be.
pub(crate) struct Wanted {
    /// Path where it comes from.
    pub(crate) path: String,
    /// Name on disk.
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) digest: Digest,
}

/// Told how many bytes of the present file are on disk, or have been hashed.
pub(crate) trait Meter {
    fn downloaded(&self, bytes: u64);
    fn verified(&self, bytes: u64);
}

pub(crate) struct Download<'a> {
    pub(crate) source: &'a dyn Source,
    pub(crate) commit: &'a Commit,
    pub(crate) wanted: &'a Wanted,
    /// Folder that collects the files.
    pub(crate) folder: &'a Path,
    pub(crate) meter: &'a dyn Meter,
    pub(crate) cancel: &'a CancelToken,
}

/// Bytes of `wanted` that lie in `folder` from an earlier pull.
pub(crate) fn already_there(folder: &Path, wanted: &Wanted) -> u64 {
    let length = |path: PathBuf| std::fs::metadata(path).map_or(0, |found| found.len());
    length(folder.join(&wanted.name)).max(length(part_path(folder, wanted))).min(wanted.size)
}

fn part_path(folder: &Path, wanted: &Wanted) -> PathBuf {
    folder.join(format!("{}.part", wanted.name))
}

/// What one request brought about.
enum Step {
    /// The part is as long as the file.
    Full,
    /// The part cannot be continued; it was deleted.
    StartOver,
}

impl Download<'_> {
    /// Fetches and checks the file; afterwards it lies in the folder under its name.
    ///
    /// # Errors
    /// Network errors after bounded retries keep the part for the next pull; [`StoreError::WrongSize`] and
    /// [`StoreError::WrongHash`] delete it.
    pub(crate) fn run(&self) -> Result<ManifestFile, StoreError> {
        let complete = self.folder.join(&self.wanted.name);
        if let Some(found) = self.check(&complete)? {
            return Ok(found);
        }
        remove_file(&complete)?;
        // A part from an earlier pull may be damaged: then, once, everything is fetched anew.
        let mut resumed = self.part_length() > 0;
        loop {
            self.fill()?;
            let part = self.part();
            if let Some(found) = self.check(&part)? {
                rename(&part, &complete)?;
                remove_file(&self.tag())?;
                sync_folder(self.folder)?;
                return Ok(found);
            }
            self.forget_part()?;
            if !std::mem::take(&mut resumed) {
                let expected = self.wanted.digest.to_string();
                return Err(StoreError::WrongHash { file: self.wanted.path.clone(), expected });
            }
        }
    }

    /// Requests until the part is as long as the file should be.
    fn fill(&self) -> Result<(), StoreError> {
        let mut attempts = Attempts::new(self.source.identity().patience);
        let mut started_over = false;
        loop {
            let before = self.part_length();
            if before == self.wanted.size && (before > 0 || self.part().exists()) {
                return Ok(());
            }
            match self.request(before) {
                Ok(Step::Full) => return Ok(()),
                Ok(Step::StartOver) if !std::mem::replace(&mut started_over, true) => {}
                Ok(Step::StartOver) => {
                    let reason = "it does not send the part of a file that was asked for".to_owned();
                    return Err(StoreError::Reply { host: self.source.identity().host, reason });
                }
                Err(error) => {
                    if self.part_length().saturating_sub(before) >= PROGRESS {
                        attempts.progressed();
                    }
                    attempts.failed(error, self.cancel)?;
                }
            }
        }
    }

    fn request(&self, from: u64) -> Result<Step, StoreError> {
        if from > self.wanted.size {
            self.forget_part()?;
            return Ok(Step::StartOver);
        }
        let tag = std::fs::read_to_string(self.tag()).ok().filter(|tag| is_strong_tag(tag));
        let Wanted { path, size, .. } = self.wanted;
        let ask = Ask { path, commit: self.commit, size: *size, from, tag };
        match self.source.open(&ask, self.cancel)? {
            Answer::Whole(part) => {
                self.expect_length(part.length, 0)?;
                self.forget_part()?;
                self.keep_tag(part.tag.as_deref())?;
                self.receive(0, part)
            }
            Answer::Rest(part) => {
                self.expect_length(part.length, from)?;
                self.receive(from, part)
            }
            Answer::Lost => {
                self.forget_part()?;
                Ok(Step::StartOver)
            }
        }
    }

    /// A stated length that cannot lead to the right size ends the pull before a byte is written.
    fn expect_length(&self, stated: Option<u64>, from: u64) -> Result<(), StoreError> {
        match stated.map(|stated| from.saturating_add(stated)) {
            Some(found) if found != self.wanted.size => self.wrong_size(found),
            _ => Ok(()),
        }
    }

    fn wrong_size<T>(&self, found: u64) -> Result<T, StoreError> {
        self.forget_part()?;
        Err(StoreError::WrongSize { file: self.wanted.path.clone(), expected: self.wanted.size, found })
    }

    /// Appends what arrives; whatever ends it, the bytes that came are on disk and counted.
    fn receive(&self, from: u64, mut arriving: Part) -> Result<Step, StoreError> {
        let part = self.part();
        let write_error = || StoreError::io(&part, "write");
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&part)
            .map_err(StoreError::io(&part, "open"))?;
        file.seek(SeekFrom::Start(from)).map_err(write_error())?;
        let mut length = from;
        while let Some(piece) = arriving.body.piece(self.cancel)? {
            let after = length + piece.len() as u64;
            if after > self.wanted.size {
                drop(file);
                return self.wrong_size(after);
            }
            file.write_all(&piece).map_err(write_error())?;
            length = after;
            self.meter.downloaded(length);
        }
        if length < self.wanted.size {
            return Err(StoreError::Network { host: arriving.host, failure: NetworkFailure::Cut });
        }
        file.sync_all().map_err(write_error())?;
        Ok(Step::Full)
    }

    /// Hashes what lies on disk, not what went by: a fault of the disk is found too. None when it is not the file.
    fn check(&self, path: &Path) -> Result<Option<ManifestFile>, StoreError> {
        if !std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() == self.wanted.size) {
            return Ok(None);
        }
        let mut hashed = 0;
        let hash = FileHash::of(path, self.cancel, |bytes| {
            hashed += bytes;
            self.meter.verified(hashed);
        })?;
        let matches = self.wanted.digest.matches(&hash);
        Ok(matches.then(|| ManifestFile::new(self.wanted.name.clone(), self.wanted.size, &hash.sha256)))
    }

    fn part(&self) -> PathBuf {
        part_path(self.folder, self.wanted)
    }

    fn tag(&self) -> PathBuf {
        self.folder.join(format!("{}.etag", self.wanted.name))
    }

    fn part_length(&self) -> u64 {
        std::fs::metadata(self.part()).map_or(0, |found| found.len())
    }

    fn keep_tag(&self, tag: Option<&str>) -> Result<(), StoreError> {
        match tag.filter(|tag| is_strong_tag(tag)) {
            Some(tag) => write_atomically(&self.tag(), tag.as_bytes()),
            None => Ok(()),
        }
    }

    fn forget_part(&self) -> Result<(), StoreError> {
        remove_file(&self.part())?;
        remove_file(&self.tag())
    }
}

/// Weak tags may not stand in `If-Range` (RFC 9110, §13.1.5).
fn is_strong_tag(tag: &str) -> bool {
    (3..=256).contains(&tag.len())
        && tag.starts_with('"')
        && tag.ends_with('"')
        && tag[1..tag.len() - 1].bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_strong_tags_guard_a_range() {
        assert!(is_strong_tag("\"abc\""));
        for tag in ["", "\"", "\"\"", "W/\"abc\"", "abc", "\"a\r\nX: y\"", "\"a\"b\""] {
            assert!(!is_strong_tag(tag), "{tag:?}");
        }
    }
}
