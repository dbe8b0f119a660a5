//! The product itself: blocks are unpacked, multiplied and scaled. Written once over [`Int8`].

use std::ops::Range;

use super::pack::{BLOCK, Block, Int4Matrix};
use crate::activation::math::Function;
use crate::aligned::as_i8;
use crate::int8::{Int8, Job, MAX_PANEL, MAX_ROWS, Sums, chunk, read_bias, row_sums, tile_sums, with_activation};
use crate::output::{Element, store, with_block};
use crate::simd::LANES;
use crate::{BlockMut, OutputMut};

/// Prefetch distance in bytes: hides a memory access behind the work on eight blocks.
const PREFETCH: usize = 4096;

/// Tiles that share an unpacked block: at most 48 rows.
const TILES: usize = 4;

/// Buffers of the loops over a panel's blocks.
#[repr(align(64))]
struct Work {
    /// Sums so far of `TILES` tiles, row after row, panels padded to whole vectors.
    totals: [f32; TILES * MAX_ROWS * MAX_PANEL],
    /// The current block, unpacked to int8.
    unpacked: [u8; BLOCK * MAX_PANEL],
    /// Integer sums of one tile with the current block.
    sums: Sums,
    /// Biases of the panel's columns.
    bias: [f32; MAX_PANEL + LANES],
}

impl Work {
    const ZERO: Self = Self {
        totals: [0.0; TILES * MAX_ROWS * MAX_PANEL],
        unpacked: [0; BLOCK * MAX_PANEL],
        sums: Sums::ZERO,
        bias: [0.0; MAX_PANEL + LANES],
    };
}

/// Computes `job` into `out`. The activations must have the sums of their blocks.
#[inline(always)]
pub(crate) fn product<S: Int8>(s: S, job: &Job<'_, Int4Matrix>, out: OutputMut<'_>) {
    with_activation!(job.epilogue.activation, function => panels(s, job, function, out))
}

#[inline(always)]
fn panels<S: Int8>(s: S, job: &Job<'_, Int4Matrix>, activation: impl Function, mut out: OutputMut<'_>) {
    let width = S::LAYOUT.panel();
    let mut work = Work::ZERO;
    let group = TILES * S::TILE_ROWS;
    for row in (0..out.rows()).step_by(group) {
        let rows = row..(row + group).min(out.rows());
        for column in (0..out.columns()).step_by(width) {
            let panel = job.weights.panel((job.column + column) / width);
            work.totals.fill(0.0);
            for index in 0..job.weights.depth().div_ceil(BLOCK) {
                let block = panel.block(index);
                s.prefetch(block.codes, PREFETCH);
                unpack::<S>(block.codes, &mut work.unpacked[..2 * block.codes.len()]);
                if job.activations.rows() == 1 {
                    one_row(s, job, index, &block, &mut work);
                } else {
                    tiles(s, job, rows.clone(), index, &block, &mut work);
                }
            }
            with_block!(&mut out, out => finish(s, job, rows.clone(), column, &mut work, activation, out));
        }
    }
}

/// Unpacks two values per byte to one, in the order of the int8 loops.
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
fn one_row<S: Int8>(s: S, job: &Job<'_, Int4Matrix>, index: usize, block: &Block<'_>, work: &mut Work) {
    let Work { totals, unpacked, sums, .. } = work;
    let row = &as_i8(job.activations.panels(0..1))[index * BLOCK..][..block.depth];
    row_sums(s, row, &unpacked[..2 * block.codes.len()], job.activations.block_sum(index, 0), sums);
    add::<S>(s, sums, 1, block.scales, totals);
}

#[inline(always)]
fn tiles<S: Int8>(
    s: S,
    job: &Job<'_, Int4Matrix>,
    rows: Range<usize>,
    index: usize,
    block: &Block<'_>,
    work: &mut Work,
) {
    let Work { totals, unpacked, sums, .. } = work;
    // Bytes of an activation panel per step of depth.
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
        tile_sums(s, panel, &unpacked[..2 * block.codes.len()], &block_sums[..count], sums);
        add::<S>(s, sums, count, block.scales, &mut totals[tile * S::TILE_ROWS * stride..]);
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

/// Applies row scales, bias, activation and accumulation.
#[inline(always)]
fn finish<S: Int8, T: Element>(
    s: S,
    job: &Job<'_, Int4Matrix>,
    rows: Range<usize>,
    column: usize,
    work: &mut Work,
    activation: impl Function,
    out: &mut BlockMut<'_, T>,
) {
    let width = S::LAYOUT.panel();
    let stride = width.next_multiple_of(LANES);
    if let Some(bias) = job.epilogue.bias {
        read_bias(bias, (job.column + column) / width, width, &mut work.bias);
    }
    let scales = &job.activations.scales()[job.row + rows.start..][..rows.len()];
    for (row, &scale) in scales.iter().enumerate() {
        let scale = s.splat(scale);
        let out = &mut out.row(rows.start + row)[column..];
        for lanes in (0..width).step_by(LANES) {
            let total = s.load(chunk(&work.totals, row * stride + lanes));
            let y = activation.apply(s, s.fma(total, scale, s.load(chunk(&work.bias, lanes))));
            let Some(out) = out.get_mut(lanes..) else { break };
            store(s, y, LANES.min(width - lanes), job.epilogue.accumulate, out);
        }
    }
}
