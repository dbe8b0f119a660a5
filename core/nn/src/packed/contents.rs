//! The contents of a packed model, and writing them to a file.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use half::f16;
use sotto_kernels::{ALIGNMENT, Floats, Int4Matrix, Layout, PackedMatrix};
use sotto_runtime::{CancelToken, Cancelled};

use super::header::{self, CHECKSUM_KEY, FORMAT, FORMAT_KEY, LAYOUT_KEY, NO_CHECKSUM, Place};

/// Tensors and metadata of a packed model, in the order of the file.
#[derive(Debug)]
pub struct Contents {
    metadata: BTreeMap<String, String>,
    tensors: Vec<(String, Data)>,
}

/// Bytes of one tensor.
#[derive(Debug)]
pub(super) enum Data {
    /// The panels of a matrix.
    Weights(PackedMatrix),
    /// The scales of a matrix; stored right after its panels.
    Scales(PackedMatrix),
    /// The panels of a matrix of 4-bit weights, with their scales.
    Int4(Int4Matrix),
    Floats {
        shape: Vec<usize>,
        values: Floats,
    },
    Halves {
        shape: Vec<usize>,
        values: Vec<f16>,
    },
    Bytes(Vec<u8>),
}

/// Why a packed model could not be written. No partial file is left.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The caller cancelled.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// The file exists already.
    #[error("{path}: exists already; choose another name, or ask for it to be replaced")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be written.
    #[error("{path}: cannot be written: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

// Bytes between two polls of the cancellation token.
const CHUNK: usize = 1 << 20;

impl Contents {
    pub(super) fn new(layout: Layout) -> Self {
        let own = [
            (FORMAT_KEY, FORMAT.to_string()),
            (LAYOUT_KEY, header::layout_value(layout)),
            (CHECKSUM_KEY, NO_CHECKSUM.to_owned()),
        ];
        let metadata = own.map(|(key, value)| (key.to_owned(), value)).into();
        Self { metadata, tensors: Vec::new() }
    }

    /// Adds a tensor unless there is one of that name: several layers may read the same tensor.
    pub(super) fn add(&mut self, name: String, data: Data) {
        if self.tensors.iter().all(|(known, _)| *known != name) {
            self.tensors.push((name, data));
        }
    }

    /// Adds bytes that are not a tensor of the network.
    pub fn add_bytes(&mut self, name: &str, bytes: Vec<u8>) {
        self.add(name.to_owned(), Data::Bytes(bytes));
    }

    /// Removes the tensor of that name, if there is one.
    pub fn remove(&mut self, name: &str) {
        self.tensors.retain(|(known, _)| known != name);
    }

    /// Sets one entry of the metadata. The entries of the packed format itself cannot be set.
    pub fn set_metadata(&mut self, key: &str, value: String) {
        if ![FORMAT_KEY, LAYOUT_KEY, CHECKSUM_KEY].contains(&key) {
            self.metadata.insert(key.to_owned(), value);
        }
    }

    /// Writes the file under a temporary name and then renames it into place, so that there is a complete file or none.
    /// `on_bytes` gets the bytes written so far and the total. `replace` allows replacing an existing file.
    ///
    /// # Errors
    /// [`WriteError`]; the temporary file is then removed.
    pub fn write(
        &self,
        path: &Path,
        replace: bool,
        on_bytes: &dyn Fn(u64, u64),
        cancel: &CancelToken,
    ) -> Result<u64, WriteError> {
        let io = |source| WriteError::Io { path: path.to_owned(), source };
        // Checked early, so that nobody waits for a file that cannot be kept; the link below decides.
        if !replace && fs::symlink_metadata(path).is_ok() {
            return Err(WriteError::Exists { path: path.to_owned() });
        }
        let (header, tensors) = self.laid_out();
        let total = (header.len() + tensors.iter().map(|bytes| bytes.len()).sum::<usize>()) as u64;
        let mut part = Part::create(path).map_err(io)?;
        let mut done = 0;
        for bytes in std::iter::once(&*header).chain(tensors.iter().map(|bytes| &**bytes)) {
            for chunk in bytes.chunks(CHUNK) {
                cancel.check()?;
                part.file.write_all(chunk).map_err(io)?;
                done += chunk.len() as u64;
                on_bytes(done, total);
            }
        }
        part.file.sync_all().map_err(io)?;
        cancel.check()?;
        part.move_to(path, replace)?;
        Ok(total)
    }

    /// The whole file in memory.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let (header, tensors) = self.laid_out();
        let mut file = header;
        tensors.iter().for_each(|bytes| file.extend_from_slice(bytes));
        file
    }

    /// The header, and the tensors after it.
    fn laid_out(&self) -> (Vec<u8>, Vec<Cow<'_, [u8]>>) {
        let mut places = Vec::new();
        let mut tensors = Vec::new();
        let mut start = 0;
        let mut place = |name: String, kind, shape, bytes: Cow<'_, [u8]>| {
            places.push(Place { name, kind, shape, start, end: start + bytes.len() });
            start += bytes.len();
            start
        };
        let mut padding = 0;
        for (index, (name, data)) in self.tensors.iter().enumerate() {
            let (kind, shape, bytes) = data.stored();
            let end = place(name.clone(), kind, shape, Cow::Borrowed(&bytes));
            tensors.push(bytes);
            let missing = end.next_multiple_of(ALIGNMENT) - end;
            if missing > 0 && index + 1 < self.tensors.len() {
                let bytes = vec![0; missing];
                place(format!("_padding.{padding}"), "U8", vec![missing], Cow::Borrowed(&bytes));
                tensors.push(Cow::Owned(bytes));
                padding += 1;
            }
        }
        (header::write(&self.metadata, &places), tensors)
    }
}

impl Data {
    /// Element type, shape and bytes as stored.
    fn stored(&self) -> (&'static str, Vec<usize>, Cow<'_, [u8]>) {
        let halves = |matrix: &PackedMatrix| {
            let panels = matrix.columns().div_ceil(matrix.layout().panel());
            (panels, matrix.layout().panel_len(matrix.depth()))
        };
        match self {
            Self::Weights(matrix) => {
                let (panels, length) = halves(matrix);
                let kind = if matrix.layout().is_signed() { "I8" } else { "U8" };
                (kind, vec![panels, length], Cow::Borrowed(&matrix.bytes()[..panels * length]))
            }
            Self::Scales(matrix) => {
                let (panels, length) = halves(matrix);
                let bytes = &matrix.bytes()[panels * length..];
                ("F32", vec![panels * matrix.layout().panel()], Cow::Borrowed(bytes))
            }
            Self::Int4(matrix) => {
                let panels = matrix.columns().div_ceil(matrix.layout().panel());
                let bytes = matrix.bytes();
                ("U8", vec![panels, bytes.len() / panels], Cow::Borrowed(bytes))
            }
            Self::Floats { shape, values } => {
                ("F32", shape.clone(), values.iter().flat_map(|value| value.to_le_bytes()).collect())
            }
            Self::Halves { shape, values } => {
                ("F16", shape.clone(), values.iter().flat_map(|value| value.to_le_bytes()).collect())
            }
            Self::Bytes(bytes) => ("U8", vec![bytes.len()], Cow::Borrowed(bytes)),
        }
    }
}

/// How many temporary names of one file and process are tried.
const MOST_PARTS: usize = 1000;

/// A temporary file that is removed unless it is moved into place.
struct Part {
    file: File,
    path: PathBuf,
}

impl Part {
    fn create(target: &Path) -> io::Result<Self> {
        let Some(name) = target.file_name() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"));
        };
        let mut attempt = 0;
        loop {
            let mut hidden = std::ffi::OsString::from(".");
            hidden.push(name);
            hidden.push(format!(".{}.{attempt}.part", std::process::id()));
            let path = target.with_file_name(hidden);
            // Never an existing file: it may belong to another packing, or be a leftover of a crash that is a second
            // name (hard link) of a model in use.
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok(Self { file, path }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempt < MOST_PARTS => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    fn move_to(self, target: &Path, replace: bool) -> Result<(), WriteError> {
        let io = |source| WriteError::Io { path: target.to_owned(), source };
        if replace {
            return fs::rename(&self.path, target).map_err(io);
        }
        // A hard link never replaces an existing file, a rename does. The rename is for file systems without links.
        match fs::hard_link(&self.path, target) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(WriteError::Exists { path: target.to_owned() })
            }
            Err(_) => fs::rename(&self.path, target).map_err(io),
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // After a rename it no longer exists; a failure to remove it cannot be handled here.
        let _ = fs::remove_file(&self.path);
    }
}
