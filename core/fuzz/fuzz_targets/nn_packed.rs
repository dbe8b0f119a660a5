//! Any bytes as a packed model, with the checksum of its header made to fit so that what lies behind is reached: an
//! error, or matrices and vectors that lie inside the file, finite where they are floats, in memory bounded by the
//! file; repacking them for other kernels keeps every weight.

#![no_main]

use std::borrow::Cow;

use libfuzzer_sys::fuzz_target;
use sotto_kernels::Layout;
use sotto_nn::layers::{Biased, MatrixRequest, Part, QuantizedMatrix, StoredRows, TensorSource};
use sotto_nn::packed::{PackedModel, reseal};

fuzz_target!(|data: &[u8]| {
    let mut file = data.to_vec();
    reseal(&mut file);
    let Ok(model) = PackedModel::from_bytes(Cow::Owned(file), "fuzz") else { return };
    assert_eq!(model.bytes_on_disk(), data.len() as u64);
    let layout = model.layout();
    for (name, kind, shape) in model.tensors() {
        let width = layout.panel();
        // Codes of a block of 32 in all columns of a panel, and their scales.
        let int4_block = 16 * width + 2 * width.next_multiple_of(16);
        if let (Some(name), &[panels, panel]) = (name.strip_suffix(".int4"), shape) {
            read(&model, name, panels * width, panel / int4_block * 32);
        }
        match (kind, name.strip_suffix(".int8"), shape) {
            ("F32", _, _) => {
                if let Ok(values) = model.floats(name, shape) {
                    assert!(4 * values.len() <= data.len() && values.iter().all(|value| value.is_finite()));
                }
            }
            (_, Some(name), &[panels, panel]) => read(&model, name, panels * width, panel / width),
            ("U8", _, _) => {
                if let Ok((shared, range)) = model.bytes(name) {
                    assert!((*shared).as_ref().get(range).is_some());
                }
            }
            _ => {}
        }
    }
});

fn read(model: &PackedModel, name: &str, columns: usize, depth: usize) {
    for (outputs, biased) in [(columns, Biased::No), (columns.saturating_sub(1), Biased::Yes)] {
        let parts = [Part { name, biased, outputs }];
        let request = MatrixRequest { parts: &parts, rows: StoredRows::Linear { inputs: depth } };
        let Ok(here) = model.quantized(model.layout(), &request) else { continue };
        assert!(here.matrix.bytes().len() <= model.bytes_on_disk() as usize);
        assert!(here.bias.is_none_or(|bias| bias.len() == outputs));
        let rows = model.matrix(&request).expect("what can be used as it is can be read as f32").rows;
        assert_eq!(rows.len(), outputs * depth);
        let Ok(there) = model.quantized(Layout::Vnni, &request) else { continue };
        let column = |matrix: &QuantizedMatrix, column| {
            let mut weights = vec![0.0; depth];
            matrix.column(column, &mut weights);
            weights.into_iter().map(f32::to_bits).collect::<Vec<_>>()
        };
        for index in [0, outputs / 2, outputs - 1] {
            assert_eq!(column(&here.matrix, index), column(&there.matrix, index));
        }
    }
}
