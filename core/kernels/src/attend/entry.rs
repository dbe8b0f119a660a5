//! The safe entries: shapes are checked here, once.

#![allow(unsafe_code)]

use super::{
    AttentionScratch, CachedQuery, ChunkMut, HalfCache, KeyValuePanels, QuantizedKeyValues, QuantizedQuery,
    QuantizedScratch, Query,
};
use crate::attention::Heads;
use crate::{BlockMut, KernelSet, MatRef};

impl KernelSet {
    /// Every query row attends to every key: `out = softmax(q · kᵀ / √head) · v`, head by head.
    ///
    /// `q` and `out` are `[rows, width]`. Without keys the output is zero. Scores must be finite.
    ///
    /// # Panics
    /// When shapes do not fit, or `scratch` is for another head width.
    pub fn attend(self, q: MatRef<'_>, panels: &KeyValuePanels, out: BlockMut<'_>, scratch: &mut AttentionScratch) {
        let (heads, head_width) = (panels.heads(), panels.heads().head_width());
        assert_eq!((q.cols(), out.columns()), (heads.width, heads.width), "columns of queries and output");
        let mut rest = out;
        for head in 0..heads.count {
            let (block, others) = rest.split_columns(head_width);
            self.attend_head(q.columns_range(head * head_width, head_width), panels, head, block, scratch);
            rest = others;
        }
    }

    /// [`attend`](Self::attend) for one head, or some query rows of it: what one thread does. `q` and `out` are
    /// `[rows, head width]`.
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
        assert!(head < heads.count, "head {head} of {}", heads.count);
        assert_eq!((q.cols(), q.rows()), (head_width, out.rows()), "columns and rows of the queries");
        assert_eq!(out.columns(), head_width, "columns of the output");
        assert!(scratch.fits(head_width), "scratch for another head width");
        if panels.is_empty() || head_width == 0 {
            (0..out.rows()).for_each(|row| out.row(row).fill(0.0));
            return;
        }
        // SAFETY: `self` exists, so the CPU has the set; the shapes fit.
        unsafe { (self.table.attend)(&Query { rows: q, panels, head }, out, scratch) }
    }

    /// Room for quantized keys and values of these kernels, empty.
    ///
    /// # Panics
    /// When the width is not a multiple of the number of heads.
    #[must_use]
    pub fn quantized_key_values(self, heads: Heads) -> QuantizedKeyValues {
        QuantizedKeyValues::new(heads, self.layout(), self.table.form)
    }

    /// Scratch of one thread for [`attend_quantized`](Self::attend_quantized).
    #[must_use]
    pub fn quantized_scratch(self, heads: Heads) -> QuantizedScratch {
        QuantizedScratch::new(self.table.form, self.layout(), heads.head_width())
    }

    /// Quantizes keys and values, both `[rows of the chunk, width]`, into a chunk.
    ///
    /// # Panics
    /// When the shapes do not fit, or the chunk belongs to another set.
    pub fn fill_quantized(self, keys: MatRef<'_>, values: MatRef<'_>, chunk: ChunkMut<'_>) {
        let shape = (chunk.rows().len(), chunk.heads().width);
        assert_eq!(chunk.form(), self.table.form, "keys and values of another kernel set");
        assert_eq!((keys.rows(), keys.cols()), shape, "rows and columns of the keys");
        assert_eq!((values.rows(), values.cols()), shape, "rows and columns of the values");
        // SAFETY: `self` exists, so the CPU has the set; the shapes fit.
        unsafe { (self.table.fill_quantized)(keys, values, chunk) }
    }

    /// Every query row attends to every key in int8: [`attend`](Self::attend) up to rounding, several times as fast. `q` and
    /// `out` are `[rows, width]`. Without keys the output is zero.
    ///
    /// # Panics
    /// When shapes do not fit, or keys, values or scratch belong to another set.
    pub fn attend_quantized(
        self,
        q: MatRef<'_>,
        panels: &QuantizedKeyValues,
        out: BlockMut<'_>,
        scratch: &mut QuantizedScratch,
    ) {
        let (heads, head_width) = (panels.heads(), panels.heads().head_width());
        assert_eq!((q.cols(), out.columns()), (heads.width, heads.width), "columns of queries and output");
        assert_eq!(q.rows(), out.rows(), "rows of queries and output");
        assert!(panels.form() == self.table.form && scratch.fits(panels), "keys, values or scratch of another set");
        let mut rest = out;
        for head in 0..heads.count {
            let (mut block, others) = rest.split_columns(head_width);
            rest = others;
            if panels.is_empty() || head_width == 0 {
                (0..block.rows()).for_each(|row| block.row(row).fill(0.0));
                continue;
            }
            let query = QuantizedQuery { rows: q.columns_range(head * head_width, head_width), panels, head };
            // SAFETY: `self` exists, so the CPU has the set; the shapes fit.
            unsafe { (self.table.attend_quantized)(&query, block, scratch) }
        }
    }

    /// Rounds keys and values, both `[rows, width]`, to half precision and appends them to a cache.
    ///
    /// # Panics
    /// When the lengths differ or are not whole rows, or the cache is full.
    pub fn append(self, cache: &mut HalfCache, keys: &[f32], values: &[f32]) {
        let width = cache.heads().width;
        assert!(keys.len() == values.len() && width > 0 && keys.len().is_multiple_of(width), "whole rows of {width}");
        for (key, value) in keys.chunks_exact(width).zip(values.chunks_exact(width)) {
            cache.push(key, value, |values, halves| self.narrow(values, halves));
        }
    }

    /// One query row attends to the rows of a cache, head by head.
    ///
    /// `q` and `out` are `[width]`. `weights` receives each head's attention, `[heads, stride]`, where `stride` is its
    /// length over the number of heads; the first [`HalfCache::len`] values of each are written. An empty cache gives
    /// zeros.
    ///
    /// # Panics
    /// When the lengths do not fit.
    pub fn attend_cached(self, q: &[f32], cache: &HalfCache, weights: &mut [f32], out: &mut [f32]) {
        let heads = cache.heads();
        assert_eq!((q.len(), out.len()), (heads.width, heads.width), "query and output");
        let stride = weights.len() / heads.count;
        assert!(stride >= cache.len(), "attention weights of {} heads, {} rows", heads.count, cache.len());
        if cache.is_empty() || heads.width == 0 {
            out.fill(0.0);
            return;
        }
        // SAFETY: `self` exists, so the CPU has the set; the shapes fit.
        unsafe { (self.table.attend_cached)(&CachedQuery { query: q, cache }, weights, stride, out) }
    }
}
