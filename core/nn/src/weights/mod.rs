//! Model files: safetensors (one file or shards) and ggml. Opening one does not read the tensors.
//!
//! Opening maps the file and checks its whole index: names, element types, shapes and positions. So the tensors of a
//! [`Weights`] lie inside the file and do not overlap. A tensor is converted to f32, and checked to be finite, when a
//! layer loads it; the system may drop its mapped pages afterwards.
//!
//! Nothing is allocated because a file claims to be large: memory is bounded by a small multiple of the file's real
//! size, and the index by limits on the number of tensors and the header size.

mod bounded;
mod element;
mod error;
mod ggml;
mod index;
mod memory;
mod mmap;
mod range;
mod safetensors;
mod sharded;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

pub use error::WeightError;
pub use ggml::{SileroConv, SileroGgml, WhisperGgml, WhisperHeader};
pub use memory::{MemoryBytes, MemoryFile};
#[cfg(unix)]
pub use range::duplicate_descriptor;
pub use range::{FileRange, FileRangeError, FileRangeReader};
pub use sharded::ShardIndex;

use element::{BLOCK, Element};
use sotto_kernels::{AlignedBytes, IN_PLACE, SharedBytes};

pub(crate) use error::printable;
use index::Entry;
use mmap::MappedFile;

/// An opened model file: mapped, or in memory.
///
/// Immutable and safe to share between threads.
#[derive(Debug)]
pub struct Weights {
    name: String,
    images: Vec<Arc<Image>>,
    tensors: BTreeMap<String, Tensor>,
    metadata: BTreeMap<String, String>,
}

/// A tensor as stored in the file.
#[derive(Debug)]
pub(crate) struct Stored<'a> {
    /// Element type, by its name in safetensors.
    pub(crate) kind: &'static str,
    pub(crate) shape: &'a [usize],
    pub(crate) range: Range<usize>,
}

#[derive(Debug)]
struct Tensor {
    image: usize,
    entry: Entry,
}

/// The bytes of one file.
#[derive(Debug)]
enum Image {
    Mapped(MappedFile),
    Memory(Cow<'static, [u8]>),
    Shared(MemoryFile),
    Aligned(AlignedBytes),
}

impl AsRef<[u8]> for Image {
    fn as_ref(&self) -> &[u8] {
        self.bytes()
    }
}

impl Image {
    fn map(path: &Path) -> Result<Self, WeightError> {
        let io = |source| WeightError::Io { file: path.display().to_string(), source };
        MappedFile::open(path).map(Self::Mapped).map_err(io)
    }

    fn map_range(range: &FileRange) -> Result<Self, WeightError> {
        let io = |source| WeightError::Io { file: range.name().to_owned(), source };
        MappedFile::of_range(range).map(Self::Mapped).map_err(io)
    }

    /// The same bytes, aligned so that tensors can be read in place: copied if they are not.
    fn in_place(self) -> Self {
        match self.bytes().as_ptr().align_offset(IN_PLACE) {
            0 => self,
            _ => Self::Aligned(AlignedBytes::from(self.bytes())),
        }
    }

    fn has_its_length(&self) -> bool {
        match self {
            Self::Mapped(file) => file.has_its_length(),
            Self::Memory(_) | Self::Shared(_) | Self::Aligned(_) => true,
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Mapped(file) => file,
            Self::Memory(bytes) => bytes,
            Self::Shared(file) => file.bytes(),
            Self::Aligned(bytes) => bytes.as_ref(),
        }
    }
}

impl Weights {
    /// Opens a `.safetensors` file.
    ///
    /// # Errors
    /// [`WeightError`] when it cannot be read, is of another format, or its index is damaged.
    pub fn open_safetensors(path: &Path) -> Result<Self, WeightError> {
        Self::safetensors(Image::map(path)?, path.display().to_string())
    }

    /// Opens the shards that a `model.safetensors.index.json` lists; they must be in the same folder.
    ///
    /// # Errors
    /// As [`open_safetensors`](Self::open_safetensors), for the index and for each shard.
    pub fn open_safetensors_sharded(index_json: &Path) -> Result<Self, WeightError> {
        sharded::open(index_json)
    }

    /// Uses a safetensors file in memory, such as one compiled into the application. `name` replaces the path in
    /// messages.
    ///
    /// # Errors
    /// As [`open_safetensors`](Self::open_safetensors).
    pub fn from_safetensors_bytes(bytes: Cow<'static, [u8]>, name: &str) -> Result<Self, WeightError> {
        Self::safetensors(Image::Memory(bytes), name.to_owned())
    }

    /// Opens a Whisper model of whisper.cpp (`ggml-*.bin`; f32, f16, q4_0, q4_1, q5_0, q5_1, q8_0). Tensors have
    /// OpenAI's names (`encoder.blocks.0.attn.query.weight`) and row-major shapes.
    ///
    /// # Errors
    /// As [`open_safetensors`](Self::open_safetensors).
    pub fn open_ggml(path: &Path) -> Result<(WhisperGgml, Self), WeightError> {
        Self::ggml(Image::map(path)?, path.display().to_string(), ggml::whisper)
    }

    /// As [`open_ggml`](Self::open_ggml), for bytes in memory.
    ///
    /// # Errors
    /// As [`open_safetensors`](Self::open_safetensors).
    pub fn from_ggml_bytes(bytes: Cow<'static, [u8]>, name: &str) -> Result<(WhisperGgml, Self), WeightError> {
        Self::ggml(Image::Memory(bytes), name.to_owned(), ggml::whisper)
    }

    /// As [`open_ggml`](Self::open_ggml), for a part of an open file.
    ///
    /// # Errors
    /// As [`open_safetensors`](Self::open_safetensors).
    pub fn open_ggml_range(range: &FileRange) -> Result<(WhisperGgml, Self), WeightError> {
        Self::ggml(Image::map_range(range)?, range.name().to_owned(), ggml::whisper)
    }

    /// As [`open_ggml`](Self::open_ggml), for a file in the application's memory.
    ///
    /// # Errors
    /// As [`open_safetensors`](Self::open_safetensors).
    pub fn open_ggml_memory(file: &MemoryFile) -> Result<(WhisperGgml, Self), WeightError> {
        Self::ggml(Image::Shared(file.clone()), file.name().to_owned(), ggml::whisper)
    }

    /// Opens a Silero VAD model of whisper.cpp (`ggml-silero-*.bin`).
    ///
    /// # Errors
    /// As [`open_safetensors`](Self::open_safetensors).
    pub fn open_silero_ggml(path: &Path) -> Result<(SileroGgml, Self), WeightError> {
        Self::ggml(Image::map(path)?, path.display().to_string(), ggml::silero)
    }

    /// As [`open_silero_ggml`](Self::open_silero_ggml), for bytes in memory.
    ///
    /// # Errors
    /// As [`open_safetensors`](Self::open_safetensors).
    pub fn from_silero_ggml_bytes(bytes: Cow<'static, [u8]>, name: &str) -> Result<(SileroGgml, Self), WeightError> {
        Self::ggml(Image::Memory(bytes), name.to_owned(), ggml::silero)
    }

    /// Opens a safetensors file that stays mapped as long as any of its bytes are shared.
    pub(crate) fn open_to_keep(path: &Path) -> Result<Self, WeightError> {
        let io = |source| WeightError::Io { file: path.display().to_string(), source };
        let image = Image::Mapped(MappedFile::open_locked(path).map_err(io)?);
        Self::safetensors(image, path.display().to_string())
    }

    /// Uses a safetensors file in memory whose tensors are read in place; copied if it is not aligned for that.
    pub(crate) fn keep_bytes(bytes: Cow<'static, [u8]>, name: &str) -> Result<Self, WeightError> {
        Self::safetensors(Image::Memory(bytes).in_place(), name.to_owned())
    }

    /// As [`keep_bytes`](Self::keep_bytes), for a file in the application's memory.
    pub(crate) fn keep_memory(file: &MemoryFile) -> Result<Self, WeightError> {
        Self::safetensors(Image::Shared(file.clone()).in_place(), file.name().to_owned())
    }

    /// As [`open_to_keep`](Self::open_to_keep), for a part of an open file; copied if it is not aligned.
    pub(crate) fn keep_range(range: &FileRange) -> Result<Self, WeightError> {
        Self::safetensors(Image::map_range(range)?.in_place(), range.name().to_owned())
    }

    /// Whether the file was copied because it was not aligned for its tensors.
    pub(crate) fn is_copied(&self) -> bool {
        self.images.iter().any(|image| matches!(**image, Image::Aligned(_)))
    }

    /// Gives mapped pages back to the system; they are read again when they are accessed. Returns their size in bytes.
    pub(crate) fn release_pages(&self) -> u64 {
        let pages = |image: &Arc<Image>| match &**image {
            Image::Mapped(file) => file.release_pages() as u64,
            Image::Memory(_) | Image::Shared(_) | Image::Aligned(_) => 0,
        };
        self.images.iter().map(pages).sum()
    }

    /// The whole file; `None` for shards.
    pub(crate) fn shared(&self) -> SharedBytes {
        match self.images.first() {
            Some(image) => Arc::clone(image) as SharedBytes,
            None => Arc::new([0u8; 0]),
        }
    }

    /// Type, shape and position of a tensor in [`shared`](Self::shared).
    pub(crate) fn stored(&self, name: &str) -> Result<Stored<'_>, WeightError> {
        let Entry { element, ref shape, start, end } = self.find(name)?.entry;
        Ok(Stored { kind: element.name(), shape, range: start..end })
    }

    /// Whether the file still has the length that was mapped.
    pub(crate) fn has_its_length(&self) -> bool {
        self.images.iter().all(|image| image.has_its_length())
    }

    fn safetensors(image: Image, name: String) -> Result<Self, WeightError> {
        let header = safetensors::read(image.bytes(), &name)?;
        Ok(Self::new(image, name, header.entries, header.metadata))
    }

    fn ggml<H>(image: Image, name: String, read: ggml::Read<H>) -> Result<(H, Self), WeightError> {
        let (header, entries) = read(image.bytes(), &name)?;
        Ok((header, Self::new(image, name, entries, BTreeMap::new())))
    }

    fn new(image: Image, name: String, entries: BTreeMap<String, Entry>, metadata: BTreeMap<String, String>) -> Self {
        let tensors = entries.into_iter().map(|(name, entry)| (name, Tensor { image: 0, entry })).collect();
        Self { name, images: vec![Arc::new(image)], tensors, metadata }
    }

    /// Path of the file, or the name given to the bytes; for messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Names of all tensors, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// One entry of the metadata of a safetensors file.
    #[must_use]
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// Length in bytes of the file, or of all shards together.
    #[must_use]
    pub fn bytes_on_disk(&self) -> u64 {
        self.images.iter().map(|image| image.bytes().len() as u64).sum()
    }

    /// Shape of a tensor, row-major; `None` when there is no such tensor.
    #[must_use]
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|tensor| tensor.entry.shape.as_slice())
    }

    /// The file's name of a tensor's element type; `None` when there is no such tensor.
    #[must_use]
    pub fn element(&self, name: &str) -> Option<&'static str> {
        self.tensors.get(name).map(|tensor| tensor.entry.element.name())
    }

    /// The values of a tensor as f32, row-major; its shape must be exactly `shape`.
    ///
    /// F64 is rounded, F16 and BF16 are widened, ggml's block formats are dequantised, and I8 is multiplied with the
    /// scales of the companion tensor `<name>_scale`: one per row (`[rows]` or `[rows, 1]`), as compressed-tensors
    /// stores them. U8 with such a companion holds 4-bit values: byte `i` of a row holds value `2i` in its low half and
    /// `2i + 1` in its high half, stored as value + 8; the stored second dimension is half of `shape[1]`, and every 32
    /// values of a flattened row share a scale (`[rows, width / 32]`; one per row where rows are no multiple of 32).
    /// Cost: one pass over the stored bytes and one allocation of four bytes per value.
    ///
    /// # Errors
    /// [`WeightError::Missing`], [`WeightError::Shape`], [`WeightError::ElementType`] for types that hold no weights,
    /// [`WeightError::NotFinite`].
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightError> {
        let tensor = self.shaped(name, shape)?;
        let mut values = self.values(tensor, name)?;
        if tensor.entry.element.is_scaled_apart() {
            self.scale(&mut values, name, shape.first().copied().unwrap_or(1), tensor.entry.element)?;
        }
        match values.iter().position(|value| !value.is_finite()) {
            None => Ok(values),
            Some(index) => Err(WeightError::NotFinite { file: self.name.clone(), name: printable(name), index }),
        }
    }

    /// Checks that there is a tensor of this name and shape, without reading it, so that a wrong file is noticed before
    /// any tensor is converted.
    ///
    /// # Errors
    /// [`WeightError::Missing`], [`WeightError::Shape`].
    pub fn check(&self, name: &str, shape: &[usize]) -> Result<(), WeightError> {
        self.shaped(name, shape).map(|_| ())
    }

    /// Whether two tensors have the same shape and values. Tensors of the same type are compared bit by bit, up to the
    /// first difference; others are converted first.
    ///
    /// # Errors
    /// [`WeightError::Missing`], [`WeightError::ElementType`].
    pub fn are_same(&self, first: &str, second: &str) -> Result<bool, WeightError> {
        let (a, b) = (self.find(first)?, self.find(second)?);
        if a.entry.shape != b.entry.shape {
            return Ok(false);
        }
        if a.entry.element == b.entry.element && !a.entry.element.is_scaled_apart() {
            let bytes = |tensor: &Tensor| &self.images[tensor.image].bytes()[tensor.entry.start..tensor.entry.end];
            return Ok(bytes(a) == bytes(b));
        }
        let shape = &a.entry.shape;
        Ok(self.tensor(first, shape)? == self.tensor(second, shape)?)
    }

    fn shaped(&self, name: &str, shape: &[usize]) -> Result<&Tensor, WeightError> {
        let tensor = self.find(name)?;
        if tensor.entry.shape != shape {
            return Err(WeightError::Shape {
                file: self.name.clone(),
                name: printable(name),
                found: tensor.entry.shape.clone(),
                expected: shape.to_vec(),
            });
        }
        Ok(tensor)
    }

    fn find(&self, name: &str) -> Result<&Tensor, WeightError> {
        let missing = || WeightError::Missing { file: self.name.clone(), name: printable(name) };
        self.tensors.get(name).ok_or_else(missing)
    }

    fn values(&self, tensor: &Tensor, name: &str) -> Result<Vec<f32>, WeightError> {
        let Entry { element, start, end, .. } = tensor.entry;
        // A truncated file has lost pages; reading them would end the process.
        if !self.images[tensor.image].has_its_length() {
            return Err(WeightError::Changed { file: self.name.clone() });
        }
        element.to_f32(&self.images[tensor.image].bytes()[start..end]).ok_or_else(|| WeightError::ElementType {
            file: self.name.clone(),
            name: printable(name),
            found: element.name().to_owned(),
        })
    }

    /// Multiplies the values of a tensor, `rows` rows, with the scales of its companion.
    fn scale(&self, values: &mut [f32], name: &str, rows: usize, element: Element) -> Result<(), WeightError> {
        let companion = format!("{name}_scale");
        let scale = self.find(&companion)?;
        // Otherwise int8 scales would themselves need scales, without end.
        if scale.entry.element.is_scaled_apart() {
            return Err(WeightError::ElementType {
                file: self.name.clone(),
                name: printable(&companion),
                found: scale.entry.element.name().to_owned(),
            });
        }
        let width = values.len() / rows.max(1);
        let (expected, group) = match element {
            Element::I4 if width.is_multiple_of(BLOCK) => (vec![rows, width / BLOCK], BLOCK),
            _ => (vec![rows], width),
        };
        if scale.entry.shape != expected && scale.entry.shape != [rows, width / group.max(1)] {
            return Err(WeightError::Shape {
                file: self.name.clone(),
                name: printable(&companion),
                found: scale.entry.shape.clone(),
                expected,
            });
        }
        let scales = self.values(scale, &companion)?;
        for (group, scale) in values.chunks_exact_mut(group.max(1)).zip(scales) {
            group.iter_mut().for_each(|value| *value *= scale);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
