//! `a · b + c` rounded once, in plain arithmetic, for CPUs without the instruction.
//!
//! On 32-bit ARM a fused multiply-add is a slow call of the C library. The product of two f32 is exact in f64. The sum
//! is then rounded twice, to f64 and to f32, which matters only when the f64 sum lies half-way between two f32, or when
//! the result is subnormal. In these cases the sum is first rounded to odd (Boldo and Melquiond, "Emulation of a FMA
//! and correctly rounded sums", IEEE Trans. Computers 57, 2008).

/// The same bits as [`f32::mul_add`].
#[inline(always)]
pub(crate) fn fused(a: f32, b: f32, c: f32) -> f32 {
    if cfg!(target_arch = "arm") { by_doubles(a, b, c) } else { a.mul_add(b, c) }
}

/// Mantissa bits of an f64 beyond those of an f32.
const BEHIND: u64 = (1 << 29) - 1;

#[inline(always)]
fn by_doubles(a: f32, b: f32, c: f32) -> f32 {
    let product = f64::from(a) * f64::from(b);
    let sum = product + f64::from(c);
    let is_half_way = sum.to_bits() & BEHIND == 1 << 28;
    if is_half_way || sum.abs() < f64::from(f32::MIN_POSITIVE) {
        return rounded_to_odd(product, f64::from(c), sum) as f32;
    }
    sum as f32
}

/// The sum rounded to odd: its last bit is set if it is not exact, so that a value half-way between two f32 shows on
/// which side the exact sum lies.
#[cold]
fn rounded_to_odd(product: f64, addend: f64, sum: f64) -> f64 {
    // The exact rounding error of the sum (Knuth's two-sum).
    let of_addend = sum - product;
    let lacks = (product - (sum - of_addend)) + (addend - of_addend);
    let bits = sum.to_bits();
    if lacks == 0.0 || lacks.is_nan() || bits & 1 == 1 {
        return sum;
    }
    f64::from_bits(if (lacks > 0.0) == (sum > 0.0) { bits + 1 } else { bits - 1 })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::by_doubles;

    fn assert_same(a: f32, b: f32, c: f32) {
        let (found, expected) = (by_doubles(a, b, c), a.mul_add(b, c));
        assert!(found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan(), "{a:e} · {b:e} + {c:e}");
    }

    #[test]
    fn every_pair_of_awkward_numbers_is_multiplied_and_added_as_the_instruction_does() {
        let tiny = f32::MIN_POSITIVE;
        let mut values = vec![0.0, 1.0, 1.5, f32::EPSILON, 1.0 + f32::EPSILON, 1.0 - f32::EPSILON / 2.0, 3.0, 1e10];
        values.extend([tiny, tiny / 2.0, tiny * (1.0 - f32::EPSILON), 1e-45, 3e-45, 1e-40, f32::MAX, f32::MAX / 2.0]);
        values.extend([2f32.powi(-12), 2f32.powi(-75), 2f32.powi(-100), 2f32.powi(100), 8_388_609.0, f32::INFINITY]);
        values.extend([2f32.powi(24) - 1.0, 2f32.powi(24) + 2.0, 4097.0, 4095.0, 2f32.powi(-149), 2f32.powi(-74)]);
        values.extend(values.clone().iter().map(|value| -value));
        for &a in &values {
            for &b in &values {
                values.iter().for_each(|&c| assert_same(a, b, c));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 50 } else { 100_000 },
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn any_numbers_are_multiplied_and_added_as_the_instruction_does(a: u32, b: u32, c: u32) {
            assert_same(f32::from_bits(a), f32::from_bits(b), f32::from_bits(c));
        }

        /// Sums close to half-way between two f32, on both sides, and results with few bits.
        #[test]
        fn what_a_second_rounding_would_spoil_is_right(
            a in 1u32 << 23..1 << 24, b in 1u32 << 23..1 << 24, exponent in -150i32..-60,
            at in -30i32..30, low in 0u32..64,
        ) {
            let scale = 2f32.powi(exponent / 2);
            let (a, b) = (a as f32 * scale, b as f32 * scale);
            let c = (1.0 + low as f32 * f32::EPSILON) * 2f32.powi((exponent + 46 + at).clamp(-149, 120));
            for c in [c, -c] {
                assert_same(a, b, c);
            }
        }
    }
}
