//! Percentiles, and the slowdown under sustained load.

use serde::{Deserialize, Serialize};

/// Distribution of values, by nearest rank: each figure is a measured value. With fewer than 100 values `p99` is the
/// maximum.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    /// Number of values.
    pub count: usize,
    /// The lowest.
    pub min: f64,
    /// The median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 99th percentile.
    pub p99: f64,
    /// The highest.
    pub max: f64,
}

impl Percentiles {
    /// The distribution of values in any order; `None` without values. NaN is ignored.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        let rank = |percent: usize| values.get((values.len() * percent).div_ceil(100).max(1) - 1).copied();
        Some(Self {
            count: values.len(),
            min: rank(0)?,
            p50: rank(50)?,
            p90: rank(90)?,
            p99: rank(99)?,
            max: rank(100)?,
        })
    }
}

// Minimum number of values for comparing the first and last third.
const LEAST: usize = 6;

/// Median of the last third of the values, divided by that of the first third: 1 without a change, more if a device
/// slows down. `None` for fewer than six values.
#[must_use]
pub fn slowdown(values: &[f64]) -> Option<f64> {
    if values.len() < LEAST {
        return None;
    }
    let third = values.len() / 3;
    let first = Percentiles::of(values[..third].iter().copied())?.p50;
    let last = Percentiles::of(values[values.len() - third..].iter().copied())?.p50;
    (first > 0.0).then(|| last / first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let p = Percentiles::of((1..=200).rev().map(f64::from)).unwrap();
        assert_eq!((p.count, p.min, p.p50, p.p90, p.p99, p.max), (200, 1.0, 100.0, 180.0, 198.0, 200.0));
        let one = Percentiles::of([3.0]).unwrap();
        assert_eq!((one.min, one.p50, one.p90, one.p99, one.max), (3.0, 3.0, 3.0, 3.0, 3.0));
    }

    #[test]
    fn nothing_has_no_percentiles_and_what_is_no_number_does_not_count() {
        assert_eq!(Percentiles::of([]), None);
        assert_eq!(Percentiles::of([f64::NAN, f64::INFINITY]), None);
        assert_eq!(Percentiles::of([f64::NAN, 2.0]).unwrap().count, 1);
    }

    #[test]
    fn slowing_down_shows_however_noisy_single_values_are() {
        assert_eq!(slowdown(&[1.0; 5]), None);
        assert_eq!(slowdown(&[1.0, 9.0, 1.0, 1.0, 1.0, 2.0, 2.0, 0.1, 2.0]), Some(2.0));
        assert_eq!(slowdown(&[0.0; 9]), None);
    }
}
