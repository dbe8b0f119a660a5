//! An opened packed model: its tensors are read in place.

use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;

#[cfg(doc)]
use sotto_kernels::IN_PLACE;
use sotto_kernels::{ALIGNMENT, Floats, Int4Matrix, Layout, PackError, PackedMatrix, SharedBytes};
use sotto_runtime::Bytes;

use super::{INT4, INT8, SCALES, header};
use crate::layers::{FloatWeights, MatrixRequest, QuantizedMatrix, QuantizedWeights, TensorSource, WeightType};
use crate::weights::{FileRange, MemoryFile, WeightError, Weights, printable};

/// A packed model: a mapped file, or one in memory.
///
/// Weights taken from it keep the file mapped, so it may be dropped before the layers. Immutable, `Send + Sync`.
#[derive(Debug)]
pub struct PackedModel {
    weights: Weights,
    layout: Layout,
}

impl PackedModel {
    /// Maps a packed model. Reads only its header.
    ///
    /// # Errors
    /// [`WeightError`] when it cannot be read, is not a packed model, has an unknown version or layout, or when its
    /// header is damaged.
    pub fn open(path: &Path) -> Result<Self, WeightError> {
        Self::checked(Weights::open_to_keep(path)?)
    }

    /// Uses a packed model in memory; `name` replaces the path in messages. Copied once if it does not start at a
    /// multiple of [`IN_PLACE`] bytes.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_bytes(bytes: Cow<'static, [u8]>, name: &str) -> Result<Self, WeightError> {
        Self::checked(Weights::keep_bytes(bytes, name)?)
    }

    /// As [`from_bytes`](Self::from_bytes), for a file in the application's memory.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_memory(file: &MemoryFile) -> Result<Self, WeightError> {
        Self::checked(Weights::keep_memory(file)?)
    }

    /// Maps a packed model that is a part of an open file. It is used in place if it begins at a multiple of
    /// [`IN_PLACE`] bytes, as files inside an Android package do; else it is copied once
    /// ([`is_copied`](Self::is_copied)).
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_range(range: &FileRange) -> Result<Self, WeightError> {
        Self::checked(Weights::keep_range(range)?)
    }

    fn checked(weights: Weights) -> Result<Self, WeightError> {
        let layout = header::check((*weights.shared()).as_ref(), &weights)?;
        let model = Self { weights, layout };
        for name in model.weights.names() {
            let start = model.weights.stored(name)?.range.start;
            if !start.is_multiple_of(ALIGNMENT) && !name.starts_with("_padding.") && !name.ends_with(SCALES) {
                return Err(model.unfit(name, PackError::Misaligned { start }));
            }
        }
        Ok(model)
    }

    /// Path of the file, or the name given to the bytes; for messages.
    #[must_use]
    pub fn name(&self) -> &str {
        self.weights.name()
    }

    /// How the matrices are quantized: [`WeightType::Int4`] if any matrix has 4 bits.
    #[must_use]
    pub fn weight_type(&self) -> WeightType {
        if self.weights.names().any(is_int4) { WeightType::Int4 } else { WeightType::Int8 }
    }

    /// Layout of the quantized weights.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Length of the file in bytes.
    #[must_use]
    pub fn bytes_on_disk(&self) -> u64 {
        self.weights.bytes_on_disk()
    }

    /// Whether there is a tensor of that name in half precision.
    #[must_use]
    pub fn is_half(&self, name: &str) -> bool {
        self.weights.stored(name).is_ok_and(|stored| stored.kind == "F16")
    }

    /// Size of all half-precision tensors as f32, to which they are converted when they are loaded.
    #[must_use]
    pub fn widened_bytes(&self) -> u64 {
        let halves = self.tensors().filter(|(_, kind, _)| *kind == "F16");
        halves.map(|(_, _, shape)| 4 * shape.iter().map(|&size| size as u64).product::<u64>()).sum()
    }

    /// One entry of the metadata.
    #[must_use]
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.weights.metadata(key)
    }

    /// Names of all tensors with their element types and shapes, in alphabetical order.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &'static str, &[usize])> {
        self.weights.names().filter_map(|name| {
            let stored = self.weights.stored(name).ok()?;
            Some((name, stored.kind, stored.shape))
        })
    }

    /// The whole file, and the range in it of a tensor that is not part of the network.
    ///
    /// # Errors
    /// [`WeightError::Missing`], [`WeightError::ElementType`].
    pub fn bytes(&self, name: &str) -> Result<(SharedBytes, Range<usize>), WeightError> {
        let stored = self.weights.stored(name)?;
        self.expect_kind(name, stored.kind, "U8")?;
        Ok((self.weights.shared(), stored.range))
    }

    /// Whether the file was copied into memory, because it is not aligned for its tensors.
    #[must_use]
    pub fn is_copied(&self) -> bool {
        self.weights.is_copied()
    }

    /// Gives the mapped pages back to the system, which reads them again when they are accessed. Does nothing for a
    /// model in memory. Returns the size of the mapping in bytes.
    pub fn release_pages(&self) -> Bytes {
        Bytes(self.weights.release_pages())
    }

    /// Checks that the file still has the length that was mapped. Cost: one system call.
    ///
    /// # Errors
    /// [`WeightError::Changed`] when it has not.
    pub fn check_unchanged(&self) -> Result<(), WeightError> {
        if self.weights.has_its_length() { Ok(()) } else { Err(WeightError::Changed { file: self.name().to_owned() }) }
    }

    fn expect_kind(&self, name: &str, found: &str, expected: &str) -> Result<(), WeightError> {
        if found == expected {
            return Ok(());
        }
        Err(WeightError::ElementType {
            file: self.name().to_owned(),
            name: printable(name),
            found: format!("{found} instead of {expected}"),
        })
    }

    fn expect_shape(&self, name: &str, found: &[usize], expected: &[usize]) -> Result<(), WeightError> {
        if found == expected {
            return Ok(());
        }
        Err(WeightError::Shape {
            file: self.name().to_owned(),
            name: printable(name),
            found: found.to_vec(),
            expected: expected.to_vec(),
        })
    }

    fn unfit(&self, name: &str, problem: PackError) -> WeightError {
        WeightError::Packed { file: self.name().to_owned(), name: printable(name), problem }
    }

    /// The matrix as stored in the file.
    fn mapped(&self, request: &MatrixRequest<'_>) -> Result<QuantizedMatrix, WeightError> {
        match self.weights.shape(&format!("{}.{INT4}", request.name())) {
            Some(_) => self.mapped_int4(request).map(QuantizedMatrix::Int4),
            None => self.mapped_int8(request).map(QuantizedMatrix::Int8),
        }
    }

    fn mapped_int4(&self, request: &MatrixRequest<'_>) -> Result<Int4Matrix, WeightError> {
        let layout = self.layout;
        let columns = request.columns();
        let depth = request.depth();
        let name = format!("{}.{INT4}", request.name());
        let length = Int4Matrix::packed_len(layout, columns, depth).map_err(|problem| self.unfit(&name, problem))?;
        let panels = columns.div_ceil(layout.panel());
        let stored = self.weights.stored(&name)?;
        self.expect_kind(&name, stored.kind, "U8")?;
        self.expect_shape(&name, stored.shape, &[panels, length / panels])?;
        let matrix = Int4Matrix::from_shared(layout, columns, depth, self.weights.shared(), stored.range.start)
            .map_err(|problem| self.unfit(&name, problem))?;
        match matrix.scale_not_finite() {
            None => Ok(matrix),
            Some(index) => Err(WeightError::NotFinite { file: self.name().to_owned(), name: printable(&name), index }),
        }
    }

    fn mapped_int8(&self, request: &MatrixRequest<'_>) -> Result<PackedMatrix, WeightError> {
        let layout = self.layout;
        let columns = request.columns();
        let depth = request.depth();
        let (name, scales) = (format!("{}.{INT8}", request.name()), format!("{}.{SCALES}", request.name()));
        // Refuses a shape without a valid size before sizes are computed from it.
        PackedMatrix::packed_len(layout, columns, depth).map_err(|problem| self.unfit(&name, problem))?;
        let panels = columns.div_ceil(layout.panel());
        let stored = self.weights.stored(&name)?;
        self.expect_kind(&name, stored.kind, if layout.is_signed() { "I8" } else { "U8" })?;
        self.expect_shape(&name, stored.shape, &[panels, layout.panel_len(depth)])?;
        let stored_scales = self.weights.stored(&scales)?;
        if stored_scales.range.start != stored.range.end {
            return Err(WeightError::Layout {
                file: self.name().to_owned(),
                name: printable(&scales),
                problem: "does not follow its weights".to_owned(),
            });
        }
        self.floats(&scales, &[panels * layout.panel()])?;
        PackedMatrix::from_shared(layout, columns, depth, self.weights.shared(), stored.range.start)
            .map_err(|problem| self.unfit(&name, problem))
    }

    fn bias(&self, request: &MatrixRequest<'_>) -> Result<Option<Floats>, WeightError> {
        let load = || self.floats(&format!("{}.bias", request.name()), &[request.columns()]);
        request.has_bias().then(load).transpose()
    }
}

impl TensorSource for PackedModel {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightError> {
        Ok(self.floats(name, shape)?.to_vec())
    }

    fn contains(&self, name: &str) -> bool {
        self.weights.shape(name).is_some()
    }

    fn floats(&self, name: &str, shape: &[usize]) -> Result<Floats, WeightError> {
        let stored = self.weights.stored(name)?;
        if stored.kind == "F16" {
            // Not in place: layers read f32.
            return Ok(self.weights.tensor(name, shape)?.into());
        }
        self.expect_kind(name, stored.kind, "F32")?;
        self.expect_shape(name, stored.shape, shape)?;
        let start = stored.range.start;
        let floats = Floats::from_shared(self.weights.shared(), stored.range)
            .ok_or_else(|| self.unfit(name, PackError::Misaligned { start }))?;
        match floats.iter().position(|value| !value.is_finite()) {
            None => Ok(floats),
            Some(index) => Err(WeightError::NotFinite { file: self.name().to_owned(), name: printable(name), index }),
        }
    }

    /// In place if the file has that layout; otherwise repacked, which copies the weights and changes none.
    fn quantized(&self, layout: Layout, request: &MatrixRequest<'_>) -> Result<QuantizedWeights, WeightError> {
        let matrix = self.mapped(request)?;
        let matrix = matrix.repacked(layout).map_err(|problem| self.unfit(&request.name(), problem))?;
        Ok(QuantizedWeights { matrix, bias: self.bias(request)? })
    }

    fn matrix(&self, request: &MatrixRequest<'_>) -> Result<FloatWeights, WeightError> {
        let matrix = self.mapped(request)?;
        let mut rows = vec![0.0; request.columns() * request.depth()];
        for (column, row) in rows.chunks_exact_mut(request.depth()).enumerate() {
            matrix.column(column, row);
        }
        Ok(FloatWeights { rows, bias: self.bias(request)?.map(|bias| bias.to_vec()) })
    }
}

/// Whether a tensor is a matrix of 4-bit weights.
fn is_int4(name: &str) -> bool {
    name.strip_suffix(INT4).is_some_and(|stem| stem.ends_with('.'))
}
