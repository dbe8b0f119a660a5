//! Self-test of a kernel set on this CPU: small operations with known results, run before the set is chosen.
//!
//! Detection says that a CPU has instructions, not that they work: emulators, errata and systems that do not save all
//! registers have given wrong numbers. The test takes less than a millisecond, once per process. It does not help when
//! an instruction is refused: the process then ends with SIGILL. No handler is installed for that; it is up to the
//! application. [`KernelSet::all_available`] executes no kernel, so an application can log what was detected before it
//! asks for the best set.

use crate::{BLOCK, BlockMut, Epilogue, Int4Matrix, KernelSet, MatRef, Norm, PackedMatrix, TopK, quantize_int4};

const ROWS: usize = 14;
const DEPTH: usize = 96;
const COLUMNS: usize = 33;

/// Whether all results are right, bit by bit.
pub(crate) fn passes(set: KernelSet) -> bool {
    let portable = KernelSet::scalar();
    has_known_products(set) && (set.isa() == portable.isa() || floats(set) == floats(portable))
}

/// Integers within ±127, with ±127 in every row, so that they quantize to themselves with a scale of 1.
fn integers(rows: usize) -> Vec<i8> {
    let value = |i: usize| match i % DEPTH {
        0 => 127,
        1 => -127,
        _ => ((i * i + 7 * i + i / DEPTH) % 255) as i32 as i16 - 127,
    };
    (0..rows * DEPTH).map(|i| value(i) as i8).collect()
}

/// Checks products of integers, in which nothing is rounded: of more than a tile, and of one row.
fn has_known_products(set: KernelSet) -> bool {
    let (input, weights) = (integers(ROWS), integers(COLUMNS));
    let Ok(packed) = PackedMatrix::pack(set.layout(), DEPTH, &weights, &[0.5; COLUMNS]) else { return false };
    let values: Vec<f32> = input.iter().map(|&value| f32::from(value)).collect();
    let known: Vec<f32> = input
        .chunks_exact(DEPTH)
        .flat_map(|row| weights.chunks_exact(DEPTH).map(move |column| (row, column)))
        .map(|(row, column)| row.iter().zip(column).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum::<i32>())
        .map(|sum| sum as f32 * 0.5)
        .collect();
    let mut activations = set.activations(0, 0);
    for rows in [ROWS, 1] {
        set.quantize(MatRef::new(&values[..rows * DEPTH], rows, DEPTH), &Norm::None, &mut activations);
        let mut out = vec![f32::NAN; rows * COLUMNS];
        set.product(&activations, &packed, Epilogue::default(), BlockMut::new(&mut out, COLUMNS));
        if out != known[..rows * COLUMNS] {
            return false;
        }
    }
    let mut out = vec![f32::NAN; COLUMNS];
    let mut best = TopK::new(1);
    set.product_ranked(&activations, &packed, Epilogue::default(), &mut out, &mut best);
    out == known[..COLUMNS]
}

/// Bits of the results of operations that round: 4-bit products, norms, softmax, activations, half precision.
fn floats(set: KernelSet) -> Vec<u32> {
    let (input, weights) = (integers(ROWS), integers(COLUMNS));
    let input: Vec<f32> = input.iter().map(|&value| f32::from(value) * 0.037).collect();
    let mut found: Vec<f32> = Vec::new();
    let (mut codes, mut scales) = (vec![0; COLUMNS * DEPTH], vec![0; COLUMNS * DEPTH / BLOCK]);
    let columns = codes.chunks_exact_mut(DEPTH).zip(scales.chunks_exact_mut(DEPTH / BLOCK));
    for ((codes, scales), column) in columns.zip(weights.chunks_exact(DEPTH)) {
        let column: Vec<f32> = column.iter().map(|&value| f32::from(value) * 0.011).collect();
        quantize_int4(&column, codes, scales);
    }
    let Ok(packed) = Int4Matrix::pack(set.layout(), DEPTH, &codes, &scales) else { return Vec::new() };
    let mut activations = set.activations(0, 0);
    set.quantize_for_int4(MatRef::new(&input, ROWS, DEPTH), &Norm::None, &mut activations);
    let mut out = vec![0.0; ROWS * COLUMNS];
    set.product_int4(&activations, &packed, Epilogue::default(), BlockMut::new(&mut out, COLUMNS));
    found.extend(out);
    let mut normal = vec![0.0; input.len()];
    set.normalize(&Norm::RootMeanSquare { weight: &input[..DEPTH], epsilon: 1e-6 }, DEPTH, &input, &mut normal);
    set.gelu(&mut normal);
    set.softmax(DEPTH, &mut normal);
    let mut halves = vec![0; normal.len()];
    set.narrow(&normal, &mut halves);
    found.extend_from_slice(&normal);
    set.widen(&halves, &mut normal);
    found.extend(normal);
    found.into_iter().map(f32::to_bits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_of_this_cpu_passes() {
        for set in KernelSet::all_available() {
            let started = std::time::Instant::now();
            assert!(passes(set), "{set:?}");
            println!("{set:?}: {:?}", started.elapsed());
        }
    }

    #[test]
    fn integers_reach_their_greatest_magnitudes_in_every_row() {
        for row in integers(ROWS).chunks_exact(DEPTH) {
            assert!(row.contains(&127) && row.contains(&-127) && row.iter().all(|&value| value > i8::MIN));
        }
    }
}
