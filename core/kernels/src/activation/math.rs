//! Exponential, error function, hyperbolic tangent and the activations built on them, sixteen values at a time.

use crate::simd::Simd;

// 1.5 · 2^23: adding it to a small f32 rounds that to the nearest integer, ties to even, and leaves the integer in the
// low bits.
pub(crate) const ROUND: f32 = 12_582_912.0;

/// Evaluates a polynomial at `x` by Horner's scheme; the coefficient of the highest power comes first.
#[inline(always)]
fn horner<S: Simd, const N: usize>(s: S, x: S::F, coefficients: [f32; N]) -> S::F {
    let mut sum = s.splat(coefficients[0]);
    for &coefficient in &coefficients[1..] {
        sum = s.fma(sum, x, s.splat(coefficient));
    }
    sum
}

/// `e^x`, relative error below 2e-7 on [-87.3, 88.3]; 0 below, `e^88.3` above.
///
/// Reduction to `2^n · e^r` in two parts (Cody and Waite), polynomial of degree 7 for `e^r` (Cephes `expf`).
#[inline(always)]
pub(crate) fn exp<S: Simd>(s: S, x: S::F) -> S::F {
    let lowest = s.splat(-87.3);
    let clamped = s.min(s.max(x, lowest), s.splat(88.3));
    let shifted = s.fma(clamped, s.splat(std::f32::consts::LOG2_E), s.splat(ROUND));
    let n = s.sub(shifted, s.splat(ROUND));
    // ln 2 in two parts; the first has so few bits that its product with n is exact.
    let r = s.fma(n, s.splat(-0.693_359_4), clamped);
    let r = s.fma(n, s.splat(2.121_944_4e-4), r);
    let p = horner(s, r, [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5]);
    let mantissa = s.add(s.fma(s.mul(r, r), p, r), s.splat(1.0));
    let value = s.mul(mantissa, s.power_of_two(shifted));
    s.select_gt(lowest, x, s.splat(0.0), value)
}

// `2^r` on [-1/2, 1/2] to 8e-5: minimax polynomial of degree 3 (Remez), the highest power first.
const EXP2: [f32; 4] = [5.517_167e-2, 2.426_111_2e-1, 6.932_61e-1, 9.999_281e-1];

/// `2^x` for `x ≤ 0`, relative error below 8e-5; `2^-120` for anything lower and for NaN. For softmax weights that are
/// then rounded to 1/255.
#[inline(always)]
pub(crate) fn exp2<S: Simd>(s: S, x: S::F) -> S::F {
    let (mantissa, power) = exp2_parts(s, x, EXP2);
    s.mul(mantissa, power)
}

/// `255 · 2^x - 128` for `x ≤ 0`, rounded to the nearest integer `n` of -128 to 127: `n +` [`ROUND`], whose low bits
/// are `n`. -128 for `x` below -9 and for NaN.
#[inline(always)]
pub(crate) fn weight_step<S: Simd>(s: S, x: S::F) -> S::F {
    const SCALED: [f32; 4] = [255.0 * EXP2[0], 255.0 * EXP2[1], 255.0 * EXP2[2], 255.0 * EXP2[3]];
    let (mantissa, power) = exp2_parts(s, x, SCALED);
    // Rounded once, in the addition.
    s.fma(mantissa, power, s.splat(ROUND - 128.0))
}

/// Splits `2^x` into `polynomial` of the fraction and a power of two, so that the caller can fuse their product with
/// the next operation.
#[inline(always)]
fn exp2_parts<S: Simd>(s: S, x: S::F, polynomial: [f32; 4]) -> (S::F, S::F) {
    // Includes the exponent's bias, so that the low bits are the exponent as it is stored.
    const BIASED: f32 = ROUND + 127.0;
    let x = s.max(x, s.splat(-120.0));
    let shifted = s.add(x, s.splat(BIASED));
    let r = s.sub(x, s.sub(shifted, s.splat(BIASED)));
    (horner(s, r, polynomial), s.biased_power_of_two(shifted))
}

/// Decimal logarithm of positive normal numbers. Absolute error below 1e-6 for results up to ±10, 2.5e-6 beyond.
/// Infinity counts as the largest finite f32.
///
/// Splits off the exponent; `ln(1 + x) = x - x²/2 + x³ · p(x)`, `p` of degree 8 (Cephes `logf`).
#[inline(always)]
pub(crate) fn log10<S: Simd>(s: S, x: S::F) -> S::F {
    // log10 of 2 in two parts; the product of the first with an exponent is exact.
    const LOG10_2: [f32; 2] = [0.301_025_4, 4.605_039e-6];
    let (mantissa, exponent) = s.split(s.min(x, s.splat(f32::MAX)));
    let x = s.sub(mantissa, s.splat(1.0));
    let square = s.mul(x, x);
    let p = horner(
        s,
        x,
        [
            7.037_683_6e-2,
            -1.151_461e-1,
            1.167_699_9e-1,
            -1.242_014_1e-1,
            1.424_932_3e-1,
            -1.666_805_8e-1,
            2.000_071_5e-1,
            -2.499_999_4e-1,
            3.333_333e-1,
        ],
    );
    let natural = s.add(x, s.fma(s.mul(x, p), square, s.mul(square, s.splat(-0.5))));
    let rest = s.fma(natural, s.splat(std::f32::consts::LOG10_E), s.mul(exponent, s.splat(LOG10_2[1])));
    s.fma(exponent, s.splat(LOG10_2[0]), rest)
}

/// Error function, absolute error below 5e-7: the rational minimax approximation on [-4, 4] used by Eigen and XLA.
#[inline(always)]
pub(crate) fn erf<S: Simd>(s: S, x: S::F) -> S::F {
    let x = s.min(s.max(x, s.splat(-4.0)), s.splat(4.0));
    let square = s.mul(x, x);
    let p = horner(
        s,
        square,
        [-2.726_142_3e-10, 2.770_681_5e-8, -2.101_024e-6, -5.692_506_2e-5, -7.349_906e-4, -2.954_6e-3, -1.609_603_3e-2],
    );
    let q = horner(s, square, [-1.456_607_2e-5, -2.133_740_6e-4, -1.682_827e-3, -7.373_329e-3, -1.426_473_9e-2]);
    s.div(s.mul(x, p), q)
}

/// Hyperbolic tangent, relative error below 5e-7: the rational minimax approximation used by Eigen.
#[inline(always)]
pub(crate) fn tanh<S: Simd>(s: S, x: S::F) -> S::F {
    // Outside this range the quotient would leave [-1, 1].
    let x = s.min(s.max(x, s.splat(-7.998_811_7)), s.splat(7.998_811_7));
    let square = s.mul(x, x);
    let p = horner(
        s,
        square,
        [
            -2.760_768_4e-16,
            2.000_188e-13,
            -8.604_672e-11,
            5.122_297_3e-8,
            1.485_722_3e-5,
            6.372_619_4e-4,
            4.893_524_7e-3,
        ],
    );
    let q = horner(s, square, [1.198_258_4e-6, 1.185_347e-4, 2.268_434_6e-3, 4.893_525e-3]);
    s.div(s.mul(x, p), q)
}

/// Logistic function `1 / (1 + e^-x)`.
#[inline(always)]
pub(crate) fn sigmoid<S: Simd>(s: S, x: S::F) -> S::F {
    let one = s.splat(1.0);
    s.div(one, s.add(one, exp(s, s.sub(s.splat(0.0), x))))
}

/// `x / (1 + e^-x)`.
#[inline(always)]
pub(crate) fn silu<S: Simd>(s: S, x: S::F) -> S::F {
    s.div(x, s.add(s.splat(1.0), exp(s, s.sub(s.splat(0.0), x))))
}

/// `x / 2 · (1 + erf(x / √2))`, the exact form of GELU.
#[inline(always)]
pub(crate) fn gelu<S: Simd>(s: S, x: S::F) -> S::F {
    let half = s.mul(x, s.splat(0.5));
    s.fma(half, erf(s, s.mul(x, s.splat(std::f32::consts::FRAC_1_SQRT_2))), half)
}

/// An approximation of [`gelu`] for values that are then rounded to 8 bits. Absolute error 4e-5; above 8, relative
/// error 2e-6. Costs little more than half as much and has no division. NaN gives almost 0.
///
/// `Φ(x)` by an odd polynomial of degree 17 on [-4.4, 4.4], the one with the least maximal error of `x · Φ(x)` among
/// those that reach 0 and 1 at the ends (linear programming: `scripts/goldens/gelu_fit.py`).
#[inline(always)]
pub(crate) fn gelu_short<S: Simd>(s: S, x: S::F) -> S::F {
    // Below -4.4 the factor is almost 0; its rounding error must not be multiplied by a large number.
    let x = s.max(x, s.splat(-4.4));
    let t = s.min(x, s.splat(4.4));
    let square = s.mul(t, t);
    let p = horner(
        s,
        square,
        [
            3.569_270_2e-11,
            -3.753_920_7e-9,
            1.740_805_5e-7,
            -4.724_798e-6,
            8.429_239e-5,
            -1.054_989_9e-3,
            9.643_026e-3,
            -6.607_645e-2,
            3.987_616_7e-1,
        ],
    );
    s.mul(x, s.fma(t, p, s.splat(0.5)))
}

/// `x` where it is positive, else 0.
#[inline(always)]
pub(crate) fn relu<S: Simd>(s: S, x: S::F) -> S::F {
    s.max(x, s.splat(0.0))
}

/// An elementwise function, applied to sixteen values at a time. A trait and not a closure: where the compiler does not
/// inline a closure, it compiles it without the caller's CPU features.
pub(crate) trait Function: Copy {
    fn apply<S: Simd>(self, s: S, x: S::F) -> S::F;
}

macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident = $function:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub(crate) struct $name;

        impl Function for $name {
            #[inline(always)]
            fn apply<S: Simd>(self, s: S, x: S::F) -> S::F {
                $function(s, x)
            }
        }
    )*};
}

functions! {
    /// [`exp`].
    Exp = exp;
    /// [`erf`].
    Erf = erf;
    /// [`tanh`].
    Tanh = tanh;
    /// [`sigmoid`].
    Sigmoid = sigmoid;
    /// [`gelu`].
    Gelu = gelu;
    /// [`gelu_short`].
    GeluShort = gelu_short;
    /// [`relu`].
    Relu = relu;
    /// [`silu`].
    Silu = silu;
}

/// [`log10`] of `x`, or of `floor` if that is greater.
#[derive(Clone, Copy)]
pub(crate) struct Log10 {
    pub(crate) floor: f32,
}

impl Function for Log10 {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, x: S::F) -> S::F {
        log10(s, s.max(x, s.splat(self.floor)))
    }
}

/// `x` as it is.
#[derive(Clone, Copy)]
pub(crate) struct Identity;

impl Function for Identity {
    #[inline(always)]
    fn apply<S: Simd>(self, _: S, x: S::F) -> S::F {
        x
    }
}

/// Addition of a constant.
#[derive(Clone, Copy)]
pub(crate) struct Add(pub(crate) f32);

impl Function for Add {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, x: S::F) -> S::F {
        s.add(x, s.splat(self.0))
    }
}

/// Multiplication by a constant.
#[derive(Clone, Copy)]
pub(crate) struct Scale(pub(crate) f32);

impl Function for Scale {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, x: S::F) -> S::F {
        s.mul(x, s.splat(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activation;
    use crate::isa::Scalar;
    use crate::simd::LANES;

    fn scalar(function: impl Function, x: f32) -> f32 {
        function.apply(Scalar::new().unwrap(), [x; LANES])[0]
    }

    #[test]
    fn the_decimal_logarithm_is_near_everywhere() {
        for bits in (0x0080_0000..0x7f80_0000u32).step_by(4099) {
            let x = f32::from_bits(bits);
            let expected = f64::from(x).log10();
            // Half a unit in the last place of 38 is 1.9e-6.
            let tolerance = if expected.abs() <= 10.0 { 1e-6 } else { 2.5e-6 };
            let error = (f64::from(scalar(Log10 { floor: f32::MIN_POSITIVE }, x)) - expected).abs();
            assert!(error < tolerance, "{x}: {error}");
        }
        let floor = Log10 { floor: 1e-10 };
        for x in [0.0, f32::NAN, f32::NEG_INFINITY, 1e-11] {
            assert!((scalar(floor, x) + 10.0).abs() < 1e-6);
        }
        assert_eq!(scalar(floor, 1.0), 0.0);
        assert_eq!(scalar(floor, f32::INFINITY), scalar(floor, f32::MAX));
    }

    #[test]
    fn the_short_gelu_is_near_the_long_one_and_nothing_far_below_zero() {
        let mut worst = 0.0f32;
        for i in -80_000..80_000 {
            let x = i as f32 / 10_000.0;
            let exact = 0.5 * x * (1.0 + activation::erf(x / std::f32::consts::SQRT_2));
            worst = worst.max((scalar(GeluShort, x) - exact).abs());
        }
        assert!((2e-5..4e-5).contains(&worst), "{worst}");
        for x in [-5.0, -1e3, -1e30, f32::NAN] {
            assert!(scalar(GeluShort, x).abs() < 1e-5, "{x}");
        }
        for x in [5.0f32, 1e3, 1e30, f32::INFINITY] {
            assert!(scalar(GeluShort, x) >= x * 0.999_998 && scalar(GeluShort, x) <= x * 1.000_002);
        }
    }

    #[test]
    fn weights_are_the_nearest_of_256_steps() {
        let s = Scalar::new().unwrap();
        let step = |x: f32| weight_step(s, [x; LANES])[0].to_bits().wrapping_sub(ROUND.to_bits()) as i32;
        for i in 0..100_000 {
            let x = i as f32 / -10_000.0;
            let exact = 255.0 * f64::from(x).exp2() - 128.0;
            assert!((f64::from(step(x)) - exact).abs() < 0.53, "{x}: {} {exact}", step(x));
        }
        assert_eq!((step(0.0), step(-0.0)), (127, 127));
        for x in [-10.0, -1e4, f32::NEG_INFINITY, f32::NAN] {
            assert_eq!(step(x), -128, "{x}");
        }
    }
}
