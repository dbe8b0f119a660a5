//! Attention on every instruction set that the CPU has: close to its definition, and equal to the scalar set bit for
//! bit.

mod cases;

use cases::{Lcg, bits, halves, sets};
use sotto_kernels::{
    AttentionScratch, BlockMut, HalfCache, Heads, KernelSet, KeyValuePanels, MatRef, QuantizedRowScratch,
};

/// softmax(q · kᵀ / √head) · v in f64.
fn exact_attention(q: &[f32], k: &[f32], v: &[f32], heads: Heads) -> Vec<f64> {
    let (width, kv_width, head) = (heads.width(), heads.key_value_width(), heads.head_width());
    let mut out = Vec::new();
    for q in q.chunks_exact(width) {
        for h in 0..heads.count() {
            let (q, kv) = (&q[h * head..(h + 1) * head], heads.key_value_of(h) * head);
            let scores: Vec<f64> = k
                .chunks_exact(kv_width)
                .map(|k| {
                    let dot: f64 = q.iter().zip(&k[kv..]).map(|(q, k)| f64::from(*q) * f64::from(*k)).sum();
                    dot / (head as f64).sqrt()
                })
                .collect();
            let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = scores.iter().map(|score| (score - max).exp()).collect();
            let total: f64 = weights.iter().sum();
            for i in kv..kv + head {
                let sum: f64 = v.chunks_exact(kv_width).zip(&weights).map(|(v, weight)| weight * f64::from(v[i])).sum();
                out.push(sum / total);
            }
        }
    }
    out
}

#[test]
fn encoder_attention_is_right_and_agrees_on_all_sets() {
    let mut random = Lcg::new(12);
    let mut shapes = vec![(1, 1, 1, 1, 1), (3, 5, 2, 2, 16), (7, 130, 1, 1, 24)];
    if !cfg!(miri) {
        shapes.extend([(13, 127, 1, 1, 64), (50, 128, 2, 2, 8), (49, 129, 1, 1, 64), (100, 300, 2, 2, 40)]);
    }
    shapes.extend([(3, 5, 4, 2, 16), (30, 40, 6, 2, 8)]);
    for (rows, keys, count, key_values, head) in shapes {
        let heads = Heads::grouped(count, key_values, head);
        let q = random.floats(rows * heads.width(), 4.0);
        let [k, v] = [4.0, 1.0].map(|range| random.floats(keys * heads.key_value_width(), range));
        let run = |set: KernelSet| {
            let mut panels = KeyValuePanels::new(heads, 40);
            let [k, v] = [&k, &v].map(|values| MatRef::new(values, keys, heads.key_value_width()));
            panels.fill(k, v);
            let mut out = vec![0.0; q.len()];
            let mut scratch = AttentionScratch::new(head);
            let queries = MatRef::new(&q, rows, heads.width());
            set.attend(queries, &panels, BlockMut::new(&mut out, heads.width()), &mut scratch);
            out
        };
        let expected = run(KernelSet::scalar());
        for (found, exact) in expected.iter().zip(exact_attention(&q, &k, &v, heads)) {
            assert!((f64::from(*found) - exact).abs() < 2e-6, "{found} {exact}");
        }
        for set in sets() {
            assert_eq!(bits(&run(set)), bits(&expected), "{set:?} {rows} × {keys}, {heads:?}");
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "safe code")]
fn panels_can_be_filled_again_with_another_length() {
    let heads = Heads::new(2, 40);
    let set = KernelSet::best();
    let mut random = Lcg::new(13);
    let mut used = KeyValuePanels::new(heads, 10);
    for keys in [200, 3, 17, 90] {
        let (k, v) = (random.floats(keys * 40, 1.0), random.floats(keys * 40, 1.0));
        let q = random.floats(40, 1.0);
        let run = |panels: &mut KeyValuePanels| {
            panels.fill(MatRef::new(&k, keys, 40), MatRef::new(&v, keys, 40));
            let (mut out, mut scratch) = (vec![0.0; 40], AttentionScratch::new(20));
            set.attend(MatRef::new(&q, 1, 40), panels, BlockMut::new(&mut out, 40), &mut scratch);
            out
        };
        assert_eq!(bits(&run(&mut used)), bits(&run(&mut KeyValuePanels::new(heads, 0))));
    }
}

/// Self-attention in int8 on one set; queries, keys and values have the same number of rows.
fn quantized_attention(set: KernelSet, heads: Heads, q: &[f32], k: &[f32], v: &[f32]) -> Vec<f32> {
    let (width, rows) = (heads.width(), q.len() / heads.width());
    let parts = q.chunks_exact(width).zip(k.chunks_exact(width)).zip(v.chunks_exact(width));
    let projected: Vec<f32> = parts.flat_map(|((q, k), v)| [q, k, v].concat()).collect();
    let mut layer = set.quantized_attention(heads);
    for chunk in layer.chunks_mut(rows) {
        let range = chunk.rows();
        set.fill_quantized(MatRef::new(&projected, rows, 3 * width).rows_range(range.start, range.len()), chunk);
    }
    let mut out = vec![0.0; q.len()];
    // Computed in two parts: a row does not depend on which other rows are computed.
    let middle = (rows / 2).next_multiple_of(set.row_step()).min(rows);
    let (top, bottom) = out.split_at_mut(middle * width);
    let mut scratch = set.quantized_scratch(heads);
    set.attend_quantized(0..middle, &layer, BlockMut::new(top, width), &mut scratch);
    if middle < rows {
        set.attend_quantized(middle..rows, &layer, BlockMut::new(bottom, width), &mut scratch);
    }
    out
}

#[test]
fn quantized_encoder_attention_is_near_and_agrees_on_all_sets() {
    let mut random = Lcg::new(21);
    let mut shapes = vec![(1, 1, 1), (5, 2, 16), (17, 1, 24)];
    if !cfg!(miri) {
        shapes.extend([(191, 2, 8), (193, 1, 24), (385, 1, 64), (13, 1, 80)]);
    }
    for (rows, count, head) in shapes {
        let heads = Heads::new(count, count * head);
        let q = random.floats(rows * heads.width(), 2.0);
        let (k, v) = (random.floats(rows * heads.width(), 2.0), random.floats(rows * heads.width(), 1.0));
        let expected = quantized_attention(KernelSet::scalar(), heads, &q, &k, &v);
        for (found, exact) in expected.iter().zip(exact_attention(&q, &k, &v, heads)) {
            // Queries, keys and weights are rounded to about 1/127 of their largest value.
            assert!((f64::from(*found) - exact).abs() < 0.03, "{found} {exact}, {rows}, {heads:?}");
        }
        for set in sets() {
            let found = quantized_attention(set, heads, &q, &k, &v);
            assert_eq!(bits(&found), bits(&expected), "{set:?} {rows}, {heads:?}");
        }
    }
}

#[test]
fn quantized_decoder_attention_is_near_and_agrees_on_all_sets() {
    let mut random = Lcg::new(23);
    let mut shapes = vec![(1, 1, 1, 1), (5, 4, 2, 16)];
    if !cfg!(miri) {
        shapes.extend([(191, 2, 2, 8), (192, 1, 1, 64), (193, 3, 1, 24), (390, 2, 2, 40)]);
    }
    for (keys, count, key_values, head) in shapes {
        let heads = Heads::grouped(count, key_values, head);
        let q = random.floats(heads.width(), 2.0);
        let kv_width = heads.key_value_width();
        let [k, v] = [2.0, 1.0].map(|range| random.floats(keys * kv_width, range));
        let pairs = k.chunks_exact(kv_width).zip(v.chunks_exact(kv_width));
        let projected: Vec<f32> = pairs.flat_map(|(k, v)| [k, v].concat()).collect();
        let run = |set: KernelSet| {
            let mut layer = set.quantized_key_values(heads);
            for chunk in layer.chunks_mut(keys) {
                let rows = chunk.rows();
                let all = MatRef::new(&projected, keys, 2 * kv_width);
                set.fill_quantized(all.rows_range(rows.start, rows.len()), chunk);
            }
            let (mut out, mut recorded) = (vec![0.0; heads.width()], vec![0.0; count * keys]);
            let mut scratch = QuantizedRowScratch::default();
            set.attend_quantized_row(&q, &layer, Some(&mut recorded), &mut out, &mut scratch);
            (out, recorded)
        };
        let (expected, recorded) = run(KernelSet::scalar());
        for (found, exact) in expected.iter().zip(exact_attention(&q, &k, &v, heads)) {
            assert!((f64::from(*found) - exact).abs() < 0.03, "{found} {exact}, {keys}, {heads:?}");
        }
        for attention in recorded.chunks_exact(keys) {
            assert!((attention.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        }
        for set in sets() {
            let (out, attention) = run(set);
            assert_eq!((bits(&out), bits(&attention)), (bits(&expected), bits(&recorded)), "{set:?} {keys}, {heads:?}");
        }
    }
}

#[test]
fn quantized_attention_to_one_of_many_keys_is_that_value() {
    // One key scores far higher than 400 others, so that its chunk has a far larger maximum; and some queries are
    // zeros.
    let heads = Heads::new(1, 16);
    let (mut k, mut v) = (vec![0.0; 401 * 16], vec![0.0; 401 * 16]);
    k[200 * 16..201 * 16].fill(8.0);
    v[200 * 16..201 * 16].fill(1.0);
    let q = [vec![8.0; 16], vec![0.0; 400 * 16]].concat();
    for set in sets() {
        let out = quantized_attention(set, heads, &q, &k, &v);
        assert!(out[..16].iter().all(|&y| (y - 1.0).abs() < 1e-4), "{set:?}");
        assert!(out[16..].iter().all(|&y| (y - 1.0 / 401.0).abs() < 1e-4), "{set:?}");
    }
}

#[test]
fn decoder_attention_is_right_and_agrees_on_all_sets() {
    let mut random = Lcg::new(14);
    let all = vec![(4, 2, 20, 65), (1, 1, 1, 70), (2, 2, 64, 130), (3, 1, 80, 200)];
    for (count, key_values, head, capacity) in all.into_iter().take(if cfg!(miri) { 1 } else { 4 }) {
        let heads = Heads::grouped(count, key_values, head);
        let kv_width = heads.key_value_width();
        let [k, v] = [2.0, 1.0].map(|range| random.floats(capacity * kv_width, range));
        let q = random.floats(heads.width(), 2.0);
        let round = |values: &[f32]| -> Vec<f32> {
            let (mut halves, mut back) = (vec![0; values.len()], vec![0.0; values.len()]);
            KernelSet::scalar().narrow(values, &mut halves);
            KernelSet::scalar().widen(&halves, &mut back);
            back
        };
        let (k_half, v_half) = (round(&k), round(&v));
        for set in sets() {
            let (mut cache, mut oracle) = (HalfCache::new(heads, capacity), HalfCache::new(heads, capacity));
            for len in 1..=capacity {
                let range = (len - 1) * kv_width..len * kv_width;
                set.append(&mut cache, &k[range.clone()], &v[range.clone()]);
                KernelSet::scalar().append(&mut oracle, &k[range.clone()], &v[range]);
                if len % 9 > 1 && len < capacity - 2 {
                    continue;
                }
                let run = |set: KernelSet, cache: &HalfCache| {
                    let (mut weights, mut out) = (vec![0.0; count * len], vec![0.0; heads.width()]);
                    set.attend_cached(&q, cache, &mut weights, &mut out);
                    weights.extend(out);
                    weights
                };
                let found = run(set, &cache);
                assert_eq!(bits(&found), bits(&run(KernelSet::scalar(), &oracle)), "{set:?} {heads:?} {len}");
                let exact = exact_attention(&q, &k_half[..len * kv_width], &v_half[..len * kv_width], heads);
                for (found, exact) in found[count * len..].iter().zip(exact) {
                    assert!((f64::from(*found) - exact).abs() < 2e-6, "{found} {exact}");
                }
            }
            let mut rounded = HalfCache::new(heads, capacity);
            for (key, value) in k.chunks_exact(kv_width).zip(v.chunks_exact(kv_width)) {
                rounded.append_half(&halves(key), &halves(value));
            }
            let mut copy = HalfCache::new(heads, capacity);
            copy.copy_from(&cache);
            let mut weights = vec![0.0; 5 * count];
            let mut out = vec![0.0; heads.width()];
            let mut again = vec![0.0; heads.width()];
            set.attend_first(5, &q, &cache, &mut weights, &mut again);
            cache.truncate(5);
            set.attend_cached(&q, &cache, &mut weights, &mut out);
            assert_eq!(bits(&out), bits(&again), "{set:?} {heads:?}");
            for mut other in [copy, rounded] {
                other.truncate(5);
                set.attend_cached(&q, &other, &mut weights, &mut again);
                assert_eq!(bits(&out), bits(&again), "{set:?} {heads:?}");
            }
        }
    }
}
