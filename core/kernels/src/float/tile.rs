//! Small f32 products on registers: the core of attention.

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
    let rows = rows.map(|row| &row[..depth]);
    let mut acc = [s.splat(0.0); R];
    for r in 0..R {
        acc[r] = s.load(&sums[r].0);
    }
    for k in 0..depth {
        let block = s.load(&blocks[k].0);
        for r in 0..R {
            acc[r] = s.fma(s.splat(rows[r][k]), block, acc[r]);
        }
    }
    for r in 0..R {
        s.store(acc[r], &mut sums[r].0);
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
