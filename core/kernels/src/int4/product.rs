//! The product itself: blocks are unpacked, multiplied and scaled. Written once over [`Int8`].

use super::pack::{BLOCK, Block, Int4Matrix};
use crate::BlockMut;
use crate::aligned::as_i8;
use crate::float::math::{self, Function};
use crate::int8::{Activation, Activations, Epilogue, Int8, MAX_PANEL, MAX_ROWS, Sums, row_sums, tile_sums};
use crate::simd::{LANES, Simd};

/// One product, or the part of it that lies in one output block. The caller has checked the shapes, that `row` starts a panel
/// of the activations and `column` one of the weights, and that the activations have the sums of their blocks.
#[derive(Clone, Copy)]
pub(crate) struct Job4<'a> {
    pub(crate) activations: &'a Activations,
    pub(crate) row: usize,
    pub(crate) weights: &'a Int4Matrix,
    pub(crate) column: usize,
    pub(crate) epilogue: Epilogue<'a>,
}

/// Bytes ahead of the reads: what hides an access to memory behind the work on eight blocks.
const PREFETCH: usize = 4096;

/// Tiles that share an unpacked block: 48 rows at most.
const TILES: usize = 4;

/// Sums so far of `TILES` tiles, row after row, panels padded to whole vectors.
#[repr(align(64))]
struct Totals([f32; TILES * MAX_ROWS * MAX_PANEL]);

/// A block in int8.
#[repr(align(64))]
struct Unpacked([u8; BLOCK * MAX_PANEL]);

/// Computes `job` into `out`.
#[inline(always)]
pub(crate) fn product4<S: Int8>(s: S, job: &Job4<'_>, out: BlockMut<'_>) {
    match job.epilogue.activation {
        Activation::Identity => panels(s, job, math::Identity, out),
        Activation::Gelu => panels(s, job, math::Gelu, out),
        Activation::Relu => panels(s, job, math::Relu, out),
        Activation::Silu => panels(s, job, math::Silu, out),
    }
}

#[inline(always)]
fn panels<S: Int8>(s: S, job: &Job4<'_>, activation: impl Function, mut out: BlockMut<'_>) {
    let width = S::LAYOUT.panel();
    let (mut totals, mut unpacked, mut sums) =
        (Totals([0.0; TILES * MAX_ROWS * MAX_PANEL]), Unpacked([0; BLOCK * MAX_PANEL]), Sums::ZERO);
    let group = TILES * S::TILE_ROWS;
    for row in (0..out.rows()).step_by(group) {
        let rows = (out.rows() - row).min(group);
        let mut panels = job.weights.panels_from(job.column / width);
        for column in (0..out.columns()).step_by(width) {
            let mut blocks = panels.next_panel();
            totals.0.fill(0.0);
            for index in 0..job.weights.depth().div_ceil(BLOCK) {
                let block = blocks.next_block();
                s.prefetch(block.codes, PREFETCH);
                let bytes = &mut unpacked.0[..2 * block.codes.len()];
                unpack::<S>(block.codes, bytes);
                if job.activations.rows() == 1 {
                    one_row(s, job, index, &block, bytes, &mut sums, &mut totals);
                } else {
                    tiles(s, job, row..row + rows, index, &block, bytes, &mut sums, &mut totals);
                }
            }
            finish(s, job, (row, rows), column, &totals, activation, &mut out);
        }
    }
}

/// Two values a byte to one, as the int8 loops want them.
#[inline(always)]
fn unpack<S: Int8>(codes: &[u8], out: &mut [u8]) {
    let shift = S::LAYOUT.offset().wrapping_sub(8);
    let (low, high) = out.split_at_mut(codes.len());
    for ((&code, low), high) in codes.iter().zip(low).zip(high) {
        *low = (code & 15).wrapping_add(shift);
        *high = (code >> 4).wrapping_add(shift);
    }
}

#[inline(always)]
fn one_row<S: Int8>(
    s: S,
    job: &Job4<'_>,
    index: usize,
    block: &Block<'_>,
    weights: &[u8],
    sums: &mut Sums,
    totals: &mut Totals,
) {
    let row = &as_i8(job.activations.panels(0..1))[index * BLOCK..][..block.depth];
    row_sums(s, row, weights, job.activations.block_sum(index, 0), sums);
    add::<S>(s, sums, 1, block.scales, &mut totals.0);
}

#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "the state of one loop")]
fn tiles<S: Int8>(
    s: S,
    job: &Job4<'_>,
    rows: std::ops::Range<usize>,
    index: usize,
    block: &Block<'_>,
    weights: &[u8],
    sums: &mut Sums,
    totals: &mut Totals,
) {
    // Bytes of a panel of activations per value of depth.
    let step = S::TILE_ROWS * S::UNIT / S::GROUP;
    let stride = S::LAYOUT.panel().next_multiple_of(LANES);
    for (tile, start) in rows.clone().step_by(S::TILE_ROWS).enumerate() {
        let count = (rows.end - start).min(S::TILE_ROWS);
        let first = job.row + start;
        let panel = job.activations.panels(first / S::TILE_ROWS..first / S::TILE_ROWS + 1);
        let panel = &panel[index * BLOCK * step..][..block.depth * step];
        let mut block_sums = [0; MAX_ROWS];
        for (row, sum) in block_sums[..count].iter_mut().enumerate() {
            *sum = job.activations.block_sum(index, first + row);
        }
        tile_sums(s, panel, weights, &block_sums[..count], sums);
        add::<S>(s, sums, count, block.scales, &mut totals.0[tile * S::TILE_ROWS * stride..]);
    }
}

/// Adds the scaled sums of a block to the totals.
#[inline(always)]
fn add<S: Int8>(s: S, sums: &Sums, rows: usize, scales: &[u16], totals: &mut [f32]) {
    let width = S::LAYOUT.panel();
    let stride = width.next_multiple_of(LANES);
    for column in (0..width).step_by(LANES) {
        let scale = s.load_f16(chunk(scales, column));
        for row in 0..rows {
            let sum = s.load_i32(chunk(&sums.0, row * width + column));
            let Some(total) = totals[row * stride + column..].first_chunk_mut::<LANES>() else { return };
            s.store(s.fma(sum, scale, s.load(total)), total);
        }
    }
}

/// Scales of the rows, bias, activation and residual.
#[inline(always)]
fn finish<S: Int8>(
    s: S,
    job: &Job4<'_>,
    (first, rows): (usize, usize),
    column: usize,
    totals: &Totals,
    activation: impl Function,
    out: &mut BlockMut<'_>,
) {
    let width = S::LAYOUT.panel();
    let stride = width.next_multiple_of(LANES);
    let scales = &job.activations.scales()[job.row + first..][..rows];
    let bias = job.epilogue.bias.map(|bias| &bias[job.column + column..]);
    for (row, &scale) in scales.iter().enumerate() {
        let scale = s.splat(scale);
        let out = &mut out.row(first + row)[column..];
        for lanes in (0..width.min(out.len())).step_by(LANES) {
            let count = LANES.min(width - lanes).min(out.len() - lanes);
            let bias = load_some(s, bias.map_or(&[], |bias| &bias[lanes.min(bias.len())..]), count);
            let total = s.load(chunk(&totals.0, row * stride + lanes));
            let y = activation.apply(s, s.fma(total, scale, bias));
            store_some(s, y, job.epilogue.accumulate, &mut out[lanes..lanes + count]);
        }
    }
}

/// The first `count` values, or as many as there are, and zeros.
#[inline(always)]
fn load_some<S: Simd>(s: S, values: &[f32], count: usize) -> S::F {
    let mut lanes = [0.0; LANES];
    let count = count.min(values.len());
    lanes[..count].copy_from_slice(&values[..count]);
    s.load(&lanes)
}

#[inline(always)]
fn store_some<S: Simd>(s: S, y: S::F, accumulate: bool, out: &mut [f32]) {
    let mut lanes = [0.0; LANES];
    s.store(y, &mut lanes);
    for (out, lane) in out.iter_mut().zip(lanes) {
        *out = if accumulate { lane + *out } else { lane };
    }
}

#[inline(always)]
fn chunk<T>(values: &[T], start: usize) -> &[T; LANES] {
    // Buffers are padded to whole vectors.
    values[start..].first_chunk().unwrap_or_else(|| unreachable!("sixteen values from {start}"))
}
