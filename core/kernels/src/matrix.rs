//! Views of matrices inside flat slices, with strides; bounds are checked once.

/// A read-only matrix inside a slice.
///
/// Read-only, so rows may overlap: a convolution over time reads windows that share samples.
#[derive(Debug, Clone, Copy)]
pub struct MatRef<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a> MatRef<'a> {
    /// `rows × cols`, row-major and dense.
    ///
    /// # Panics
    /// When `data` does not hold exactly `rows * cols` values.
    #[must_use]
    pub fn new(data: &'a [f32], rows: usize, cols: usize) -> Self {
        assert_eq!(Some(data.len()), rows.checked_mul(cols), "a dense {rows} × {cols} matrix");
        Self { data, rows, cols, row_stride: cols, col_stride: 1 }
    }

    /// A matrix whose rows start `row_stride` values apart, each with its columns side by side.
    ///
    /// # Panics
    /// When the last row ends outside of `data`.
    #[must_use]
    pub fn strided(data: &'a [f32], rows: usize, cols: usize, row_stride: usize) -> Self {
        check(data.len(), rows, cols, row_stride);
        Self { data, rows, cols, row_stride, col_stride: 1 }
    }

    /// The same values with rows and columns swapped; nothing is copied.
    #[must_use]
    pub fn transposed(self) -> Self {
        Self { rows: self.cols, cols: self.rows, row_stride: self.col_stride, col_stride: self.row_stride, ..self }
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    #[must_use]
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// One row, whose columns must lie side by side.
    ///
    /// # Panics
    /// When there is no such row, or the matrix is transposed.
    #[inline]
    pub(crate) fn row(&self, row: usize) -> &'a [f32] {
        assert!(row < self.rows && self.col_stride == 1);
        &self.data[row * self.row_stride..][..self.cols]
    }

    /// `count` rows from `start` on.
    ///
    /// # Panics
    /// When there are fewer, or `count` is zero.
    #[must_use]
    pub fn rows_range(&self, start: usize, count: usize) -> Self {
        assert!(start < self.rows && count <= self.rows - start && count > 0);
        Self { data: &self.data[start * self.row_stride..], rows: count, ..*self }
    }

    /// `count` columns from `start` on.
    pub(crate) fn columns_range(&self, start: usize, count: usize) -> Self {
        assert!(start <= self.cols && count <= self.cols - start && self.col_stride == 1);
        let start = if self.rows == 0 { 0 } else { start };
        Self { data: &self.data[start..], cols: count, ..*self }
    }

    /// Distance between rows and distance between columns, in values.
    pub(crate) fn strides(&self) -> (isize, isize) {
        (self.row_stride as isize, self.col_stride as isize)
    }

    /// The values in row-major order, or `None` if there are gaps or the matrix is transposed.
    pub(crate) fn dense_rows(&self) -> Option<&'a [f32]> {
        (self.col_stride == 1 && self.row_stride == self.cols).then(|| &self.data[..self.rows * self.cols])
    }

    pub(crate) fn as_ptr(&self) -> *const f32 {
        self.data.as_ptr()
    }
}

/// A writable matrix inside a slice: its rows never overlap.
#[derive(Debug)]
pub struct MatMut<'a> {
    data: &'a mut [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
}

impl<'a> MatMut<'a> {
    /// `rows × cols`, row-major and dense.
    ///
    /// # Panics
    /// When `data` does not hold exactly `rows * cols` values.
    #[must_use]
    pub fn new(data: &'a mut [f32], rows: usize, cols: usize) -> Self {
        assert_eq!(Some(data.len()), rows.checked_mul(cols), "a dense {rows} × {cols} matrix");
        Self { data, rows, cols, row_stride: cols }
    }

    /// A matrix whose rows start `row_stride ≥ cols` values apart.
    ///
    /// # Panics
    /// When rows would overlap or the last one ends outside of `data`.
    #[must_use]
    pub fn strided(data: &'a mut [f32], rows: usize, cols: usize, row_stride: usize) -> Self {
        assert!(row_stride >= cols, "rows of {cols} values overlap at a distance of {row_stride}");
        check(data.len(), rows, cols, row_stride);
        Self { data, rows, cols, row_stride }
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    #[must_use]
    pub fn cols(&self) -> usize {
        self.cols
    }

    pub(crate) fn at(&mut self, row: usize, col: usize) -> &mut f32 {
        debug_assert!(row < self.rows && col < self.cols);
        &mut self.data[row * self.row_stride + col]
    }

    pub(crate) fn row_stride(&self) -> isize {
        self.row_stride as isize
    }

    pub(crate) fn as_mut_ptr(&mut self) -> *mut f32 {
        self.data.as_mut_ptr()
    }
}

/// Unsafe code relies on this check: a size that does not fit the address space must not wrap around to one that does.
fn check(len: usize, rows: usize, cols: usize, row_stride: usize) {
    let end = if rows == 0 || cols == 0 {
        Some(0)
    } else {
        (rows - 1).checked_mul(row_stride).and_then(|last| last.checked_add(cols))
    };
    assert!(end.is_some_and(|end| end <= len), "{rows} rows of {cols} values, {row_stride} apart, end beyond {len}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_that_wrap_around_the_address_space_are_refused() {
        let refused = |make: &dyn Fn()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(make)).is_err();
        let half = usize::MAX / 2 + 1;
        assert!(refused(&|| _ = MatRef::strided(&[0.0; 2], 2, 1, usize::MAX)));
        assert!(refused(&|| _ = MatRef::strided(&[0.0; 2], half, 1, 2)));
        assert!(refused(&|| _ = MatRef::new(&[], half, 2)));
        assert!(refused(&|| _ = MatMut::new(&mut [], half, 2)));
        assert!(refused(&|| _ = MatMut::strided(&mut [0.0; 2], 3, 1, half)));
    }

    #[test]
    fn rows_and_columns_are_parts_of_the_matrix() {
        let matrix = MatRef::new(&[0.0; 6], 3, 2);
        assert_eq!((matrix.rows_range(1, 2).rows(), matrix.transposed().cols()), (2, 3));
        for range in [(3, 1), (usize::MAX, 2), (0, 0)] {
            assert!(std::panic::catch_unwind(|| _ = matrix.rows_range(range.0, range.1)).is_err(), "{range:?}");
        }
    }
}
