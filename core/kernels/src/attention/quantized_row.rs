//! Decoder cross-attention in int8: one query row attends to the quantized keys and values of the audio, which take
//! half the bytes of half precision.
//!
//! Rounds like the encoder's attention ([`super::quantized`]), but relative to the largest score of all chunks.

use super::quantized::{CHUNK, HeadChunk, QuantizedAttention, depth, exponent_shift, lanes, lanes_mut};
use crate::activation::math;
use crate::float::{quantize, reduce};
use crate::int8::{Int8, Layout, RowsMut, Sums, row_sums};
use crate::norm::Norm;
use crate::simd::LANES;
use crate::{MatRef, aligned};

/// Scratch memory of one thread.
#[derive(Debug, Clone)]
pub struct QuantizedRowScratch {
    query: Vec<u8>,
    weights: Vec<i8>,
    /// Scores of all keys, in units of the query's scale.
    scores: Vec<f32>,
    /// Weighted values, one per dimension.
    values: Vec<f32>,
    sums: Box<Sums>,
}

impl Default for QuantizedRowScratch {
    fn default() -> Self {
        Self {
            query: Vec::new(),
            weights: vec![0; CHUNK],
            scores: Vec::new(),
            values: Vec::new(),
            sums: Box::new(Sums::ZERO),
        }
    }
}

impl QuantizedRowScratch {
    /// Grows to the size that a layer needs, so that attention to it allocates nothing.
    pub fn fit(&mut self, layer: &QuantizedAttention) {
        let shape = layer.shape();
        self.query.resize(Layout::padded_depth(shape.heads.head_width()), 0);
        self.scores.resize(layer.rows().next_multiple_of(CHUNK) + LANES, 0.0);
        self.values.resize(shape.dimensions() + LANES, 0.0);
    }
}

/// One head of a query row, `[head width]`, and the layer that it attends to.
#[derive(Clone, Copy)]
pub(crate) struct RowQuery<'a> {
    pub(crate) query: &'a [f32],
    pub(crate) layer: &'a QuantizedAttention,
    pub(crate) head: usize,
}

/// Attention of one head of a row into `out`, `[head width]`. `recorded`, if given, receives the attention weights,
/// `[keys]`. The caller has checked the shapes and fitted the scratch; there is at least one key.
#[inline(always)]
pub(crate) fn attend<S: Int8>(
    s: S,
    query: &RowQuery<'_>,
    recorded: Option<&mut [f32]>,
    out: &mut [f32],
    scratch: &mut QuantizedRowScratch,
) {
    let RowQuery { query, layer, head } = *query;
    let key_value = layer.heads().key_value_of(head);
    let unit = score(s, query, layer, key_value, scratch) * layer.heads().scale();
    let max = reduce::row_max(s, &scratch.scores[..layer.rows()]);
    add_values(s, layer, key_value, unit * std::f32::consts::LOG2_E, max, scratch);
    out.copy_from_slice(&scratch.values[..out.len()]);
    if let Some(recorded) = recorded {
        for (to, score) in recorded.iter_mut().zip(&scratch.scores) {
            *to = (score - max) * unit;
        }
        crate::float::rows::softmax(s, recorded);
    }
}

/// Computes the scores of all keys of one key/value head, in units of the query's scale; returns that scale.
#[inline(always)]
fn score<S: Int8>(
    s: S,
    query: &[f32],
    layer: &QuantizedAttention,
    key_value: usize,
    scratch: &mut QuantizedRowScratch,
) -> f32 {
    let QuantizedRowScratch { query: bytes, scores, sums, .. } = scratch;
    let (mut scale, mut total) = ([0.0], [0]);
    let to = RowsMut { rows: 1, panels: None, bytes, scales: &mut scale, sums: &mut total };
    quantize::quantize(s, MatRef::new(query, 1, query.len()), &Norm::None, to);
    let (width, panel_len) = (S::LAYOUT.panel(), S::LAYOUT.panel_len(query.len()));
    for (index, (keys, chunk)) in layer.filled().enumerate() {
        let chunk: HeadChunk<'_> = chunk.head(key_value);
        for (panel, weights) in chunk.keys.chunks_exact(panel_len).take(keys.div_ceil(width)).enumerate() {
            row_sums(s, aligned::as_i8(bytes), weights, total[0], sums);
            for column in (0..width).step_by(LANES) {
                let sum = s.load_i32(lanes(&sums.0[column..]));
                let score = s.mul(sum, s.load(lanes(&chunk.key_scales[panel * width + column..])));
                // Lanes beyond the panel belong to the next panel, or are spare.
                s.store(score, lanes_mut(&mut scores[index * CHUNK + panel * width + column..]));
            }
        }
        scores[index * CHUNK..][keys..depth(keys)].fill(f32::NEG_INFINITY);
    }
    scale[0]
}

/// Writes the weighted mean of one key/value head's values into the scratch.
#[inline(always)]
fn add_values<S: Int8>(
    s: S,
    layer: &QuantizedAttention,
    key_value: usize,
    unit: f32,
    max: f32,
    scratch: &mut QuantizedRowScratch,
) {
    let QuantizedRowScratch { weights, scores, values, sums, .. } = scratch;
    let (width, dimensions) = (S::LAYOUT.panel(), layer.shape().dimensions());
    values.fill(0.0);
    let mut all = 0.0;
    for (index, (keys, chunk)) in layer.filled().enumerate() {
        let (chunk, depth) = (chunk.head(key_value), depth(keys));
        let scores = &scores[index * CHUNK..][..depth];
        let greatest = reduce::row_max(s, scores);
        let total = weigh(s, scores, greatest, unit, &mut weights[..depth]);
        let mut relative = [0.0; LANES];
        s.store(math::exp2(s, s.splat((greatest - max) * unit)), &mut relative);
        let relative = relative[0];
        all += relative * (total as f32 + (128 * depth) as f32);
        for (panel, weights_of) in chunk.values.chunks_exact(width * depth).take(dimensions / width).enumerate() {
            row_sums(s, &weights[..depth], weights_of, total, sums);
            for column in (0..width).step_by(LANES) {
                let dimension = panel * width + column;
                // Exact in f32: the sums stay below 2^24.
                let sum = s.load_i32(lanes(&sums.0[column..]));
                let sum = s.add(sum, s.load(lanes(&chunk.value_sums[dimension..])));
                let scale = s.mul(s.splat(relative), s.load(lanes(&chunk.value_scales[dimension..])));
                let to = lanes_mut(&mut values[dimension..]);
                let y = s.fma(sum, scale, s.load(to));
                if width - column >= LANES {
                    s.store(y, to);
                } else {
                    // The other lanes belong to the next panel.
                    let mut lanes = [0.0; LANES];
                    s.store(y, &mut lanes);
                    to[..width % LANES].copy_from_slice(&lanes[..width % LANES]);
                }
            }
        }
    }
    crate::float::rows::map(s, values, math::Scale(1.0 / all));
}

/// Weights of a chunk in steps of 1/255 of the largest, minus 128; returns their sum.
#[inline(always)]
fn weigh<S: Int8>(s: S, scores: &[f32], greatest: f32, unit: f32, weights: &mut [i8]) -> i32 {
    let (shift, unit) = (s.splat(exponent_shift(greatest * unit)), s.splat(unit));
    let mut total = s.splat(0.0);
    for (scores, weights) in scores.as_chunks::<LANES>().0.iter().zip(weights.as_chunks_mut::<LANES>().0) {
        let step = math::weight_step(s, s.fma(s.load(scores), unit, shift));
        total = s.add_bits(total, step);
        s.store_shifted_i8(step, weights);
    }
    reduce::sum_shifted(s, total, scores.len())
}
