//! How rows of queries, keys and values are split into heads.

/// Number of query heads, number of key/value heads, and values per head. With fewer key/value heads, consecutive query
/// heads share one (grouped-query attention, Ainslie et al. 2023).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heads {
    count: usize,
    key_values: usize,
    head_width: usize,
}

impl Heads {
    /// As many key/value heads as query heads; rows have `width` values in all.
    ///
    /// # Panics
    /// When there is no head, or the width is not a multiple of their number.
    #[must_use]
    pub fn new(count: usize, width: usize) -> Self {
        assert!(count > 0 && width.is_multiple_of(count), "{count} heads in rows of {width}");
        Self { count, key_values: count, head_width: width / count }
    }

    /// Number of query heads, number of key/value heads, and values per head.
    ///
    /// # Panics
    /// When there is no head, or the number of query heads is not a multiple of that of key/value heads.
    #[must_use]
    pub fn grouped(count: usize, key_values: usize, head_width: usize) -> Self {
        let fit = count > 0 && key_values > 0 && count.is_multiple_of(key_values);
        assert!(fit, "{count} query heads for {key_values} key/value heads");
        Self { count, key_values, head_width }
    }

    /// Number of query heads.
    #[must_use]
    pub fn count(self) -> usize {
        self.count
    }

    /// Number of key/value heads.
    #[must_use]
    pub fn key_values(self) -> usize {
        self.key_values
    }

    /// Values per head.
    #[must_use]
    pub fn head_width(self) -> usize {
        self.head_width
    }

    /// Values per row of queries, and of the output.
    #[must_use]
    pub fn width(self) -> usize {
        self.count * self.head_width
    }

    /// Values per row of keys, and of values.
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
