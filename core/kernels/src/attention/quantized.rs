//! Encoder attention in int8: both products use the tiles of the int8 product; the softmax between them is in f32.
//!
//! Queries, keys and values come in chunks of [`CHUNK`] rows. Queries and keys are quantized per row and head, values
//! per dimension and chunk. Within a chunk, each score becomes a weight `2^(score - maximum of the chunk)`, rounded to
//! 1/255. The chunk's weighted values are exact integer sums, which enter the row's result with one f32 factor
//! (streaming softmax, Milakov and Gimelshein 2018). So rounding is relative to the largest weight of the chunk, and
//! all float operations have one order: the same bits on every instruction set.
//!
//! Weights are stored as `weight - 128`, the range of i8; the product is corrected by 128 times the sum of the chunk's
//! values.

use std::ops::Range;

use super::Heads;
use crate::activation::math;
use crate::aligned::{AlignedBytes, as_bytes};
use crate::float::{quantize, reduce};
use crate::int8::{Activations, Form, Int8, Layout, MAX_ROWS, RowsMut, Sums, tile_sums};
use crate::norm::Norm;
use crate::simd::LANES;
use crate::{BlockMut, MatRef};

/// Keys per chunk: a multiple of every layout's panel width (12, 16 or 32 columns) and of the depth step. Part of the
/// definition of the result.
pub(crate) const CHUNK: usize = 192;

/// Keys and values of one layer, all heads, quantized for the int8 kernels of one instruction set. Holds the queries
/// too in self-attention of all rows.
///
/// Filled chunk by chunk, so that rows can be quantized while they are in the CPU cache, and by several threads. Memory
/// grows to the longest sequence seen.
#[derive(Debug, Clone)]
pub struct QuantizedAttention {
    shape: Shape,
    len: usize,
    chunks: Vec<AttentionChunk>,
}

/// Sizes that follow from the heads and the instruction set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) heads: Heads,
    layout: Layout,
    form: Form,
    /// Whether queries are kept beside keys and values: self-attention, where all rows attend.
    queries: bool,
}

impl Shape {
    fn head_width(self) -> usize {
        self.heads.head_width()
    }

    /// Bytes of a panel of queries.
    fn query_panel(self) -> usize {
        self.form.panel_len(self.head_width())
    }

    /// Bytes of one head's queries in a chunk.
    fn query_bytes(self) -> usize {
        if self.queries { CHUNK / self.form.rows * self.query_panel() } else { 0 }
    }

    /// Bytes of one head's keys in a chunk.
    fn key_bytes(self) -> usize {
        CHUNK / self.layout.panel() * self.layout.panel_len(self.head_width())
    }

    /// Dimensions of a head, in whole panels.
    pub(super) fn dimensions(self) -> usize {
        self.head_width().next_multiple_of(self.layout.panel())
    }

    /// Bytes of one head's values in a chunk.
    fn value_bytes(self) -> usize {
        self.dimensions() * CHUNK
    }

    #[inline]
    fn head_bytes(self) -> usize {
        self.query_bytes() + self.key_bytes() + self.value_bytes()
    }

    /// Number of floats of one head of a chunk: see [`AttentionChunk`]. All parts but the first are followed by spare
    /// lanes.
    fn head_floats(self) -> usize {
        CHUNK + CHUNK + LANES + 2 * (self.dimensions() + LANES)
    }
}

/// Some consecutive rows of [`QuantizedAttention`]; filled by one thread.
#[derive(Debug, Clone)]
pub struct AttentionChunk {
    shape: Shape,
    rows: Range<usize>,
    /// Per head: queries, keys, values.
    bytes: AlignedBytes,
    /// Per head: scales of the queries, of the keys and of the values, then 128 times the sum of each dimension's int8
    /// values.
    floats: Vec<f32>,
    /// Sum of each query's int8 values, `[heads, CHUNK]`.
    sums: Vec<i32>,
}

/// One head of a chunk, for reading.
#[derive(Clone, Copy)]
pub(super) struct HeadChunk<'a> {
    queries: &'a [u8],
    pub(super) keys: &'a [u8],
    pub(super) values: &'a [u8],
    query_scales: &'a [f32],
    pub(super) key_scales: &'a [f32],
    pub(super) value_scales: &'a [f32],
    /// 128 times the sum of each dimension's values.
    pub(super) value_sums: &'a [f32],
    /// Sum of each query's int8 values.
    query_sums: &'a [i32],
}

impl AttentionChunk {
    fn new(shape: Shape) -> Self {
        let heads = shape.heads.key_values();
        Self {
            shape,
            rows: 0..0,
            bytes: AlignedBytes::zeroed(heads * shape.head_bytes()),
            floats: vec![0.0; heads * shape.head_floats()],
            sums: vec![0; heads * CHUNK],
        }
    }

    /// The rows of the layer that this chunk holds.
    #[must_use]
    pub fn rows(&self) -> Range<usize> {
        self.rows.clone()
    }

    /// Values per input row: those of queries, keys and values, or of keys and values.
    pub(crate) fn columns(&self) -> usize {
        self.shape.heads.key_value_width() * if self.shape.queries { 3 } else { 2 }
    }

    pub(crate) fn form(&self) -> Form {
        self.shape.form
    }

    #[inline]
    pub(super) fn head(&self, head: usize) -> HeadChunk<'_> {
        let shape = self.shape;
        let bytes = &self.bytes.bytes()[head * shape.head_bytes()..][..shape.head_bytes()];
        let (queries, bytes) = bytes.split_at(shape.query_bytes());
        let (keys, values) = bytes.split_at(shape.key_bytes());
        let floats = &self.floats[head * shape.head_floats()..][..shape.head_floats()];
        let (query_scales, floats) = floats.split_at(CHUNK);
        let (key_scales, floats) = floats.split_at(CHUNK + LANES);
        let (value_scales, value_sums) = floats.split_at(shape.dimensions() + LANES);
        let query_sums = &self.sums[head * CHUNK..][..CHUNK];
        HeadChunk { queries, keys, values, query_scales, key_scales, value_scales, value_sums, query_sums }
    }
}

impl QuantizedAttention {
    pub(crate) fn new(heads: Heads, layout: Layout, form: Form, queries: bool) -> Self {
        assert!(!queries || heads.count() == heads.key_values(), "self-attention of {heads:?}");
        Self { shape: Shape { heads, layout, form, queries }, len: 0, chunks: Vec::new() }
    }

    pub(super) fn shape(&self) -> Shape {
        self.shape
    }

    /// Whether all chunks have the shape of the layer: they are handed out as `&mut`, so a caller could have replaced
    /// one.
    pub(super) fn is_whole(&self) -> bool {
        self.filled().all(|(_, chunk)| chunk.shape == self.shape)
    }

    /// The chunks that hold rows, each with the number of its rows.
    pub(super) fn filled(&self) -> impl Iterator<Item = (usize, &AttentionChunk)> {
        self.chunks[..self.len.div_ceil(CHUNK)].iter().map(|chunk| (chunk.rows.len(), chunk))
    }

    pub(crate) fn has_queries(&self) -> bool {
        self.shape.queries
    }

    /// Rows stored.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.len
    }

    /// How rows are cut into heads.
    #[must_use]
    pub fn heads(&self) -> Heads {
        self.shape.heads
    }

    pub(crate) fn form(&self) -> Form {
        self.shape.form
    }

    /// Prepares for `len` rows and returns the chunks to fill; the previous contents are lost. All must be filled
    /// before anything attends.
    pub fn chunks_mut(&mut self, len: usize) -> &mut [AttentionChunk] {
        self.len = len;
        let chunks = len.div_ceil(CHUNK);
        while self.chunks.len() < chunks {
            self.chunks.push(AttentionChunk::new(self.shape));
        }
        for (index, chunk) in self.chunks[..chunks].iter_mut().enumerate() {
            chunk.rows = index * CHUNK..len.min((index + 1) * CHUNK);
        }
        &mut self.chunks[..chunks]
    }
}

/// Depth of the product with a chunk's values.
pub(super) fn depth(rows: usize) -> usize {
    Layout::padded_depth(rows)
}

/// Quantizes the rows of one chunk: queries (if it keeps them), keys and values side by side.
#[inline(always)]
pub(crate) fn fill<S: Int8>(s: S, projected: MatRef<'_>, chunk: &mut AttentionChunk) {
    let AttentionChunk { rows, shape, bytes, floats, sums } = chunk;
    let (rows, shape) = (rows.len(), *shape);
    let (head_width, width) = (shape.head_width(), shape.heads.key_value_width());
    let all_bytes = bytes.bytes_mut().chunks_exact_mut(shape.head_bytes());
    let all_floats = floats.chunks_exact_mut(shape.head_floats());
    let all_sums = sums.chunks_exact_mut(CHUNK);
    for (head, ((bytes, floats), sums)) in all_bytes.zip(all_floats).zip(all_sums).enumerate() {
        let (queries, bytes) = bytes.split_at_mut(shape.query_bytes());
        // Padding columns and padding depth are zeros.
        bytes.fill(shape.layout.offset());
        let (keys, values) = bytes.split_at_mut(shape.key_bytes());
        let (query_scales, floats) = floats.split_at_mut(CHUNK);
        let (key_scales, floats) = floats.split_at_mut(CHUNK + LANES);
        let (value_scales, value_sums) = floats.split_at_mut(shape.dimensions() + LANES);
        let part = |index: usize| projected.columns_range(index * width + head * head_width, head_width);
        if shape.queries {
            let panels = Some(shape.query_panel());
            let to = RowsMut { rows, panels, bytes: queries, scales: query_scales, sums };
            quantize::quantize(s, part(0), &Norm::None, to);
        }
        let first = usize::from(shape.queries);
        for (row, scale) in key_scales[..rows].iter_mut().enumerate() {
            *scale = fill_key(s, part(first).row(row), row, keys);
        }
        fill_values(s, part(first + 1), rows, values, (value_scales, value_sums));
    }
}

/// Quantizes one key of one head into its column; returns its scale.
#[inline(always)]
fn fill_key<S: Int8>(s: S, key: &[f32], column: usize, panels: &mut [u8]) -> f32 {
    let padded = Layout::padded_depth(key.len());
    let panel_len = S::LAYOUT.panel_len(key.len());
    let panel = &mut panels[column / S::LAYOUT.panel() * panel_len..][..panel_len];
    let (factor, scale) = quantize::factor_and_scale(reduce::row_peak(s, key));
    let mut values = [0i8; LANES];
    for (block, key) in key.chunks(LANES).enumerate() {
        quantize::store(s, key, factor, &mut values);
        scatter::<S>(&values, padded, column % S::LAYOUT.panel(), block * LANES, panel);
    }
    scale
}

/// Writes sixteen weights of one column, from depth `k` on, into a panel.
#[inline(always)]
fn scatter<S: Int8>(values: &[i8; LANES], padded_depth: usize, column: usize, k: usize, panel: &mut [u8]) {
    let offset = S::LAYOUT.offset();
    // Four values of one column lie side by side in every layout.
    for (i, group) in as_bytes(values).as_chunks::<4>().0.iter().enumerate() {
        let place = S::LAYOUT.index(padded_depth, column, k + 4 * i);
        panel[place..place + 4].copy_from_slice(&group.map(|byte| byte.wrapping_add(offset)));
    }
}

/// Quantizes the values of one head: dimension by dimension, with the chunk's rows as depth.
#[inline(always)]
fn fill_values<S: Int8>(
    s: S,
    values: MatRef<'_>,
    rows: usize,
    panels: &mut [u8],
    (scales, sums): (&mut [f32], &mut [f32]),
) {
    let depth = depth(rows);
    for dimension in (0..values.cols()).step_by(LANES) {
        let count = LANES.min(values.cols() - dimension);
        let mut peak = s.splat(0.0);
        for row in 0..rows {
            peak = s.max(s.abs(sixteen(s, &values.row(row)[dimension..])), peak);
        }
        let (mut peaks, mut factors) = ([0.0; LANES], [0.0; LANES]);
        s.store(peak, &mut peaks);
        for ((peak, factor), scale) in peaks.iter().zip(&mut factors).zip(&mut scales[dimension..]).take(count) {
            (*factor, *scale) = quantize::factor_and_scale(*peak);
        }
        let (factors, low, high) = (s.load(&factors), s.splat(-127.0), s.splat(127.0));
        let mut total = s.splat(0.0);
        for first in (0..rows).step_by(4) {
            // Four rows side by side, the order in a panel.
            let mut four = [[0i8; LANES]; 4];
            for (four, row) in four.iter_mut().zip(first..rows) {
                let x = s.min(s.max(s.mul(sixteen(s, &values.row(row)[dimension..]), factors), low), high);
                let shifted = s.add(x, s.splat(math::ROUND));
                total = s.add(total, s.sub(shifted, s.splat(math::ROUND)));
                s.store_shifted_i8(shifted, four);
            }
            let mut groups = [0u8; 4 * LANES];
            for (lane, group) in groups.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                *group = four.map(|row| (row[lane] as u8).wrapping_add(S::LAYOUT.offset()));
            }
            write_groups::<S>(&groups, depth, dimension, count, first, panels);
        }
        let mut totals = [0.0; LANES];
        s.store(total, &mut totals);
        for (sum, total) in sums[dimension..].iter_mut().zip(totals).take(count) {
            // Exact: at most 128 · 127 · 192, below 2^24.
            *sum = 128.0 * total;
        }
    }
}

/// Writes four values each of up to sixteen columns from `column` on, at depth `k`, into their panels.
#[inline(always)]
fn write_groups<S: Int8>(
    groups: &[u8; 4 * LANES],
    depth: usize,
    column: usize,
    count: usize,
    k: usize,
    panels: &mut [u8],
) {
    let width = S::LAYOUT.panel();
    let place = |column: usize| column / width * width * depth + S::LAYOUT.index(depth, column % width, k);
    if count == LANES && place(column + LANES - 1) - place(column) == 4 * (LANES - 1) {
        panels[place(column)..][..4 * LANES].copy_from_slice(groups);
        return;
    }
    for (lane, group) in groups.as_chunks::<4>().0.iter().enumerate().take(count) {
        panels[place(column + lane)..][..4].copy_from_slice(group);
    }
}

/// The first sixteen values of a row, padded with zeros.
#[inline(always)]
fn sixteen<S: Int8>(s: S, row: &[f32]) -> S::F {
    match row.first_chunk() {
        Some(row) => s.load(row),
        None => s.load(&reduce::padded(row, 0.0)),
    }
}

/// Scratch memory of one thread; allocated once per head width and instruction set.
#[derive(Debug, Clone)]
pub struct QuantizedScratch {
    form: Form,
    head_width: usize,
    /// One panel of attention weights.
    weights: Activations,
    /// Scores `[MAX_ROWS, SCORES]`, in units of the query's scale.
    scores: Vec<f32>,
    /// Weighted values `[MAX_ROWS, dimensions]`.
    values: Vec<f32>,
    sums: Box<Sums>,
}

impl QuantizedScratch {
    pub(crate) fn new(form: Form, layout: Layout, head_width: usize) -> Self {
        let dimensions = head_width.next_multiple_of(layout.panel());
        Self {
            form,
            head_width,
            weights: Activations::panel(form, CHUNK),
            scores: vec![0.0; MAX_ROWS * SCORES],
            values: vec![0.0; MAX_ROWS * dimensions + LANES],
            sums: Box::new(Sums::ZERO),
        }
    }

    /// Whether it was made for heads of this width and for the same kernel set.
    #[must_use]
    pub fn fits(&self, panels: &QuantizedAttention) -> bool {
        self.form == panels.form() && self.head_width == panels.heads().head_width()
    }
}

/// Some query rows of one head; they attend to all rows of the layer.
#[derive(Clone)]
pub(crate) struct QuantizedQuery<'a> {
    /// Starts at a panel boundary.
    pub(crate) rows: Range<usize>,
    pub(crate) layer: &'a QuantizedAttention,
    pub(crate) head: usize,
}

/// Running softmax state of the rows of a tile, one lane per row.
struct Seen {
    /// Factor from scores, which are in units of the query's scale, to exponents of two.
    unit: [f32; LANES],
    /// Largest score so far.
    max: [f32; LANES],
    /// Sum of the weights relative to `max`, times 255.
    total: [f32; LANES],
    /// Largest score of the current chunk.
    greatest: [f32; LANES],
    /// Factor of the current chunk's weights relative to `max`.
    weight: [f32; LANES],
}

/// Attention of one head into `out`, `[rows, head width]`. The caller has checked the shapes; there is at least one
/// row.
#[inline(always)]
pub(crate) fn attend<S: Int8>(s: S, query: &QuantizedQuery<'_>, mut out: BlockMut<'_>, scratch: &mut QuantizedScratch) {
    let QuantizedQuery { rows, layer, head } = query.clone();
    let (dimensions, query_panel) = (layer.shape.dimensions(), layer.shape.query_panel());
    // Factor from scores to exponents of two.
    let unit = layer.shape.heads.scale() * std::f32::consts::LOG2_E;
    for first in rows.clone().step_by(S::TILE_ROWS) {
        let own = layer.chunks[first / CHUNK].head(head);
        let queries = Queries {
            panel: &own.queries[first % CHUNK / S::TILE_ROWS * query_panel..][..query_panel],
            sums: &own.query_sums[first % CHUNK..][..S::TILE_ROWS.min(rows.end - first)],
        };
        let rows_here = queries.sums.len();
        let mut seen = Seen {
            unit: [0.0; LANES],
            max: [f32::NEG_INFINITY; LANES],
            total: [0.0; LANES],
            greatest: [f32::NEG_INFINITY; LANES],
            weight: [0.0; LANES],
        };
        let scales = &own.query_scales[first % CHUNK..][..rows_here];
        seen.unit.iter_mut().zip(scales).for_each(|(to, scale)| *to = unit * scale);
        scratch.values.fill(0.0);
        for (index, chunk) in layer.chunks[..layer.len.div_ceil(CHUNK)].iter().enumerate() {
            let keys = CHUNK.min(layer.len - index * CHUNK);
            let chunk = chunk.head(head);
            score(s, queries, keys, chunk, scratch);
            for first in (0..rows_here).step_by(TOGETHER) {
                find_greatest(s, first, depth(keys), &mut seen, &scratch.scores);
            }
            look_back(s, rows_here, &mut seen, dimensions, &mut scratch.values);
            for first in (0..rows_here).step_by(TOGETHER) {
                weigh(s, first, depth(keys), &mut seen, scratch);
            }
            add_values(s, &seen.weight[..rows_here], keys, dimensions, chunk, scratch);
        }
        for row in 0..rows_here {
            let factor = 1.0 / seen.total[row];
            let values = &scratch.values[row * dimensions..];
            for (out, value) in out.row(first - rows.start + row).iter_mut().zip(values) {
                *out = value * factor;
            }
        }
    }
}

/// A panel of quantized queries.
#[derive(Clone, Copy)]
struct Queries<'a> {
    panel: &'a [u8],
    /// Sum of each row's int8 values.
    sums: &'a [i32],
}

/// Scores of the queries for a chunk of keys, in units of the queries' scales; `-inf` after the last key.
#[inline(always)]
fn score<S: Int8>(s: S, queries: Queries<'_>, keys: usize, head: HeadChunk<'_>, scratch: &mut QuantizedScratch) {
    let QuantizedScratch { scores, sums, .. } = scratch;
    let rows = queries.sums.len();
    let width = S::LAYOUT.panel();
    let panel_len = head.keys.len() / (CHUNK / width);
    for (panel, weights) in head.keys.chunks_exact(panel_len).take(keys.div_ceil(width)).enumerate() {
        tile_sums(s, queries.panel, weights, queries.sums, sums);
        for row in 0..rows {
            for column in (0..width).step_by(LANES) {
                let sum = s.load_i32(lanes(&sums.0[row * width + column..]));
                let score = s.mul(sum, s.load(lanes(&head.key_scales[panel * width + column..])));
                // Lanes beyond the panel belong to the next panel, or are spare.
                s.store(score, lanes_mut(&mut scores[row * SCORES + panel * width + column..]));
            }
        }
    }
    for row in 0..rows {
        scores[row * SCORES..][keys..depth(keys)].fill(f32::NEG_INFINITY);
    }
}

/// Updates maxima with the largest scores of a new chunk, and rescales the totals and sums of values.
#[inline(always)]
fn look_back<S: Int8>(s: S, rows: usize, seen: &mut Seen, dimensions: usize, values: &mut [f32]) {
    let (before, greatest, unit) = (s.load(&seen.max), s.load(&seen.greatest), s.load(&seen.unit));
    let max = s.max(greatest, before);
    // 2^-inf = 0 before the first chunk. Lanes without a row may hold anything; they are not read.
    let mut factors = [0.0; LANES];
    s.store(math::exp2(s, s.mul(s.sub(before, max), unit)), &mut factors);
    s.store(math::exp2(s, s.mul(s.sub(greatest, max), unit)), &mut seen.weight);
    for (row, &factor) in factors[..rows].iter().enumerate() {
        if seen.greatest[row] <= seen.max[row] {
            continue;
        }
        seen.total[row] *= factor;
        let factor = s.splat(factor);
        for first in (0..dimensions).step_by(LANES) {
            scale_some(s, &mut values[row * dimensions + first..], factor, LANES.min(dimensions - first));
        }
    }
    s.store(max, &mut seen.max);
}

/// Rows whose weights are computed side by side: their chains of operations overlap, and they are neighbours in the
/// panel.
const TOGETHER: usize = 4;

/// The scores of `TOGETHER` rows from `first` on, block by block. Missing rows hold stale scores; their results are not
/// read.
#[inline(always)]
fn blocks_of_rows(
    scores: &[f32],
    first: usize,
    depth: usize,
) -> impl ExactSizeIterator<Item = [&[f32; LANES]; TOGETHER]> {
    let row = |row: usize| scores[(first + row) * SCORES..][..depth].as_chunks().0.iter();
    let (left, right) = (row(0).zip(row(1)), row(2).zip(row(3)));
    left.zip(right).map(|((a, b), (c, d))| [a, b, c, d])
}

/// Finds the largest score of each of `TOGETHER` rows.
#[inline(always)]
fn find_greatest<S: Int8>(s: S, first: usize, depth: usize, seen: &mut Seen, scores: &[f32]) {
    let mut lanes = [s.splat(f32::NEG_INFINITY); TOGETHER];
    for blocks in blocks_of_rows(scores, first, depth) {
        for (lanes, scores) in lanes.iter_mut().zip(blocks) {
            *lanes = s.max(s.load(scores), *lanes);
        }
    }
    for (greatest, lanes) in seen.greatest[first..].iter_mut().zip(lanes) {
        *greatest = reduce::max(s, lanes);
    }
}

/// Turns the scores of `TOGETHER` rows into weights relative to the largest of the chunk.
#[inline(always)]
fn weigh<S: Int8>(s: S, first: usize, depth: usize, seen: &mut Seen, scratch: &mut QuantizedScratch) {
    let QuantizedScratch { weights, scores, .. } = scratch;
    let (panel, sums) = weights.panel_and_sums_mut();
    // Loops, not closures: a closure would not be compiled for the instruction set.
    let mut exponents = [(s.splat(0.0), s.splat(0.0)); TOGETHER];
    for (row, (unit, shift)) in (first..).zip(&mut exponents) {
        *unit = s.splat(seen.unit[row]);
        *shift = s.splat(exponent_shift(seen.greatest[row] * seen.unit[row]));
    }
    let mut totals = [s.splat(0.0); TOGETHER];
    for (index, blocks) in blocks_of_rows(scores, first, depth).enumerate() {
        let mut steps = totals;
        for (((step, total), scores), (unit, shift)) in steps.iter_mut().zip(&mut totals).zip(blocks).zip(exponents) {
            *step = math::weight_step(s, s.fma(s.load(scores), unit, shift));
            *total = s.add_bits(*total, *step);
        }
        s.write_shifted(steps, panel, first, index * LANES);
    }
    for (row, total) in (first..sums.len().min(MAX_ROWS)).zip(totals) {
        sums[row] = reduce::sum_shifted(s, total, depth);
        seen.total[row] += seen.weight[row] * (sums[row] + 128 * depth as i32) as f32;
    }
}

/// The shift that makes the exponent of the largest score, `greatest`, not positive, despite rounding.
#[inline(always)]
pub(super) fn exponent_shift(greatest: f32) -> f32 {
    -greatest - greatest.abs() * (2.0 * f32::EPSILON)
}

/// Multiplies the first `count` of sixteen values.
#[inline(always)]
fn scale_some<S: Int8>(s: S, values: &mut [f32], factor: S::F, count: usize) {
    let values = lanes_mut(values);
    let scaled = s.mul(s.load(values), factor);
    if count == LANES {
        s.store(scaled, values);
    } else {
        let mut all = [0.0; LANES];
        s.store(scaled, &mut all);
        values[..count].copy_from_slice(&all[..count]);
    }
}

/// Adds a chunk's weighted values to the rows' sums.
#[inline(always)]
fn add_values<S: Int8>(
    s: S,
    row_weights: &[f32],
    keys: usize,
    dimensions: usize,
    head: HeadChunk<'_>,
    scratch: &mut QuantizedScratch,
) {
    let QuantizedScratch { weights, values, sums, .. } = scratch;
    let (width, depth) = (S::LAYOUT.panel(), depth(keys));
    let panel = &weights.panels(0..1)[..depth / S::GROUP * S::TILE_ROWS * S::UNIT];
    for (index, panel_values) in head.values.chunks_exact(width * depth).take(dimensions / width).enumerate() {
        tile_sums(s, panel, panel_values, &weights.sums()[..row_weights.len()], sums);
        for (row, &weight) in row_weights.iter().enumerate() {
            for column in (0..width).step_by(LANES) {
                let dimension = index * width + column;
                // Exact in f32: the sums stay below 2^24.
                let sum = s.load_i32(lanes(&sums.0[row * width + column..]));
                let sum = s.add(sum, s.load(lanes(&head.value_sums[dimension..])));
                let scale = s.mul(s.splat(weight), s.load(lanes(&head.value_scales[dimension..])));
                let to = lanes_mut(&mut values[row * dimensions + dimension..]);
                let y = s.fma(sum, scale, s.load(to));
                if width - column >= LANES {
                    s.store(y, to);
                } else {
                    // The other lanes belong to the next panel or row.
                    let mut all = [0.0; LANES];
                    s.store(y, &mut all);
                    to[..width % LANES].copy_from_slice(&all[..width % LANES]);
                }
            }
        }
    }
}

/// Stride of the score rows: a vector that begins inside a chunk may reach beyond it.
const SCORES: usize = CHUNK + LANES;

#[inline(always)]
pub(super) fn lanes<T>(values: &[T]) -> &[T; LANES] {
    // The buffers have spare lanes behind the last value.
    values.first_chunk().unwrap_or_else(|| unreachable!("sixteen values"))
}

#[inline(always)]
pub(super) fn lanes_mut<T>(values: &mut [T]) -> &mut [T; LANES] {
    values.first_chunk_mut().unwrap_or_else(|| unreachable!("sixteen values"))
}
