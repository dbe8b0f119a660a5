//! Speed of the product with 4-bit weights: `cargo run --release -p sotto-kernels --example int4 [-- REPEATS]`; one thread.
//!
//! Shapes are rows × depth × columns of a language model of a billion weights: one token, a prompt of 64. Beside GMAC/s stand
//! the bytes of weights per second: one row cannot be faster than the memory. Activations are quantized within the measured
//! time. Best and median of the repeats.

use std::time::Instant;

use sotto_kernels::{BlockMut, Epilogue, Int4Matrix, KernelSet, MatRef, Norm};

const SHAPES: [(usize, usize, usize); 4] = [(1, 2048, 5632), (1, 2048, 32_000), (4, 2048, 5632), (64, 2048, 5632)];

fn main() {
    let repeats = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(21);
    for set in KernelSet::all_available() {
        println!("\n{}: best GMAC/s (GB/s of weights), median", set.isa());
        for (rows, depth, columns) in SHAPES {
            let values: Vec<i8> = (0..columns * depth).map(|i| (i * 31 % 16) as i8 - 8).collect();
            // 2^-7 as a half float.
            let weights = Int4Matrix::pack(set.layout(), depth, &values, &vec![0x2000; columns * depth / 32]);
            let weights = weights.expect("valid shapes");
            let seconds = measure(set, &weights, rows, repeats);
            let macs = (rows * depth * columns) as f64 / 1e9;
            let bytes = weights.bytes().len() as f64 / 1e9;
            let (best, median) = (seconds[0], seconds[seconds.len() / 2]);
            println!(
                "{rows:5} × {depth} × {columns:<5}: {:6.1} ({:4.1}) {:7.1}",
                macs / best,
                bytes / best,
                macs / median
            );
        }
    }
}

/// Seconds of each repeat, in order of size.
fn measure(set: KernelSet, weights: &Int4Matrix, rows: usize, repeats: usize) -> Vec<f64> {
    let (depth, columns) = (weights.depth(), weights.columns());
    let input: Vec<f32> = (0..rows * depth).map(|i| (i * 7919 % 1009) as f32 / 504.0 - 1.0).collect();
    let (mut activations, mut out) = (set.activations(rows, depth), vec![0.0; rows * columns]);
    let mut seconds: Vec<f64> = (0..repeats)
        .map(|_| {
            let started = Instant::now();
            set.quantize_for_int4(MatRef::new(&input, rows, depth), &Norm::None, &mut activations);
            set.product_int4(&activations, weights, Epilogue::default(), BlockMut::new(&mut out, columns));
            started.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    seconds
}
