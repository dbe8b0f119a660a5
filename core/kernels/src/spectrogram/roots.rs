//! Roots of unity that have the same bits on every system; the sine of a C library does not.

/// Cosine and sine of `2π · k / n`, accurate to the last digit or two, by additions and multiplications only.
pub(super) fn unit_root(k: usize, n: usize) -> (f64, f64) {
    // Octants; the angle in an odd octant is measured from its far end, so that angles stay below π/4.
    let eighths = 8 * (k % n);
    let (eighth, rest) = (eighths / n, eighths % n);
    let rest = if eighth % 2 == 0 { rest } else { n - rest };
    let angle = rest as f64 / n as f64 * std::f64::consts::FRAC_PI_4;
    let (cos, sin) = (series(1.0, 0, angle), series(angle, 1, angle));
    match eighth {
        0 => (cos, sin),
        1 => (sin, cos),
        2 => (-sin, cos),
        3 => (-cos, sin),
        4 => (-cos, -sin),
        5 => (-sin, -cos),
        6 => (sin, -cos),
        _ => (cos, -sin),
    }
}

/// Taylor series of the cosine (`first` is 1, `degree` 0) or the sine (`first` is the angle, `degree` 1), summed from
/// the smallest term.
fn series(first: f64, degree: u32, angle: f64) -> f64 {
    const TERMS: usize = 11;
    let mut terms = [first; TERMS];
    for i in 1..TERMS {
        let power = f64::from(degree) + 2.0 * i as f64;
        terms[i] = -terms[i - 1] * angle * angle / (power * (power - 1.0));
    }
    terms.iter().rev().sum()
}

#[cfg(test)]
mod tests {
    use super::unit_root;

    #[test]
    fn roots_are_those_of_the_library_to_the_last_digits() {
        for n in [5, 8, 25, 400] {
            for k in 0..n + 3 {
                let (sin, cos) = (std::f64::consts::TAU * k as f64 / n as f64).sin_cos();
                let found = unit_root(k, n);
                assert!((found.0 - cos).abs() < 1e-15 && (found.1 - sin).abs() < 1e-15, "{k} of {n}: {found:?}");
            }
        }
        assert_eq!(unit_root(100, 400), (0.0, 1.0));
        assert_eq!(unit_root(200, 400).0, -1.0);
    }
}
