//! Attention in f32, as it is defined: all rows at once, and row by row. Used by f32 networks, and the reference of
//! quantized attention.

use sotto_runtime::Threads;

use super::Heads;
use crate::{MatMut, MatRef, dot, matmul, softmax};

// 128 query rows × 1500 keys × 4 bytes = 768 KB: the score block stays in a 1–2 MB L2 between product, softmax and
// product.
const QUERY_BLOCK: usize = 128;

/// Every query row attends to every key: `out = softmax(q · kᵀ / √head) · v`, head by head.
///
/// `q` and `out` are `[n, width]`, `k` and `v` are `[s, key/value width]`, all row-major. `scores` is scratch and grows
/// to at most `128 × s` values.
///
/// # Panics
/// When the lengths are not whole rows or do not match.
pub fn attend_full(
    q: &[f32],
    k: &[f32],
    v: &[f32],
    heads: Heads,
    out: &mut [f32],
    scores: &mut Vec<f32>,
    threads: Threads,
) {
    let (width, kv_width, head) = (heads.width(), heads.key_value_width(), heads.head_width());
    let (n, s) = (q.len() / width, k.len() / kv_width);
    assert!(q.len() == n * width && out.len() == q.len() && k.len() == s * kv_width && v.len() == k.len());
    scores.resize(QUERY_BLOCK.min(n) * s, 0.0);
    for h in 0..heads.count() {
        let (offset, kv_offset) = (h * head, heads.key_value_of(h) * head);
        for start in (0..n).step_by(QUERY_BLOCK) {
            let rows = QUERY_BLOCK.min(n - start);
            let queries = MatRef::strided(&q[start * width + offset..], rows, head, width);
            let keys = MatRef::strided(&k[kv_offset..], s, head, kv_width).transposed();
            let block = &mut scores[..rows * s];
            matmul(queries, keys, MatMut::new(block, rows, s), false, threads);
            for row in block.chunks_exact_mut(s) {
                for score in row.iter_mut() {
                    *score *= heads.scale();
                }
                softmax(row);
            }
            let values = MatRef::strided(&v[kv_offset..], s, head, kv_width);
            let target = MatMut::strided(&mut out[start * width + offset..], rows, head, width);
            matmul(MatRef::new(block, rows, s), values, target, false, threads);
        }
    }
}

/// One query row attends to `s` cached rows: `out = softmax(q · kᵀ / √head) · v`.
///
/// `q` and `out` are `[width]`, `k` and `v` are `[s, key/value width]`. `weights` receives the attention weights,
/// `[heads, s]`: callers that align words to audio read them, others reuse the vector as scratch.
///
/// # Panics
/// When the lengths do not match.
pub fn attend_row(q: &[f32], k: &[f32], v: &[f32], heads: Heads, out: &mut [f32], weights: &mut Vec<f32>) {
    let (width, kv_width, head) = (heads.width(), heads.key_value_width(), heads.head_width());
    let s = k.len() / kv_width;
    assert!(q.len() == width && out.len() == width && k.len() == s * kv_width && v.len() == k.len());
    weights.resize(heads.count() * s, 0.0);
    for h in 0..heads.count() {
        let range = h * head..(h + 1) * head;
        let kv_start = heads.key_value_of(h) * head;
        let kv_range = kv_start..kv_start + head;
        let row = &mut weights[h * s..(h + 1) * s];
        for (score, key) in row.iter_mut().zip(k.chunks_exact(kv_width)) {
            *score = dot(&q[range.clone()], &key[kv_range.clone()]) * heads.scale();
        }
        softmax(row);
        let out = &mut out[range];
        out.fill(0.0);
        for (weight, value) in row.iter().zip(v.chunks_exact(kv_width)) {
            for (out, value) in out.iter_mut().zip(&value[kv_range.clone()]) {
                *out += weight * value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(len: usize, seed: usize) -> Vec<f32> {
        (0..len).map(|i| ((i * 7919 + seed * 31) % 613) as f32 / 306.5 - 1.0).collect()
    }

    #[test]
    fn full_attention_equals_attention_row_by_row() {
        for (n, s, key_values) in [(1, 1, 3), (5, 9, 3), (129, 40, 1), (300, 7, 3)] {
            let heads = Heads::grouped(3, key_values, 4);
            let [k, v] = [2, 3].map(|seed| values(s * heads.key_value_width(), seed));
            let q = values(n * 12, 1);
            let (mut full, mut row) = (vec![0.0; n * 12], vec![0.0; 12]);
            let (mut scores, mut weights) = (Vec::new(), Vec::new());
            attend_full(&q, &k, &v, heads, &mut full, &mut scores, Threads::ONE);
            for (query, full) in q.chunks(12).zip(full.chunks(12)) {
                attend_row(query, &k, &v, heads, &mut row, &mut weights);
                for (a, b) in row.iter().zip(full) {
                    assert!((a - b).abs() < 1e-5);
                }
            }
        }
    }

    #[test]
    fn grouped_heads_are_equal_heads_whose_keys_and_values_repeat() {
        let (grouped, equal) = (Heads::grouped(6, 2, 4), Heads::new(6, 24));
        let (q, k, v) = (values(3 * 24, 1), values(5 * 8, 2), values(5 * 8, 3));
        let repeat = |rows: &[f32]| -> Vec<f32> { rows.chunks(4).flat_map(|head| head.repeat(3)).collect() };
        let (mut out, mut expected) = (vec![0.0; q.len()], vec![0.0; q.len()]);
        let scratch = &mut Vec::new();
        attend_full(&q, &k, &v, grouped, &mut out, scratch, Threads::ONE);
        attend_full(&q, &repeat(&k), &repeat(&v), equal, &mut expected, scratch, Threads::ONE);
        assert_eq!(out, expected);
    }

    #[test]
    fn a_key_that_matches_wins() {
        let heads = Heads::new(1, 2);
        let (k, v) = ([100.0, 0.0, -100.0, 0.0], [1.0, 2.0, 3.0, 4.0]);
        let (mut out, mut weights) = ([0.0; 2], Vec::new());
        attend_row(&[1.0, 0.0], &k, &v, heads, &mut out, &mut weights);
        assert_eq!(out, [1.0, 2.0]);
        assert!(weights[0] > 0.999);
    }
}
