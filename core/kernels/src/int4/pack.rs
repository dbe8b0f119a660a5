//! Packed 4-bit weights: made once from row-major values, or read in place from a mapped file.

use std::fmt;

use half::f16;

use crate::aligned::{AlignedBytes, as_halves};
use crate::int8::Layout;
use crate::simd::LANES;
use crate::storage::{MAX_DEPTH, PackError, SharedBytes, Storage};

/// Values that share a scale.
pub const BLOCK: usize = 32;

/// 4-bit weights `[columns, depth]` with one f16 scale per column and [`BLOCK`] values, in the order of one [`Layout`].
///
/// Stored as one run of bytes: `[panels][blocks]`, each the codes of all the panel's columns, two per byte, followed by
/// their scales. A code is a value plus 8. The low halves of a block's bytes are the first half of its int8 form in the
/// layout's order, the high halves the second. Cheap to share between threads; a clone copies no weights.
#[derive(Clone)]
pub struct Int4Matrix {
    layout: Layout,
    columns: usize,
    depth: usize,
    storage: Storage,
}

impl Int4Matrix {
    /// Packs row-major values `[columns, depth]`, each from -8 to 7, with the bits of one f16 scale per block
    /// `[columns, depth / 32 rounded up]`: real weight = `scale · value`.
    ///
    /// # Errors
    /// [`PackError::Shape`], [`PackError::Length`], or [`PackError::OutOfRange`] for a value that does not fit.
    pub fn pack(layout: Layout, depth: usize, values: &[i8], scales: &[u16]) -> Result<Self, PackError> {
        let blocks = depth.div_ceil(BLOCK).max(1);
        let columns = scales.len() / blocks;
        let len = Self::packed_len(layout, columns, depth)?;
        for (what, found, expected) in
            [("scales", scales.len(), columns * blocks), ("weights", values.len(), columns.saturating_mul(depth))]
        {
            if found != expected {
                return Err(PackError::Length { what, found, expected });
            }
        }
        if let Some(index) = values.iter().position(|value| !(-8..=7).contains(value)) {
            return Err(PackError::OutOfRange { index });
        }
        let mut bytes = AlignedBytes::zeroed(len);
        let width = layout.panel();
        for (panel, bytes) in bytes.bytes_mut().chunks_exact_mut(panel_len(layout, depth)).enumerate() {
            let mut rest = bytes;
            for block in 0..blocks {
                let block_depth = block_depth(depth, block);
                let (codes, tail) = rest.split_at_mut(width * block_depth / 2);
                let (scale_bytes, tail) = tail.split_at_mut(scales_len(layout));
                rest = tail;
                // The code of zero, for padding.
                codes.fill(0x88);
                for column in 0..width.min(columns - panel * width) {
                    let row = (panel * width + column) * depth + block * BLOCK;
                    let filled = block_depth.min(depth - block * BLOCK);
                    for (k, &value) in values[row..row + filled].iter().enumerate() {
                        let (byte, shift) = place(layout, block_depth, column, k);
                        codes[byte] = codes[byte] & !(15 << shift) | (((value + 8) as u8) << shift);
                    }
                    let scale = scales[(panel * width + column) * blocks + block];
                    scale_bytes[2 * column..2 * column + 2].copy_from_slice(&scale.to_le_bytes());
                }
            }
        }
        Ok(Self { layout, columns, depth, storage: bytes.into() })
    }

    /// Packed weights in `bytes` from `start` on, read in place: nothing is copied.
    ///
    /// Any content is memory-safe; only weights from [`bytes`](Self::bytes) of the same layout and shape are
    /// meaningful. The bytes must not change while the matrix exists.
    ///
    /// # Errors
    /// [`PackError::Shape`], [`PackError::OutOfBounds`] or [`PackError::Misaligned`].
    pub fn from_shared(
        layout: Layout,
        columns: usize,
        depth: usize,
        bytes: SharedBytes,
        start: usize,
    ) -> Result<Self, PackError> {
        let len = Self::packed_len(layout, columns, depth)?;
        Ok(Self { layout, columns, depth, storage: Storage::shared(bytes, start, len)? })
    }

    /// Size in bytes of a packed matrix of this shape: 4.5 to 4.67 bits per weight.
    ///
    /// # Errors
    /// [`PackError::Shape`], also when the size does not fit the address space.
    pub fn packed_len(layout: Layout, columns: usize, depth: usize) -> Result<usize, PackError> {
        let wrong = PackError::Shape { columns, depth };
        if columns == 0 || depth == 0 || depth > MAX_DEPTH {
            return Err(wrong);
        }
        columns.div_ceil(layout.panel()).checked_mul(panel_len(layout, depth)).ok_or(wrong)
    }

    /// The same weights in another layout. Exact: values and scales do not change.
    ///
    /// Copies if the layout differs (one pass over the weights), otherwise shares the bytes.
    ///
    /// # Errors
    /// [`PackError::Shape`] when the size does not fit the address space.
    pub fn repacked(&self, layout: Layout) -> Result<Self, PackError> {
        if layout == self.layout {
            return Ok(self.clone());
        }
        self.gathered(layout, 0..self.columns)
    }

    /// The columns named by `columns`, in that order, as a matrix of their own: a vocabulary shortlist.
    ///
    /// Cost: one pass over those columns.
    ///
    /// # Errors
    /// [`PackError::Shape`] for an empty list.
    ///
    /// # Panics
    /// When a column does not exist.
    pub fn select(&self, columns: &[u32]) -> Result<Self, PackError> {
        self.gathered(self.layout, columns.iter().map(|&column| column as usize))
    }

    /// The given columns, packed in a layout.
    fn gathered(&self, layout: Layout, columns: impl ExactSizeIterator<Item = usize>) -> Result<Self, PackError> {
        let (depth, width) = (self.depth, self.layout.panel());
        let mut values = vec![0i8; columns.len().saturating_mul(depth)];
        let mut scales = Vec::with_capacity(columns.len().saturating_mul(depth.div_ceil(BLOCK)));
        for (column, values) in columns.zip(values.chunks_exact_mut(depth)) {
            assert!(column < self.columns, "column {column} of {}", self.columns);
            let panel = self.panel(column / width);
            for (index, values) in values.chunks_mut(BLOCK).enumerate() {
                let block = panel.block(index);
                scales.push(block.scales[column % width]);
                for (k, value) in values.iter_mut().enumerate() {
                    *value = block.value(self.layout, column % width, k);
                }
            }
        }
        Self::pack(layout, depth, &values, &scales)
    }

    /// Order of the weights.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Output columns.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Length of the rows that the matrix is multiplied with.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// The packed bytes, as [`from_shared`](Self::from_shared) reads them.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.storage.bytes()
    }

    /// The value of one column at depth `k`, from -8 to 7.
    ///
    /// # Panics
    /// When there is no such column or depth.
    #[must_use]
    pub fn value(&self, column: usize, k: usize) -> i8 {
        assert!(column < self.columns && k < self.depth);
        let width = self.layout.panel();
        self.panel(column / width).block(k / BLOCK).value(self.layout, column % width, k % BLOCK)
    }

    /// Offset in [`bytes`](Self::bytes) of the first scale that is infinite or NaN, if there is one: it would make
    /// every sum of its column infinite or NaN. Cost: reads all scales, and so touches every page.
    #[must_use]
    pub fn scale_not_finite(&self) -> Option<usize> {
        let start = self.bytes().as_ptr().addr();
        let panels = (0..self.columns.div_ceil(self.layout.panel())).map(|index| self.panel(index));
        let mut blocks = panels.flat_map(|panel| (0..self.depth.div_ceil(BLOCK)).map(move |index| panel.block(index)));
        blocks.find_map(|block| {
            let scale = block.scales.iter().find(|&&scale| !f16::from_bits(scale).is_finite())?;
            Some(std::ptr::from_ref(scale).addr() - start)
        })
    }

    /// Writes the dequantized weights of one column, `[depth]`: a row of an embedding.
    ///
    /// # Panics
    /// When there is no such column or `out` has another length.
    pub fn column(&self, column: usize, out: &mut [f32]) {
        assert!(column < self.columns && out.len() == self.depth);
        let width = self.layout.panel();
        let panel = self.panel(column / width);
        for (index, out) in out.chunks_mut(BLOCK).enumerate() {
            let block = panel.block(index);
            let scale = f16::from_bits(block.scales[column % width]).to_f32();
            for (k, out) in out.iter_mut().enumerate() {
                *out = f32::from(block.value(self.layout, column % width, k)) * scale;
            }
        }
    }

    /// Panel `index`.
    pub(crate) fn panel(&self, index: usize) -> Panel<'_> {
        let len = panel_len(self.layout, self.depth);
        Panel { bytes: &self.bytes()[index * len..][..len], layout: self.layout, depth: self.depth }
    }
}

/// The columns of one panel, block after block.
#[derive(Clone, Copy)]
pub(crate) struct Panel<'a> {
    bytes: &'a [u8],
    layout: Layout,
    depth: usize,
}

/// One block of a panel: its codes, `[depth · columns / 2]`, and the scales of its columns, padded to whole vectors.
#[derive(Clone, Copy)]
pub(crate) struct Block<'a> {
    pub(crate) codes: &'a [u8],
    pub(crate) scales: &'a [u16],
    pub(crate) depth: usize,
}

impl<'a> Panel<'a> {
    #[inline(always)]
    pub(crate) fn block(&self, index: usize) -> Block<'a> {
        let (depth, width) = (block_depth(self.depth, index), self.layout.panel());
        // Only the last block is shorter.
        let start = index * (width * BLOCK / 2 + scales_len(self.layout));
        let (codes, rest) = self.bytes[start..].split_at(width * depth / 2);
        // Panels and blocks have even lengths, and the first starts on a cache line.
        let scales = as_halves(&rest[..scales_len(self.layout)]).unwrap_or_else(|| unreachable!("blocks lie aligned"));
        Block { codes, scales, depth }
    }
}

impl Block<'_> {
    /// The value of the panel's column `column`, from -8 to 7.
    fn value(&self, layout: Layout, column: usize, k: usize) -> i8 {
        let (byte, shift) = place(layout, self.depth, column, k);
        (self.codes[byte] >> shift & 15) as i8 - 8
    }
}

/// Index of the byte that holds a code, and the shift of the code within it.
fn place(layout: Layout, block_depth: usize, column: usize, k: usize) -> (usize, usize) {
    let (place, half) = (layout.index(block_depth, column, k), layout.panel() * block_depth / 2);
    (place % half, place / half * 4)
}

/// Values per column of block `block`: 32, or 16 in the last block when the padded depth ends there.
pub(crate) const fn block_depth(depth: usize, block: usize) -> usize {
    let left = Layout::padded_depth(depth) - block * BLOCK;
    if left < BLOCK { left } else { BLOCK }
}

/// Bytes of a block's scales.
const fn scales_len(layout: Layout) -> usize {
    2 * layout.panel().next_multiple_of(LANES)
}

const fn panel_len(layout: Layout, depth: usize) -> usize {
    layout.panel() * Layout::padded_depth(depth) / 2 + depth.div_ceil(BLOCK) * scales_len(layout)
}

/// Quantizes one row of weights to 4-bit values and one f16 scale (its bits) per [`BLOCK`], as in ggml's q4_0.
///
/// ggml gives the weight of largest absolute value the code -8. Here nine other steps are tried too, each with the
/// scale that fits its codes best (least squares), and the one with the least squared error is kept. A block that ggml
/// has quantized is reproduced exactly. Weights must be finite; scales beyond the f16 range are clamped. Deterministic:
/// sums run in order, in f64.
///
/// # Panics
/// When `values` has another length than `row`, or `scales` does not have one value per block.
pub fn quantize_int4(row: &[f32], values: &mut [i8], scales: &mut [u16]) {
    assert!(values.len() == row.len() && scales.len() == row.len().div_ceil(BLOCK), "one value and scale for each");
    for ((row, values), scale) in row.chunks(BLOCK).zip(values.chunks_mut(BLOCK)).zip(scales) {
        *scale = quantize_block(row, values);
    }
}

/// Codes tried for the weight of largest absolute value. ggml's comes first, because the first of equal errors wins.
/// Beyond 8 that weight is clamped, so that the others get finer steps.
const PEAKS: [f32; 10] = [8.0, 7.0, 7.25, 7.5, 7.75, 8.25, 8.5, 8.75, 9.0, 9.5];

/// Writes the codes of a block; returns the bits of its scale.
fn quantize_block(row: &[f32], values: &mut [i8]) -> u16 {
    let largest = row.iter().fold(0.0f32, |largest, &x| if x.abs() > largest.abs() { x } else { largest });
    let mut best = (f64::INFINITY, 0u16, 0.0f32);
    for peak in PEAKS {
        let step = largest / -peak;
        if step == 0.0 || !step.recip().is_finite() {
            continue;
        }
        let (mut products, mut squares) = (0.0f64, 0.0f64);
        for &x in row {
            let code = f64::from(code(x, step));
            products += f64::from(x) * code;
            squares += code * code;
        }
        let scale = f16::from_f64((products / squares).clamp(f64::from(f16::MIN), f64::from(f16::MAX)));
        let error: f64 = row.iter().map(|&x| (f64::from(x) - scale.to_f64() * f64::from(code(x, step))).powi(2)).sum();
        if error < best.0 {
            best = (error, scale.to_bits(), step);
        }
    }
    let (_, scale, step) = best;
    for (value, &x) in values.iter_mut().zip(row) {
        *value = if step == 0.0 { 0 } else { code(x, step) };
    }
    scale
}

fn code(x: f32, step: f32) -> i8 {
    (x / step).round_ties_even().clamp(-8.0, 7.0) as i8
}

impl fmt::Debug for Int4Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { layout, columns, depth, .. } = self;
        write!(f, "Int4Matrix({layout:?}, {columns} columns, {depth} deep)")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn values(len: usize) -> Vec<i8> {
        (0..len).map(|i| (i * 7 % 16) as i8 - 8).collect()
    }

    #[test]
    fn packing_keeps_every_value_and_scale_in_every_layout() {
        for layout in Layout::ALL {
            for (columns, depth) in [(1, 1), (33, 7), (12, 16), (50, 100), (17, 48), (3usize, 64usize)] {
                let blocks = depth.div_ceil(BLOCK);
                let values = values(columns * depth);
                let scales: Vec<u16> = (0..columns * blocks).map(|i| f16::from_f32(0.5 + i as f32).to_bits()).collect();
                let packed = Int4Matrix::pack(layout, depth, &values, &scales).unwrap();
                let mut row = vec![0.0; depth];
                for column in 0..columns {
                    packed.column(column, &mut row);
                    for k in 0..depth {
                        let value = values[column * depth + k];
                        assert_eq!(packed.value(column, k), value, "{layout:?} {columns} × {depth}");
                        let scale = f16::from_bits(scales[column * blocks + k / BLOCK]).to_f32();
                        assert_eq!(row[k], f32::from(value) * scale);
                    }
                }
                for other in Layout::ALL {
                    let direct = Int4Matrix::pack(other, depth, &values, &scales).unwrap();
                    assert!(packed.repacked(other).unwrap().bytes() == direct.bytes(), "{layout:?} to {other:?}");
                }
                let mut bytes = AlignedBytes::zeroed(64);
                bytes.resize(64 + packed.bytes().len());
                bytes.bytes_mut()[64..].copy_from_slice(packed.bytes());
                let shared = Int4Matrix::from_shared(layout, columns, depth, Arc::new(bytes), 64).unwrap();
                assert!(shared.bytes() == packed.bytes());
            }
        }
    }

    #[test]
    fn wrong_values_lengths_and_bytes_are_refused() {
        let scale = f16::ONE.to_bits();
        assert!(matches!(
            Int4Matrix::pack(Layout::Quads, 2, &[0, 8], &[scale]),
            Err(PackError::OutOfRange { index: 1 })
        ));
        assert!(matches!(Int4Matrix::pack(Layout::Quads, 3, &[0, 1], &[scale]), Err(PackError::Length { .. })));
        assert!(matches!(Int4Matrix::pack(Layout::Quads, 0, &[], &[scale]), Err(PackError::Shape { .. })));
        assert!(matches!(Int4Matrix::pack(Layout::Quads, 40, &[], &[]), Err(PackError::Shape { .. })));
        let bytes: SharedBytes = Arc::new(AlignedBytes::zeroed(1000));
        let open = |start| Int4Matrix::from_shared(Layout::Vnni, 4, 32, Arc::clone(&bytes), start);
        assert!(matches!(open(512), Err(PackError::OutOfBounds { .. })));
        assert!(matches!(open(6), Err(PackError::Misaligned { .. })));
        assert!(open(4).is_ok(), "kernels load from any address");
        assert!(open(64).is_ok());
    }

    #[test]
    fn a_scale_that_is_not_finite_is_found_where_it_stands() {
        for layout in Layout::ALL {
            let (columns, depth) = (50, 100);
            let values = values(columns * depth);
            let mut scales = vec![f16::ONE.to_bits(); columns * depth.div_ceil(BLOCK)];
            let sound = Int4Matrix::pack(layout, depth, &values, &scales).unwrap();
            assert_eq!(sound.scale_not_finite(), None);
            for (at, scale) in [(0, f16::NAN), (199, f16::INFINITY), (77, f16::NEG_INFINITY)] {
                let before = std::mem::replace(&mut scales[at], scale.to_bits());
                let broken = Int4Matrix::pack(layout, depth, &values, &scales).unwrap();
                let differs = broken.bytes().iter().zip(sound.bytes()).position(|(broken, sound)| broken != sound);
                let found = broken.scale_not_finite().unwrap();
                // The first of its two bytes may be unchanged.
                assert!(differs.is_some_and(|differs| (found..found + 2).contains(&differs)), "{layout:?}: {found}");
                scales[at] = before;
            }
        }
    }

    fn quantized(row: &[f32]) -> (Vec<i8>, Vec<u16>) {
        let (mut values, mut scales) = (vec![1; row.len()], vec![1; row.len().div_ceil(BLOCK)]);
        quantize_int4(row, &mut values, &mut scales);
        (values, scales)
    }

    /// Squared error of a row's codes and scales.
    fn error(row: &[f32], values: &[i8], scales: &[u16]) -> f64 {
        let real = |i: usize| f64::from(values[i]) * f16::from_bits(scales[i / BLOCK]).to_f64();
        row.iter().enumerate().map(|(i, &x)| (f64::from(x) - real(i)).powi(2)).sum()
    }

    #[test]
    fn quantizing_errs_by_a_step_at_most() {
        let row: Vec<f32> = (0..100).map(|i| ((i * 37 % 101) as f32 - 50.0) * 0.013).collect();
        let (values, scales) = quantized(&row);
        for (i, (&x, &value)) in row.iter().zip(&values).enumerate() {
            let scale = f16::from_bits(scales[i / BLOCK]).to_f32();
            // On the side opposite to the largest weight, values are clamped at 7 steps.
            assert!((x - f32::from(value) * scale).abs() <= scale.abs() * 1.01, "{x} {value} {scale}");
        }
    }

    #[test]
    fn quantizing_errs_less_than_with_the_step_of_the_greatest_value() {
        let row: Vec<f32> = (0..320).map(|i| ((i * 37 % 101) as f32 - 50.0) * 0.013 * (i as f32 * 0.3).sin()).collect();
        let (values, scales) = quantized(&row);
        let found = error(&row, &values, &scales);
        let steps: Vec<f16> = row
            .chunks(BLOCK)
            .map(|row| row.iter().fold(0.0f32, |a, &x| if x.abs() > a.abs() { x } else { a }))
            .map(|largest| f16::from_f32(largest / -8.0))
            .collect();
        let plain: Vec<i8> = row.iter().enumerate().map(|(i, &x)| code(x, steps[i / BLOCK].to_f32())).collect();
        let plain = error(&row, &plain, &steps.iter().map(|step| step.to_bits()).collect::<Vec<_>>());
        let weights: f64 = row.iter().map(|&x| f64::from(x).powi(2)).sum();
        assert!(found < 0.9 * plain && found < 0.01 * weights, "{found} of {plain}, {weights}");
    }

    #[test]
    fn blocks_of_ggml_come_out_as_they_went_in() {
        let scales: Vec<u16> = [0.013, -0.4, 1e-3].map(|scale| f16::from_f32(scale).to_bits()).into();
        let codes: Vec<i8> = (0..3 * BLOCK).map(|i| (i * 11 % 16) as i8 - 8).collect();
        let real = |(i, &code): (usize, &i8)| f32::from(code) * f16::from_bits(scales[i / BLOCK]).to_f32();
        let row: Vec<f32> = codes.iter().enumerate().map(real).collect();
        assert_eq!(quantized(&row), (codes, scales));
    }

    #[test]
    fn zeros_and_weights_beyond_half_precision_are_quantized() {
        assert_eq!(quantized(&[0.0; 3]), (vec![0; 3], vec![0]));
        for weight in [f32::MIN_POSITIVE, 1e-45, f32::MAX] {
            let (values, scales) = quantized(&[weight, -weight, 0.0]);
            assert!(f16::from_bits(scales[0]).is_finite() && values[2] == 0, "{weight}");
        }
    }
}
