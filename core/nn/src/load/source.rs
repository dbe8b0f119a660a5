//! Where a model comes from.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::weights::{FileRange, MemoryFile};

/// Where a model comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelSource {
    /// A Hugging Face folder (`config.json`, `model.safetensors`, `tokenizer.json` or `vocab.json` with `merges.txt`,
    /// `generation_config.json` if there is one), a whisper.cpp `.bin` file or a packed model (`sotto quantize`). Files
    /// are recognised by their content.
    Path(PathBuf),
    /// The files of a Hugging Face folder, compiled into the application.
    Bytes(ModelBytes),
    /// A packed model, compiled into the application. Used in place if it starts at a multiple of 4 bytes, else copied
    /// once.
    PackedBytes {
        /// Name for messages.
        name: &'static str,
        /// The file.
        bytes: &'static [u8],
    },
    /// A whisper.cpp file or a packed model in the application's memory; kept as long as the model. A packed model is
    /// used in place if it starts at a multiple of 4 bytes, else copied once.
    Memory(MemoryFile),
    /// A whisper.cpp file or a packed model that is already open, or a part of a larger file, such as an asset of an
    /// Android package. A packed model is mapped like a separate file: used in place if it begins at a multiple of 4
    /// bytes, as uncompressed files in a package do, else copied once
    /// ([`PackedModel::is_copied`](crate::packed::PackedModel::is_copied)).
    File(FileRange),
}

impl ModelSource {
    /// Its name in messages: the path, or the name that it was given.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Path(path) => path.display().to_string(),
            Self::Bytes(bytes) => bytes.name.to_owned(),
            Self::PackedBytes { name, .. } => (*name).to_owned(),
            Self::Memory(file) => file.name().to_owned(),
            Self::File(range) => range.name().to_owned(),
        }
    }
}

impl From<MemoryFile> for ModelSource {
    fn from(file: MemoryFile) -> Self {
        Self::Memory(file)
    }
}

impl From<FileRange> for ModelSource {
    fn from(range: FileRange) -> Self {
        Self::File(range)
    }
}

/// The files of a Hugging Face folder in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelBytes {
    /// Name for messages.
    pub name: &'static str,
    /// `config.json`.
    pub config: &'static [u8],
    /// `generation_config.json`.
    pub generation_config: &'static [u8],
    /// `tokenizer.json`.
    pub tokenizer: &'static [u8],
    /// `model.safetensors`.
    pub weights: &'static [u8],
}

impl From<PathBuf> for ModelSource {
    fn from(path: PathBuf) -> Self {
        Self::Path(path)
    }
}

impl From<&Path> for ModelSource {
    fn from(path: &Path) -> Self {
        Self::Path(path.to_owned())
    }
}

/// Number of bytes that distinguish safetensors from other formats.
pub const SAFETENSORS_START: usize = 9;

/// Whether `path` is a file that begins like a safetensors file.
#[must_use]
pub fn is_safetensors(path: &Path) -> bool {
    let mut start = [0; SAFETENSORS_START];
    File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok() && begins_as_safetensors(&start)
}

/// Whether the bytes begin like a safetensors file: a length, then JSON.
#[must_use]
pub fn begins_as_safetensors(bytes: &[u8]) -> bool {
    bytes.get(SAFETENSORS_START - 1) == Some(&b'{')
}
