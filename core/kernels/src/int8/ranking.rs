//! The largest few of many values: candidates for the next token.

/// One value and its index.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranked {
    /// Index in the row: the column.
    pub index: u32,
    /// The value.
    pub value: f32,
}

/// The `k` largest values of a row in descending order; equal values in the order of the row.
///
/// NaN is never included. Holds fewer than `k` values when the row is shorter. Allocates once.
#[derive(Debug, Clone)]
pub struct TopK {
    best: Vec<Ranked>,
    k: usize,
}

impl TopK {
    /// An empty list for at most `k ≥ 1` values.
    #[must_use]
    pub fn new(k: usize) -> Self {
        let k = k.max(1);
        Self { best: Vec::with_capacity(k), k }
    }

    /// The values found, in descending order.
    #[must_use]
    pub fn best(&self) -> &[Ranked] {
        &self.best
    }

    pub(crate) fn clear(&mut self) {
        self.best.clear();
    }

    /// The value that a candidate must exceed; `None` while there is room.
    #[inline(always)]
    fn threshold(&self) -> Option<f32> {
        (self.best.len() == self.k).then(|| self.best[self.k - 1].value)
    }

    /// Offers values whose indices count from `start`. Values of lower indices must have been offered before.
    #[inline(always)]
    pub(crate) fn offer(&mut self, start: usize, values: &[f32]) {
        if let Some(threshold) = self.threshold()
            && !values.iter().fold(false, |any, &value| any | (value > threshold))
        {
            return;
        }
        for (i, &value) in values.iter().enumerate() {
            if value.is_nan() || self.threshold().is_some_and(|threshold| value <= threshold) {
                continue;
            }
            let place = self.best.partition_point(|other| other.value >= value);
            self.best.truncate(self.k - 1);
            self.best.insert(place, Ranked { index: (start + i) as u32, value });
        }
    }
}

/// Finds the largest values of a row.
#[inline(always)]
pub(crate) fn rank(row: &[f32], best: &mut TopK) {
    best.clear();
    for (i, block) in row.chunks(64).enumerate() {
        best.offer(i * 64, block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_come_first_and_ties_in_order() {
        let mut best = TopK::new(3);
        rank(&[1.0, f32::NAN, 5.0, f32::NEG_INFINITY, 5.0, 2.0, 5.0, 7.0], &mut best);
        let found: Vec<_> = best.best().iter().map(|ranked| (ranked.index, ranked.value)).collect();
        assert_eq!(found, [(7, 7.0), (2, 5.0), (4, 5.0)]);
        rank(&[f32::NAN, f32::NEG_INFINITY], &mut best);
        assert_eq!(best.best(), [Ranked { index: 1, value: f32::NEG_INFINITY }]);
        rank(&[], &mut best);
        assert!(best.best().is_empty());
    }

    #[test]
    fn long_rows_agree_with_sorting() {
        let row: Vec<f32> = (0..1000).map(|i| (i * 7919 % 331) as f32).collect();
        let mut order: Vec<usize> = (0..row.len()).collect();
        order.sort_by(|&a, &b| row[b].total_cmp(&row[a]).then(a.cmp(&b)));
        let mut best = TopK::new(40);
        rank(&row, &mut best);
        assert!(best.best().iter().map(|ranked| ranked.index as usize).eq(order[..40].iter().copied()));
    }
}
