//! What a model source contains, detected from its content.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::source::{SAFETENSORS_START, begins_as_safetensors, is_safetensors};
use super::{LoadError, ModelBytes, ModelSource};
use crate::packed::{PackedModel, TASK};
use crate::weights::{FileRange, MemoryFile, Weights};

/// What a [`ModelSource`] contains.
#[derive(Debug)]
pub enum Opened {
    /// A folder as its publisher ships it.
    Folder(PathBuf),
    /// The files of such a folder in memory.
    Files(ModelBytes),
    /// A packed model.
    Packed(PackedModel),
    /// A file of another format, for the task to read: ggml, GGUF or Marian's.
    Other(OtherFile),
}

/// A file that is not a safetensors file.
#[derive(Debug)]
pub enum OtherFile {
    /// A file on disk.
    Path(PathBuf),
    /// A file in memory.
    Memory(MemoryFile),
    /// An open file, or a part of one.
    Range(FileRange),
}

impl ModelSource {
    /// Detects what the source contains. A packed model is opened and its index is checked.
    ///
    /// # Errors
    /// [`LoadError::Io`] when an open file cannot be read, [`LoadError::Weights`] when a packed model is damaged.
    pub fn open(&self) -> Result<Opened, LoadError> {
        Ok(match self {
            Self::Bytes(bytes) => Opened::Files(*bytes),
            Self::PackedBytes { name, bytes } => Opened::Packed(PackedModel::from_bytes(Cow::Borrowed(bytes), name)?),
            Self::Path(path) if path.is_dir() => Opened::Folder(path.clone()),
            Self::Path(path) if is_safetensors(path) => Opened::Packed(PackedModel::open(path)?),
            Self::Path(path) => Opened::Other(OtherFile::Path(path.clone())),
            Self::Memory(file) if begins_as_safetensors(file.bytes()) => {
                Opened::Packed(PackedModel::from_memory(file)?)
            }
            Self::Memory(file) => Opened::Other(OtherFile::Memory(file.clone())),
            Self::File(range) => {
                let io = |source| LoadError::Io { path: range.name().into(), source };
                if begins_as_safetensors(&range.start::<SAFETENSORS_START>().map_err(io)?) {
                    Opened::Packed(PackedModel::open_range(range)?)
                } else {
                    Opened::Other(OtherFile::Range(range.clone()))
                }
            }
        })
    }
}

/// Checks that a packed model belongs to the task `expected`.
///
/// # Errors
/// [`LoadError::OtherTask`].
pub fn check_task(model: &PackedModel, expected: &'static str) -> Result<(), LoadError> {
    let task = model.metadata(TASK).unwrap_or_default();
    if task == expected {
        return Ok(());
    }
    let found = task.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
    Err(LoadError::OtherTask { model: model.name().to_owned(), found, expected })
}

/// Opens the weights of a Hugging Face folder: `model.safetensors`, or the shards that `model.safetensors.index.json`
/// lists. `None` if there is neither.
///
/// # Errors
/// [`LoadError::Weights`].
pub fn open_folder_weights(folder: &Path) -> Result<Option<Weights>, LoadError> {
    let single = folder.join("model.safetensors");
    let index = folder.join("model.safetensors.index.json");
    if single.is_file() {
        Ok(Some(Weights::open_safetensors(&single)?))
    } else if index.is_file() {
        Ok(Some(Weights::open_safetensors_sharded(&index)?))
    } else {
        Ok(None)
    }
}

/// Reads a settings file into memory. `None` if the file is longer than settings can be.
///
/// # Errors
/// [`LoadError::Io`].
pub fn read_settings(path: &Path) -> Result<Option<Vec<u8>>, LoadError> {
    const LIMIT: u64 = 4 << 20;
    let io = |source| LoadError::Io { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).map_err(io)?.take(LIMIT + 1).read_to_end(&mut bytes).map_err(io)?;
    Ok((bytes.len() as u64 <= LIMIT).then_some(bytes))
}
