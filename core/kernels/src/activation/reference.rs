//! Elementwise functions as polynomials that vectorise: for f32 networks, and as the reference of the kernels.
//!
//! `libm` costs a call per element; these run in SIMD registers on every target and give the same bits everywhere.

use crate::Activation;

// 2^23 + 2^22: adding it rounds a small f32 to the nearest integer in its low mantissa bits.
const ROUND: f32 = 12_582_912.0;

/// `e^x`, relative error below 2.5e-7 on [-87, 88]; 0 below, saturates above.
///
/// Cody–Waite reduction to `2^n · e^r`, degree-7 polynomial for `e^r` (Cephes `expf`).
#[inline]
#[must_use]
pub fn exp(x: f32) -> f32 {
    let clamped = x.clamp(-87.3, 88.3);
    let shifted = clamped * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = clamped - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let mut p = 1.987_569_1e-4;
    p = p * r + 1.398_199_9e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 0.5;
    let mantissa = p * r * r + r + 1.0;
    // The low bits of `shifted` are n; the shift drops all others.
    let exponent = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    let value = mantissa * exponent;
    if x < -87.3 { 0.0 } else { value }
}

/// Error function, absolute error below 5e-7: the rational minimax approximation on [-4, 4] that Eigen and XLA use.
#[inline]
#[must_use]
pub fn erf(x: f32) -> f32 {
    let x = x.clamp(-4.0, 4.0);
    let s = x * x;
    let mut p = -2.726_142_3e-10;
    p = p * s + 2.770_681_5e-8;
    p = p * s - 2.101_024e-6;
    p = p * s - 5.692_506_2e-5;
    p = p * s - 7.349_906e-4;
    p = p * s - 2.954_6e-3;
    p = p * s - 1.609_603_3e-2;
    let mut q = -1.456_607_2e-5;
    q = q * s - 2.133_740_6e-4;
    q = q * s - 1.682_827e-3;
    q = q * s - 7.373_329e-3;
    q = q * s - 1.426_473_9e-2;
    x * p / q
}

/// Gaussian error linear unit in place, the exact form `x · Φ(x)` that Whisper was trained with.
pub fn gelu(values: &mut [f32]) {
    for value in values {
        *value *= 0.5 * (1.0 + erf(*value * std::f32::consts::FRAC_1_SQRT_2));
    }
}

/// `max(x, 0)` in place.
pub fn relu(values: &mut [f32]) {
    for value in values {
        *value = value.max(0.0);
    }
}

/// Sigmoid-weighted linear unit in place, `x / (1 + e^-x)` (Elfwing et al. 2017).
pub fn silu(values: &mut [f32]) {
    for value in values {
        *value *= sigmoid(*value);
    }
}

impl Activation {
    /// Applies the activation to f32 values, in place.
    pub fn apply(self, values: &mut [f32]) {
        match self {
            Self::Identity => {}
            Self::Gelu => gelu(values),
            Self::Relu => relu(values),
            Self::Silu => silu(values),
        }
    }
}

/// Logistic function `1 / (1 + e^-x)`.
#[inline]
#[must_use]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_exact_to_two_ulp_and_flushes_to_zero() {
        let mut x = -87.0f32;
        while x < 88.0 {
            let exact = f64::from(x).exp();
            assert!(((f64::from(exp(x)) - exact) / exact).abs() < 2.5e-7, "exp({x})");
            x += 0.0137;
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert!(exp(1000.0).is_finite());
    }

    #[test]
    fn gelu_has_the_right_tails_and_centre() {
        let mut values = [-20.0, -1.0, 0.0, 1.0, 20.0];
        gelu(&mut values);
        let expected = [0.0, -0.158_655_3, 0.0, 0.841_344_7, 20.0];
        for (value, expected) in values.iter().zip(expected) {
            assert!((value - expected).abs() < 1e-5, "{value} {expected}");
        }
    }
}
