//! How rows of queries, keys and values are cut into heads.

/// Query heads, key/value heads and the width of each. Where there are fewer key/value heads, as many query heads in a
/// row share one (grouped-query attention, Ainslie et al. 2023).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heads {
    count: usize,
    key_values: usize,
    head_width: usize,
}

impl Heads {
    /// As many key/value heads as query heads, in rows of `width` values.
    ///
    /// # Panics
    /// When there is no head, or the width is not a multiple of their number.
    #[must_use]
    pub fn new(count: usize, width: usize) -> Self {
        assert!(count > 0 && width.is_multiple_of(count), "{count} heads in rows of {width}");
        Self { count, key_values: count, head_width: width / count }
    }

    /// Query heads, key/value heads, and values per head.
    ///
    /// # Panics
    /// When there is no head, or the query heads are not a multiple of the others.
    #[must_use]
    pub fn grouped(count: usize, key_values: usize, head_width: usize) -> Self {
        let fit = count > 0 && key_values > 0 && count.is_multiple_of(key_values);
        assert!(fit, "{count} query heads for {key_values} key/value heads");
        Self { count, key_values, head_width }
    }

    /// Query heads.
    #[must_use]
    pub fn count(self) -> usize {
        self.count
    }

    /// Key/value heads.
    #[must_use]
    pub fn key_values(self) -> usize {
        self.key_values
    }

    /// Values per head.
    #[must_use]
    pub fn head_width(self) -> usize {
        self.head_width
    }

    /// Values of a row of queries, and of the output.
    #[must_use]
    pub fn width(self) -> usize {
        self.count * self.head_width
    }

    /// Values of a row of keys, and of values.
    #[must_use]
    pub fn key_value_width(self) -> usize {
        self.key_values * self.head_width
    }

    /// The key/value head that a query head attends to.
    #[must_use]
    pub fn key_value_of(self, query: usize) -> usize {
        query / (self.count / self.key_values)
    }

    pub(crate) fn scale(self) -> f32 {
        1.0 / (self.head_width as f32).sqrt()
    }
}
