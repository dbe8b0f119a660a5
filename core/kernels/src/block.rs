//! A writable block of rows that can be split by rows and by columns, so that threads can share one output.

#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::ops::Range;

/// `rows × columns` values inside a slice, whose rows start `stride` values apart. Like a mutable slice, but it can be
/// split between columns.
#[derive(Debug)]
pub struct BlockMut<'a, T = f32> {
    start: *mut T,
    rows: usize,
    columns: usize,
    stride: usize,
    slice: PhantomData<&'a mut [T]>,
}

// SAFETY: a block is a unique borrow of its values, as `&mut [T]` is, and those may be sent where the values may.
unsafe impl<T: Send> Send for BlockMut<'_, T> {}
// SAFETY: a shared block gives out no values.
unsafe impl<T: Send> Sync for BlockMut<'_, T> {}

impl<'a, T> BlockMut<'a, T> {
    /// All of `data`, as rows of `columns` values.
    ///
    /// # Panics
    /// When `data` is not a whole number of rows.
    #[must_use]
    pub fn new(data: &'a mut [T], columns: usize) -> Self {
        let rows = data.len().checked_div(columns).unwrap_or(0);
        assert_eq!(data.len(), rows * columns, "whole rows of {columns} values");
        Self::strided(data, rows, columns, columns)
    }

    /// Rows that start `stride ≥ columns` values apart.
    ///
    /// # Panics
    /// When rows would overlap or the last one ends outside of `data`.
    #[must_use]
    pub fn strided(data: &'a mut [T], rows: usize, columns: usize, stride: usize) -> Self {
        assert!(stride >= columns, "rows of {columns} values overlap at a distance of {stride}");
        let end = if rows == 0 { Some(0) } else { (rows - 1).checked_mul(stride).and_then(|n| n.checked_add(columns)) };
        assert!(
            end.is_some_and(|end| end <= data.len()),
            "{rows} rows of {columns} values, {stride} apart, in a slice of {}",
            data.len()
        );
        Self { start: data.as_mut_ptr(), rows, columns, stride, slice: PhantomData }
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Values per row.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// One row.
    ///
    /// # Panics
    /// When there is no such row.
    #[inline]
    #[must_use]
    pub fn row(&mut self, row: usize) -> &mut [T] {
        assert!(row < self.rows);
        // SAFETY: the constructor checked that all rows lie inside the borrowed slice, and cuts only shrink a block;
        // rows of one block and blocks cut from one another do not overlap; the result borrows the block.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(row * self.stride), self.columns) }
    }

    /// A block of some columns of some rows.
    ///
    /// # Panics
    /// When they do not lie in the block.
    #[inline]
    pub(crate) fn tile(&mut self, rows: Range<usize>, columns: Range<usize>) -> BlockMut<'_, T> {
        assert!(rows.start < rows.end && rows.end <= self.rows);
        assert!(columns.start < columns.end && columns.end <= self.columns);
        // SAFETY: the first row's first column lies inside the slice.
        let start = unsafe { self.start.add(rows.start * self.stride + columns.start) };
        BlockMut { start, rows: rows.len(), columns: columns.len(), ..*self }
    }

    /// Pointer to the first value, and the distance between rows in values.
    #[inline]
    #[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "only sets of x86 finish tiles"))]
    pub(crate) fn as_mut_ptr_and_stride(&mut self) -> (*mut T, usize) {
        (self.start, self.stride)
    }

    /// Splits into the first `row` rows and the others.
    ///
    /// # Panics
    /// When there are fewer rows.
    #[must_use]
    pub fn split_rows(self, row: usize) -> (Self, Self) {
        assert!(row <= self.rows);
        let offset = if row == self.rows { 0 } else { row * self.stride };
        // SAFETY: where rows are left, the row's start lies inside the slice.
        let start = unsafe { self.start.add(offset) };
        (Self { rows: row, ..self }, Self { start, rows: self.rows - row, ..self })
    }

    /// Splits into the first `column` columns and the others.
    ///
    /// # Panics
    /// When there are fewer columns.
    #[must_use]
    pub fn split_columns(self, column: usize) -> (Self, Self) {
        assert!(column <= self.columns);
        let offset = if self.rows == 0 { 0 } else { column };
        // SAFETY: the first row's columns lie inside the slice, its end included.
        let start = unsafe { self.start.add(offset) };
        (Self { columns: column, ..self }, Self { start, columns: self.columns - column, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_cover_the_block_without_overlap() {
        let mut data = vec![0.0; 3 * 7];
        let (top, bottom) = BlockMut::strided(&mut data, 3, 5, 7).split_rows(2);
        let (left, right) = top.split_columns(2);
        for (value, mut block) in [(1.0, left), (2.0, right), (3.0, bottom)] {
            for row in 0..block.rows() {
                block.row(row).iter_mut().for_each(|x| *x += value);
            }
        }
        let row = [1.0, 1.0, 2.0, 2.0, 2.0, 0.0, 0.0];
        assert_eq!(data, [row, row, [3.0, 3.0, 3.0, 3.0, 3.0, 0.0, 0.0]].concat());
    }

    #[test]
    #[should_panic(expected = "in a slice of 12")]
    fn a_block_past_the_end_is_refused() {
        let _ = BlockMut::strided(&mut [0.0; 12], 3, 3, 5);
    }

    #[test]
    fn empty_blocks_can_be_cut() {
        let (left, right) = BlockMut::<f32>::new(&mut [], 4).split_columns(4);
        assert_eq!((left.rows(), left.columns(), right.columns()), (0, 4, 0));
        let mut data = [0.0; 8];
        let (none, all) = BlockMut::new(&mut data, 4).split_rows(0);
        assert_eq!((none.rows(), all.rows()), (0, 2));
    }
}
