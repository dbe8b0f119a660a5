//! Cross-attention: of a text to its source, such as encoded audio or an encoded sentence.

use sotto_kernels::{Activation, Activations, HalfCache, Heads, MatRef, QuantizedAttention, QuantizedRowScratch};
use sotto_runtime::Chunk;

use super::{BlockBuffers, Linear, Norm, QuantizedPrecision};
use crate::layers::{Backend, NormPlace, Stash};
use crate::search::{Recording, Row};

/// The projections of a cross-attention layer, with its norm and the residual connection.
#[derive(Debug)]
pub struct CrossAttention {
    /// The norm.
    pub norm: Norm,
    /// Whether the norm is before or after the layer.
    pub place: NormPlace,
    /// Projection to queries.
    pub query: Linear,
    /// Projection of the source to keys and values, side by side.
    pub projections: Linear,
    /// Output projection, back to the width of the rows.
    pub out: Linear,
    /// How rows are split into heads; there are as many key/value heads as query heads.
    pub heads: Heads,
}

/// Keys and values of a source, for one block.
#[derive(Debug)]
pub struct KeyValues(Form);

#[derive(Debug)]
enum Form {
    Half(HalfCache),
    Int8(QuantizedAttention),
}

/// Scratch memory of cross-attention.
#[derive(Debug)]
pub(super) struct CrossBuffers {
    weights: Vec<f32>,
    /// For projecting keys and values; one per thread.
    sources: Stash<SourceBuffers>,
    /// For attending to them; one per thread.
    rows: Stash<QuantizedRowScratch>,
}

/// Quantized encoder states, and their keys and values in f32 or half precision.
#[derive(Debug)]
struct SourceBuffers {
    quantized: Activations,
    projected: Vec<f32>,
    halves: Vec<u16>,
}

// Number of states that are projected at a time for a half-precision cache: their keys and values stay in the L2 cache.
const SOURCE_ROWS: usize = 192;

impl KeyValues {
    /// An empty cache for the keys and values of `rows` states.
    pub(super) fn new(backend: &Backend, heads: Heads, precision: QuantizedPrecision, rows: usize) -> Self {
        Self(match precision {
            QuantizedPrecision::Int8 => Form::Int8(backend.kernels().quantized_key_values(heads)),
            QuantizedPrecision::Mixed => Form::Half(HalfCache::new(heads, rows)),
        })
    }

    /// Whether there is room for `rows` states.
    pub(super) fn fits(&self, rows: usize) -> bool {
        match &self.0 {
            Form::Half(cache) => rows <= cache.capacity(),
            Form::Int8(_) => true,
        }
    }

    /// Number of states that it holds.
    fn states(&self) -> usize {
        match &self.0 {
            Form::Half(cache) => cache.rows(),
            Form::Int8(layer) => layer.rows(),
        }
    }
}

impl CrossBuffers {
    pub(super) fn new(backend: &Backend) -> Self {
        let threads = 0..backend.threads().count();
        Self {
            weights: Vec::new(),
            sources: Stash::new(),
            rows: Stash::of(threads.map(|_| QuantizedRowScratch::default())),
        }
    }

    /// Grows to the size that attention to `source` needs, so that no decoding step allocates.
    pub(super) fn fit(&self, source: &KeyValues) {
        if let Form::Int8(layer) = &source.0 {
            self.rows.for_each(|scratch| scratch.fit(layer));
        }
    }
}

impl SourceBuffers {
    fn new(backend: &Backend) -> Self {
        Self { quantized: backend.kernels().activations(0, 0), projected: Vec::new(), halves: Vec::new() }
    }
}

impl CrossAttention {
    /// Bytes of the matrices that each token reads. The key and value projections are not counted: they are read once
    /// per source.
    #[must_use]
    pub fn bytes_per_token(&self) -> usize {
        self.query.bytes() + self.out.bytes()
    }

    /// Projects encoder states, `[states, width]`, to keys and values.
    pub(super) fn project(&self, backend: &Backend, states: &[f32], into: &mut KeyValues, buffers: &CrossBuffers) {
        match &mut into.0 {
            Form::Int8(layer) => self.project_int8(backend, states, layer, &buffers.sources),
            Form::Half(cache) => self.project_half(backend, states, cache, &buffers.sources),
        }
    }

    fn project_int8(
        &self,
        backend: &Backend,
        states: &[f32],
        layer: &mut QuantizedAttention,
        buffers: &Stash<SourceBuffers>,
    ) {
        let (width, columns) = (self.out.outputs(), self.projections.outputs());
        backend.blocks(layer.chunks_mut(states.len() / width), 1, Chunk::of(1), |_, chunks| {
            let work = |SourceBuffers { quantized, projected, .. }: &mut SourceBuffers| {
                for chunk in chunks {
                    let rows = chunk.rows();
                    self.projections.quantize(backend, &states[rows.start * width..rows.end * width], quantized);
                    projected.resize(columns * rows.len(), 0.0);
                    self.projections.forward(backend, quantized, Activation::Identity, projected);
                    backend.kernels().fill_quantized(MatRef::new(projected, rows.len(), columns), chunk);
                }
            };
            buffers.with(|| SourceBuffers::new(backend), work);
        });
    }

    fn project_half(&self, backend: &Backend, states: &[f32], cache: &mut HalfCache, buffers: &Stash<SourceBuffers>) {
        let (width, columns) = (self.out.outputs(), self.projections.outputs());
        cache.truncate(0);
        let work = |SourceBuffers { quantized, halves, .. }: &mut SourceBuffers| {
            for states in states.chunks(SOURCE_ROWS * width) {
                self.projections.quantize(backend, states, quantized);
                halves.resize(states.len() / width * columns, 0);
                self.projections.forward_half(backend, quantized, Activation::Identity, halves);
                for row in halves.chunks_exact(columns) {
                    let (key, value) = row.split_at(columns / 2);
                    cache.append_half(key, value);
                }
            }
        };
        buffers.with(|| SourceBuffers::new(backend), work);
    }

    /// Every row of `x`, `[rows, width]`, attends to its source, whose keys and values are `sources[source][block]`.
    /// The attention weights of chosen heads are recorded.
    ///
    /// # Panics
    /// When `x` has another number of rows than `rows`, or there is no such source.
    pub(super) fn attend_sources(
        &self,
        backend: &Backend,
        x: &mut [f32],
        (rows, block): (&[Row], usize),
        sources: &[Vec<KeyValues>],
        mut recording: Option<&mut Recording<'_>>,
        (buffers, cross): (&mut BlockBuffers, &mut CrossBuffers),
    ) {
        let BlockBuffers { quantized, projected, attended, .. } = buffers;
        let width = self.heads.width();
        projected.resize(rows.len() * width, 0.0);
        attended.resize(rows.len() * width, 0.0);
        self.norm.input(self.place, &self.query, backend, x, quantized);
        self.query.forward(backend, quantized, Activation::Identity, projected);
        let mut first = 0;
        for run in rows.chunk_by(|a, b| a.source == b.source) {
            let part = first * width..(first + run.len()) * width;
            let source = &sources[run[0].source][block];
            let recording = recording.as_deref_mut().map(|recording| (block, recording));
            self.attend(backend, &projected[part.clone()], source, recording, &mut attended[part], cross);
            first += run.len();
        }
        self.out.quantize(backend, attended, quantized);
        self.out.forward_add(backend, quantized, x);
        self.norm.output(self.place, backend, x, attended);
    }

    /// Attention of queries to one source.
    fn attend(
        &self,
        backend: &Backend,
        queries: &[f32],
        source: &KeyValues,
        mut recording: Option<(usize, &mut Recording<'_>)>,
        out: &mut [f32],
        buffers: &mut CrossBuffers,
    ) {
        let (width, states) = (self.heads.width(), source.states());
        let CrossBuffers { weights, rows, .. } = buffers;
        if let (Form::Int8(layer), None) = (&source.0, &recording) {
            return self.attend_int8(backend, queries, layer, out, rows);
        }
        weights.resize(self.heads.count() * states, 0.0);
        for (query, out) in queries.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
            match &source.0 {
                Form::Half(cache) => backend.kernels().attend_cached(query, cache, weights, out),
                Form::Int8(layer) => rows.with(QuantizedRowScratch::default, |scratch| {
                    backend.kernels().attend_quantized_row(query, layer, Some(weights), out, scratch);
                }),
            }
            if let Some((block, recording)) = &mut recording {
                recording.take(*block, weights, self.heads, states);
            }
        }
    }

    /// Attention of every row, head by head on the threads of the pool.
    fn attend_int8(
        &self,
        backend: &Backend,
        queries: &[f32],
        layer: &QuantizedAttention,
        out: &mut [f32],
        buffers: &Stash<QuantizedRowScratch>,
    ) {
        let (kernels, heads) = (backend.kernels(), self.heads);
        let head_width = heads.head_width();
        let parts = queries.len() / head_width;
        let chunk = backend.chunk_of_reading(parts, 2 * layer.rows() * queries.len());
        backend.blocks(out, head_width, chunk, |parts, out| {
            buffers.with(QuantizedRowScratch::default, |scratch| {
                for (part, out) in parts.zip(out.chunks_exact_mut(head_width)) {
                    let query = &queries[part * head_width..(part + 1) * head_width];
                    kernels.attend_quantized_row_head(query, layer, part % heads.count(), None, out, scratch);
                }
            });
        });
    }
}
