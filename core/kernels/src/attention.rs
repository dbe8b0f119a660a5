//! Scaled dot-product attention over several heads, for the encoder (all rows at once) and the decoder (row by row).

use sotto_runtime::Threads;

use crate::{MatMut, MatRef, dot, matmul, softmax};

/// How a row of `width` values is cut into heads of equal width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heads {
    /// Number of heads.
    pub count: usize,
    /// Values per row, all heads together.
    pub width: usize,
}

impl Heads {
    /// Values per head.
    #[must_use]
    pub fn head_width(self) -> usize {
        self.width / self.count
    }

    pub(crate) fn scale(self) -> f32 {
        1.0 / (self.head_width() as f32).sqrt()
    }
}

// 128 query rows × 1500 keys × 4 bytes = 768 KB: the score block stays in a 1–2 MB L2 between product, softmax and product.
const QUERY_BLOCK: usize = 128;

/// Every query row attends to every key: `out = softmax(q · kᵀ / √head) · v`, head by head.
///
/// `q` and `out` are `[n, width]`, `k` and `v` are `[s, width]`, all row-major. `scores` is scratch and grows to at most
/// `128 × s` values.
///
/// # Panics
/// When the lengths are not whole rows or do not fit each other.
pub fn attend_full(
    q: &[f32],
    k: &[f32],
    v: &[f32],
    heads: Heads,
    out: &mut [f32],
    scores: &mut Vec<f32>,
    threads: Threads,
) {
    let Heads { count, width } = heads;
    let (n, s, head) = (q.len() / width, k.len() / width, heads.head_width());
    assert!(q.len() == n * width && out.len() == q.len() && k.len() == s * width && v.len() == k.len());
    scores.resize(QUERY_BLOCK.min(n) * s, 0.0);
    for h in 0..count {
        let offset = h * head;
        for start in (0..n).step_by(QUERY_BLOCK) {
            let rows = QUERY_BLOCK.min(n - start);
            let queries = MatRef::strided(&q[start * width + offset..], rows, head, width);
            let keys = MatRef::strided(&k[offset..], s, head, width).transposed();
            let block = &mut scores[..rows * s];
            matmul(queries, keys, MatMut::new(block, rows, s), false, threads);
            for row in block.chunks_exact_mut(s) {
                for score in row.iter_mut() {
                    *score *= heads.scale();
                }
                softmax(row);
            }
            let values = MatRef::strided(&v[offset..], s, head, width);
            let target = MatMut::strided(&mut out[start * width + offset..], rows, head, width);
            matmul(MatRef::new(block, rows, s), values, target, false, threads);
        }
    }
}

/// One query row attends to `s` cached rows: `out = softmax(q · kᵀ / √head) · v`.
///
/// `q` and `out` are `[width]`, `k` and `v` are `[s, width]`. `weights` receives the attention of every head,
/// `[count, s]`: callers that align words to audio read it, others reuse it as scratch.
///
/// # Panics
/// When the lengths do not fit each other.
pub fn attend_row(q: &[f32], k: &[f32], v: &[f32], heads: Heads, out: &mut [f32], weights: &mut Vec<f32>) {
    let Heads { count, width } = heads;
    let (s, head) = (k.len() / width, heads.head_width());
    assert!(q.len() == width && out.len() == width && k.len() == s * width && v.len() == k.len());
    weights.resize(count * s, 0.0);
    for h in 0..count {
        let range = h * head..(h + 1) * head;
        let row = &mut weights[h * s..(h + 1) * s];
        for (score, key) in row.iter_mut().zip(k.chunks_exact(width)) {
            *score = dot(&q[range.clone()], &key[range.clone()]) * heads.scale();
        }
        softmax(row);
        let out = &mut out[range.clone()];
        out.fill(0.0);
        for (weight, value) in row.iter().zip(v.chunks_exact(width)) {
            for (out, value) in out.iter_mut().zip(&value[range.clone()]) {
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
        let heads = Heads { count: 3, width: 12 };
        for (n, s) in [(1, 1), (5, 9), (129, 40), (300, 7)] {
            let (q, k, v) = (values(n * 12, 1), values(s * 12, 2), values(s * 12, 3));
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
    fn a_key_that_matches_wins() {
        let heads = Heads { count: 1, width: 2 };
        let (k, v) = ([100.0, 0.0, -100.0, 0.0], [1.0, 2.0, 3.0, 4.0]);
        let (mut out, mut weights) = ([0.0; 2], Vec::new());
        attend_row(&[1.0, 0.0], &k, &v, heads, &mut out, &mut weights);
        assert_eq!(out, [1.0, 2.0]);
        assert!(weights[0] > 0.999);
    }
}
