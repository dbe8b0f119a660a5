//! Sums with AVX2: a 6 × 8 tile on 16-bit products, twice per panel.
//!
//! Tiles widen both operands to i16 and use `vpmaddwd`. That is exact for every int8, and takes one instruction fewer
//! per 32 products than `vpmaddubsw`, which needs the sign moved from one operand to the other. Activations are widened
//! when they are quantized. A single row reads every weight once, so there `vpmaddubsw` on bytes is faster: the row's
//! absolute value is the unsigned operand, its sign is applied to the weights, and two products of ±127 · 127 fit
//! i16.

#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::{Int8, Layout};
use crate::isa::Avx2;
use crate::simd::LANES;

// Prefetch distance in bytes: a page, so that a DRAM access is hidden behind the work on 4 KB.
const PREFETCH: usize = 4096;

impl Int8 for Avx2 {
    const LAYOUT: Layout = Layout::Pairs;
    const TILE_ROWS: usize = 6;
    const GROUP: usize = 4;
    /// A group: four i16.
    const UNIT: usize = 8;

    #[inline(always)]
    fn write(self, values: &[i8; LANES], panel: &mut [u8], row: usize, k: usize) {
        let mut wide = [0u8; 2 * LANES];
        // SAFETY: `self` proves AVX2; sixteen bytes are read, 32 written.
        unsafe {
            let bytes = _mm_loadu_si128(values.as_ptr().cast());
            _mm256_storeu_si256(wide.as_mut_ptr().cast(), _mm256_cvtepi8_epi16(bytes));
        }
        const STRIDE: usize = Avx2::TILE_ROWS * Avx2::UNIT;
        let start = k / Self::GROUP * STRIDE + row * Self::UNIT;
        // One check for all groups.
        let place = &mut panel[start..start + 3 * STRIDE + Self::UNIT];
        for (i, group) in wide.as_chunks::<{ Self::UNIT }>().0.iter().enumerate() {
            place[i * STRIDE..i * STRIDE + Self::UNIT].copy_from_slice(group);
        }
    }

    #[inline(always)]
    unsafe fn tile<const M: usize>(
        self,
        activations: *const u8,
        weights: *const u8,
        depth: usize,
        _row_sums: &[i32],
        sums: &mut [i32],
    ) {
        // SAFETY: `self` proves AVX2; the caller vouches for the rest.
        unsafe { tile::<M>(activations, weights, depth, sums) }
    }

    #[inline(always)]
    unsafe fn row(self, row: *const i8, weights: *const u8, depth: usize, _row_sum: i32, sums: &mut [i32]) {
        assert!(sums.len() >= 16);
        // SAFETY: `self` proves AVX2. `depth / 16` steps read 16 bytes of the row and 128 of each half's 8 · `depth`.
        // A prefetch may name any address. Sixteen sums are written, below the end checked above.
        unsafe {
            let mut a = row;
            let mut left = weights;
            let mut right = weights.add(8 * depth);
            let ones = _mm256_set1_epi16(1);
            let mut acc = [[_mm256_setzero_si256(); 2]; 4];
            for _ in 0..depth / 16 {
                for from in [left, right] {
                    _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(PREFETCH).cast());
                    _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(PREFETCH + 64).cast());
                }
                for (i, acc) in acc.iter_mut().enumerate() {
                    let values = _mm256_set1_epi32(a.add(4 * i).cast::<i32>().read_unaligned());
                    let magnitudes = _mm256_abs_epi8(values);
                    for (acc, from) in acc.iter_mut().zip([left, right]) {
                        let signed = _mm256_sign_epi8(_mm256_loadu_si256(from.add(32 * i).cast()), values);
                        let pairs = _mm256_maddubs_epi16(magnitudes, signed);
                        *acc = _mm256_add_epi32(*acc, _mm256_madd_epi16(pairs, ones));
                    }
                }
                left = left.add(128);
                right = right.add(128);
                a = a.add(16);
            }
            for (i, sums) in sums.as_chunks_mut::<8>().0[..2].iter_mut().enumerate() {
                let even = _mm256_add_epi32(acc[0][i], acc[2][i]);
                let odd = _mm256_add_epi32(acc[1][i], acc[3][i]);
                _mm256_storeu_si256(sums.as_mut_ptr().cast(), _mm256_add_epi32(even, odd));
            }
        }
    }
}

/// [`Int8::tile`] as a function of its own: inlined, its sums would compete for registers with the caller's values.
///
/// # Safety
/// As [`Int8::tile`], and the CPU has the features.
#[inline(never)]
#[target_feature(enable = "avx2")]
unsafe fn tile<const M: usize>(activations: *const u8, weights: *const u8, depth: usize, sums: &mut [i32]) {
    const { assert!(M <= 12) };
    assert!(M <= Avx2::TILE_ROWS && sums.len() >= M * 16);
    for half in 0..2 {
        // SAFETY: the caller vouches for AVX2. Each of `depth / 4` steps reads 32 bytes of the half's 8 · `depth` and
        // M units of the panel's `TILE_ROWS`; both are that long. Eight sums are written per row, below the end checked
        // above.
        unsafe {
            let mut w = weights.add(half * 8 * depth);
            let mut a = activations;
            let mut acc = [[_mm256_setzero_si256(); 2]; M];
            for _ in 0..depth / 4 {
                let low = _mm256_cvtepi8_epi16(_mm_loadu_si128(w.cast()));
                let high = _mm256_cvtepi8_epi16(_mm_loadu_si128(w.add(16).cast()));
                for (row, acc) in acc.iter_mut().enumerate() {
                    let values = _mm256_set1_epi64x(a.add(row * Avx2::UNIT).cast::<i64>().read_unaligned());
                    acc[0] = _mm256_add_epi32(acc[0], _mm256_madd_epi16(low, values));
                    acc[1] = _mm256_add_epi32(acc[1], _mm256_madd_epi16(high, values));
                }
                w = w.add(32);
                a = a.add(Avx2::TILE_ROWS * Avx2::UNIT);
            }
            for (row, acc) in acc.iter().enumerate() {
                // Pairs of partial sums lie side by side; the horizontal add leaves columns 0 1 4 5 2 3 6 7.
                let columns = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_hadd_epi32(acc[0], acc[1]));
                _mm256_storeu_si256(sums.as_mut_ptr().add(row * 16 + half * 8).cast(), columns);
            }
        }
    }
}
