//! The specification: each operation lane by lane, in portable Rust.

use std::f32::consts::FRAC_1_SQRT_2;

use half::f16;

use super::fused::fused;
use super::{Doubles, FRAMES, LANES, Simd};
use crate::isa::Scalar;

#[inline(always)]
fn each(mut lane: impl FnMut(usize) -> f32) -> [f32; LANES] {
    let mut out = [0.0; LANES];
    for (i, out) in out.iter_mut().enumerate() {
        *out = lane(i);
    }
    out
}

/// Rounds to the nearest integer, ties to even, for absolute values up to some hundreds.
#[inline(always)]
fn rounded(x: f32) -> f32 {
    // 32-bit ARM has no instruction for rounding. Numbers of this size have no fraction bits, so the addition rounds.
    const BEYOND: f32 = 12_582_912.0;
    if cfg!(target_arch = "arm") { (x + BEYOND) - BEYOND } else { x.round_ties_even() }
}

impl Simd for Scalar {
    type F = [f32; LANES];

    const ROWS: usize = 4;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::F {
        [x; LANES]
    }

    #[inline(always)]
    fn load(self, from: &[f32; LANES]) -> Self::F {
        *from
    }

    #[inline(always)]
    fn store(self, x: Self::F, to: &mut [f32; LANES]) {
        *to = x;
    }

    #[inline(always)]
    fn add(self, a: Self::F, b: Self::F) -> Self::F {
        each(|i| a[i] + b[i])
    }

    #[inline(always)]
    fn sub(self, a: Self::F, b: Self::F) -> Self::F {
        each(|i| a[i] - b[i])
    }

    #[inline(always)]
    fn mul(self, a: Self::F, b: Self::F) -> Self::F {
        each(|i| a[i] * b[i])
    }

    #[inline(always)]
    fn div(self, a: Self::F, b: Self::F) -> Self::F {
        each(|i| a[i] / b[i])
    }

    #[inline(always)]
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        each(|i| fused(a[i], b[i], c[i]))
    }

    #[inline(always)]
    fn max(self, a: Self::F, b: Self::F) -> Self::F {
        each(|i| if a[i] > b[i] { a[i] } else { b[i] })
    }

    #[inline(always)]
    fn min(self, a: Self::F, b: Self::F) -> Self::F {
        each(|i| if a[i] < b[i] { a[i] } else { b[i] })
    }

    #[inline(always)]
    fn select_gt(self, a: Self::F, b: Self::F, x: Self::F, y: Self::F) -> Self::F {
        each(|i| if a[i] > b[i] { x[i] } else { y[i] })
    }

    #[inline(always)]
    fn abs(self, x: Self::F) -> Self::F {
        each(|i| x[i].abs())
    }

    #[inline(always)]
    fn power_of_two(self, shifted: Self::F) -> Self::F {
        each(|i| f32::from_bits(shifted[i].to_bits().wrapping_add(127) << 23))
    }

    #[inline(always)]
    fn biased_power_of_two(self, shifted: Self::F) -> Self::F {
        each(|i| f32::from_bits(shifted[i].to_bits() << 23))
    }

    #[inline(always)]
    fn add_bits(self, a: Self::F, b: Self::F) -> Self::F {
        each(|i| f32::from_bits(a[i].to_bits().wrapping_add(b[i].to_bits())))
    }

    #[inline(always)]
    fn split(self, x: Self::F) -> (Self::F, Self::F) {
        let exponent = |x: f32| (x.to_bits() as i32 - FRAC_1_SQRT_2.to_bits() as i32) >> 23;
        let mantissa = |x: f32| f32::from_bits(x.to_bits().wrapping_sub((exponent(x) as u32) << 23));
        (each(|i| mantissa(x[i])), each(|i| exponent(x[i]) as f32))
    }

    #[inline(always)]
    fn store_shifted_i8(self, shifted: Self::F, to: &mut [i8; LANES]) {
        for (to, x) in to.iter_mut().zip(shifted) {
            *to = x.to_bits() as i8;
        }
    }

    #[inline(always)]
    fn load_i32(self, from: &[i32; LANES]) -> Self::F {
        each(|i| from[i] as f32)
    }

    #[inline(always)]
    fn store_i8(self, x: Self::F, to: &mut [i8; LANES]) {
        for (to, x) in to.iter_mut().zip(x) {
            *to = rounded(x) as i8;
        }
    }

    #[inline(always)]
    fn load_f16(self, from: &[u16; LANES]) -> Self::F {
        each(|i| f16::from_bits(from[i]).to_f32_const())
    }

    #[inline(always)]
    fn store_f16(self, x: Self::F, to: &mut [u16; LANES]) {
        for (to, x) in to.iter_mut().zip(x) {
            *to = f16::from_f32_const(x).to_bits();
        }
    }
}

impl Doubles for Scalar {
    type D = f64;

    const PARTS: usize = FRAMES;

    #[inline(always)]
    fn splat_f64(self, x: f64) -> Self::D {
        x
    }

    #[inline(always)]
    fn load_f64(self, from: &[f64; FRAMES], part: usize) -> Self::D {
        from[part]
    }

    #[inline(always)]
    fn store_f64(self, x: Self::D, to: &mut [f64; FRAMES], part: usize) {
        to[part] = x;
    }

    #[inline(always)]
    fn load_f32_as_f64(self, from: &[f32; FRAMES], part: usize) -> Self::D {
        f64::from(from[part])
    }

    #[inline(always)]
    fn add_f64(self, a: Self::D, b: Self::D) -> Self::D {
        a + b
    }

    #[inline(always)]
    fn sub_f64(self, a: Self::D, b: Self::D) -> Self::D {
        a - b
    }

    #[inline(always)]
    fn mul_f64(self, a: Self::D, b: Self::D) -> Self::D {
        a * b
    }
}
