//! Multi-head attention of a transformer block: self-attention over all rows, self-attention over a KV cache, or
//! cross-attention.

use sotto_kernels::{Heads, attend_full, attend_row};
use sotto_runtime::Threads;

use super::{Linear, Norm};
use crate::layers::{KvCache, NormPlace, Rotary, SeenRows};
use crate::search::{Recording, Row};

/// The four projections of an attention layer, with its norm and the residual connection.
#[derive(Debug)]
pub struct Attention {
    /// The norm.
    pub norm: Norm,
    /// Whether the norm is before or after the layer.
    pub place: NormPlace,
    /// Queries, `[heads · head width]`.
    pub query: Linear,
    /// Keys, `[key/value heads · head width]`.
    pub key: Linear,
    /// Values, with the shape of the keys.
    pub value: Linear,
    /// Output projection, back to the width of the rows.
    pub out: Linear,
    /// How rows are split into heads.
    pub heads: Heads,
    /// Rotary position embedding of queries and keys, if the network has one.
    pub rotary: Option<Rotary>,
}

/// Scratch memory of an [`Attention`] pass.
#[derive(Debug, Default)]
pub struct AttentionBuffers {
    /// The input of the projections; after them the output of the attention.
    rows: Vec<f32>,
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    weights: Vec<f32>,
}

/// Keys and values of a source (cross-attention), for one block.
#[derive(Debug, Default)]
pub struct KeyValues {
    keys: Vec<f32>,
    values: Vec<f32>,
}

// From this many rows on, a source is read once per block of rows instead of once per row.
const MANY_ROWS: usize = 4;

impl Attention {
    /// Projects encoder states, `[states, width]`, to the keys and values of a source; reuses the memory of `into`.
    ///
    /// # Panics
    /// When `states` is not a whole number of rows.
    pub fn project(&self, states: &[f32], into: &mut KeyValues, threads: Threads) {
        let count = states.len() / self.out.outputs();
        into.keys.resize(count * self.heads.key_value_width(), 0.0);
        into.values.resize(count * self.heads.key_value_width(), 0.0);
        self.key.forward(states, &mut into.keys, threads);
        self.value.forward(states, &mut into.values, threads);
    }

    /// Encoder self-attention: every row of `x`, `[rows, width]`, attends to all rows. Row `i` has position `i`.
    ///
    /// # Panics
    /// When `x` is not a whole number of rows, or has more rows than there are rotary positions.
    pub fn attend_all(&self, x: &mut [f32], buffers: &mut AttentionBuffers, threads: Threads) {
        self.take_input(x, buffers);
        self.project_rows(0.., buffers, threads);
        let AttentionBuffers { rows, query, key, value, weights } = &mut *buffers;
        rows.resize(query.len(), 0.0);
        attend_full(query, key, value, self.heads, rows, weights, threads);
        self.give_output(x, buffers, threads);
    }

    /// Decoder self-attention: every row of `x`, `[rows, width]`, is appended to the KV cache of its text and attends
    /// to the cache up to itself.
    ///
    /// # Panics
    /// When `x` has another number of rows than `seen`, or a cache is full.
    pub fn attend_seen(
        &self,
        x: &mut [f32],
        seen: SeenRows<'_, KvCache>,
        buffers: &mut AttentionBuffers,
        threads: Threads,
    ) {
        let SeenRows { rows, positions, memories, block } = seen;
        self.take_input(x, buffers);
        self.project_rows(positions.iter().copied(), buffers, threads);
        let AttentionBuffers { rows: attended, query, key, value, weights } = &mut *buffers;
        let (width, kv_width) = (self.heads.width(), self.heads.key_value_width());
        attended.resize(query.len(), 0.0);
        for (row, (key, value)) in rows.iter().zip(key.chunks_exact(kv_width).zip(value.chunks_exact(kv_width))) {
            memories[row.hypothesis].block_mut(block).push(key, value);
        }
        let rows = rows.iter().zip(positions).zip(query.chunks_exact(width).zip(attended.chunks_exact_mut(width)));
        for ((row, position), (query, out)) in rows {
            let (cache, seen) = (memories[row.hypothesis].block(block), position + 1);
            attend_row(query, cache.keys(seen), cache.values(seen), self.heads, out, weights);
        }
        self.give_output(x, buffers, threads);
    }

    /// Cross-attention: every row of `x`, `[rows, width]`, attends to its source, whose keys and values are
    /// `sources[source][block]`. The attention weights of chosen heads are recorded.
    ///
    /// # Panics
    /// When `x` has another number of rows than `rows`, or there is no such source.
    pub fn attend_sources(
        &self,
        x: &mut [f32],
        (rows, block): (&[Row], usize),
        sources: &[Vec<KeyValues>],
        mut recording: Option<&mut Recording<'_>>,
        buffers: &mut AttentionBuffers,
        threads: Threads,
    ) {
        self.take_input(x, buffers);
        let AttentionBuffers { rows: attended, query, weights, .. } = &mut *buffers;
        let width = self.heads.width();
        query.resize(rows.len() * width, 0.0);
        self.query.forward(attended, query, threads);
        attended.resize(query.len(), 0.0);
        let (mut query, mut attended) = (&query[..], &mut attended[..]);
        for run in rows.chunk_by(|a, b| a.source == b.source) {
            let (queries, rest) = query.split_at(run.len() * width);
            let (out, behind) = std::mem::take(&mut attended).split_at_mut(run.len() * width);
            (query, attended) = (rest, behind);
            let KeyValues { keys, values } = &sources[run[0].source][block];
            if recording.is_none() && run.len() >= MANY_ROWS {
                attend_full(queries, keys, values, self.heads, out, weights, threads);
                continue;
            }
            for (query, out) in queries.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
                attend_row(query, keys, values, self.heads, out, weights);
                if let Some(recording) = &mut recording {
                    recording.take(block, weights, self.heads, weights.len() / self.heads.count());
                }
            }
        }
        self.give_output(x, buffers, threads);
    }

    /// The input of the projections: the rows, normalised if the norm comes before the layer.
    fn take_input(&self, x: &[f32], buffers: &mut AttentionBuffers) {
        buffers.rows.resize(x.len(), 0.0);
        match self.place {
            NormPlace::Before => self.norm.forward(x, &mut buffers.rows),
            NormPlace::After => buffers.rows.copy_from_slice(x),
        }
    }

    /// Queries, keys and values of the input, with the rotary embedding of their positions.
    fn project_rows(&self, positions: impl Iterator<Item = usize>, buffers: &mut AttentionBuffers, threads: Threads) {
        let AttentionBuffers { rows: input, query, key, value, .. } = buffers;
        let (width, kv_width) = (self.heads.width(), self.heads.key_value_width());
        let rows = input.len() / self.out.outputs();
        query.resize(rows * width, 0.0);
        key.resize(rows * kv_width, 0.0);
        value.resize(rows * kv_width, 0.0);
        self.query.forward(input, query, threads);
        self.key.forward(input, key, threads);
        self.value.forward(input, value, threads);
        let Some(rotary) = &self.rotary else { return };
        let rows = query.chunks_exact_mut(width).zip(key.chunks_exact_mut(kv_width));
        for (position, (query, key)) in positions.zip(rows) {
            rotary.turn(query, self.heads.head_width(), position);
            rotary.turn(key, self.heads.head_width(), position);
        }
    }

    /// Adds the attention's output to the rows, and normalises them if the norm comes after the layer.
    fn give_output(&self, x: &mut [f32], buffers: &mut AttentionBuffers, threads: Threads) {
        let AttentionBuffers { rows: attended, query: copy, .. } = buffers;
        self.out.forward_add(attended, x, threads);
        if self.place == NormPlace::After {
            copy.clear();
            copy.extend_from_slice(x);
            self.norm.forward(copy, x);
        }
    }
}
