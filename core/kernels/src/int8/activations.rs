//! Rows quantized to int8, in the memory order that the tiles of one instruction set read.

use std::ops::Range;

use super::layout::Layout;
use crate::Isa;
use crate::aligned::{AlignedBytes, as_i8};
use crate::int4::BLOCK;

/// The memory layout of activations for an instruction set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) isa: Isa,
    /// Rows of a panel.
    pub(crate) rows: usize,
    /// Consecutive values of a row that lie side by side.
    pub(crate) group: usize,
    /// Bytes that such a group takes.
    pub(crate) unit: usize,
}

impl Form {
    /// Bytes of a panel of rows.
    pub(crate) const fn panel_len(self, depth: usize) -> usize {
        Layout::padded_depth(depth) / self.group * self.rows * self.unit
    }
}

/// int8 rows with one scale each: the left operand of a product. Made by the `quantize` functions of a
/// [`KernelSet`](crate::KernelSet), and reused from call to call.
///
/// A single row is stored as it is, several rows in panels. Memory grows to the largest shape seen, so that the steady
/// state allocates nothing; [`KernelSet::activations`](crate::KernelSet::activations) reserves for a known shape.
#[derive(Debug, Clone)]
pub struct Activations {
    pub(crate) form: Form,
    rows: usize,
    depth: usize,
    bytes: AlignedBytes,
    scales: Vec<f32>,
    sums: Vec<i32>,
    /// Sums of blocks of 32 values, `[blocks][rows]`, for products with 4-bit weights; empty for sets that do not need
    /// them.
    block_sums: Vec<i32>,
    /// Whether the rows were quantized for 4-bit weights. Set on every instruction set, so that misuse panics on all of
    /// them.
    for_int4: bool,
}

/// Rows of [`Activations`] to be filled: whole panels, or a single plain row.
pub(crate) struct RowsMut<'a> {
    pub(crate) rows: usize,
    /// `None` for one plain row.
    pub(crate) panels: Option<usize>,
    pub(crate) bytes: &'a mut [u8],
    pub(crate) scales: &'a mut [f32],
    pub(crate) sums: &'a mut [i32],
}

impl Activations {
    pub(crate) fn new(form: Form, rows: usize, depth: usize) -> Self {
        let bytes = AlignedBytes::default();
        let (scales, sums, block_sums) = (Vec::new(), Vec::new(), Vec::new());
        let mut new = Self { form, rows: 0, depth: 0, bytes, scales, sums, block_sums, for_int4: false };
        new.reshape(rows, depth);
        new
    }

    /// A buffer for one panel of rows; even a single row is stored as a panel.
    pub(crate) fn panel(form: Form, depth: usize) -> Self {
        let mut new = Self::new(form, form.rows.max(2), depth);
        new.reshape(form.rows.max(2), depth);
        new
    }

    /// The bytes and row sums of a buffer made by [`panel`](Self::panel).
    pub(crate) fn panel_and_sums_mut(&mut self) -> (&mut [u8], &mut [i32]) {
        (self.bytes.bytes_mut(), &mut self.sums)
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Values per row.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Scale of each row: real value = `scale · int8 value`.
    #[must_use]
    pub fn scales(&self) -> &[f32] {
        &self.scales
    }

    /// Sum of each row's int8 values.
    #[must_use]
    pub fn sums(&self) -> &[i32] {
        &self.sums
    }

    /// Prepares for `rows × depth` values; the previous contents are lost.
    pub(crate) fn reshape(&mut self, rows: usize, depth: usize) {
        (self.rows, self.depth) = (rows, depth);
        let panels = if rows == 1 { 1 } else { rows.div_ceil(self.form.rows) };
        self.bytes.resize(panels * self.panel_len());
        self.scales.resize(rows, 0.0);
        self.sums.resize(rows, 0);
        self.block_sums.clear();
        self.for_int4 = false;
    }

    /// Prepares the quantized rows for products with 4-bit weights.
    pub(crate) fn prepare_for_int4(&mut self, layout: Layout) {
        if !layout.is_signed() {
            self.sum_blocks();
        }
        self.for_int4 = true;
    }

    /// Whether the rows were prepared for 4-bit weights.
    pub(crate) fn are_for_int4(&self) -> bool {
        self.for_int4
    }

    /// Sums blocks of 32 values of every row.
    fn sum_blocks(&mut self) {
        let Form { rows: panel_rows, group, unit, .. } = self.form;
        let (rows, blocks) = (self.rows, self.depth.div_ceil(BLOCK));
        self.block_sums.clear();
        self.block_sums.resize(rows * blocks, 0);
        if rows == 1 {
            for (sum, values) in self.block_sums.iter_mut().zip(as_i8(self.bytes.bytes()).chunks(BLOCK)) {
                *sum = values.iter().map(|&value| i32::from(value)).sum();
            }
            return;
        }
        assert_eq!(group, unit, "values of a panel lie in one byte each");
        let panel_len = self.panel_len();
        for (panel, bytes) in as_i8(self.bytes.bytes()).chunks_exact(panel_len).enumerate() {
            let first = panel * panel_rows;
            for (step, groups) in bytes.chunks_exact(panel_rows * unit).enumerate() {
                let sums = &mut self.block_sums[step * group / BLOCK * rows + first..];
                let filled = panel_rows.min(rows - first);
                for (sum, values) in sums[..filled].iter_mut().zip(groups.chunks_exact(unit)) {
                    *sum += values.iter().map(|&value| i32::from(value)).sum::<i32>();
                }
            }
        }
    }

    /// The sum of block `block` of a row; 0 for layouts without an offset.
    pub(crate) fn block_sum(&self, block: usize, row: usize) -> i32 {
        self.block_sums.get(block * self.rows + row).copied().unwrap_or(0)
    }

    /// All rows, to be filled.
    pub(crate) fn rows_mut(&mut self) -> RowsMut<'_> {
        RowsMut {
            rows: self.rows,
            panels: (self.rows != 1).then(|| self.panel_len()),
            bytes: self.bytes.bytes_mut(),
            scales: &mut self.scales,
            sums: &mut self.sums,
        }
    }

    /// Bytes of a panel, or of the one plain row.
    pub(crate) fn panel_len(&self) -> usize {
        if self.rows == 1 { Layout::padded_depth(self.depth) } else { self.form.panel_len(self.depth) }
    }

    pub(crate) fn panels(&self, range: Range<usize>) -> &[u8] {
        let len = self.panel_len();
        &self.bytes.bytes()[range.start * len..range.end * len]
    }
}
