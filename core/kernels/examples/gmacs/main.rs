//! Speed of the int8 product beside the peak that the machine reaches in the same run.
//!
//! `cargo run --release -p sotto-kernels --example gmacs [-- REPEATS]`; one thread. Shapes are rows × depth × columns of
//! Whisper tiny and base: feed-forward layers of a 30 s window, vocabulary, one token, 20 and 4 beams. Activations are
//! quantized within the measured time, as a network does. Prints GMAC/s, the best and the median of the repeats: on a
//! machine with other work the best is what the code can do, the median what it got.

mod peak;

use std::time::Instant;

use sotto_kernels::{Activation, BlockMut, Epilogue, KernelSet, MatRef, Norm, PackedMatrix};

const SHAPES: [(usize, usize, usize); 6] =
    [(1500, 384, 1536), (1500, 512, 2048), (1, 384, 51_865), (1, 512, 2048), (20, 512, 512), (4, 512, 512)];

fn main() {
    let repeats = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(41);
    println!("best set: {}", KernelSet::best().isa());
    for set in KernelSet::all_available() {
        let peak = peak::measure(set.isa()).map(|macs| macs / 1e9);
        match peak {
            Some(peak) => println!("\n{}: multiply-add peak {peak:.0} GMAC/s", set.isa()),
            None => println!("\n{}", set.isa()),
        }
        println!("shape, activation: best (share of the peak), median");
        for activation in [Activation::Identity, Activation::Gelu] {
            for (rows, depth, columns) in SHAPES {
                let (best, median) = measure(set, rows, depth, columns, activation, repeats);
                let share = peak.map_or(String::new(), |peak| format!(" ({:3.0} %)", 100.0 * best / peak));
                println!("{rows:5} × {depth} × {columns:<5} {activation:?}: {best:6.1}{share} {median:7.1}");
            }
        }
    }
}

/// GMAC/s: best and median.
fn measure(
    set: KernelSet,
    rows: usize,
    depth: usize,
    columns: usize,
    activation: Activation,
    repeats: usize,
) -> (f64, f64) {
    let input: Vec<f32> = (0..rows * depth).map(|i| (i * 7919 % 1009) as f32 / 504.0 - 1.0).collect();
    let weights: Vec<i8> = (0..columns * depth).map(|i| (i * 31 % 255) as i32 - 127).map(|w| w as i8).collect();
    let bias = vec![0.5; columns];
    let packed = PackedMatrix::pack(set.layout(), depth, &weights, &vec![0.01; columns]).expect("valid shapes");
    let mut activations = set.activations(rows, depth);
    let mut out = vec![0.0; rows * columns];
    let macs = (rows * depth * columns) as f64;
    let epilogue = Epilogue { bias: Some(&bias), activation, accumulate: false };
    let mut once = || {
        set.quantize(MatRef::new(&input, rows, depth), &Norm::None, &mut activations);
        set.product(&activations, &packed, epilogue, BlockMut::new(&mut out, columns));
    };
    once();
    // 2 ms a repeat at least: one call of the small shapes takes microseconds.
    let started = Instant::now();
    once();
    let calls = (0.002 / started.elapsed().as_secs_f64()).ceil().clamp(1.0, 1e5) as usize;
    let mut seconds: Vec<f64> = (0..repeats)
        .map(|_| {
            let started = Instant::now();
            (0..calls).for_each(|_| once());
            started.elapsed().as_secs_f64() / calls as f64
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    (macs / seconds[0] / 1e9, macs / seconds[seconds.len() / 2] / 1e9)
}
