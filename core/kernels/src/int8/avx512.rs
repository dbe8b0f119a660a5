//! Sums with AVX-512 VNNI: a 12 × 32 tile of `vpdpbusd`.
//!
//! The instruction multiplies an unsigned with a signed operand. Weights are stored as weight + 128 and are the
//! unsigned one. The excess, 128 times the sum of the row's values, is subtracted at the start. At great depth
//! intermediate sums wrap around; the final ones are exact.

#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::{Finish, Int8, Layout};
use crate::activation::math::{self, Function};
use crate::isa::Avx512Vnni;
use crate::output::{Element, store_all};
use crate::simd::{LANES, Simd};

// Prefetch distance in bytes: a page, so that a DRAM access is hidden behind the work on 4 KB.
const PREFETCH: usize = 4096;

impl Int8 for Avx512Vnni {
    const LAYOUT: Layout = Layout::Vnni;
    const TILE_ROWS: usize = 12;
    const GROUP: usize = 4;
    const UNIT: usize = 4;

    /// Packing four rows of 32-bit integers twice leaves each 128-bit lane in the order of the panel: four values of
    /// each row.
    #[inline(always)]
    fn write_shifted(self, shifted: [Self::F; 4], panel: &mut [u8], row: usize, k: usize) {
        const STRIDE: usize = Avx512Vnni::TILE_ROWS * Avx512Vnni::UNIT;
        const { assert!(Avx512Vnni::TILE_ROWS.is_multiple_of(4)) };
        assert!(row + 4 <= Self::TILE_ROWS);
        let start = k / Self::GROUP * STRIDE + row * Self::UNIT;
        // One check for all groups.
        let place = panel[start..start + 3 * STRIDE + 16].as_mut_ptr();
        // SAFETY: `self` proves AVX-512F, and with VNNI there is AVX-512BW; the four stores of 16 bytes lie inside the
        // slice.
        unsafe {
            let round = _mm512_set1_epi32(math::ROUND.to_bits() as i32);
            let mut integers = [round; 4];
            for (integer, x) in integers.iter_mut().zip(shifted) {
                *integer = _mm512_sub_epi32(_mm512_castps_si512(x), round);
            }
            let [a, b, c, d] = integers;
            let groups = _mm512_packs_epi16(_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d));
            _mm_storeu_si128(place.cast(), _mm512_castsi512_si128(groups));
            _mm_storeu_si128(place.add(STRIDE).cast(), _mm512_extracti32x4_epi32::<1>(groups));
            _mm_storeu_si128(place.add(2 * STRIDE).cast(), _mm512_extracti32x4_epi32::<2>(groups));
            _mm_storeu_si128(place.add(3 * STRIDE).cast(), _mm512_extracti32x4_epi32::<3>(groups));
        }
    }

    #[inline(always)]
    unsafe fn tile<const M: usize>(
        self,
        activations: *const u8,
        weights: *const u8,
        depth: usize,
        row_sums: &[i32],
        sums: &mut [i32],
    ) {
        // SAFETY: `self` proves AVX-512F and VNNI; the caller vouches for the rest.
        unsafe { tile::<M>(activations, weights, depth, row_sums, sums) }
    }

    const FINISHES: bool = true;

    #[inline(always)]
    unsafe fn finished_tile<T: Element>(
        self,
        activations: *const u8,
        weights: *const u8,
        depth: usize,
        row_sums: &[i32],
        finish: Finish<'_, T>,
        activation: impl Function,
    ) {
        // SAFETY: `self` proves AVX-512F and VNNI; the caller vouches for the rest.
        unsafe { finished_tile(self, activations, weights, depth, row_sums, finish, activation) }
    }

    #[inline(always)]
    unsafe fn row(self, row: *const i8, weights: *const u8, depth: usize, row_sum: i32, sums: &mut [i32]) {
        assert!(sums.len() >= 32);
        // SAFETY: `self` proves AVX-512F and VNNI. `depth / 16` steps read 16 bytes of the row and 512 of the panel's
        // 32 · `depth` each. A prefetch may name any address. 32 sums are written, below the end checked above.
        unsafe {
            let (mut a, mut w) = (row, weights);
            // Eight independent sums hide the latency of `vpdpbusd`.
            let mut acc = [[_mm512_setzero_si512(); 2]; 4];
            acc[0] = [_mm512_set1_epi32(row_sum.wrapping_mul(-128)); 2];
            for _ in 0..depth / 16 {
                for (i, acc) in acc.iter_mut().enumerate() {
                    let from = w.add(128 * i);
                    _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(PREFETCH).cast());
                    _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(PREFETCH + 64).cast());
                    let values = _mm512_set1_epi32(a.add(4 * i).cast::<i32>().read_unaligned());
                    acc[0] = _mm512_dpbusd_epi32(acc[0], _mm512_loadu_si512(from.cast()), values);
                    acc[1] = _mm512_dpbusd_epi32(acc[1], _mm512_loadu_si512(from.add(64).cast()), values);
                }
                w = w.add(512);
                a = a.add(16);
            }
            for (i, sums) in sums.as_chunks_mut::<16>().0[..2].iter_mut().enumerate() {
                let even = _mm512_add_epi32(acc[0][i], acc[2][i]);
                let odd = _mm512_add_epi32(acc[1][i], acc[3][i]);
                _mm512_storeu_si512(sums.as_mut_ptr().cast(), _mm512_add_epi32(even, odd));
            }
        }
    }
}

/// [`Int8::tile`] as a function of its own: inlined, its sums would compete for registers with the caller's values.
///
/// # Safety
/// As [`Int8::tile`], and the CPU has the features.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn tile<const M: usize>(
    activations: *const u8,
    weights: *const u8,
    depth: usize,
    row_sums: &[i32],
    sums: &mut [i32],
) {
    assert!(sums.len() >= M * 32);
    // SAFETY: the caller vouches for all that `registers` asks for; 32 sums are written per row, below the end checked
    // above.
    unsafe {
        let acc = registers::<M>(activations, weights, depth, row_sums);
        for (row, acc) in acc.iter().enumerate() {
            _mm512_storeu_si512(sums.as_mut_ptr().add(row * 32).cast(), acc[0]);
            _mm512_storeu_si512(sums.as_mut_ptr().add(row * 32 + 16).cast(), acc[1]);
        }
    }
}

/// [`Int8::finished_tile`], as a function of its own for the same reason.
///
/// # Safety
/// As [`Int8::finished_tile`], and the CPU has the features.
#[inline(never)]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn finished_tile<T: Element>(
    s: Avx512Vnni,
    activations: *const u8,
    weights: *const u8,
    depth: usize,
    row_sums: &[i32],
    finish: Finish<'_, T>,
    activation: impl Function,
) {
    const ROWS: usize = Avx512Vnni::TILE_ROWS;
    let Finish { row_scales, column_scales, bias, accumulate, mut out } = finish;
    let (row_scales, _) = row_scales.split_at(ROWS);
    let column_scales = column_scales.as_chunks::<LANES>().0;
    let bias = bias.as_chunks::<LANES>().0;
    let (column_scales, bias) = (&column_scales[..2], &bias[..2]);
    debug_assert!(out.rows() == ROWS && out.columns() == 32);
    let (mut to, stride) = out.as_mut_ptr_and_stride();
    // SAFETY: the caller vouches for all that `registers` asks for, and for `ROWS` rows of 32 values at `to`, `stride`
    // apart, that no one else accesses while `out` lives.
    unsafe {
        let acc = registers::<ROWS>(activations, weights, depth, row_sums);
        for (acc, &row_scale) in acc.iter().zip(row_scales) {
            for (i, &sum) in acc.iter().enumerate() {
                let scale = s.mul(s.splat(row_scale), s.load(&column_scales[i]));
                let y = activation.apply(s, s.fma(_mm512_cvtepi32_ps(sum), scale, s.load(&bias[i])));
                store_all(s, y, accumulate, &mut *to.add(LANES * i).cast::<[T; LANES]>());
            }
            // After the last row it may point outside of the output; it is not used then.
            to = to.wrapping_add(stride);
        }
    }
}

/// The sums of `M` rows with 32 columns, in registers: for functions that enable the features.
///
/// # Safety
/// As [`Int8::tile`], and the CPU has the features.
#[inline(always)]
unsafe fn registers<const M: usize>(
    activations: *const u8,
    weights: *const u8,
    depth: usize,
    row_sums: &[i32],
) -> [[__m512i; 2]; M] {
    assert!(M <= Avx512Vnni::TILE_ROWS && row_sums.len() >= M);
    // SAFETY: the caller vouches for AVX-512F and VNNI. Each of `depth / 4` steps reads 128 bytes of the panel's 32 ·
    // `depth` and M units of the panel's `TILE_ROWS`; both are that long, and `depth` is a multiple of 16, as padded
    // depths are.
    unsafe {
        let (mut a, mut w) = (activations, weights);
        let mut acc = [[_mm512_setzero_si512(); 2]; M];
        for (acc, &sum) in acc.iter_mut().zip(row_sums) {
            *acc = [_mm512_set1_epi32(sum.wrapping_mul(-128)); 2];
        }
        // Four steps per iteration: the loop counter takes issue slots from the products (84 % of the peak one by one,
        // 89 % unrolled).
        for _ in 0..depth / 16 {
            for step in 0..4 {
                let w = w.add(128 * step);
                let a = a.add(step * Avx512Vnni::TILE_ROWS * Avx512Vnni::UNIT);
                let (left, right) = (_mm512_loadu_si512(w.cast()), _mm512_loadu_si512(w.add(64).cast()));
                for (row, acc) in acc.iter_mut().enumerate() {
                    let values = _mm512_set1_epi32(a.add(row * Avx512Vnni::UNIT).cast::<i32>().read_unaligned());
                    acc[0] = _mm512_dpbusd_epi32(acc[0], left, values);
                    acc[1] = _mm512_dpbusd_epi32(acc[1], right, values);
                }
            }
            w = w.add(512);
            a = a.add(4 * Avx512Vnni::TILE_ROWS * Avx512Vnni::UNIT);
        }
        acc
    }
}
