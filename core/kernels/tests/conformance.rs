//! Every operation on every instruction set that the CPU has, compared bit for bit with the scalar set. Attention has a
//! file of its own.

mod cases;

use std::sync::Arc;

use cases::{Lcg, bits, halves, sets};
use proptest::prelude::*;
use sotto_kernels::{
    Activation, Activations, AlignedBytes, BLOCK, BlockMut, Epilogue, Int4Matrix, KernelSet, MatRef, Norm, OutputMut,
    PackedMatrix, SharedBytes, TopK, quantize_int4,
};

/// Miri interprets, so it tests only a sample of the values.
const STEP: usize = if cfg!(miri) { 97 } else { 1 };

/// The inputs of a product.
struct Case {
    rows: usize,
    depth: usize,
    columns: usize,
    input: Vec<f32>,
    weights: Vec<i8>,
    scales: Vec<f32>,
    bias: Vec<f32>,
    before: Vec<f32>,
}

impl Case {
    fn new(rows: usize, depth: usize, columns: usize) -> Self {
        let mut random = Lcg::new((rows * 7919 + depth * 104_729 + columns) as u64);
        Self {
            rows,
            depth,
            columns,
            input: random.floats(rows * depth, 3.0),
            weights: random.weights(columns * depth),
            scales: random.floats(columns, 0.01).iter().map(|scale| scale.abs()).collect(),
            bias: random.floats(columns, 1.0),
            before: random.floats(rows * columns, 1.0),
        }
    }

    fn pack(&self, set: KernelSet) -> PackedMatrix {
        PackedMatrix::pack(set.layout(), self.depth, &self.weights, &self.scales).expect("valid shapes")
    }

    fn run(&self, set: KernelSet, epilogue: Epilogue<'_>) -> Vec<f32> {
        let mut activations = set.activations(0, 0);
        let input = MatRef::new(&self.input, self.rows, self.depth);
        set.quantize(input, &Norm::None, &mut activations);
        let mut out = self.before.clone();
        set.product(&activations, &self.pack(set), epilogue, BlockMut::new(&mut out, self.columns));
        out
    }

    /// The definition of the product, term by term, in 64-bit integers and single float steps.
    fn expected(&self, epilogue: Epilogue<'_>) -> Vec<f32> {
        let mut out = self.before.clone();
        for (row, out) in self.input.chunks_exact(self.depth).zip(out.chunks_exact_mut(self.columns)) {
            let amax = row.iter().fold(0.0f32, |a, x| a.max(x.abs()));
            let (factor, row_scale) = if amax < 1e-30 { (0.0, 0.0) } else { (127.0 / amax, amax / 127.0) };
            let row: Vec<i64> =
                row.iter().map(|x| (x * factor).clamp(-127.0, 127.0).round_ties_even() as i64).collect();
            for (column, out) in out.iter_mut().enumerate() {
                let weights = &self.weights[column * self.depth..][..self.depth];
                let sum: i64 = row.iter().zip(weights).map(|(a, &w)| a * i64::from(w)).sum();
                let bias = epilogue.bias.map_or(0.0, |bias| bias[column]);
                let y = (sum as f32).mul_add(row_scale * self.scales[column], bias);
                *out = if epilogue.accumulate { y + *out } else { y };
            }
        }
        out
    }
}

fn shapes() -> Vec<(usize, usize, usize)> {
    if cfg!(miri) {
        return vec![(0, 5, 7), (1, 20, 33), (14, 20, 33)];
    }
    let mut shapes = vec![(0, 5, 7), (0, 64, 64), (1, 1, 1), (2, 1, 1), (1, 384, 1000), (1500 / 20, 80, 96)];
    for rows in 1..=20 {
        shapes.extend([(rows, 37, 45), (rows, 64, 32), (rows, 15 + rows, 11 + 3 * rows)]);
    }
    for columns in [1, 7, 8, 11, 12, 13, 15, 16, 17, 23, 24, 25, 31, 32, 33, 63, 64, 65] {
        shapes.extend([(1, 33, columns), (5, 49, columns), (13, 16, columns)]);
    }
    shapes.extend([(25, 1536, 40), (1, 2048, 70), (40, 257, 129)]);
    shapes
}

/// The case's weights as 4-bit values, and the bits of one scale per block.
fn int4_weights(case: &Case) -> (Vec<i8>, Vec<u16>) {
    let blocks = case.depth.div_ceil(BLOCK);
    let (mut values, mut scales) = (vec![0; case.weights.len()], vec![0; case.columns * blocks]);
    let rows = case.weights.chunks_exact(case.depth);
    for ((row, values), scales) in rows.zip(values.chunks_exact_mut(case.depth)).zip(scales.chunks_exact_mut(blocks)) {
        let row: Vec<f32> = row.iter().map(|&weight| f32::from(weight) * 0.003).collect();
        quantize_int4(&row, values, scales);
    }
    (values, scales)
}

fn run_int4(case: &Case, set: KernelSet, epilogue: Epilogue<'_>) -> Vec<f32> {
    let (values, scales) = int4_weights(case);
    let weights = Int4Matrix::pack(set.layout(), case.depth, &values, &scales).expect("valid shapes");
    let mut activations = set.activations(0, 0);
    set.quantize_for_int4(MatRef::new(&case.input, case.rows, case.depth), &Norm::None, &mut activations);
    let mut out = case.before.clone();
    set.product_int4(&activations, &weights, epilogue, BlockMut::new(&mut out, case.columns));
    out
}

/// The definition of the 4-bit product, term by term.
fn expected_int4(case: &Case, epilogue: Epilogue<'_>) -> Vec<f32> {
    let (values, scales) = int4_weights(case);
    let blocks = case.depth.div_ceil(BLOCK);
    let mut out = case.before.clone();
    for (row, out) in case.input.chunks_exact(case.depth).zip(out.chunks_exact_mut(case.columns)) {
        let amax = row.iter().fold(0.0f32, |a, x| a.max(x.abs()));
        let (factor, row_scale) = if amax < 1e-30 { (0.0, 0.0) } else { (127.0 / amax, amax / 127.0) };
        let row: Vec<i32> = row.iter().map(|x| (x * factor).clamp(-127.0, 127.0).round_ties_even() as i32).collect();
        for (column, out) in out.iter_mut().enumerate() {
            let weights = values[column * case.depth..][..case.depth].chunks(BLOCK);
            let scales = &scales[column * blocks..][..blocks];
            let total = row.chunks(BLOCK).zip(weights).zip(scales).fold(0.0f32, |total, ((row, weights), &scale)| {
                let sum: i32 = row.iter().zip(weights).map(|(a, &w)| a * i32::from(w)).sum();
                (sum as f32).mul_add(half::f16::from_bits(scale).to_f32(), total)
            });
            let y = total.mul_add(row_scale, epilogue.bias.map_or(0.0, |bias| bias[column]));
            *out = if epilogue.accumulate { y + *out } else { y };
        }
    }
    out
}

#[test]
fn four_bit_products_follow_the_definition_on_every_set() {
    let more = [(49, 96, 40), (100, 48, 33)].into_iter().filter(|_| !cfg!(miri));
    for (rows, depth, columns) in shapes().into_iter().chain(more) {
        let case = Case::new(rows, depth, columns);
        for (bias, accumulate) in [(None, false), (Some(&case.bias[..]), true)] {
            let epilogue = Epilogue { bias, accumulate, ..Epilogue::default() };
            let expected = bits(&expected_int4(&case, epilogue));
            for set in [KernelSet::scalar()].into_iter().chain(sets()) {
                let found = bits(&run_int4(&case, set, epilogue));
                assert_eq!(found, expected, "{set:?} {rows} × {depth} × {columns}");
            }
        }
        let epilogue = Epilogue { bias: Some(&case.bias), activation: Activation::Silu, accumulate: false };
        let expected = bits(&run_int4(&case, KernelSet::scalar(), epilogue));
        for set in sets() {
            assert_eq!(bits(&run_int4(&case, set, epilogue)), expected, "{set:?} {rows} × {depth} × {columns}");
        }
    }
}

#[test]
fn parts_of_a_four_bit_product_make_the_whole() {
    let case = Case::new(if cfg!(miri) { 14 } else { 30 }, 80, 100);
    let (values, scales) = int4_weights(&case);
    for set in sets() {
        let weights = Int4Matrix::pack(set.layout(), case.depth, &values, &scales).expect("valid shapes");
        let mut activations = set.activations(0, 0);
        set.quantize_for_int4(MatRef::new(&case.input, case.rows, case.depth), &Norm::None, &mut activations);
        let whole = run_int4(&case, set, Epilogue::default());
        let (rows, columns) = (set.row_step(), set.column_step());
        for row in (0..case.rows).step_by(rows) {
            let count = rows.min(case.rows - row);
            let mut part = vec![0.0; count * (case.columns - columns)];
            let out = BlockMut::new(&mut part, case.columns - columns);
            set.product_int4_part(&activations, &weights, Epilogue::default(), (row, columns), out);
            for (index, part) in part.chunks_exact(case.columns - columns).enumerate() {
                assert_eq!(bits(part), bits(&whole[(row + index) * case.columns + columns..][..part.len()]), "{set:?}");
            }
        }
    }
}

#[test]
fn scalar_products_follow_the_definition() {
    for (rows, depth, columns) in shapes() {
        let case = Case::new(rows, depth, columns);
        for accumulate in [false, true] {
            for bias in [None, Some(&case.bias[..])] {
                let epilogue = Epilogue { bias, accumulate, ..Epilogue::default() };
                let found = case.run(KernelSet::scalar(), epilogue);
                assert_eq!(bits(&found), bits(&case.expected(epilogue)), "{rows} × {depth} × {columns}");
            }
        }
    }
}

#[test]
fn products_agree_on_all_sets_for_all_shapes_and_epilogues() {
    for (rows, depth, columns) in shapes() {
        let case = Case::new(rows, depth, columns);
        let activations = [Activation::Identity, Activation::Gelu, Activation::Relu, Activation::Silu];
        for activation in activations.into_iter().take(if cfg!(miri) { 1 } else { 4 }) {
            for (bias, accumulate) in [(None, false), (Some(&case.bias[..]), true)] {
                let epilogue = Epilogue { bias, activation, accumulate };
                let expected = bits(&case.run(KernelSet::scalar(), epilogue));
                for set in sets() {
                    let found = bits(&case.run(set, epilogue));
                    assert_eq!(found, expected, "{set:?} {rows} × {depth} × {columns} {activation:?}");
                }
            }
        }
    }
}

/// Half-precision values as f32.
fn widened(halves: &[u16]) -> Vec<f32> {
    halves.iter().map(|&x| half::f16::from_bits(x).to_f32()).collect()
}

#[test]
fn products_in_half_precision_are_those_in_f32_rounded_once() {
    for (rows, depth, columns) in shapes() {
        let mut case = Case::new(rows, depth, columns);
        let before = halves(&case.before);
        case.before = widened(&before);
        let (int4_values, int4_scales) = int4_weights(&case);
        for (bias, accumulate) in [(None, false), (Some(case.bias.clone()), true)] {
            let epilogue = Epilogue { bias: bias.as_deref(), activation: Activation::Silu, accumulate };
            let expected = halves(&case.run(KernelSet::scalar(), epilogue));
            let expected_int4 = halves(&run_int4(&case, KernelSet::scalar(), epilogue));
            for set in [KernelSet::scalar()].into_iter().chain(sets()) {
                let mut activations = set.activations(0, 0);
                set.quantize_for_int4(MatRef::new(&case.input, rows, depth), &Norm::None, &mut activations);
                let mut out = before.clone();
                set.product(&activations, &case.pack(set), epilogue, BlockMut::new(&mut out, columns));
                assert_eq!(out, expected, "{set:?} {rows} × {depth} × {columns}");
                let weights = Int4Matrix::pack(set.layout(), depth, &int4_values, &int4_scales).expect("valid shapes");
                let mut out = before.clone();
                set.product_int4(&activations, &weights, epilogue, BlockMut::new(&mut out, columns));
                assert_eq!(out, expected_int4, "4 bits: {set:?} {rows} × {depth} × {columns}");
            }
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "millions of products")]
fn the_greatest_sums_are_exact() {
    // 131,072 products of ±127 · 127: close to the limits of i32.
    let depth = sotto_kernels::MAX_DEPTH;
    for (input, weight) in [(1.0, 127), (-1.0, 127), (1.0, -127), (-1.0, -127)] {
        let weights = vec![weight; 3 * depth];
        let expected = f64::from(input) * f64::from(weight) * 127.0 * depth as f64;
        for set in sets() {
            let packed = PackedMatrix::pack(set.layout(), depth, &weights, &[1.0; 3]).unwrap();
            for rows in [1, 2] {
                let values = vec![input * 127.0; rows * depth];
                let mut activations = set.activations(rows, depth);
                set.quantize(MatRef::new(&values, rows, depth), &Norm::None, &mut activations);
                let mut out = vec![0.0; rows * 3];
                set.product(&activations, &packed, Epilogue::default(), BlockMut::new(&mut out, 3));
                assert!(out.iter().all(|&y| y == expected as f32), "{set:?} {rows} {out:?} {expected}");
            }
        }
    }
}

/// Computes a product with 150 columns in four parts.
fn product_in_parts<T>(
    set: KernelSet,
    activations: &Activations,
    weights: &PackedMatrix,
    epilogue: Epilogue<'_>,
    out: &mut [T],
) where
    for<'a> OutputMut<'a>: From<BlockMut<'a, T>>,
{
    let (row, column) = (2 * set.row_step(), 2 * set.column_step());
    let (top, bottom) = BlockMut::new(out, 150).split_rows(row);
    for (row, block) in [(0, top), (row, bottom)] {
        let (left, right) = block.split_columns(column);
        for (column, block) in [(0, left), (column, right)] {
            set.product_part(activations, weights, epilogue, (row, column), block);
        }
    }
}

#[test]
fn a_product_in_parts_equals_the_whole() {
    let case = if cfg!(miri) { Case::new(50, 20, 150) } else { Case::new(50, 100, 150) };
    for set in sets() {
        let epilogue = Epilogue { bias: Some(&case.bias), activation: Activation::Gelu, accumulate: false };
        let whole = case.run(set, epilogue);
        let packed = case.pack(set);
        let mut activations = set.activations(0, 0);
        let input = MatRef::new(&case.input, case.rows, case.depth);
        set.quantize(input, &Norm::None, &mut activations);
        let (mut out, mut half) = (vec![0.0; 50 * 150], vec![0; 50 * 150]);
        product_in_parts(set, &activations, &packed, epilogue, &mut out);
        product_in_parts(set, &activations, &packed, epilogue, &mut half);
        assert_eq!(bits(&out), bits(&whole), "{set:?}");
        assert_eq!(half, halves(&whole), "{set:?}");
    }
}

/// Files inside an Android package start at multiples of four bytes.
#[test]
fn weights_that_lie_on_any_multiple_of_four_bytes_give_the_same_products() {
    let case = Case::new(if cfg!(miri) { 3 } else { 14 }, 96, 70);
    let (values, block_scales) = int4_weights(&case);
    let epilogue = Epilogue { bias: Some(&case.bias), ..Epilogue::default() };
    let product = |set: KernelSet, rows: usize, weights: &PackedMatrix| {
        let mut activations = set.activations(0, 0);
        set.quantize(MatRef::new(&case.input[..rows * case.depth], rows, case.depth), &Norm::None, &mut activations);
        let mut out = vec![0.0; rows * case.columns];
        set.product(&activations, weights, epilogue, BlockMut::new(&mut out, case.columns));
        bits(&out)
    };
    let product_int4 = |set: KernelSet, weights: &Int4Matrix| {
        let mut activations = set.activations(0, 0);
        set.quantize_for_int4(MatRef::new(&case.input, case.rows, case.depth), &Norm::None, &mut activations);
        let mut out = vec![0.0; case.rows * case.columns];
        set.product_int4(&activations, weights, epilogue, BlockMut::new(&mut out, case.columns));
        bits(&out)
    };
    for set in KernelSet::all_available() {
        let (layout, packed) = (set.layout(), case.pack(set));
        let int4 = Int4Matrix::pack(layout, case.depth, &values, &block_scales).expect("valid shapes");
        for offset in [4, 8, 20, 36, 60] {
            let shifted =
                |bytes: &[u8]| -> SharedBytes { Arc::new(AlignedBytes::from(&[&vec![0; offset], bytes].concat()[..])) };
            let there = PackedMatrix::from_shared(layout, case.columns, case.depth, shifted(packed.bytes()), offset);
            let there = there.expect("read in place");
            for rows in [1, case.rows] {
                assert_eq!(product(set, rows, &there), product(set, rows, &packed), "{set:?} at {offset}, {rows} rows");
            }
            let there = Int4Matrix::from_shared(layout, case.columns, case.depth, shifted(int4.bytes()), offset);
            let there = there.expect("read in place");
            assert_eq!(product_int4(set, &there), product_int4(set, &int4), "{set:?} at {offset}, 4 bits");
        }
    }
}

#[test]
fn the_best_logits_are_those_of_the_sorted_row() {
    let shapes = if cfg!(miri) { vec![(31, 40)] } else { vec![(64, 1000), (31, 5), (384, 777)] };
    for (depth, columns) in shapes {
        let mut case = Case::new(1, depth, columns);
        // Equal columns, to get ties among the logits.
        case.weights.copy_within(0..depth, (columns - 1) * depth);
        case.scales[columns - 1] = case.scales[0];
        for set in sets() {
            let mut activations = set.activations(1, depth);
            set.quantize(MatRef::new(&case.input, 1, depth), &Norm::None, &mut activations);
            let packed = case.pack(set);
            let logits = case.run(set, Epilogue::default());
            let (mut out, mut best) = (vec![0.0; columns], TopK::new(8));
            set.product_ranked(&activations, &packed, Epilogue::default(), &mut out, &mut best);
            assert_eq!(bits(&out), bits(&logits));
            let mut order: Vec<usize> = (0..columns).collect();
            order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]).then(a.cmp(&b)));
            let found: Vec<usize> = best.best().iter().map(|ranked| ranked.index as usize).collect();
            assert_eq!(found, order[..8.min(columns)], "{set:?}");
            // A shortlist gives exactly the logits of its columns.
            let shortlist: Vec<u32> = (0..columns as u32).filter(|column| column % 3 != 1).collect();
            let mut some = vec![0.0; shortlist.len()];
            let selected = packed.select(&shortlist).unwrap();
            set.product_ranked(&activations, &selected, Epilogue::default(), &mut some, &mut best);
            assert!(shortlist.iter().zip(&some).all(|(&column, y)| logits[column as usize].to_bits() == y.to_bits()));
        }
    }
}

#[test]
fn quantized_rows_agree_on_all_sets() {
    let mut random = Lcg::new(5);
    let depths = if cfg!(miri) { vec![17, 80] } else { vec![1, 5, 15, 16, 17, 80, 384, 1001] };
    for depth in depths {
        let rows = 7;
        let mut input = random.floats(rows * depth, 2.0);
        input[..depth].fill(0.0);
        input[depth..2 * depth].iter_mut().for_each(|x| *x *= 1e-31);
        input[2 * depth..3 * depth].iter_mut().for_each(|x| *x *= 1e30);
        let (weight, bias) = (random.floats(depth, 1.0), random.floats(depth, 1.0));
        let norms = [
            Norm::None,
            Norm::Layer { weight: &weight, bias: &bias, epsilon: 1e-5 },
            Norm::RootMeanSquare { weight: &weight, epsilon: 1e-6 },
        ];
        for norm in norms {
            let run = |set: KernelSet, rows: usize| {
                let mut out = set.activations(0, 0);
                set.quantize(MatRef::new(&input[..rows * depth], rows, depth), &norm, &mut out);
                (bits(out.scales()), out.sums().to_vec())
            };
            for set in sets() {
                assert_eq!(run(set, rows), run(KernelSet::scalar(), rows), "{set:?} {norm:?}");
                assert_eq!(run(set, 1), run(KernelSet::scalar(), 1), "{set:?} {norm:?}");
            }
        }
    }
}

#[test]
fn overlapping_rows_are_a_convolution_without_copies() {
    let mut random = Lcg::new(9);
    let (samples, weights) = (random.floats(300, 1.0), random.weights(40 * 24));
    let windows: Vec<f32> = (0..100).flat_map(|i| samples[2 * i..2 * i + 24].to_vec()).collect();
    for set in sets() {
        let packed = PackedMatrix::pack(set.layout(), 24, &weights, &[0.01; 40]).unwrap();
        let run = |input: MatRef<'_>| {
            let (mut activations, mut out) = (set.activations(0, 0), vec![0.0; 100 * 40]);
            set.quantize(input, &Norm::None, &mut activations);
            set.product(&activations, &packed, Epilogue::default(), BlockMut::new(&mut out, 40));
            out
        };
        assert_eq!(run(MatRef::strided(&samples, 100, 24, 2)), run(MatRef::new(&windows, 100, 24)), "{set:?}");
    }
}

#[test]
fn elementwise_functions_agree_on_all_sets_over_the_whole_range() {
    let mut values: Vec<f32> = (-2000..2000).step_by(STEP).map(|i| i as f32 * 0.0531).collect();
    values.extend([0.0, -0.0, 1e-40, -1e-40, 1e-20, 1e30, -1e30, f32::MAX, f32::MIN]);
    values.extend(Lcg::new(1).floats(1000 / STEP, 10.0));
    type Function = fn(KernelSet, &mut [f32]);
    let functions: [(&str, Function); 7] = [
        ("exp", KernelSet::exp),
        ("erf", KernelSet::erf),
        ("tanh", KernelSet::tanh),
        ("sigmoid", KernelSet::sigmoid),
        ("gelu", KernelSet::gelu),
        ("relu", KernelSet::relu),
        ("silu", KernelSet::silu),
    ];
    for (name, function) in functions {
        let mut expected = values.clone();
        function(KernelSet::scalar(), &mut expected);
        for set in sets() {
            let mut found = values.clone();
            function(set, &mut found);
            assert_eq!(bits(&found), bits(&expected), "{name} {set:?}");
            // Results do not depend on the position of a value.
            let mut shifted = values[3..].to_vec();
            function(set, &mut shifted);
            assert_eq!(bits(&shifted), bits(&expected[3..]), "{name} {set:?}");
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "compares the scalar set with libm")]
fn elementwise_functions_are_accurate() {
    let x: Vec<f32> = (-30_000..30_000).map(|i| i as f32 * 0.0029).collect();
    let check = |function: fn(KernelSet, &mut [f32]), exact: fn(f64) -> f64, absolute: f64, relative: f64| {
        let mut y = x.clone();
        function(KernelSet::scalar(), &mut y);
        for (&x, &y) in x.iter().zip(&y) {
            let exact = exact(f64::from(x));
            assert!((f64::from(y) - exact).abs() <= absolute + relative * exact.abs(), "f({x}) = {y}, exactly {exact}");
        }
    };
    check(KernelSet::exp, f64::exp, 1.2e-38, 2e-7);
    check(KernelSet::tanh, f64::tanh, 0.0, 5e-7);
    check(KernelSet::sigmoid, |x| 1.0 / (1.0 + (-x).exp()), 1e-37, 4e-7);
    check(KernelSet::silu, |x| x / (1.0 + (-x).exp()), 1e-35, 4e-7);
    check(KernelSet::relu, |x| x.max(0.0), 0.0, 0.0);
    check(KernelSet::erf, erf, 5e-7, 0.0);
    check(KernelSet::gelu, |x| 0.5 * x * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2)), 1e-5, 2e-7);
}

/// Error function by its Taylor series; beyond ±4 it differs from ±1 by less than 2e-8.
fn erf(x: f64) -> f64 {
    if x.abs() > 4.0 {
        return x.signum();
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..120 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

#[test]
#[cfg_attr(miri, ignore = "compares the portable function with its series")]
fn the_portable_error_function_follows_its_series() {
    let mut x = -4.0f32;
    while x < 4.0 {
        assert!((f64::from(sotto_kernels::erf(x)) - erf(f64::from(x))).abs() < 5e-7, "erf({x})");
        x += 0.0071;
    }
    assert!((sotto_kernels::erf(30.0) - 1.0).abs() < 1e-6);
}

#[test]
fn norms_follow_their_definitions() {
    let mut random = Lcg::new(13);
    let columns = 100;
    let (weight, bias) = (random.floats(columns, 1.0), random.floats(columns, 1.0));
    // A row far from zero, and a row of tiny values, where epsilon matters.
    let mut input: Vec<f32> = random.floats(columns, 2.0).iter().map(|x| x + 3.0).collect();
    input.extend(random.floats(columns, 1e-3));
    let mean =
        |row: &[f32], f: &dyn Fn(f64) -> f64| row.iter().map(|&x| f(f64::from(x))).sum::<f64>() / row.len() as f64;
    for set in KernelSet::all_available() {
        let normalized = |norm| {
            let mut out = vec![0.0; input.len()];
            set.normalize(&norm, columns, &input, &mut out);
            out
        };
        let layer = normalized(Norm::Layer { weight: &weight, bias: &bias, epsilon: 1e-5 });
        let rms = normalized(Norm::RootMeanSquare { weight: &weight, epsilon: 1e-6 });
        assert_eq!(normalized(Norm::None), input);
        for (row, x) in input.chunks_exact(columns).enumerate() {
            let centre = mean(x, &|x| x);
            let deviation = (mean(x, &|x| (x - centre).powi(2)) + 1e-5).sqrt();
            let root = (mean(x, &|x| x * x) + 1e-6).sqrt();
            for (i, &x) in x.iter().enumerate() {
                let (x, weight, bias) = (f64::from(x), f64::from(weight[i]), f64::from(bias[i]));
                let (layer, rms) = (f64::from(layer[row * columns + i]), f64::from(rms[row * columns + i]));
                assert!((layer - ((x - centre) / deviation * weight + bias)).abs() < 2e-5, "{set:?}");
                assert!((rms - x / root * weight).abs() < 1e-5, "{set:?}");
            }
        }
    }
}

#[test]
fn softmax_and_norms_agree_on_all_sets() {
    let mut random = Lcg::new(3);
    let columns = if cfg!(miri) { vec![5, 33] } else { vec![1, 2, 15, 16, 17, 31, 32, 33, 100, 384, 1500] };
    for columns in columns {
        let mut scores = random.floats(3 * columns, 20.0);
        scores[columns..2 * columns].fill(f32::NEG_INFINITY);
        scores[0] = f32::NEG_INFINITY;
        let (weight, bias) = (random.floats(columns, 1.0), random.floats(columns, 1.0));
        let layer = Norm::Layer { weight: &weight, bias: &bias, epsilon: 1e-5 };
        let rms = Norm::RootMeanSquare { weight: &weight, epsilon: 1e-6 };
        let input = random.floats(3 * columns, 5.0);
        let run = |set: KernelSet| {
            let mut probabilities = scores.clone();
            set.softmax(columns, &mut probabilities);
            let mut logarithms = scores.clone();
            for row in logarithms.chunks_exact_mut(columns) {
                set.log_softmax(row);
                probabilities.push(set.argmax(row) as f32);
            }
            probabilities.extend(logarithms);
            for norm in [layer, rms, Norm::None] {
                let mut out = vec![0.0; input.len()];
                set.normalize(&norm, columns, &input, &mut out);
                probabilities.extend(out);
            }
            bits(&probabilities)
        };
        for set in sets() {
            assert_eq!(run(set), run(KernelSet::scalar()), "{set:?} {columns}");
        }
    }
}

#[test]
fn log_probabilities_of_a_vocabulary_keep_their_digits() {
    let mut random = Lcg::new(22);
    let scores = random.floats(if cfg!(miri) { 1_500 } else { 51_865 }, 10.0);
    let max = scores.iter().copied().fold(f32::MIN, f32::max);
    let total: f64 = scores.iter().map(|&x| f64::from(x - max).exp()).sum();
    for set in sets() {
        let mut found = scores.clone();
        set.log_softmax(&mut found);
        for (found, score) in found.iter().zip(&scores) {
            assert!((f64::from(*found) - (f64::from(score - max) - total.ln())).abs() < 4e-6);
        }
        assert_eq!(scores[set.argmax(&scores)], max);
        assert_eq!(set.argmax(&[f32::NAN, 1.0, 3.0, 3.0, f32::NEG_INFINITY]), 2);
        assert_eq!(set.argmax(&[]), 0);
    }
}

#[test]
fn half_precision_agrees_on_all_sets_for_every_value() {
    let halves: Vec<u16> = (0..=u16::MAX).step_by(STEP).filter(|&bits| bits & 0x7fff <= 0x7c00).collect();
    let mut floats = vec![0.0; halves.len()];
    KernelSet::scalar().widen(&halves, &mut floats);
    let mut wide = Lcg::new(4).floats(5000 / STEP, 7e4);
    wide.extend(Lcg::new(5).floats(5000 / STEP, 1e-6));
    wide.extend(floats.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0).filter(|x| x.is_finite()));
    let mut narrow = vec![0; wide.len()];
    KernelSet::scalar().narrow(&wide, &mut narrow);
    for set in sets() {
        let mut found = vec![0.0; halves.len()];
        set.widen(&halves, &mut found);
        assert_eq!(bits(&found), bits(&floats), "{set:?}");
        let mut back = vec![0; halves.len()];
        set.narrow(&found, &mut back);
        assert_eq!(back, halves, "{set:?}");
        let mut found = vec![0; wide.len()];
        set.narrow(&wide, &mut found);
        assert_eq!(found, narrow, "{set:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 2 } else { 64 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn random_products_agree_on_all_sets(
        (rows, depth, columns) in (0usize..30, 1usize..200, 1usize..100),
        magnitude in -20i32..20,
        norm in 0..3,
        seed: u64,
    ) {
        let mut random = Lcg::new(seed);
        let input = random.floats(rows * depth, 2f32.powi(magnitude));
        let (weights, scales) = (random.weights(columns * depth), random.floats(columns, 0.1));
        let gain = random.floats(depth, 1.0);
        let shift = random.floats(depth, 1.0);
        let bias = random.floats(columns, 1.0);
        let norm = match norm {
            0 => Norm::None,
            1 => Norm::Layer { weight: &gain, bias: &shift, epsilon: 1e-5 },
            _ => Norm::RootMeanSquare { weight: &gain, epsilon: 1e-6 },
        };
        let run = |set: KernelSet| {
            let mut activations = set.activations(0, 0);
            set.quantize(MatRef::new(&input, rows, depth), &norm, &mut activations);
            let packed = PackedMatrix::pack(set.layout(), depth, &weights, &scales).unwrap();
            let mut out = vec![0.0; rows * columns];
            let epilogue = Epilogue { bias: Some(&bias), activation: Activation::Gelu, accumulate: false };
            set.product(&activations, &packed, epilogue, BlockMut::new(&mut out, columns));
            bits(&out)
        };
        let expected = run(KernelSet::scalar());
        for set in sets() {
            prop_assert_eq!(&run(set), &expected, "{:?}", set);
        }
    }
}
