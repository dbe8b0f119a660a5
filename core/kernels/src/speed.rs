//! A quick measurement of a kernel set's speed on this CPU, for decisions before a model is loaded.

use std::time::Instant;

use crate::{Activation, BlockMut, Epilogue, KernelSet, MatRef, Norm, PackedMatrix};

/// Int8 multiply-adds per second of one thread, measured as in a layer: with the norm and quantization of its rows, and
/// an activation. Runs about half a million multiply-adds three times: 2 ms at a billion per second, 20 ms at a hundred
/// million.
#[must_use]
pub fn multiply_adds_per_second(set: KernelSet) -> f64 {
    const ROWS: usize = 12;
    const DEPTH: usize = 192;
    const COLUMNS: usize = 256;
    let weights: Vec<i8> =
        (0..COLUMNS * DEPTH).map(|i| (i * 31 % 255) as i32 as i16 as i8).map(|w| w.max(-127)).collect();
    let Ok(packed) = PackedMatrix::pack(set.layout(), DEPTH, &weights, &[0.01; COLUMNS]) else { return 0.0 };
    let input: Vec<f32> = (0..ROWS * DEPTH).map(|i| ((i * 37 % 1000) as f32 - 500.0) * 0.01).collect();
    let norm = Norm::Layer { weight: &[1.0; DEPTH], bias: &[0.0; DEPTH], epsilon: 1e-5 };
    let epilogue = Epilogue { activation: Activation::Gelu, ..Epilogue::default() };
    let mut activations = set.activations(ROWS, DEPTH);
    let mut out = vec![0.0; ROWS * COLUMNS];
    let mut once = || {
        let start = Instant::now();
        set.quantize(MatRef::new(&input, ROWS, DEPTH), &norm, &mut activations);
        set.product(&activations, &packed, epilogue, BlockMut::new(&mut out, COLUMNS));
        start.elapsed()
    };
    // The first run warms up; of the other two, one may have been interrupted.
    once();
    let shortest = once().min(once());
    (ROWS * DEPTH * COLUMNS) as f64 / shortest.as_secs_f64().max(1e-9)
}
