//! Sixteen lanes as two AVX2 registers.

#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::{Doubles, FRAMES, LANES, SQRT_HALF_BITS, Simd};
use crate::isa::Avx2;

/// Applies a one-register expression to both halves.
macro_rules! halves {
    ($half:ident => $body:expr) => {{
        // SAFETY: a value of `Avx2` proves AVX2, FMA and F16C; the expression touches registers only, or the halves of
        // an array of `LANES` elements.
        unsafe {
            [
                {
                    const $half: usize = 0;
                    $body
                },
                {
                    const $half: usize = 1;
                    $body
                },
            ]
        }
    }};
}

impl Simd for Avx2 {
    type F = [__m256; 2];

    const ROWS: usize = 6;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::F {
        halves!(H => { const _: usize = H; _mm256_set1_ps(x) })
    }

    #[inline(always)]
    fn load(self, from: &[f32; LANES]) -> Self::F {
        halves!(H => _mm256_loadu_ps(from.as_ptr().add(8 * H)))
    }

    #[inline(always)]
    fn store(self, x: Self::F, to: &mut [f32; LANES]) {
        halves!(H => _mm256_storeu_ps(to.as_mut_ptr().add(8 * H), x[H]));
    }

    #[inline(always)]
    fn add(self, a: Self::F, b: Self::F) -> Self::F {
        halves!(H => _mm256_add_ps(a[H], b[H]))
    }

    #[inline(always)]
    fn sub(self, a: Self::F, b: Self::F) -> Self::F {
        halves!(H => _mm256_sub_ps(a[H], b[H]))
    }

    #[inline(always)]
    fn mul(self, a: Self::F, b: Self::F) -> Self::F {
        halves!(H => _mm256_mul_ps(a[H], b[H]))
    }

    #[inline(always)]
    fn div(self, a: Self::F, b: Self::F) -> Self::F {
        halves!(H => _mm256_div_ps(a[H], b[H]))
    }

    #[inline(always)]
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        halves!(H => _mm256_fmadd_ps(a[H], b[H], c[H]))
    }

    // `vmaxps` and `vminps` are exactly the comparison and selection that the trait defines: they return the second
    // operand unless the first is strictly greater (less).
    #[inline(always)]
    fn max(self, a: Self::F, b: Self::F) -> Self::F {
        halves!(H => _mm256_max_ps(a[H], b[H]))
    }

    #[inline(always)]
    fn min(self, a: Self::F, b: Self::F) -> Self::F {
        halves!(H => _mm256_min_ps(a[H], b[H]))
    }

    #[inline(always)]
    fn select_gt(self, a: Self::F, b: Self::F, x: Self::F, y: Self::F) -> Self::F {
        halves!(H => _mm256_blendv_ps(y[H], x[H], _mm256_cmp_ps::<_CMP_GT_OQ>(a[H], b[H])))
    }

    #[inline(always)]
    fn abs(self, x: Self::F) -> Self::F {
        halves!(H => _mm256_andnot_ps(_mm256_set1_ps(-0.0), x[H]))
    }

    #[inline(always)]
    fn power_of_two(self, shifted: Self::F) -> Self::F {
        halves!(H => {
            let biased = _mm256_add_epi32(_mm256_castps_si256(shifted[H]), _mm256_set1_epi32(127));
            _mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased))
        })
    }

    #[inline(always)]
    fn biased_power_of_two(self, shifted: Self::F) -> Self::F {
        halves!(H => _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_castps_si256(shifted[H]))))
    }

    #[inline(always)]
    fn add_bits(self, a: Self::F, b: Self::F) -> Self::F {
        halves!(H => {
            _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a[H]), _mm256_castps_si256(b[H])))
        })
    }

    #[inline(always)]
    fn split(self, x: Self::F) -> (Self::F, Self::F) {
        let exponent = halves!(H => {
            let bits = _mm256_castps_si256(x[H]);
            _mm256_srai_epi32::<23>(_mm256_sub_epi32(bits, _mm256_set1_epi32(SQRT_HALF_BITS)))
        });
        let mantissa = halves!(H => {
            let scaled = _mm256_slli_epi32::<23>(exponent[H]);
            _mm256_castsi256_ps(_mm256_sub_epi32(_mm256_castps_si256(x[H]), scaled))
        });
        (mantissa, halves!(H => _mm256_cvtepi32_ps(exponent[H])))
    }

    #[inline(always)]
    fn store_shifted_i8(self, shifted: Self::F, to: &mut [i8; LANES]) {
        let [low, high] = halves!(H => _mm256_and_si256(_mm256_castps_si256(shifted[H]), _mm256_set1_epi32(0xff)));
        // SAFETY: `self` proves AVX2; `to` holds sixteen bytes.
        unsafe {
            let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packus_epi32(low, high));
            let bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words));
            _mm_storeu_si128(to.as_mut_ptr().cast(), bytes);
        }
    }

    #[inline(always)]
    fn load_i32(self, from: &[i32; LANES]) -> Self::F {
        halves!(H => _mm256_cvtepi32_ps(_mm256_loadu_si256(from.as_ptr().add(8 * H).cast())))
    }

    #[inline(always)]
    fn store_i8(self, x: Self::F, to: &mut [i8; LANES]) {
        // The rounding mode of the process is nearest-even: Rust assumes so, and nothing here changes it.
        let [low, high] = halves!(H => _mm256_cvtps_epi32(x[H]));
        // SAFETY: `self` proves AVX2; `to` holds sixteen bytes.
        unsafe {
            let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(low, high));
            let bytes = _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words));
            _mm_storeu_si128(to.as_mut_ptr().cast(), bytes);
        }
    }

    #[inline(always)]
    fn load_f16(self, from: &[u16; LANES]) -> Self::F {
        halves!(H => _mm256_cvtph_ps(_mm_loadu_si128(from.as_ptr().add(8 * H).cast())))
    }

    #[inline(always)]
    fn store_f16(self, x: Self::F, to: &mut [u16; LANES]) {
        halves!(H => {
            let halves = _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(x[H]);
            _mm_storeu_si128(to.as_mut_ptr().add(8 * H).cast(), halves);
        });
    }

    #[inline(always)]
    fn prefetch(self, bytes: &[u8], ahead: usize) {
        for line in bytes.chunks(64) {
            // SAFETY: a prefetch may name any address.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().wrapping_add(ahead).cast()) }
        }
    }
}

impl Doubles for Avx2 {
    type D = __m256d;

    const PARTS: usize = 2;

    #[inline(always)]
    fn splat_f64(self, x: f64) -> Self::D {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_set1_pd(x) }
    }

    #[inline(always)]
    fn load_f64(self, from: &[f64; FRAMES], part: usize) -> Self::D {
        assert!(part < Self::PARTS);
        // SAFETY: `self` proves AVX2; the array holds the four lanes of both parts.
        unsafe { _mm256_loadu_pd(from.as_ptr().add(4 * part)) }
    }

    #[inline(always)]
    fn store_f64(self, x: Self::D, to: &mut [f64; FRAMES], part: usize) {
        assert!(part < Self::PARTS);
        // SAFETY: `self` proves AVX2; the array holds the four lanes of both parts.
        unsafe { _mm256_storeu_pd(to.as_mut_ptr().add(4 * part), x) }
    }

    #[inline(always)]
    fn load_f32_as_f64(self, from: &[f32; FRAMES], part: usize) -> Self::D {
        assert!(part < Self::PARTS);
        // SAFETY: `self` proves AVX2; the array holds the four lanes of both parts.
        unsafe { _mm256_cvtps_pd(_mm_loadu_ps(from.as_ptr().add(4 * part))) }
    }

    #[inline(always)]
    fn add_f64(self, a: Self::D, b: Self::D) -> Self::D {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_add_pd(a, b) }
    }

    #[inline(always)]
    fn sub_f64(self, a: Self::D, b: Self::D) -> Self::D {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_sub_pd(a, b) }
    }

    #[inline(always)]
    fn mul_f64(self, a: Self::D, b: Self::D) -> Self::D {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_mul_pd(a, b) }
    }
}
