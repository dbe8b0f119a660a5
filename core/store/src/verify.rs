//! Reading installed files in full and comparing them with their manifest.

use std::path::Path;

use sotto_runtime::{CancelToken, Progress, ProgressSink, Stage};

use crate::digest::{FileHash, hex};
use crate::error::StoreError;
use crate::manifest::Manifest;

/// What is wrong with the files of a revision, one entry per file; empty when they are as they were pulled.
pub(crate) fn damage(
    manifest: &Manifest,
    folder: &Path,
    progress: &dyn ProgressSink,
    cancel: &CancelToken,
) -> Result<Vec<String>, StoreError> {
    let mut problems = manifest.problems(folder);
    if !problems.is_empty() {
        return Ok(problems);
    }
    let total = Some(manifest.size());
    let mut done = 0;
    for file in &manifest.files {
        let hash = FileHash::of(&folder.join(&file.path), cancel, |bytes| {
            done += bytes;
            progress.report(&Progress { stage: Stage::Verify, done, total, subject: (&*file.path).into() });
        })?;
        if !hex(&hash.sha256).eq_ignore_ascii_case(&file.sha256) {
            problems.push(format!("the contents of {} have changed", file.path));
        }
    }
    Ok(problems)
}
