//! Small f32 products in registers: the core of f32 attention.

#![allow(unsafe_code)]

use crate::attention::FloatBlock;
use crate::simd::{LANES, Simd};

/// Maximum rows of a tile on any instruction set.
pub(crate) const MAX_ROWS: usize = 6;

/// Some rows of f32 that start `stride` values apart.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) stride: usize,
    pub(crate) count: usize,
}

/// Columns in blocks of sixteen: `depth` blocks for each sixteen columns; these groups start `stride` blocks apart.
#[derive(Clone, Copy)]
pub(crate) struct Columns<'a> {
    pub(crate) blocks: &'a [FloatBlock],
    pub(crate) depth: usize,
    pub(crate) stride: usize,
    pub(crate) count: usize,
}

/// Where the outputs lie: row `r`, columns `16 · c` and on, at `values[r · row + c · column]`.
pub(crate) struct Outputs<'a> {
    pub(crate) values: &'a mut [f32],
    pub(crate) row: usize,
    pub(crate) column: usize,
}

/// `out[r, c] += Σₖ rows[r, k] · columns[k, c]`; each sum grows in the order of `k`, one fused multiply-add at a time,
/// so results do not depend on how rows and columns are grouped into tiles.
///
/// For up to `S::ROWS` rows of at least `depth` values, and `count` times sixteen columns.
#[inline(always)]
pub(crate) fn product<S: Simd>(s: S, rows: Rows<'_>, columns: Columns<'_>, out: &mut Outputs<'_>) {
    let mut first = 0;
    while first < columns.count {
        let wide = columns.count - first >= WIDE && S::WIDE;
        macro_rules! with_rows {
            ($($r:literal)*) => {
                match rows.count {
                    $($r if $r <= S::ROWS && wide => tile::<S, $r, WIDE>(s, rows, columns, first, out),)*
                    $($r if $r <= S::ROWS => tile::<S, $r, 1>(s, rows, columns, first, out),)*
                    _ => unreachable!("a tile has at most {} rows", S::ROWS),
                }
            };
        }
        with_rows!(1 2 3 4 5 6);
        first += if wide { WIDE } else { 1 };
    }
}

/// Column blocks per tile on sets with enough registers.
const WIDE: usize = 4;

/// One tile of `R` rows and `C` blocks of columns, from column block `first` on.
#[inline(always)]
fn tile<S: Simd, const R: usize, const C: usize>(
    s: S,
    rows: Rows<'_>,
    columns: Columns<'_>,
    first: usize,
    out: &mut Outputs<'_>,
) {
    let depth = columns.depth;
    // Checked once: a bounds check per row and step would cost as much as the products and spill their sums.
    let blocks: [&[FloatBlock]; C] = std::array::from_fn(|c| &columns.blocks[(first + c) * columns.stride..][..depth]);
    let rows: [&[f32]; R] = std::array::from_fn(|r| &rows.values[r * rows.stride..][..depth]);
    let place = |r: usize, c: usize| r * out.row + (first + c) * out.column;
    let (blocks, rows) = (blocks.map(<[_]>::as_ptr), rows.map(<[_]>::as_ptr));
    let mut acc = [[s.splat(0.0); C]; R];
    for (r, acc) in acc.iter_mut().enumerate() {
        for (c, acc) in acc.iter_mut().enumerate() {
            *acc = s.load(lanes(&out.values[place(r, c)..]));
        }
    }
    for k in 0..depth {
        // SAFETY: `k` is below `depth`, and every slice of rows and columns has that many elements.
        let block: [S::F; C] = std::array::from_fn(|c| s.load(unsafe { &(*blocks[c].add(k)).0 }));
        for (acc, row) in acc.iter_mut().zip(rows) {
            // SAFETY: as above.
            let value = s.splat(unsafe { *row.add(k) });
            for (acc, block) in acc.iter_mut().zip(block) {
                *acc = s.fma(value, block, *acc);
            }
        }
    }
    for (r, acc) in acc.into_iter().enumerate() {
        for (c, acc) in acc.into_iter().enumerate() {
            let place = place(r, c);
            match out.values[place..].first_chunk_mut() {
                Some(to) => s.store(acc, to),
                None => unreachable!("sixteen values from {place}"),
            }
        }
    }
}

#[inline(always)]
fn lanes(values: &[f32]) -> &[f32; LANES] {
    values.first_chunk().unwrap_or_else(|| unreachable!("sixteen values"))
}
