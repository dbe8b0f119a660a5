//! Speed of attention in the shapes of Whisper tiny and base.
//!
//! `cargo run --release -p sotto-kernels --example attention [-- REPEATS]`; one thread. Encoder: 1500 rows, all heads of
//! one layer, packing of keys and values apart. Decoder: one row over caches of 1500 (cross) and 100 rows (self).
//! `SOTTO_ISA` chooses the kernels; the scalar ones take minutes.
//! Prints the best and the median of the repeats.

use std::time::Instant;

use sotto_kernels::{AttentionScratch, BlockMut, HalfCache, Heads, KernelSet, KeyValuePanels, MatRef};

fn main() {
    let repeats = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(21);
    let set = KernelSet::best();
    for count in [6, 8] {
        let heads = Heads { count, width: 64 * count };
        println!("{}, {count} heads of 64", set.isa());
        encoder(set, heads, repeats);
        for rows in [1500, 100] {
            decoder(set, heads, rows, repeats);
        }
    }
}

fn values(len: usize, seed: usize) -> Vec<f32> {
    (0..len).map(|i| ((i + seed) * 7919 % 1009) as f32 / 504.0 - 1.0).collect()
}

fn encoder(set: KernelSet, heads: Heads, repeats: usize) {
    let (rows, width) = (1500, heads.width);
    let (q, k, v) = (values(rows * width, 0), values(rows * width, 1), values(rows * width, 2));
    let mut panels = KeyValuePanels::new(heads, rows);
    let (mut out, mut scratch) = (vec![0.0; rows * width], AttentionScratch::new(heads.head_width()));
    let view = |values| MatRef::new(values, rows, width);
    let (best, median) = time(repeats, || panels.fill(view(&k), view(&v)));
    println!("  encoder, packing:   {:8.3} ms, median {:8.3}", best * 1e3, median * 1e3);
    let (best, median) = time(repeats, || set.attend(view(&q), &panels, BlockMut::new(&mut out, width), &mut scratch));
    let macs = (2 * rows * rows * width) as f64;
    println!(
        "  encoder, attention: {:8.3} ms, median {:8.3}, {:.1} GMAC/s",
        best * 1e3,
        median * 1e3,
        macs / best / 1e9
    );
    let mut layer = set.quantized_attention(heads);
    let projected = values(3 * rows * width, 0);
    let view = MatRef::new(&projected, rows, 3 * width);
    let (best, median) = time(repeats, || {
        for chunk in layer.chunks_mut(rows) {
            let range = chunk.rows();
            set.fill_quantized(view.rows_range(range.start, range.len()), chunk);
        }
    });
    println!("  int8, packing:      {:8.3} ms, median {:8.3}", best * 1e3, median * 1e3);
    let mut scratch = set.quantized_scratch(heads);
    let (best, median) =
        time(repeats, || set.attend_quantized(0..rows, &layer, BlockMut::new(&mut out, width), &mut scratch));
    println!(
        "  int8, attention:    {:8.3} ms, median {:8.3}, {:.1} GMAC/s",
        best * 1e3,
        median * 1e3,
        macs / best / 1e9
    );
}

fn decoder(set: KernelSet, heads: Heads, rows: usize, repeats: usize) {
    let (k, v) = (values(rows * heads.width, 1), values(rows * heads.width, 2));
    let mut cache = HalfCache::new(heads, rows);
    set.append(&mut cache, &k, &v);
    let (q, mut out) = (values(heads.width, 3), vec![0.0; heads.width]);
    let mut weights = vec![0.0; heads.count * rows];
    let calls = 20;
    let (best, median) = time(repeats, || {
        (0..calls).for_each(|_| set.attend_cached(&q, &cache, &mut weights, &mut out));
    });
    let (best, median) = (best / f64::from(calls), median / f64::from(calls));
    let bytes = (4 * rows * heads.width) as f64;
    println!(
        "  decoder, {rows:4} rows: {:8.1} µs, median {:8.1}, {:.1} GB/s",
        best * 1e6,
        median * 1e6,
        bytes / best / 1e9
    );
}

/// Seconds: best and median.
fn time(repeats: usize, mut call: impl FnMut()) -> (f64, f64) {
    call();
    let mut seconds: Vec<f64> = (0..repeats)
        .map(|_| {
            let started = Instant::now();
            call();
            started.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    (seconds[0], seconds[seconds.len() / 2])
}
