//! The safe entry points: shapes are checked here, once.

#![allow(unsafe_code)]

use std::ops::Range;

use super::{
    AttentionChunk, AttentionScratch, CachedQuery, HalfCache, Heads, KeyValuePanels, QuantizedAttention,
    QuantizedQuery, QuantizedRowScratch, QuantizedScratch, Query, RowQuery,
};
use crate::{BlockMut, KernelSet, MatRef};

impl KernelSet {
    /// Every query row attends to every key: `out = softmax(q · kᵀ / √head) · v`, head by head.
    ///
    /// `q` and `out` are `[rows, width]`. Without keys the output is zero. Scores must be finite.
    ///
    /// # Panics
    /// When the shapes do not match, or `scratch` is for another head width.
    pub fn attend(self, q: MatRef<'_>, panels: &KeyValuePanels, out: BlockMut<'_>, scratch: &mut AttentionScratch) {
        let (heads, head_width) = (panels.heads(), panels.heads().head_width());
        assert_eq!((q.cols(), out.columns()), (heads.width(), heads.width()), "columns of queries and output");
        let mut rest = out;
        for head in 0..heads.count() {
            let (block, others) = rest.split_columns(head_width);
            self.attend_head(q.columns_range(head * head_width, head_width), panels, head, block, scratch);
            rest = others;
        }
    }

    /// [`attend`](Self::attend) for one head, or for some query rows of it: a unit of work for one thread. `q` and
    /// `out` are `[rows, head width]`.
    ///
    /// # Panics
    /// When shapes do not fit, there is no such head, or `scratch` is for another head width.
    pub fn attend_head(
        self,
        q: MatRef<'_>,
        panels: &KeyValuePanels,
        head: usize,
        mut out: BlockMut<'_>,
        scratch: &mut AttentionScratch,
    ) {
        let (heads, head_width) = (panels.heads(), panels.heads().head_width());
        assert!(head < heads.count(), "head {head} of {}", heads.count());
        assert_eq!((q.cols(), q.rows()), (head_width, out.rows()), "columns and rows of the queries");
        assert_eq!(out.columns(), head_width, "columns of the output");
        assert!(scratch.fits(head_width), "scratch for another head width");
        if panels.rows() == 0 || head_width == 0 {
            (0..out.rows()).for_each(|row| out.row(row).fill(0.0));
            return;
        }
        // SAFETY: `self` exists, so the CPU has the set; the shapes fit.
        unsafe { (self.table.attend)(&Query { rows: q, panels, head }, out, scratch) }
    }

    /// An empty buffer for the quantized queries, keys and values of one self-attention layer, in the layout of these
    /// kernels.
    ///
    /// # Panics
    /// When there are fewer key/value heads than query heads.
    #[must_use]
    pub fn quantized_attention(self, heads: Heads) -> QuantizedAttention {
        QuantizedAttention::new(heads, self.layout(), self.table.form, true)
    }

    /// An empty buffer for the quantized keys and values of one layer, without queries.
    #[must_use]
    pub fn quantized_key_values(self, heads: Heads) -> QuantizedAttention {
        QuantizedAttention::new(heads, self.layout(), self.table.form, false)
    }

    /// Scratch memory of one thread for [`attend_quantized`](Self::attend_quantized).
    #[must_use]
    pub fn quantized_scratch(self, heads: Heads) -> QuantizedScratch {
        QuantizedScratch::new(self.table.form, self.layout(), heads.head_width())
    }

    /// Quantizes the rows of a chunk. `projected` holds queries, keys and values side by side, `[rows of the chunk, 3 ·
    /// width]`, or only keys and values when the layer has no queries.
    ///
    /// # Panics
    /// When the shapes do not match, or the chunk belongs to another kernel set.
    pub fn fill_quantized(self, projected: MatRef<'_>, chunk: &mut AttentionChunk) {
        assert_eq!(chunk.form(), self.table.form, "a chunk of another kernel set");
        let shape = (chunk.rows().len(), chunk.columns());
        assert_eq!((projected.rows(), projected.cols()), shape, "rows and columns of queries, keys and values");
        // SAFETY: `self` exists, so the CPU has the set; the shapes fit.
        unsafe { (self.table.fill_quantized)(projected, chunk) }
    }

    /// The query rows `rows` attend to all rows of the layer, in int8. The same as [`attend`](Self::attend) up to
    /// rounding, and twice as fast. `out` is `[rows, width]`.
    ///
    /// # Panics
    /// When there are no such rows, they do not begin at a multiple of [`row_step`](Self::row_step), the shapes do not
    /// match, or layer or scratch belong to another kernel set.
    pub fn attend_quantized(
        self,
        rows: Range<usize>,
        layer: &QuantizedAttention,
        out: BlockMut<'_>,
        scratch: &mut QuantizedScratch,
    ) {
        let (heads, head_width) = (layer.heads(), layer.heads().head_width());
        assert!(rows.start.is_multiple_of(self.row_step()) && rows.end <= layer.rows(), "{rows:?} of {}", layer.rows());
        assert_eq!((rows.len(), heads.width()), (out.rows(), out.columns()), "rows and columns of the output");
        assert!(layer.form() == self.table.form && scratch.fits(layer), "layer or scratch of another set");
        assert!(layer.is_whole(), "a chunk of another layer");
        assert!(layer.has_queries(), "a layer without queries");
        let mut rest = out;
        for head in 0..heads.count() {
            let (block, others) = rest.split_columns(head_width);
            rest = others;
            let query = QuantizedQuery { rows: rows.clone(), layer, head };
            // SAFETY: `self` exists, so the CPU has the set; the shapes fit.
            unsafe { (self.table.attend_quantized)(&query, block, scratch) }
        }
    }

    /// One query row attends to all rows of a quantized layer, head by head. `q` and `out` are `[width]`. `recorded`,
    /// if given, receives the attention weights, `[heads, rows of the layer]`. An empty layer gives zeros.
    ///
    /// # Panics
    /// When the lengths do not match, the layer belongs to another kernel set, or a chunk to another layer.
    pub fn attend_quantized_row(
        self,
        q: &[f32],
        layer: &QuantizedAttention,
        mut recorded: Option<&mut [f32]>,
        out: &mut [f32],
        scratch: &mut QuantizedRowScratch,
    ) {
        let (heads, keys) = (layer.heads(), layer.rows());
        assert_eq!((q.len(), out.len()), (heads.width(), heads.width()), "query and output");
        if let Some(recorded) = &recorded {
            assert_eq!(recorded.len(), heads.count() * keys, "a value per head and row");
        }
        for head in 0..heads.count() {
            let part = head * heads.head_width()..(head + 1) * heads.head_width();
            let recorded = recorded.as_deref_mut().map(|recorded| &mut recorded[head * keys..(head + 1) * keys]);
            self.attend_quantized_row_head(&q[part.clone()], layer, head, recorded, &mut out[part], scratch);
        }
    }

    /// [`attend_quantized_row`](Self::attend_quantized_row) for one head: a unit of work for one thread. `q` and `out`
    /// are `[head width]`; `recorded` has one value per row of the layer.
    ///
    /// # Panics
    /// When the lengths do not match, there is no such head, the layer belongs to another kernel set, or a chunk to
    /// another layer.
    pub fn attend_quantized_row_head(
        self,
        q: &[f32],
        layer: &QuantizedAttention,
        head: usize,
        recorded: Option<&mut [f32]>,
        out: &mut [f32],
        scratch: &mut QuantizedRowScratch,
    ) {
        let (heads, head_width) = (layer.heads(), layer.heads().head_width());
        assert!(
            layer.form() == self.table.form && layer.is_whole(),
            "a layer of another set, or a chunk of another layer"
        );
        assert!(head < heads.count(), "head {head} of {}", heads.count());
        assert_eq!((q.len(), out.len()), (head_width, head_width), "query and output");
        if let Some(recorded) = &recorded {
            assert_eq!(recorded.len(), layer.rows(), "a value per row");
        }
        if layer.rows() == 0 || head_width == 0 {
            out.fill(0.0);
            return;
        }
        scratch.fit(layer);
        // SAFETY: `self` exists, so the CPU has the set; the shapes fit.
        unsafe { (self.table.attend_quantized_row)(&RowQuery { query: q, layer, head }, recorded, out, scratch) }
    }

    /// Rounds keys and values, both `[rows, key/value width]`, to half precision and appends them to a cache.
    ///
    /// # Panics
    /// When the lengths differ or are not whole rows, or the cache is full.
    pub fn append(self, cache: &mut HalfCache, keys: &[f32], values: &[f32]) {
        let width = cache.heads().key_value_width();
        assert!(keys.len() == values.len() && width > 0 && keys.len().is_multiple_of(width), "whole rows of {width}");
        for (key, value) in keys.chunks_exact(width).zip(values.chunks_exact(width)) {
            cache.append_rounded(key, value, |values, halves| self.narrow(values, halves));
        }
    }

    /// One query row attends to the rows of a cache, head by head.
    ///
    /// `q` and `out` are `[width]`. `weights` receives the attention weights, `[heads, stride]`, where `stride` is its
    /// length divided by the number of heads; the first [`HalfCache::rows`] values of each head are written. An empty
    /// cache gives zeros.
    ///
    /// # Panics
    /// When the lengths do not fit.
    pub fn attend_cached(self, q: &[f32], cache: &HalfCache, weights: &mut [f32], out: &mut [f32]) {
        self.attend_first(cache.rows(), q, cache, weights, out);
    }

    /// [`attend_cached`](Self::attend_cached) to the first `seen` rows only (causal attention): when several tokens are
    /// fed at once, a token must not attend to later ones.
    ///
    /// # Panics
    /// When the lengths do not fit, or the cache has fewer rows.
    pub fn attend_first(self, seen: usize, q: &[f32], cache: &HalfCache, weights: &mut [f32], out: &mut [f32]) {
        let heads = cache.heads();
        assert_eq!((q.len(), out.len()), (heads.width(), heads.width()), "query and output");
        assert!(seen <= cache.rows(), "{seen} rows of {}", cache.rows());
        let stride = weights.len() / heads.count();
        assert!(stride >= seen, "attention weights of {} heads, {seen} rows", heads.count());
        if seen == 0 || heads.width() == 0 {
            out.fill(0.0);
            return;
        }
        // SAFETY: `self` exists, so the CPU has the set; the shapes fit.
        unsafe { (self.table.attend_cached)(&CachedQuery { query: q, cache, seen }, weights, stride, out) }
    }
}
