//! The product itself: blocking, epilogue, ranking. Written once over [`Int8`].

#![allow(unsafe_code)]

use super::layout::MAX_PANEL;
use super::{Activations, Int8, MAX_ROWS, PackedMatrix, Sums, TopK};
use crate::BlockMut;
use crate::float::math;
use crate::float::rows::map;
use crate::simd::LANES;

/// Function that follows a linear layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Activation {
    /// None.
    #[default]
    Identity,
    /// `x · Φ(x)`, the exact form.
    Gelu,
    /// `max(x, 0)`.
    Relu,
    /// `x / (1 + e^-x)`.
    Silu,
}

/// What happens to the sums of a product before they are stored.
#[derive(Debug, Clone, Copy, Default)]
pub struct Epilogue<'a> {
    /// One summand per column of the weights.
    pub bias: Option<&'a [f32]>,
    /// Applied after the bias.
    pub activation: Activation,
    /// Add to what the output holds, after the activation, instead of replacing it.
    pub accumulate: bool,
}

/// One product, or the part of it that lies in one output block: rows from `row` on, columns from `column` on. The
/// caller has checked the shapes, that `row` starts a panel of the activations and `column` one of the weights.
#[derive(Clone, Copy)]
pub(crate) struct Job<'a> {
    pub(crate) activations: &'a Activations,
    pub(crate) row: usize,
    pub(crate) weights: &'a PackedMatrix,
    pub(crate) column: usize,
    pub(crate) epilogue: Epilogue<'a>,
}

// Activations that stay in the L2 cache while every panel of weights passes over them: half of the 512 KB that a
// Cortex-A76 or Zen core has.
const ROW_BLOCK_BYTES: usize = 256 << 10;

/// Outputs of one tile before they are stored.
#[repr(align(64))]
struct Outputs([f32; MAX_ROWS * MAX_PANEL + LANES]);

/// Scales and biases of one panel's columns, padded with zeros to whole vectors.
#[repr(align(64))]
struct Columns {
    scales: [f32; MAX_PANEL + LANES],
    bias: [f32; MAX_PANEL + LANES],
}

impl Columns {
    #[inline(always)]
    fn new(job: &Job<'_>, panel: usize) -> Self {
        let mut new = Self { scales: [0.0; MAX_PANEL + LANES], bias: [0.0; MAX_PANEL + LANES] };
        let width = job.weights.layout().panel();
        new.scales[..width].copy_from_slice(&job.weights.scales()[panel * width..(panel + 1) * width]);
        if let Some(bias) = job.epilogue.bias {
            let bias = &bias[panel * width..((panel + 1) * width).min(bias.len())];
            new.bias[..bias.len()].copy_from_slice(bias);
        }
        new
    }
}

/// Computes `job` into `out`.
#[inline(always)]
pub(crate) fn product<S: Int8>(s: S, job: &Job<'_>, mut out: BlockMut<'_>) {
    if job.activations.rows() == 1 {
        return row_product(s, job, out.row(0), &mut None);
    }
    let width = S::LAYOUT.panel();
    let mut sums = Sums([0; MAX_ROWS * MAX_PANEL + LANES]);
    let mut outputs = Outputs([0.0; MAX_ROWS * MAX_PANEL + LANES]);
    let block = (ROW_BLOCK_BYTES / job.activations.panel_len()).max(1) * S::TILE_ROWS;
    for start in (0..out.rows()).step_by(block) {
        let end = (start + block).min(out.rows());
        for column in (0..out.columns()).step_by(width) {
            let columns = Columns::new(job, (job.column + column) / width);
            for row in (start..end).step_by(S::TILE_ROWS) {
                let rows = (end - row).min(S::TILE_ROWS);
                tile_sums(s, job, row, rows, column, &mut sums);
                let scales = &job.activations.scales()[job.row + row..][..rows];
                scale(s, &sums, scales, &columns, job.epilogue.activation, &mut outputs);
                for row_in_tile in 0..rows {
                    let row = out.row(row + row_in_tile);
                    let last = (column + width).min(row.len());
                    store(&outputs.0[row_in_tile * width..], &mut row[column..last], job.epilogue.accumulate);
                }
            }
        }
    }
}

/// Computes the one row of `job` and keeps its greatest values.
#[inline(always)]
pub(crate) fn product_ranked<S: Int8>(s: S, job: &Job<'_>, mut out: BlockMut<'_>, best: &mut TopK) {
    best.clear();
    row_product(s, job, out.row(0), &mut Some(best));
}

#[inline(always)]
fn row_product<S: Int8>(s: S, job: &Job<'_>, out: &mut [f32], best: &mut Option<&mut TopK>) {
    let width = S::LAYOUT.panel();
    let mut sums = Sums([0; MAX_ROWS * MAX_PANEL + LANES]);
    let mut outputs = Outputs([0.0; MAX_ROWS * MAX_PANEL + LANES]);
    let row = job.activations.panels(0..1);
    for (i, out) in out.chunks_mut(width).enumerate() {
        let panel = job.column / width + i;
        let weights = job.weights.panel(panel);
        debug_assert_eq!(weights.len(), row.len() * width);
        // SAFETY: `s` proves the features; the row is padded as the panels are, and both are whole slices of that depth.
        unsafe { s.row(row.as_ptr().cast(), weights.as_ptr(), row.len(), job.activations.sums()[0], &mut sums.0) };
        let columns = Columns::new(job, panel);
        scale(s, &sums, job.activations.scales(), &columns, job.epilogue.activation, &mut outputs);
        store(&outputs.0, out, job.epilogue.accumulate);
        if let Some(best) = best {
            best.offer(panel * width, out);
        }
    }
}

/// Integer sums of `rows` rows with one panel of weights.
#[inline(always)]
fn tile_sums<S: Int8>(s: S, job: &Job<'_>, row: usize, rows: usize, column: usize, sums: &mut Sums) {
    let panel = (job.row + row) / S::TILE_ROWS;
    let activations = job.activations.panels(panel..panel + 1);
    let weights = job.weights.panel((job.column + column) / S::LAYOUT.panel());
    let depth = weights.len() / S::LAYOUT.panel();
    debug_assert_eq!(activations.len(), depth / S::GROUP * S::TILE_ROWS * S::UNIT);
    let row_sums = &job.activations.sums()[job.row + row..][..rows];
    macro_rules! with_rows {
        ($($m:literal)*) => {
            match rows {
                $($m if $m <= S::TILE_ROWS => {
                    // SAFETY: `s` proves the features; the number of rows was compared with the tile; both panels are
                    // whole slices of `depth`, checked by slicing.
                    unsafe { s.tile::<$m>(activations.as_ptr(), weights.as_ptr(), depth, row_sums, &mut sums.0) }
                })*
                _ => unreachable!("a tile has at most {} rows", S::TILE_ROWS),
            }
        };
    }
    with_rows!(1 2 3 4 5 6 7 8 9 10 11 12);
}

/// The one float step per output, and the activation.
#[inline(always)]
fn scale<S: Int8>(
    s: S,
    sums: &Sums,
    row_scales: &[f32],
    columns: &Columns,
    activation: Activation,
    outputs: &mut Outputs,
) {
    let width = S::LAYOUT.panel();
    for (row, &row_scale) in row_scales.iter().enumerate() {
        let row_scale = s.splat(row_scale);
        for column in (0..width).step_by(LANES) {
            let place = row * width + column;
            let sum = s.load_i32(chunk(&sums.0, place));
            let scale = s.mul(row_scale, s.load(chunk(&columns.scales, column)));
            let y = s.fma(sum, scale, s.load(chunk(&columns.bias, column)));
            if let Some(to) = outputs.0[place..].first_chunk_mut() {
                s.store(y, to);
            }
        }
    }
    let used = &mut outputs.0[..(row_scales.len() * width).next_multiple_of(LANES)];
    match activation {
        Activation::Identity => {}
        Activation::Gelu => map(s, used, math::Gelu),
        Activation::Relu => map(s, used, math::Relu),
        Activation::Silu => map(s, used, math::Silu),
    }
}

#[inline(always)]
fn chunk<T>(values: &[T], start: usize) -> &[T; LANES] {
    // The buffers have spare lanes behind the last panel.
    values[start..].first_chunk().unwrap_or_else(|| unreachable!("sixteen values from {start}"))
}

#[inline(always)]
fn store(values: &[f32], out: &mut [f32], accumulate: bool) {
    if accumulate {
        for (out, value) in out.iter_mut().zip(values) {
            *out += value;
        }
    } else {
        out.copy_from_slice(&values[..out.len()]);
    }
}
