//! Misuse by safe code is refused before unsafe code relies on it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use sotto_kernels::{
    BLOCK, BlockMut, Epilogue, Heads, Int4Matrix, KernelSet, MatRef, Norm, QuantizedAttention, QuantizedRowScratch,
};

/// A layer of 200 rows, filled.
fn layer(set: KernelSet, heads: Heads, queries: bool) -> QuantizedAttention {
    let mut layer = if queries { set.quantized_attention(heads) } else { set.quantized_key_values(heads) };
    let columns = heads.key_value_width() * if queries { 3 } else { 2 };
    for chunk in layer.chunks_mut(200) {
        let values = vec![0.5; chunk.rows().len() * columns];
        set.fill_quantized(MatRef::new(&values, chunk.rows().len(), columns), chunk);
    }
    layer
}

#[test]
fn a_chunk_of_another_layer_is_refused() {
    let narrow = Heads::new(2, 32);
    let wide = Heads::new(2, 256);
    for set in KernelSet::all_available() {
        for queries in [true, false] {
            let (mut ours, mut theirs) = (layer(set, narrow, queries), layer(set, wide, queries));
            std::mem::swap(&mut ours.chunks_mut(200)[1], &mut theirs.chunks_mut(200)[1]);
            let attend = |layer: &QuantizedAttention, heads: Heads| {
                let mut out = vec![0.0; 200 * heads.width()];
                if queries {
                    let mut scratch = set.quantized_scratch(heads);
                    set.attend_quantized(0..200, layer, BlockMut::new(&mut out, heads.width()), &mut scratch);
                } else {
                    let (query, out) = (vec![0.5; heads.width()], &mut out[..heads.width()]);
                    set.attend_quantized_row(&query, layer, None, out, &mut QuantizedRowScratch::default());
                }
            };
            for (layer, heads) in [(&ours, narrow), (&theirs, wide)] {
                assert!(catch_unwind(AssertUnwindSafe(|| attend(layer, heads))).is_err(), "{set:?} {heads:?}");
            }
        }
    }
}

#[test]
fn rows_that_were_not_quantized_for_4_bit_weights_are_refused_on_every_set() {
    for set in KernelSet::all_available() {
        let weights = Int4Matrix::pack(set.layout(), BLOCK, &[1; 3 * BLOCK], &[0x3c00; 3]).expect("valid shapes");
        let values = [1.0; 2 * BLOCK];
        let mut activations = set.activations(2, BLOCK);
        let product = |activations: &_| {
            let mut out = [0.0; 6];
            set.product_int4(activations, &weights, Epilogue::default(), BlockMut::new(&mut out, 3));
            out
        };
        let rows = MatRef::new(&values, 2, BLOCK);
        set.quantize_for_int4(rows, &Norm::None, &mut activations);
        assert_eq!(product(&activations), [BLOCK as f32; 6], "{set:?}");
        set.quantize(rows, &Norm::None, &mut activations);
        assert!(catch_unwind(AssertUnwindSafe(|| product(&activations))).is_err(), "{set:?}");
    }
}
