//! Sums with AVX-512 VNNI: a 12 × 32 tile of `vpdpbusd`.
//!
//! The instruction multiplies an unsigned with a signed side. Weights are stored as themselves + 128 and serve as the
//! unsigned one; the excess, 128 times the sum of the row's values, is taken off at the start. Sums wrap on the way at
//! great depth and are exact in the end.

#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::{Int8, Layout};
use crate::isa::Avx512Vnni;

// Bytes ahead of the reads: a page, what hides a DRAM access behind the work on 4 KB.
const PREFETCH: usize = 4096;

impl Int8 for Avx512Vnni {
    const LAYOUT: Layout = Layout::Vnni;
    const TILE_ROWS: usize = 12;
    const GROUP: usize = 4;
    const UNIT: usize = 4;

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

/// [`Int8::tile`], apart: inlined, its sums would compete for registers with what the caller keeps.
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
    assert!(M <= Avx512Vnni::TILE_ROWS && row_sums.len() >= M && sums.len() >= M * 32);
    // SAFETY: the caller vouches for AVX-512F and VNNI. Each of `depth / 4` steps reads 128 bytes of the panel's 32 · `depth`
    // and M units of the panel's `TILE_ROWS`; both are that long, and `depth` is a multiple of 16, as padded depths are.
    // 32 sums are written per row, below the end checked above.
    unsafe {
        let (mut a, mut w) = (activations, weights);
        let mut acc = [[_mm512_setzero_si512(); 2]; M];
        for (acc, &sum) in acc.iter_mut().zip(row_sums) {
            *acc = [_mm512_set1_epi32(sum.wrapping_mul(-128)); 2];
        }
        // Four steps at a time: what counts them takes issue slots from the products (84 % of the peak one by one, 89 % so).
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
        for (row, acc) in acc.iter().enumerate() {
            _mm512_storeu_si512(sums.as_mut_ptr().add(row * 32).cast(), acc[0]);
            _mm512_storeu_si512(sums.as_mut_ptr().add(row * 32 + 16).cast(), acc[1]);
        }
    }
}
