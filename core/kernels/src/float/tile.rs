//! Small f32 products on registers: the core of attention.

#![allow(unsafe_code)]

use crate::attend::FloatBlock;
use crate::simd::Simd;

/// Most rows of a tile on any instruction set.
pub(crate) const MAX_ROWS: usize = 12;

/// `sums[r] += Σₖ rows[r][k] · blocks[k]`, sixteen columns wide; each sum grows in the order of `k`, one fused
/// multiply-add at a time, so results do not depend on how rows are grouped into tiles.
///
/// Every row has as many values as there are blocks.
#[inline(always)]
fn tile<S: Simd, const R: usize>(s: S, rows: [&[f32]; R], blocks: &[FloatBlock], sums: &mut [FloatBlock; R]) {
    let depth = blocks.len();
    // Checked once: a check per row and step would cost as much as the products, and spill their sums.
    assert!(rows.iter().all(|row| row.len() >= depth));
    let rows = rows.map(<[f32]>::as_ptr);
    let mut acc = [s.splat(0.0); R];
    for (acc, sums) in acc.iter_mut().zip(&*sums) {
        *acc = s.load(&sums.0);
    }
    for (k, block) in blocks.iter().enumerate() {
        let block = s.load(&block.0);
        for (acc, row) in acc.iter_mut().zip(rows) {
            // SAFETY: `k` is below `depth`, and every row has that many values.
            let value = unsafe { *row.add(k) };
            *acc = s.fma(s.splat(value), block, *acc);
        }
    }
    for (acc, sums) in acc.into_iter().zip(sums) {
        s.store(acc, &mut sums.0);
    }
}

/// As [`tile`], for up to `S::ROWS` rows that start `stride` apart in `rows`.
#[inline(always)]
pub(crate) fn rows<S: Simd>(
    s: S,
    count: usize,
    rows: &[f32],
    stride: usize,
    blocks: &[FloatBlock],
    sums: &mut [FloatBlock; MAX_ROWS],
) {
    macro_rules! with_rows {
        ($($r:literal)*) => {
            match count {
                $($r if $r <= S::ROWS => {
                    let mut some = [&rows[..0]; $r];
                    for (r, some) in some.iter_mut().enumerate() {
                        *some = &rows[r * stride..];
                    }
                    if let Some(sums) = sums.first_chunk_mut::<$r>() {
                        tile(s, some, blocks, sums);
                    }
                })*
                _ => unreachable!("a tile has at most {} rows", S::ROWS),
            }
        };
    }
    with_rows!(1 2 3 4 5 6 7 8 9 10 11 12);
}
