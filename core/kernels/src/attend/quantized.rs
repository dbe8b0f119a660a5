//! Encoder attention in int8: both products run on the tiles of the int8 product, the softmax between them in f32.
//!
//! Keys and values come in chunks of [`CHUNK`] rows. Queries and keys are quantized per row and head, values per
//! dimension and chunk. In a chunk, each score becomes a weight `2^(score - greatest of the chunk)` in steps of 1/255;
//! the chunk's weighted values are exact integers, and enter the row's result with one f32 factor (streaming softmax,
//! Milakov and Gimelshein 2018). So a chunk's rounding is relative to its own greatest weight, and the order of all float
//! operations is one: the same bits on every instruction set.
//!
//! Weights are stored as `weight - 128`, the range of i8; what that takes off is 128 times the sum of the chunk's values.

use std::ops::Range;

use crate::aligned::{AlignedBytes, as_bytes};
use crate::attention::Heads;
use crate::float::norm::Norm;
use crate::float::{math, quantize, reduce};
use crate::int8::{Activations, Form, Int8, Layout, MAX_ROWS, Sums, tile_sums};
use crate::simd::LANES;
use crate::{BlockMut, MatRef};

/// Keys of a chunk: whole panels of every layout (12, 16 or 32 columns) and whole steps of depth. Part of the definition of
/// the result.
pub(crate) const CHUNK: usize = 192;

/// Keys and values of one layer, all heads, quantized for the int8 kernels of one instruction set.
///
/// Filled chunk by chunk, so that rows can be quantized while they are in the cache. Memory grows to the longest
/// sequence seen.
#[derive(Debug, Clone)]
pub struct QuantizedKeyValues {
    shape: Shape,
    len: usize,
    /// Of each chunk: each head's keys, then each head's values.
    bytes: AlignedBytes,
    /// Of each chunk: each head's scales of keys, scales of values, and 128 times the sums of values.
    floats: Vec<f32>,
}

/// Sizes that follow from the heads and the instruction set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    heads: Heads,
    layout: Layout,
    form: Form,
}

impl Shape {
    fn head_width(self) -> usize {
        self.heads.head_width()
    }

    /// Bytes of one head's keys in a chunk.
    fn key_bytes(self) -> usize {
        CHUNK / self.layout.panel() * self.layout.panel_len(self.head_width())
    }

    /// Dimensions of a head, in whole panels.
    fn dimensions(self) -> usize {
        self.head_width().next_multiple_of(self.layout.panel())
    }

    /// Bytes of one head's values in a chunk.
    fn value_bytes(self) -> usize {
        self.dimensions() * CHUNK
    }

    fn chunk_bytes(self) -> usize {
        self.heads.count * (self.key_bytes() + self.value_bytes())
    }

    /// Floats that belong to one head of a chunk, each part with spare lanes behind it.
    fn head_floats(self) -> usize {
        CHUNK + LANES + 2 * (self.dimensions() + LANES)
    }

    fn chunk_floats(self) -> usize {
        self.heads.count * self.head_floats()
    }
}

/// One head of a chunk, for reading.
#[derive(Clone, Copy)]
struct HeadChunk<'a> {
    keys: &'a [u8],
    values: &'a [u8],
    key_scales: &'a [f32],
    value_scales: &'a [f32],
    /// 128 times the sum of each dimension's values.
    value_sums: &'a [f32],
}

/// A chunk of [`QuantizedKeyValues`] to be filled, on any thread.
pub struct ChunkMut<'a> {
    pub(crate) rows: Range<usize>,
    shape: Shape,
    bytes: &'a mut [u8],
    floats: &'a mut [f32],
}

impl ChunkMut<'_> {
    /// The rows of keys and values that belong to it.
    #[must_use]
    pub fn rows(&self) -> Range<usize> {
        self.rows.clone()
    }

    pub(crate) fn heads(&self) -> Heads {
        self.shape.heads
    }

    pub(crate) fn form(&self) -> Form {
        self.shape.form
    }
}

impl QuantizedKeyValues {
    pub(crate) fn new(heads: Heads, layout: Layout, form: Form) -> Self {
        assert!(heads.count > 0 && heads.width.is_multiple_of(heads.count), "{heads:?}");
        Self { shape: Shape { heads, layout, form }, len: 0, bytes: AlignedBytes::default(), floats: Vec::new() }
    }

    /// Rows stored.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How rows are cut into heads.
    #[must_use]
    pub fn heads(&self) -> Heads {
        self.shape.heads
    }

    pub(crate) fn form(&self) -> Form {
        self.shape.form
    }

    /// Prepares for `len` rows, and hands out the chunks; what was there is lost. All must be filled before anything attends.
    pub fn chunks_mut(&mut self, len: usize) -> impl Iterator<Item = ChunkMut<'_>> {
        let (shape, chunks) = (self.shape, len.div_ceil(CHUNK));
        self.len = len;
        self.bytes.resize(chunks * shape.chunk_bytes());
        self.floats.resize(chunks * shape.chunk_floats(), 0.0);
        let bytes = self.bytes.bytes_mut().chunks_exact_mut(shape.chunk_bytes().max(1));
        let floats = self.floats.chunks_exact_mut(shape.chunk_floats().max(1));
        bytes.zip(floats).enumerate().map(move |(index, (bytes, floats))| {
            let rows = index * CHUNK..len.min((index + 1) * CHUNK);
            ChunkMut { rows, shape, bytes, floats }
        })
    }

    fn head_chunk(&self, chunk: usize, head: usize) -> HeadChunk<'_> {
        let shape = self.shape;
        let (keys, values) = (shape.key_bytes(), shape.value_bytes());
        let bytes = &self.bytes.bytes()[chunk * shape.chunk_bytes()..][..shape.chunk_bytes()];
        let (all_keys, all_values) = bytes.split_at(shape.heads.count * keys);
        let floats = &self.floats[chunk * shape.chunk_floats() + head * shape.head_floats()..][..shape.head_floats()];
        let (key_scales, value_floats) = floats.split_at(CHUNK + LANES);
        let (value_scales, value_sums) = value_floats.split_at(shape.dimensions() + LANES);
        HeadChunk {
            keys: &all_keys[head * keys..][..keys],
            values: &all_values[head * values..][..values],
            key_scales,
            value_scales,
            value_sums,
        }
    }
}

/// Depth of the product with a chunk's values.
fn depth(rows: usize) -> usize {
    Layout::padded_depth(rows)
}

/// Quantizes the rows of one chunk; both are `[rows of the chunk, width]`.
#[inline(always)]
pub(crate) fn fill<S: Int8>(s: S, keys: MatRef<'_>, values: MatRef<'_>, chunk: ChunkMut<'_>) {
    let ChunkMut { rows, shape, bytes, floats } = chunk;
    let rows = rows.len();
    let (head_width, heads) = (shape.head_width(), shape.heads.count);
    bytes.fill(shape.layout.offset());
    floats.fill(0.0);
    let (all_keys, all_values) = bytes.split_at_mut(heads * shape.key_bytes());
    let all_keys = all_keys.chunks_exact_mut(shape.key_bytes());
    let all_values = all_values.chunks_exact_mut(shape.value_bytes());
    let all_floats = floats.chunks_exact_mut(shape.head_floats());
    for (head, ((key_bytes, value_bytes), floats)) in all_keys.zip(all_values).zip(all_floats).enumerate() {
        let (key_scales, value_floats) = floats.split_at_mut(CHUNK + LANES);
        let (value_scales, value_sums) = value_floats.split_at_mut(shape.dimensions() + LANES);
        let part = head * head_width..(head + 1) * head_width;
        for row in 0..rows {
            key_scales[row] = fill_key::<S>(s, &keys.row(row)[part.clone()], row, key_bytes);
        }
        fill_values::<S>(s, values, part, rows, value_bytes, (value_scales, value_sums));
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
    part: Range<usize>,
    rows: usize,
    panels: &mut [u8],
    (scales, sums): (&mut [f32], &mut [f32]),
) {
    let (width, depth) = (S::LAYOUT.panel(), depth(rows));
    let panel_len = width * depth;
    for dimension in (0..part.len()).step_by(LANES) {
        let columns = part.start + dimension..part.end.min(part.start + dimension + LANES);
        let count = columns.len();
        let load = |row: usize| {
            let row = &values.row(row)[columns.clone()];
            row.first_chunk().map_or_else(|| s.load(&reduce::padded(row, 0.0)), |row| s.load(row))
        };
        let mut peak = s.splat(0.0);
        for row in 0..rows {
            peak = s.max(s.abs(load(row)), peak);
        }
        let (mut peaks, mut factors) = ([0.0; LANES], [0.0; LANES]);
        s.store(peak, &mut peaks);
        for ((peak, factor), scale) in peaks.iter().zip(&mut factors).zip(&mut scales[dimension..]).take(count) {
            (*factor, *scale) = quantize::factor_and_scale(*peak);
        }
        let (factors, low, high) = (s.load(&factors), s.splat(-127.0), s.splat(127.0));
        let mut totals = [0i32; LANES];
        for first in (0..rows).step_by(4) {
            // Four rows side by side, as the panels want them.
            let mut four = [[0i8; LANES]; 4];
            for (values, row) in four.iter_mut().zip(first..rows) {
                s.store_i8(s.min(s.max(s.mul(load(row), factors), low), high), values);
            }
            for (lane, total) in totals.iter_mut().enumerate().take(count) {
                let group = [four[0][lane], four[1][lane], four[2][lane], four[3][lane]];
                *total += group.iter().map(|&value| i32::from(value)).sum::<i32>();
                let column = dimension + lane;
                let panel = &mut panels[column / width * panel_len..][..panel_len];
                let place = S::LAYOUT.index(depth, column % width, first);
                panel[place..place + 4].copy_from_slice(&group.map(|v| (v as u8).wrapping_add(S::LAYOUT.offset())));
            }
        }
        for (sum, total) in sums[dimension..].iter_mut().zip(totals).take(count) {
            // Exact: at most 128 · 127 · 192, below 2^24.
            *sum = (128 * total) as f32;
        }
    }
}

/// Scratch of one thread's attention; allocated once per head width and instruction set.
#[derive(Debug, Clone)]
pub struct QuantizedScratch {
    form: Form,
    head_width: usize,
    /// One panel of queries.
    queries: Activations,
    /// One panel of weights.
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
            queries: Activations::panel(form, head_width),
            weights: Activations::panel(form, CHUNK),
            scores: vec![0.0; MAX_ROWS * SCORES],
            values: vec![0.0; MAX_ROWS * dimensions + LANES],
            sums: Box::new(Sums::ZERO),
        }
    }

    /// Whether it was made for heads of this width and the same kernels.
    #[must_use]
    pub fn fits(&self, panels: &QuantizedKeyValues) -> bool {
        self.form == panels.form() && self.head_width == panels.heads().head_width()
    }
}

/// Query rows of one head, `[rows, head width]`, and what they attend to.
#[derive(Clone, Copy)]
pub(crate) struct QuantizedQuery<'a> {
    pub(crate) rows: MatRef<'a>,
    pub(crate) panels: &'a QuantizedKeyValues,
    pub(crate) head: usize,
}

/// What a row has seen so far.
#[derive(Clone, Copy)]
struct Seen {
    /// Greatest score, in units of the query's scale.
    max: f32,
    /// Sum of the weights relative to it, 255 times.
    total: f32,
    /// What the weights of the chunk at hand count relative to it.
    weight: f32,
}

/// Attention of one head into `out`, `[rows, head width]`. The caller has checked the shapes; there is at least one key.
#[inline(always)]
pub(crate) fn attend<S: Int8>(
    s: S,
    query: &QuantizedQuery<'_>,
    mut out: BlockMut<'_>,
    scratch: &mut QuantizedScratch,
) {
    let panels = query.panels;
    let (head_width, dimensions) = (panels.shape.head_width(), panels.shape.dimensions());
    // From scores to exponents of two.
    let unit = panels.shape.heads.scale() * std::f32::consts::LOG2_E;
    for first in (0..out.rows()).step_by(S::TILE_ROWS) {
        let rows = S::TILE_ROWS.min(out.rows() - first);
        quantize_queries(s, query.rows.rows_range(first, rows), scratch);
        let mut seen = [Seen { max: f32::NEG_INFINITY, total: 0.0, weight: 1.0 }; MAX_ROWS];
        scratch.values.fill(0.0);
        for chunk in 0..panels.len.div_ceil(CHUNK) {
            let head = panels.head_chunk(chunk, query.head);
            let keys = CHUNK.min(panels.len - chunk * CHUNK);
            score(s, rows, keys, head_width, head, scratch);
            for (row, seen) in seen[..rows].iter_mut().enumerate() {
                let unit = unit * scratch.queries.scales()[row];
                weigh(s, row, keys, unit, seen, dimensions, scratch);
            }
            add_values(s, &seen[..rows], keys, dimensions, head, scratch);
        }
        for (row, seen) in seen[..rows].iter().enumerate() {
            let factor = 1.0 / seen.total;
            let values = &scratch.values[row * dimensions..];
            for (out, value) in out.row(first + row).iter_mut().zip(values) {
                *out = value * factor;
            }
        }
    }
}

/// Quantizes up to a panel of query rows.
#[inline(always)]
fn quantize_queries<S: Int8>(s: S, rows: MatRef<'_>, scratch: &mut QuantizedScratch) {
    quantize::quantize(s, rows, &Norm::None, scratch.queries.panel_mut(rows.rows()));
}

/// Scores of the queries with a chunk of keys, in units of the queries' scales; `-inf` behind the last key.
#[inline(always)]
fn score<S: Int8>(
    s: S,
    rows: usize,
    keys: usize,
    head_width: usize,
    head: HeadChunk<'_>,
    scratch: &mut QuantizedScratch,
) {
    let QuantizedScratch { queries, scores, sums, .. } = scratch;
    let (width, panel_len) = (S::LAYOUT.panel(), S::LAYOUT.panel_len(head_width));
    for (panel, weights) in head.keys.chunks_exact(panel_len).take(keys.div_ceil(width)).enumerate() {
        tile_sums(s, queries.panels(0..1), weights, &queries.sums()[..rows], sums);
        for row in 0..rows {
            for column in (0..width).step_by(LANES) {
                let sum = s.load_i32(lanes(&sums.0[row * width + column..]));
                let score = s.mul(sum, s.load(lanes(&head.key_scales[panel * width + column..])));
                // Lanes beyond the panel are the next one's, or spare.
                s.store(score, lanes_mut(&mut scores[row * SCORES + panel * width + column..]));
            }
        }
    }
    for row in 0..rows {
        scores[row * SCORES..][keys..depth(keys)].fill(f32::NEG_INFINITY);
    }
}

/// Turns one row's scores into weights relative to the greatest of the chunk, and brings what the row has seen up to date.
#[inline(always)]
fn weigh<S: Int8>(
    s: S,
    row: usize,
    keys: usize,
    unit: f32,
    seen: &mut Seen,
    dimensions: usize,
    scratch: &mut QuantizedScratch,
) {
    let QuantizedScratch { weights, scores, values, .. } = scratch;
    let scores = &scores[row * SCORES..][..depth(keys)];
    let greatest = reduce::row_max(s, scores);
    if greatest > seen.max {
        // 2^-inf = 0 for the first chunk, before which nothing was summed.
        let factor = weight(s, seen.max - greatest, unit);
        seen.total *= factor;
        let factor = s.splat(factor);
        // Whole vectors: what lies behind the last dimension is padding, the next row's values or spare.
        for first in (0..dimensions).step_by(LANES) {
            scale_some(s, &mut values[row * dimensions + first..], factor, LANES.min(dimensions - first));
        }
        (seen.max, seen.weight) = (greatest, 1.0);
    } else {
        seen.weight = weight(s, greatest - seen.max, unit);
    }
    let (shift, unit) = (s.splat(greatest), s.splat(unit));
    let mut total = s.splat(0.0);
    let (panel, sums) = weights.panel_and_sums_mut();
    let mut steps = [0i8; LANES];
    for (block, scores) in scores.as_chunks::<LANES>().0.iter().enumerate() {
        let (mantissa, power) = math::exp2_parts(s, s.mul(s.sub(s.load(scores), shift), unit));
        let step = s.fma(s.mul(mantissa, s.splat(255.0)), power, s.splat(-128.0));
        // Rounds to the nearest integer, which then stands in the low bits.
        let shifted = s.add(step, s.splat(math::ROUND));
        total = s.add(total, s.sub(shifted, s.splat(math::ROUND)));
        s.store_shifted_i8(shifted, &mut steps);
        s.write(&steps, panel, row, block * LANES);
    }
    // Exact in any order: integers of at most 128 · 192.
    let total = reduce::sum(s, total);
    sums[row] = total as i32;
    seen.total += seen.weight * (total + (128 * depth(keys)) as f32);
}

/// What a difference of scores means as a weight.
#[inline(always)]
fn weight<S: Int8>(s: S, score: f32, unit: f32) -> f32 {
    let mut lanes = [0.0; LANES];
    s.store(math::exp2(s, s.splat(score * unit)), &mut lanes);
    lanes[0]
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
    seen: &[Seen],
    keys: usize,
    dimensions: usize,
    head: HeadChunk<'_>,
    scratch: &mut QuantizedScratch,
) {
    let QuantizedScratch { weights, values, sums, .. } = scratch;
    let (width, depth) = (S::LAYOUT.panel(), depth(keys));
    let panel = &weights.panels(0..1)[..depth / S::GROUP * S::TILE_ROWS * S::UNIT];
    for (index, panel_values) in head.values.chunks_exact(width * depth).take(dimensions / width).enumerate() {
        tile_sums(s, panel, panel_values, &weights.sums()[..seen.len()], sums);
        for (row, seen) in seen.iter().enumerate() {
            for column in (0..width).step_by(LANES) {
                let dimension = index * width + column;
                // Exact in f32: the sums stay below 2^24.
                let sum = s.load_i32(lanes(&sums.0[row * width + column..]));
                let sum = s.add(sum, s.load(lanes(&head.value_sums[dimension..])));
                let scale = s.mul(s.splat(seen.weight), s.load(lanes(&head.value_scales[dimension..])));
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

/// Values from one row of scores to the next: a vector that begins inside a chunk may reach beyond it.
const SCORES: usize = CHUNK + LANES;

#[inline(always)]
fn lanes<T>(values: &[T]) -> &[T; LANES] {
    // The buffers have spare lanes behind the last value.
    values.first_chunk().unwrap_or_else(|| unreachable!("sixteen values"))
}

#[inline(always)]
fn lanes_mut<T>(values: &mut [T]) -> &mut [T; LANES] {
    values.first_chunk_mut().unwrap_or_else(|| unreachable!("sixteen values"))
}
