//! The product itself: blocking, epilogue, ranking. Written once over [`Int8`].

#![allow(unsafe_code)]

use std::ops::Range;

use super::layout::MAX_PANEL;
use super::{Activations, Finish, Int8, PackedMatrix, Sums, TopK};
use crate::activation::math::Function;
use crate::aligned::{ALIGNMENT, as_i8};
use crate::output::{Element, store, with_block};
use crate::simd::LANES;
use crate::{BlockMut, OutputMut};

/// Activation function after a linear layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Activation {
    /// No activation.
    #[default]
    Identity,
    /// GELU, `x · Φ(x)`, with an error of 4e-5, because the next layer rounds its rows to 8 bits.
    Gelu,
    /// `max(x, 0)`.
    Relu,
    /// `x / (1 + e^-x)`.
    Silu,
}

/// Operations on the sums of a product before they are stored.
#[derive(Debug, Clone, Copy, Default)]
pub struct Epilogue<'a> {
    /// Bias: one value per column of the weights.
    pub bias: Option<&'a [f32]>,
    /// Applied after the bias.
    pub activation: Activation,
    /// Adds the result to the output (a residual connection) instead of replacing it.
    pub accumulate: bool,
}

/// One product, or the part of it that lies in one output block: rows from `row` on, columns from `column` on. The
/// caller has checked the shapes, and that `row` starts a panel of the activations and `column` one of the weights.
pub(crate) struct Job<'a, Weights = PackedMatrix> {
    pub(crate) activations: &'a Activations,
    pub(crate) row: usize,
    pub(crate) weights: &'a Weights,
    pub(crate) column: usize,
    pub(crate) epilogue: Epilogue<'a>,
}

// Sizes of the blocks of rows and of weights that share the L2 cache: 512 KB in a Cortex-A76 or A78, 1 to 2 MB in x86
// cores with VNNI. All weights of a small model's layer fit the latter and are read from beyond it only once.
const ROW_BLOCK_BYTES: usize = 128 << 10;
const COLUMN_BLOCK_BYTES: usize = if cfg!(target_arch = "x86_64") { 1 << 20 } else { 256 << 10 };
// Size of the strip of rows that stays in the L1 cache while it is multiplied with the panels of a column block. Small,
// so that the output lines and pages lie close together.
const STRIP_BYTES: usize = 12 << 10;

/// Scales and biases of one panel's columns, padded with zeros to whole vectors.
#[repr(align(64))]
struct Columns {
    scales: [f32; MAX_PANEL + LANES],
    bias: [f32; MAX_PANEL + LANES],
}

impl Columns {
    const ZERO: Self = Self { scales: [0.0; MAX_PANEL + LANES], bias: [0.0; MAX_PANEL + LANES] };

    /// Reads scales and biases of panel `panel`.
    #[inline(always)]
    fn read(&mut self, scales: &[f32], bias: Option<&[f32]>, panel: usize, width: usize) {
        self.scales[..width].copy_from_slice(&scales[panel * width..][..width]);
        if let Some(bias) = bias {
            read_bias(bias, panel, width, &mut self.bias);
        }
    }
}

/// Reads the biases of panel `panel`. Lanes beyond the last bias keep stale values; their outputs are never stored.
#[inline(always)]
pub(crate) fn read_bias(bias: &[f32], panel: usize, width: usize, to: &mut [f32]) {
    let bias = &bias[panel * width..];
    match bias.get(..width) {
        Some(bias) => to[..width].copy_from_slice(bias),
        None => to[..bias.len()].copy_from_slice(bias),
    }
}

/// Evaluates an expression for each [`Activation`], so that the compiler knows the function.
macro_rules! with_activation {
    ($activation:expr, $function:ident => $call:expr) => {
        match $activation {
            $crate::int8::Activation::Identity => {
                let $function = $crate::activation::math::Identity;
                $call
            }
            $crate::int8::Activation::Gelu => {
                let $function = $crate::activation::math::GeluShort;
                $call
            }
            $crate::int8::Activation::Relu => {
                let $function = $crate::activation::math::Relu;
                $call
            }
            $crate::int8::Activation::Silu => {
                let $function = $crate::activation::math::Silu;
                $call
            }
        }
    };
}
pub(crate) use with_activation;

/// Computes `job` into `out`.
#[inline(always)]
pub(crate) fn product<S: Int8>(s: S, job: &Job<'_>, out: OutputMut<'_>) {
    if job.activations.rows() == 1 {
        return row_product(s, job, out, None);
    }
    with_activation!(job.epilogue.activation, function => tiles(s, job, function, out))
}

/// Loops over blocks of columns and, inside, strips of rows, so that each cache level holds what is read again.
#[inline(always)]
fn tiles<S: Int8>(s: S, job: &Job<'_>, activation: impl Function, mut out: OutputMut<'_>) {
    let rows_of = |bytes: usize| (bytes / job.activations.panel_len()).max(1) * S::TILE_ROWS;
    let (row_block, strip) = (rows_of(ROW_BLOCK_BYTES), rows_of(STRIP_BYTES));
    let column_block = (COLUMN_BLOCK_BYTES / job.weights.panel(0).len()).max(1) * S::LAYOUT.panel();
    for rows in cut(0..out.rows(), row_block) {
        for columns in cut(0..out.columns(), column_block) {
            for strip in cut(rows.clone(), strip) {
                strip_tiles(s, job, activation, strip, columns.clone(), &mut out);
            }
        }
    }
}

/// Splits `range` into pieces of `len`.
fn cut(range: Range<usize>, len: usize) -> impl Iterator<Item = Range<usize>> {
    let end = range.end;
    range.step_by(len).map(move |start| start..(start + len).min(end))
}

/// Tile after tile: each panel of weights is multiplied with the strip while both are in the L1 cache.
#[inline(always)]
fn strip_tiles<S: Int8>(
    s: S,
    job: &Job<'_>,
    activation: impl Function,
    strip: Range<usize>,
    block: Range<usize>,
    out: &mut OutputMut<'_>,
) {
    let Job { activations, weights, epilogue, .. } = *job;
    let width = S::LAYOUT.panel();
    let mut sums = Sums::ZERO;
    let mut columns = Columns::ZERO;
    for column in block.step_by(width) {
        let panel = (job.column + column) / width;
        columns.read(weights.scales(), epilogue.bias, panel, width);
        let weights = weights.panel(panel);
        for rows in cut(strip.clone(), S::TILE_ROWS) {
            let first = job.row + rows.start;
            let panel = activations.panels(first / S::TILE_ROWS..first / S::TILE_ROWS + 1);
            let row_sums = &activations.sums()[first..][..rows.len()];
            let scales = &activations.scales()[first..][..rows.len()];
            let part = Part { row: rows.start, column, accumulate: epilogue.accumulate };
            with_block!(out, out => expect_stores(s, rows.clone(), column, width, out));
            if S::FINISHES && rows.len() == S::TILE_ROWS && out.columns() - column >= width {
                let (panels, of_rows) = ((panel, weights), (row_sums, scales));
                with_block!(out, out => finished_tile(s, panels, of_rows, &columns, activation, part, out));
                continue;
            }
            tile_sums(s, panel, weights, row_sums, &mut sums);
            with_block!(out, out => finish(s, &sums, scales, &columns, activation, part, out));
        }
    }
}

/// Computes the one row of `job` and keeps its largest values in `best`.
#[inline(always)]
pub(crate) fn product_ranked<S: Int8>(s: S, job: &Job<'_>, out: BlockMut<'_>, best: &mut TopK) {
    best.clear();
    row_product(s, job, out.into(), Some(best));
}

#[inline(always)]
fn row_product<S: Int8>(s: S, job: &Job<'_>, out: OutputMut<'_>, best: Option<&mut TopK>) {
    with_activation!(job.epilogue.activation, function => row_panels(s, job, function, out, best))
}

#[inline(always)]
fn row_panels<S: Int8>(
    s: S,
    job: &Job<'_>,
    activation: impl Function,
    mut out: OutputMut<'_>,
    mut best: Option<&mut TopK>,
) {
    let Job { activations, weights, epilogue, .. } = *job;
    let width = S::LAYOUT.panel();
    let scales = weights.scales();
    let row = activations.panels(0..1);
    let mut sums = Sums::ZERO;
    let mut columns = Columns::ZERO;
    let all = weights.panels_from(job.column / width);
    for (i, weights) in all.chunks_exact(row.len() * width).take(out.columns().div_ceil(width)).enumerate() {
        let (panel, column) = (job.column / width + i, i * width);
        row_sums(s, as_i8(row), weights, activations.sums()[0], &mut sums);
        columns.read(scales, epilogue.bias, panel, width);
        let part = Part { row: 0, column, accumulate: epilogue.accumulate };
        with_block!(&mut out, out => finish(s, &sums, activations.scales(), &columns, activation, part, out));
        if let (Some(best), OutputMut::F32(out)) = (&mut best, &mut out) {
            let out = &out.row(0)[column..];
            best.offer(panel * width, &out[..width.min(out.len())]);
        }
    }
}

/// Prefetches the lines that a tile will write, while its sums are computed.
#[inline(always)]
fn expect_stores<S: Int8, T>(s: S, rows: Range<usize>, column: usize, width: usize, out: &mut BlockMut<'_, T>) {
    let values = ALIGNMENT / size_of::<T>();
    for row in rows {
        for line in out.row(row)[column..].chunks(values).take(width.div_ceil(values)) {
            s.prefetch_for_store(line);
        }
    }
}

/// Integer sums of as many rows as there are `row_sums` with one panel of weights.
#[inline(always)]
pub(crate) fn tile_sums<S: Int8>(s: S, activations: &[u8], weights: &[u8], row_sums: &[i32], sums: &mut Sums) {
    let depth = weights.len() / S::LAYOUT.panel();
    assert_eq!(activations.len(), depth / S::GROUP * S::TILE_ROWS * S::UNIT, "panels of one depth");
    macro_rules! with_rows {
        ($($m:literal)*) => {
            match row_sums.len() {
                $($m if $m <= S::TILE_ROWS => {
                    // SAFETY: `s` proves the features; the number of rows was compared with the tile; both panels are
                    // whole slices of `depth`: compared above.
                    unsafe { s.tile::<$m>(activations.as_ptr(), weights.as_ptr(), depth, row_sums, &mut sums.0) }
                })*
                _ => unreachable!("a tile has at most {} rows", S::TILE_ROWS),
            }
        };
    }
    with_rows!(1 2 3 4 5 6 7 8 9 10 11 12);
}

/// Computes a whole tile; its sums become outputs in the registers.
#[inline(always)]
fn finished_tile<S: Int8, T: Element>(
    s: S,
    (panel, weights): (&[u8], &[u8]),
    (row_sums, row_scales): (&[i32], &[f32]),
    columns: &Columns,
    activation: impl Function,
    part: Part,
    out: &mut BlockMut<'_, T>,
) {
    let depth = weights.len() / S::LAYOUT.panel();
    assert_eq!(panel.len(), depth / S::GROUP * S::TILE_ROWS * S::UNIT, "panels of one depth");
    let finish = Finish {
        row_scales,
        column_scales: &columns.scales,
        bias: &columns.bias,
        accumulate: part.accumulate,
        out: out.tile(part.row..part.row + S::TILE_ROWS, part.column..part.column + S::LAYOUT.panel()),
    };
    // SAFETY: `s` proves the features; both panels are whole slices of `depth`, compared above; the output is a tile.
    unsafe { s.finished_tile(panel.as_ptr(), weights.as_ptr(), depth, row_sums, finish, activation) }
}

/// Integer sums of one plain row with one panel of weights; `row_sum` is the sum of the row's values.
#[inline(always)]
pub(crate) fn row_sums<S: Int8>(s: S, row: &[i8], weights: &[u8], row_sum: i32, sums: &mut Sums) {
    assert_eq!(row.len() * S::LAYOUT.panel(), weights.len(), "row and panel of one depth");
    // SAFETY: `s` proves the features; row and panel are whole slices of one depth, a multiple of 16: padded depths
    // are.
    unsafe { s.row(row.as_ptr(), weights.as_ptr(), row.len(), row_sum, &mut sums.0) }
}

/// Position of a tile's outputs.
#[derive(Clone, Copy)]
struct Part {
    row: usize,
    column: usize,
    accumulate: bool,
}

/// Turns sums into outputs: the one float step, the activation and the accumulation.
#[inline(always)]
fn finish<S: Int8, T: Element>(
    s: S,
    sums: &Sums,
    row_scales: &[f32],
    columns: &Columns,
    activation: impl Function,
    part: Part,
    out: &mut BlockMut<'_, T>,
) {
    let width = S::LAYOUT.panel();
    for (row, &row_scale) in row_scales.iter().enumerate() {
        let row_scale = s.splat(row_scale);
        let out = &mut out.row(part.row + row)[part.column..];
        for column in (0..width).step_by(LANES) {
            let sum = s.load_i32(chunk(&sums.0, row * width + column));
            let scale = s.mul(row_scale, s.load(chunk(&columns.scales, column)));
            let y = activation.apply(s, s.fma(sum, scale, s.load(chunk(&columns.bias, column))));
            // A constant to the compiler, except for the last vector of a panel that is not a whole number of vectors.
            let count = LANES.min(width - column);
            let Some(out) = out.get_mut(column..) else { break };
            store(s, y, count, part.accumulate, out);
        }
    }
}

/// Sixteen values from `start` on.
#[inline(always)]
pub(crate) fn chunk<T>(values: &[T], start: usize) -> &[T; LANES] {
    // The buffers have spare lanes behind the last panel.
    values[start..].first_chunk().unwrap_or_else(|| unreachable!("sixteen values from {start}"))
}
