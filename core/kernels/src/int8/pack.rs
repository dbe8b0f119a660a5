//! Packed int8 weights: packed once from row-major values, or read in place from a mapped file.

use std::fmt;

use super::layout::Layout;
use crate::aligned::{AlignedBytes, as_bytes, as_floats};
use crate::storage::{MAX_DEPTH, PackError, SharedBytes, Storage};

/// int8 weights `[columns, depth]` of a linear layer with one f32 scale per column, in the order of one [`Layout`].
///
/// Stored as one run of bytes: all panels, then the scales of all panels' columns as little-endian f32. Padding columns
/// and padding depth are zero. Cheap to share between threads; a clone copies no weights.
#[derive(Clone)]
pub struct PackedMatrix {
    layout: Layout,
    columns: usize,
    depth: usize,
    storage: Storage,
}

impl PackedMatrix {
    /// Packs row-major int8 weights `[columns, depth]`, one scale per column: real weight = `scale · value`.
    ///
    /// Allocates once. Cost: one pass over the weights.
    ///
    /// # Errors
    /// [`PackError::Shape`], [`PackError::Length`] or [`PackError::OutOfRange`].
    pub fn pack(layout: Layout, depth: usize, weights: &[i8], scales: &[f32]) -> Result<Self, PackError> {
        let columns = scales.len();
        let len = Self::packed_len(layout, columns, depth)?;
        expect_length("weights", weights.len(), columns.saturating_mul(depth))?;
        if let Some(index) = weights.iter().position(|&weight| weight == i8::MIN) {
            return Err(PackError::OutOfRange { index });
        }
        let mut bytes = AlignedBytes::zeroed(len);
        let panels = columns.div_ceil(layout.panel());
        let (panel_bytes, scale_bytes) = bytes.bytes_mut().split_at_mut(panels * layout.panel_len(depth));
        panel_bytes.fill(layout.offset());
        let padded_depth = Layout::padded_depth(depth);
        for (column, row) in weights.chunks_exact(depth).enumerate() {
            let panel = &mut panel_bytes[column / layout.panel() * layout.panel_len(depth)..];
            for (k, &weight) in as_bytes(row).iter().enumerate() {
                let place = layout.index(padded_depth, column % layout.panel(), k);
                panel[place] = weight.wrapping_add(layout.offset());
            }
        }
        for (bytes, scale) in scale_bytes.chunks_exact_mut(4).zip(scales) {
            bytes.copy_from_slice(&scale.to_le_bytes());
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

    /// Size in bytes of a packed matrix of this shape.
    ///
    /// # Errors
    /// [`PackError::Shape`], also when the size does not fit the address space.
    pub fn packed_len(layout: Layout, columns: usize, depth: usize) -> Result<usize, PackError> {
        let wrong = PackError::Shape { columns, depth };
        if columns == 0 || depth == 0 || depth > MAX_DEPTH {
            return Err(wrong);
        }
        let panels = columns.div_ceil(layout.panel());
        panels.checked_mul(layout.panel_len(depth) + 4 * layout.panel()).ok_or(wrong)
    }

    /// The columns named by `columns`, in that order, as a matrix of their own: a vocabulary shortlist.
    ///
    /// Copies bytes, without requantizing. Meant to be made once per sentence and used for each of its tokens.
    ///
    /// # Errors
    /// [`PackError::Shape`] for an empty list.
    ///
    /// # Panics
    /// When a column does not exist.
    pub fn select(&self, columns: &[u32]) -> Result<Self, PackError> {
        let (layout, depth) = (self.layout, self.depth);
        let mut bytes = AlignedBytes::zeroed(Self::packed_len(layout, columns.len(), depth)?);
        let panels = columns.len().div_ceil(layout.panel());
        let (panel_bytes, scale_bytes) = bytes.bytes_mut().split_at_mut(panels * layout.panel_len(depth));
        panel_bytes.fill(layout.offset());
        let padded_depth = Layout::padded_depth(depth);
        for (to, &from) in columns.iter().enumerate() {
            let from = from as usize;
            assert!(from < self.columns, "column {from} of {}", self.columns);
            let source = self.panel(from / layout.panel());
            let target = &mut panel_bytes[to / layout.panel() * layout.panel_len(depth)..];
            for k in (0..padded_depth).step_by(4) {
                let (from, to) = (from % layout.panel(), to % layout.panel());
                let (from, to) = (layout.index(padded_depth, from, k), layout.index(padded_depth, to, k));
                target[to..to + 4].copy_from_slice(&source[from..from + 4]);
            }
            scale_bytes[4 * to..4 * to + 4].copy_from_slice(&self.scales()[from].to_le_bytes());
        }
        Ok(Self { layout, columns: columns.len(), depth, storage: bytes.into() })
    }

    /// The same weights in another layout. Exact: int8 values and scales do not change.
    ///
    /// Copies if the layout differs (one pass over the weights), otherwise shares the bytes.
    ///
    /// # Errors
    /// [`PackError::OutOfRange`] for mapped weights that [`pack`](Self::pack) would have refused.
    pub fn repacked(&self, layout: Layout) -> Result<Self, PackError> {
        if layout == self.layout {
            return Ok(self.clone());
        }
        let (columns, depth) = (self.columns, self.depth);
        let mut values = vec![0i8; columns.saturating_mul(depth)];
        let padded_depth = Layout::padded_depth(depth);
        for (column, row) in values.chunks_exact_mut(depth).enumerate() {
            let panel = self.panel(column / self.layout.panel());
            for (k, value) in row.iter_mut().enumerate() {
                let code = panel[self.layout.index(padded_depth, column % self.layout.panel(), k)];
                *value = code.wrapping_sub(self.layout.offset()) as i8;
            }
        }
        Self::pack(layout, depth, &values, &self.scales()[..columns])
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

    /// The weight of one column at depth `k`.
    #[must_use]
    pub fn weight(&self, column: usize, k: usize) -> i8 {
        assert!(column < self.columns && k < self.depth);
        let place = self.layout.index(Layout::padded_depth(self.depth), column % self.layout.panel(), k);
        self.panel(column / self.layout.panel())[place].wrapping_sub(self.layout.offset()) as i8
    }

    /// Writes the dequantized weights of one column, `[depth]`: a row of an embedding.
    ///
    /// # Panics
    /// When there is no such column or `out` has another length.
    pub fn column(&self, column: usize, out: &mut [f32]) {
        assert!(column < self.columns && out.len() == self.depth);
        let (panel, scale) = (self.panel(column / self.layout.panel()), self.scales()[column]);
        let padded_depth = Layout::padded_depth(self.depth);
        let offset = self.layout.offset();
        for (k, out) in out.iter_mut().enumerate() {
            let code = panel[self.layout.index(padded_depth, column % self.layout.panel(), k)];
            *out = f32::from(code.wrapping_sub(offset) as i8) * scale;
        }
    }

    pub(crate) fn panels(&self) -> usize {
        self.columns.div_ceil(self.layout.panel())
    }

    /// Panel `index`: exactly [`Layout::panel_len`] bytes.
    pub(crate) fn panel(&self, index: usize) -> &[u8] {
        let len = self.layout.panel_len(self.depth);
        &self.bytes()[index * len..(index + 1) * len]
    }

    /// The panels from `first` on, one after another.
    pub(crate) fn panels_from(&self, first: usize) -> &[u8] {
        let len = self.layout.panel_len(self.depth);
        &self.bytes()[first * len..self.panels() * len]
    }

    /// Scales of all panels' columns; zero for padding columns.
    pub(crate) fn scales(&self) -> &[f32] {
        let start = self.panels() * self.layout.panel_len(self.depth);
        // Aligned, because the bytes are, and panels are a multiple of 64 bytes long.
        as_floats(&self.bytes()[start..]).unwrap_or(&[])
    }
}

impl fmt::Debug for PackedMatrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { layout, columns, depth, .. } = self;
        write!(f, "PackedMatrix({layout:?}, {columns} columns, {depth} deep)")
    }
}

fn expect_length(what: &'static str, found: usize, expected: usize) -> Result<(), PackError> {
    if found == expected { Ok(()) } else { Err(PackError::Length { what, found, expected }) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn weights(len: usize) -> Vec<i8> {
        (0..len).map(|i| (i * 7919 % 255) as u8 as i8).map(|w| w.max(-127)).collect()
    }

    #[test]
    fn packing_keeps_every_weight_and_scale() {
        for layout in Layout::ALL {
            for (columns, depth) in [(1, 1), (33, 7), (12, 16), (50, 100)] {
                let values = weights(columns * depth);
                let scales: Vec<f32> = (0..columns).map(|i| 0.5 + i as f32).collect();
                let packed = PackedMatrix::pack(layout, depth, &values, &scales).unwrap();
                assert_eq!(packed.scales()[..columns], scales);
                assert!(packed.scales()[columns..].iter().all(|&scale| scale == 0.0));
                for column in 0..columns {
                    for k in 0..depth {
                        assert_eq!(packed.weight(column, k), values[column * depth + k], "{layout:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn weights_read_the_same_in_every_other_layout() {
        for from in Layout::ALL {
            let scales: Vec<f32> = (0..50).map(|i| 0.5 + i as f32).collect();
            let packed = PackedMatrix::pack(from, 20, &weights(50 * 20), &scales).unwrap();
            for to in Layout::ALL {
                let direct = PackedMatrix::pack(to, 20, &weights(50 * 20), &scales).unwrap();
                assert!(packed.repacked(to).unwrap().bytes() == direct.bytes(), "{from:?} to {to:?}");
            }
        }
        let mut hostile = AlignedBytes::zeroed(PackedMatrix::packed_len(Layout::Columns, 1, 16).unwrap());
        hostile.bytes_mut()[3] = i8::MIN as u8;
        let hostile = PackedMatrix::from_shared(Layout::Columns, 1, 16, Arc::new(hostile), 0).unwrap();
        assert_eq!(hostile.repacked(Layout::Quads).unwrap_err(), PackError::OutOfRange { index: 3 });
    }

    #[test]
    fn a_selection_holds_the_named_columns() {
        for layout in Layout::ALL {
            let values = weights(70 * 20);
            let scales: Vec<f32> = (0..70).map(|i| i as f32).collect();
            let all = PackedMatrix::pack(layout, 20, &values, &scales).unwrap();
            let names: Vec<u32> = (0..40).map(|i| i * 37 % 70).collect();
            let some = all.select(&names).unwrap();
            for (column, &name) in names.iter().enumerate() {
                assert_eq!(some.scales()[column], name as f32);
                assert!((0..20).all(|k| some.weight(column, k) == all.weight(name as usize, k)));
            }
        }
        let all = PackedMatrix::pack(Layout::Quads, 20, &weights(20), &[1.0]).unwrap();
        assert!(all.select(&[]).is_err());
    }

    #[test]
    fn mapped_bytes_are_read_in_place_or_refused() {
        let packed = PackedMatrix::pack(Layout::Vnni, 20, &weights(20 * 40), &[0.25; 40]).unwrap();
        let mut file = AlignedBytes::zeroed(64 + packed.bytes().len());
        file.bytes_mut()[64..].copy_from_slice(packed.bytes());
        let file: SharedBytes = Arc::new(file);
        let open =
            |columns, depth, start| PackedMatrix::from_shared(Layout::Vnni, columns, depth, Arc::clone(&file), start);
        let mapped = open(40, 20, 64).unwrap();
        assert!((0..40).all(|column| mapped.weight(column, 19) == packed.weight(column, 19)));
        assert_eq!(mapped.scales(), packed.scales());
        assert_eq!(open(40, 20, 65).unwrap_err(), PackError::OutOfBounds { start: 65, end: 2369, available: 2368 });
        assert_eq!(open(20, 20, 34).unwrap_err(), PackError::Misaligned { start: 34 });
        assert!(open(20, 20, 36).is_ok(), "kernels load from any address");
        assert!(matches!(open(40, 20, usize::MAX), Err(PackError::OutOfBounds { .. })));
        assert!(matches!(open(usize::MAX, 20, 0), Err(PackError::Shape { .. })));
        assert!(matches!(open(1, MAX_DEPTH + 1, 0), Err(PackError::Shape { .. })));
    }

    #[test]
    fn unfit_weights_are_refused() {
        let pack = |depth, weights: &[i8], scales: &[f32]| PackedMatrix::pack(Layout::Pairs, depth, weights, scales);
        assert!(matches!(pack(2, &[1; 5], &[1.0; 2]), Err(PackError::Length { found: 5, expected: 4, .. })));
        assert_eq!(pack(2, &[1, -128], &[1.0]).unwrap_err(), PackError::OutOfRange { index: 1 });
        assert!(matches!(pack(0, &[], &[1.0]), Err(PackError::Shape { .. })));
        assert!(matches!(pack(4, &[], &[]), Err(PackError::Shape { .. })));
    }
}
