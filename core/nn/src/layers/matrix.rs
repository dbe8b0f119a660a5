//! A matrix of quantized weights, of 8 or 4 bits.

use sotto_kernels::{Int4Matrix, Layout, PackError, PackedMatrix};

/// How the weights of a matrix are quantized.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WeightType {
    /// 8 bits, one scale per output.
    #[default]
    Int8,
    /// 4 bits in blocks of 32, one scale per block: about half the bytes, for layers whose time is that of reading the
    /// weights.
    Int4,
}

/// Quantized weights `[columns, depth]`, packed for kernels. A clone copies no weights.
#[derive(Debug, Clone)]
pub enum QuantizedMatrix {
    /// 8-bit weights.
    Int8(PackedMatrix),
    /// 4-bit weights.
    Int4(Int4Matrix),
}

impl WeightType {
    /// Name in file metadata, on command lines and in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Int8 => "int8",
            Self::Int4 => "int4",
        }
    }
}

impl QuantizedMatrix {
    /// How the weights are quantized.
    #[must_use]
    pub fn weight_type(&self) -> WeightType {
        match self {
            Self::Int8(_) => WeightType::Int8,
            Self::Int4(_) => WeightType::Int4,
        }
    }

    /// Memory layout of the weights.
    #[must_use]
    pub fn layout(&self) -> Layout {
        match self {
            Self::Int8(matrix) => matrix.layout(),
            Self::Int4(matrix) => matrix.layout(),
        }
    }

    /// Output columns.
    #[must_use]
    pub fn columns(&self) -> usize {
        match self {
            Self::Int8(matrix) => matrix.columns(),
            Self::Int4(matrix) => matrix.columns(),
        }
    }

    /// Length of the rows that the matrix is multiplied with.
    #[must_use]
    pub fn depth(&self) -> usize {
        match self {
            Self::Int8(matrix) => matrix.depth(),
            Self::Int4(matrix) => matrix.depth(),
        }
    }

    /// The packed bytes, scales included: what a product of one row reads.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Int8(matrix) => matrix.bytes(),
            Self::Int4(matrix) => matrix.bytes(),
        }
    }

    /// Writes the dequantized weights of one column, `[depth]`: a row of an embedding.
    ///
    /// # Panics
    /// When there is no such column or `out` has another length.
    pub fn column(&self, column: usize, out: &mut [f32]) {
        match self {
            Self::Int8(matrix) => matrix.column(column, out),
            Self::Int4(matrix) => matrix.column(column, out),
        }
    }

    /// The columns named by `columns`, in that order, as a matrix of their own.
    ///
    /// # Errors
    /// [`PackError::Shape`] for an empty list.
    ///
    /// # Panics
    /// When a column does not exist.
    pub fn select(&self, columns: &[u32]) -> Result<Self, PackError> {
        Ok(match self {
            Self::Int8(matrix) => Self::Int8(matrix.select(columns)?),
            Self::Int4(matrix) => Self::Int4(matrix.select(columns)?),
        })
    }

    /// The same weights in another layout; shares the bytes if the layout is the same.
    ///
    /// # Errors
    /// [`PackError::OutOfRange`] for mapped weights that [`PackedMatrix::pack`] would have refused.
    pub fn repacked(&self, layout: Layout) -> Result<Self, PackError> {
        Ok(match self {
            Self::Int8(matrix) => Self::Int8(matrix.repacked(layout)?),
            Self::Int4(matrix) => Self::Int4(matrix.repacked(layout)?),
        })
    }
}
