//! Sixteen lanes as four NEON registers. ARM's later sets use the same float instructions.

#![allow(unsafe_code)]

use std::arch::aarch64::*;
use std::arch::asm;

use super::{Doubles, FRAMES, LANES, SQRT_HALF_BITS, Simd};
use crate::isa::{Dotprod, DotprodInOrder, I8mm, Neon};

/// Applies a one-register expression to all four quarters.
macro_rules! quarters {
    ($quarter:ident => $body:expr) => {{
        // SAFETY: the value that the method is called on proves NEON; the expression touches registers only, or the
        // quarters of an array of `LANES` elements.
        unsafe {
            [
                {
                    const $quarter: usize = 0;
                    $body
                },
                {
                    const $quarter: usize = 1;
                    $body
                },
                {
                    const $quarter: usize = 2;
                    $body
                },
                {
                    const $quarter: usize = 3;
                    $body
                },
            ]
        }
    }};
}

macro_rules! implement {
    ($token:ty) => {
        impl Simd for $token {
            type F = [float32x4_t; 4];

            const ROWS: usize = 6;

            #[inline(always)]
            fn prefetch(self, bytes: &[u8], ahead: usize) {
                for line in bytes.chunks(64) {
                    let from = line.as_ptr().wrapping_add(ahead);
                    // SAFETY: a prefetch may name any address, and changes nothing.
                    unsafe {
                        asm!(
                            "prfm pldl1keep, [{from}]",
                            from = in(reg) from,
                            options(nostack, preserves_flags, readonly)
                        );
                    }
                }
            }

            #[inline(always)]
            fn splat(self, x: f32) -> Self::F {
                quarters!(Q => { const _: usize = Q; vdupq_n_f32(x) })
            }

            #[inline(always)]
            fn load(self, from: &[f32; LANES]) -> Self::F {
                quarters!(Q => vld1q_f32(from.as_ptr().add(4 * Q)))
            }

            #[inline(always)]
            fn store(self, x: Self::F, to: &mut [f32; LANES]) {
                quarters!(Q => vst1q_f32(to.as_mut_ptr().add(4 * Q), x[Q]));
            }

            #[inline(always)]
            fn add(self, a: Self::F, b: Self::F) -> Self::F {
                quarters!(Q => vaddq_f32(a[Q], b[Q]))
            }

            #[inline(always)]
            fn sub(self, a: Self::F, b: Self::F) -> Self::F {
                quarters!(Q => vsubq_f32(a[Q], b[Q]))
            }

            #[inline(always)]
            fn mul(self, a: Self::F, b: Self::F) -> Self::F {
                quarters!(Q => vmulq_f32(a[Q], b[Q]))
            }

            #[inline(always)]
            fn div(self, a: Self::F, b: Self::F) -> Self::F {
                quarters!(Q => vdivq_f32(a[Q], b[Q]))
            }

            #[inline(always)]
            fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
                quarters!(Q => vfmaq_f32(c[Q], a[Q], b[Q]))
            }

            // Not `fmax`, `fmin`: those return NaN when one operand is NaN.
            #[inline(always)]
            fn max(self, a: Self::F, b: Self::F) -> Self::F {
                quarters!(Q => vbslq_f32(vcgtq_f32(a[Q], b[Q]), a[Q], b[Q]))
            }

            #[inline(always)]
            fn min(self, a: Self::F, b: Self::F) -> Self::F {
                quarters!(Q => vbslq_f32(vcltq_f32(a[Q], b[Q]), a[Q], b[Q]))
            }

            #[inline(always)]
            fn select_gt(self, a: Self::F, b: Self::F, x: Self::F, y: Self::F) -> Self::F {
                quarters!(Q => vbslq_f32(vcgtq_f32(a[Q], b[Q]), x[Q], y[Q]))
            }

            #[inline(always)]
            fn abs(self, x: Self::F) -> Self::F {
                quarters!(Q => vabsq_f32(x[Q]))
            }

            #[inline(always)]
            fn power_of_two(self, shifted: Self::F) -> Self::F {
                quarters!(Q => {
                    let biased = vaddq_s32(vreinterpretq_s32_f32(shifted[Q]), vdupq_n_s32(127));
                    vreinterpretq_f32_s32(vshlq_n_s32::<23>(biased))
                })
            }

            #[inline(always)]
            fn biased_power_of_two(self, shifted: Self::F) -> Self::F {
                quarters!(Q => vreinterpretq_f32_s32(vshlq_n_s32::<23>(vreinterpretq_s32_f32(shifted[Q]))))
            }

            #[inline(always)]
            fn add_bits(self, a: Self::F, b: Self::F) -> Self::F {
                quarters!(Q => {
                    vreinterpretq_f32_u32(vaddq_u32(vreinterpretq_u32_f32(a[Q]), vreinterpretq_u32_f32(b[Q])))
                })
            }

            #[inline(always)]
            fn split(self, x: Self::F) -> (Self::F, Self::F) {
                let exponent = quarters!(Q => {
                    vshrq_n_s32::<23>(vsubq_s32(vreinterpretq_s32_f32(x[Q]), vdupq_n_s32(SQRT_HALF_BITS)))
                });
                let mantissa = quarters!(Q => {
                    let scaled = vshlq_n_s32::<23>(exponent[Q]);
                    vreinterpretq_f32_s32(vsubq_s32(vreinterpretq_s32_f32(x[Q]), scaled))
                });
                (mantissa, quarters!(Q => vcvtq_f32_s32(exponent[Q])))
            }

            #[inline(always)]
            fn store_shifted_i8(self, shifted: Self::F, to: &mut [i8; LANES]) {
                let words = quarters!(Q => vmovn_s32(vreinterpretq_s32_f32(shifted[Q])));
                // SAFETY: `self` proves NEON; `to` holds sixteen bytes.
                unsafe {
                    let low = vmovn_s16(vcombine_s16(words[0], words[1]));
                    let high = vmovn_s16(vcombine_s16(words[2], words[3]));
                    vst1q_s8(to.as_mut_ptr(), vcombine_s8(low, high));
                }
            }

            #[inline(always)]
            fn load_i32(self, from: &[i32; LANES]) -> Self::F {
                quarters!(Q => vcvtq_f32_s32(vld1q_s32(from.as_ptr().add(4 * Q))))
            }

            #[inline(always)]
            fn store_i8(self, x: Self::F, to: &mut [i8; LANES]) {
                let words = quarters!(Q => vqmovn_s32(vcvtnq_s32_f32(x[Q])));
                // SAFETY: `self` proves NEON; `to` holds sixteen bytes.
                unsafe {
                    let low = vqmovn_s16(vcombine_s16(words[0], words[1]));
                    let high = vqmovn_s16(vcombine_s16(words[2], words[3]));
                    vst1q_s8(to.as_mut_ptr(), vcombine_s8(low, high));
                }
            }

            // ARMv8.0 has these conversions, but their intrinsics need a type that is not stable yet.
            #[inline(always)]
            fn load_f16(self, from: &[u16; LANES]) -> Self::F {
                quarters!(Q => {
                    let halves = vld1_u16(from.as_ptr().add(4 * Q));
                    let wide: float32x4_t;
                    asm!(
                        "fcvtl {wide:v}.4s, {halves:v}.4h",
                        wide = lateout(vreg) wide,
                        halves = in(vreg) halves,
                        options(pure, nomem, nostack, preserves_flags)
                    );
                    wide
                })
            }

            #[inline(always)]
            fn store_f16(self, x: Self::F, to: &mut [u16; LANES]) {
                quarters!(Q => {
                    let halves: uint16x4_t;
                    asm!(
                        "fcvtn {halves:v}.4h, {wide:v}.4s",
                        halves = lateout(vreg) halves,
                        wide = in(vreg) x[Q],
                        options(pure, nomem, nostack, preserves_flags)
                    );
                    vst1_u16(to.as_mut_ptr().add(4 * Q), halves);
                });
            }
        }

        impl Doubles for $token {
            type D = float64x2_t;

            const PARTS: usize = 4;

            #[inline(always)]
            fn splat_f64(self, x: f64) -> Self::D {
                // SAFETY: `self` proves NEON.
                unsafe { vdupq_n_f64(x) }
            }

            #[inline(always)]
            fn load_f64(self, from: &[f64; FRAMES], part: usize) -> Self::D {
                assert!(part < Self::PARTS);
                // SAFETY: `self` proves NEON; the array holds the two lanes of all four parts.
                unsafe { vld1q_f64(from.as_ptr().add(2 * part)) }
            }

            #[inline(always)]
            fn store_f64(self, x: Self::D, to: &mut [f64; FRAMES], part: usize) {
                assert!(part < Self::PARTS);
                // SAFETY: `self` proves NEON; the array holds the two lanes of all four parts.
                unsafe { vst1q_f64(to.as_mut_ptr().add(2 * part), x) }
            }

            #[inline(always)]
            fn load_f32_as_f64(self, from: &[f32; FRAMES], part: usize) -> Self::D {
                assert!(part < Self::PARTS);
                // SAFETY: `self` proves NEON; the array holds the two lanes of all four parts.
                unsafe { vcvt_f64_f32(vld1_f32(from.as_ptr().add(2 * part))) }
            }

            #[inline(always)]
            fn add_f64(self, a: Self::D, b: Self::D) -> Self::D {
                // SAFETY: `self` proves NEON.
                unsafe { vaddq_f64(a, b) }
            }

            #[inline(always)]
            fn sub_f64(self, a: Self::D, b: Self::D) -> Self::D {
                // SAFETY: `self` proves NEON.
                unsafe { vsubq_f64(a, b) }
            }

            #[inline(always)]
            fn mul_f64(self, a: Self::D, b: Self::D) -> Self::D {
                // SAFETY: `self` proves NEON.
                unsafe { vmulq_f64(a, b) }
            }
        }
    };
}

implement!(Neon);
implement!(Dotprod);
implement!(DotprodInOrder);
implement!(I8mm);
