//! Comparison of computed values with goldens.

/// How far a value may lie from the expected one: `|actual - expected| <= abs + rel * |expected|`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// Absolute part.
    pub abs: f32,
    /// Part relative to the expected value.
    pub rel: f32,
}

impl Tolerance {
    /// An absolute tolerance alone.
    #[must_use]
    pub const fn abs(abs: f32) -> Self {
        Self { abs, rel: 0.0 }
    }

    fn holds(self, actual: f32, expected: f32) -> bool {
        // Equal infinities are close; their difference is not a number.
        actual == expected || (actual - expected).abs() <= self.abs + self.rel * expected.abs()
    }
}

/// Panics unless both slices have one length and every value lies within `tolerance`.
///
/// The message names how many values are off, the first and the worst of them with both values. NaN is close to
/// nothing.
///
/// # Panics
/// See above.
#[track_caller]
pub fn assert_close(actual: &[f32], expected: &[f32], tolerance: Tolerance) {
    assert!(
        actual.len() == expected.len(),
        "{} values, expected {}: shapes differ, values were not compared",
        actual.len(),
        expected.len()
    );
    if let Some(report) = difference(actual, expected, tolerance) {
        panic!("{report}");
    }
}

fn difference(actual: &[f32], expected: &[f32], tolerance: Tolerance) -> Option<String> {
    let pairs = || actual.iter().copied().zip(expected.iter().copied());
    let off = |(_, (a, e)): &(usize, (f32, f32))| !tolerance.holds(*a, *e);
    let first = pairs().enumerate().find(off)?;
    let count = pairs().enumerate().filter(off).count();
    // NaN counts as the largest error of all.
    let error = |(a, e): (f32, f32)| if (a - e).is_nan() { f32::INFINITY } else { (a - e).abs() };
    let worst = pairs().enumerate().filter(off).max_by(|x, y| error(x.1).total_cmp(&error(y.1))).unwrap_or(first);
    let at =
        |(index, (a, e)): (usize, (f32, f32))| format!("[{index}] {a:e} instead of {e:e}, error {:e}", (a - e).abs());
    Some(format!(
        "{count} of {} values off by more than {:e} + {:e} |expected|\n  first {}\n  worst {}",
        actual.len(),
        tolerance.abs,
        tolerance.rel,
        at(first),
        at(worst)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLERANCE: Tolerance = Tolerance { abs: 0.1, rel: 0.01 };

    #[test]
    fn values_within_the_tolerance_pass() {
        assert_close(&[1.0, 100.9, f32::INFINITY], &[1.1, 100.0, f32::INFINITY], TOLERANCE);
        assert_close(&[], &[], TOLERANCE);
    }

    #[test]
    fn the_report_names_the_first_and_the_worst() {
        let report = difference(&[0.0, 1.0, 5.0, 2.0], &[0.0, 0.0, 0.0, 0.0], TOLERANCE).unwrap();
        assert!(report.starts_with("3 of 4 values"), "{report}");
        assert!(report.contains("first [1] 1e0 instead of 0e0"), "{report}");
        assert!(report.contains("worst [2] 5e0"), "{report}");
    }

    #[test]
    fn not_a_number_is_the_worst_of_all() {
        let report = difference(&[9.0, f32::NAN], &[0.0, 0.0], TOLERANCE).unwrap();
        assert!(report.contains("worst [1] NaN"), "{report}");
        assert!(difference(&[0.0], &[f32::NAN], TOLERANCE).is_some());
        assert!(difference(&[f32::INFINITY], &[1.0], TOLERANCE).is_some());
    }

    #[test]
    #[should_panic(expected = "2 values, expected 1")]
    fn lengths_must_agree() {
        assert_close(&[0.0, 0.0], &[0.0], TOLERANCE);
    }
}
