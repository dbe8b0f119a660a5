//! Whether files on disk are of the kind that was chosen by their names.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use serde::Deserialize;

use super::{CONFIG, Kind, Kinds, Sign};
use crate::error::{StoreError, shown};

/// Longer than any configuration of a network.
pub(crate) const MAX_CONFIG: u64 = 16 << 20;

/// `model_type` of a configuration; none where there is no such file, or it names none.
pub(crate) fn model_type(config: &Path) -> Option<String> {
    #[derive(Deserialize)]
    struct Config {
        model_type: String,
    }
    let mut text = Vec::new();
    File::open(config).ok()?.take(MAX_CONFIG).read_to_end(&mut text).ok()?;
    serde_json::from_slice::<Config>(&text).ok().map(|config| config.model_type)
}

impl Kind {
    /// Looks into a file that has arrived in `folder` under `name`, as far as it tells the kind.
    ///
    /// # Errors
    /// [`StoreError::UnknownKind`] where it is of another kind, [`StoreError::Io`].
    pub(crate) fn check(&self, kinds: Kinds, repository: &str, folder: &Path, name: &str) -> Result<(), StoreError> {
        let path = folder.join(name);
        let found = match self.sign {
            Sign::ModelType(types) if name == CONFIG => match model_type(&path) {
                Some(found) if types.contains(&&*found) => return Ok(()),
                found => other_type(found.as_deref()),
            },
            Sign::ModelType(_) => return Ok(()),
            Sign::File { magic, at, .. } if has_bytes(&path, magic, at)? => return Ok(()),
            Sign::File { .. } => format!("{name} does not begin as {} does", self.name),
        };
        Err(kinds.unknown(repository, found, Vec::new()))
    }
}

/// Words for a model type that does not fit.
pub(super) fn other_type(found: Option<&str>) -> String {
    match found {
        Some(found) => format!("its model type is `{}`", shown(found)),
        None => format!("its {CONFIG} names no model type"),
    }
}

fn has_bytes(path: &Path, magic: &[u8], at: u64) -> Result<bool, StoreError> {
    let mut found = Vec::with_capacity(magic.len());
    File::open(path)
        .and_then(|mut file| {
            file.seek(SeekFrom::Start(at))?;
            file.take(magic.len() as u64).read_to_end(&mut found)
        })
        .map_err(StoreError::io(path, "read"))?;
    Ok(found == magic)
}
