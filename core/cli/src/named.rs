//! What commands call a model, whatever its task.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use sotto::store::Store;

use crate::error::CliError;

/// A model as commands name it, whatever its task: a path that exists, or a name in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedModel(String);

impl FromStr for NamedModel {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        if name.trim().is_empty() { Err("a model needs a path or a name") } else { Ok(Self(name.to_owned())) }
    }
}

impl NamedModel {
    /// Where it lies.
    pub(crate) fn path(&self) -> Result<PathBuf, CliError> {
        let path = Path::new(&self.0);
        if path.exists() { Ok(path.to_owned()) } else { Ok(store()?.resolve(&self.0)?) }
    }

    /// What a report calls it: the file or the folder, or its name in the store.
    pub(crate) fn short(&self) -> String {
        match std::path::absolute(&self.0) {
            Ok(path) if path.exists() => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            _ => self.0.clone(),
        }
    }
}

/// The store of the environment.
pub(crate) fn store() -> Result<Store, CliError> {
    let folder =
        Store::default_dir().map_err(|_| CliError::Failed("no folder for models: set SOTTO_MODELS to one".into()))?;
    Ok(Store::open(folder)?)
}
