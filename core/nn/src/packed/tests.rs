//! The packed format: what is written, that it is used in place, and how damaged files are refused.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use proptest::prelude::*;
use sotto_kernels::Layout;
use sotto_runtime::CancelToken;

use super::header::LENGTH;
use super::*;
use crate::layers::{
    Biased, MatrixRequest, Part, QuantizedMatrix, QuantizedWeights, StoredRows, TensorSource, WeightType,
};
use crate::weights::WeightError;

/// Two stacked projections, a convolution, a norm of an odd width, and bytes.
struct Source(HashMap<String, (Vec<usize>, Vec<f32>)>);

const WIDTH: usize = 20;

impl Source {
    fn new() -> Self {
        let shapes: [(&str, &[usize]); 7] = [
            ("a.q.weight", &[33, WIDTH]),
            ("a.k.weight", &[30, WIDTH]),
            ("a.q.bias", &[33]),
            ("conv.weight", &[5, 4, 3]),
            ("conv.bias", &[5]),
            ("norm.weight", &[7]),
            ("embed.weight", &[50, WIDTH]),
        ];
        let values = |shape: &[usize], seed: usize| {
            (0..shape.iter().product()).map(|i| ((i * 31 + seed * 7) as f32).sin()).collect()
        };
        let tensor =
            |(seed, (name, shape)): (usize, (&str, &[usize]))| (name.to_owned(), (shape.to_vec(), values(shape, seed)));
        Self(shapes.into_iter().enumerate().map(tensor).collect())
    }
}

impl TensorSource for Source {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightError> {
        let missing = || WeightError::Missing { file: "source".to_owned(), name: name.to_owned() };
        let (known, values) = self.0.get(name).ok_or_else(missing)?;
        assert_eq!(known, shape);
        Ok(values.clone())
    }

    fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

const LINEAR: StoredRows = StoredRows::Linear { inputs: WIDTH };

const fn part(name: &str, biased: Biased, outputs: usize) -> Part<'_> {
    Part { name, biased, outputs }
}

const STACKED: MatrixRequest<'_> =
    MatrixRequest { parts: &[part("a.q", Biased::Yes, 33), part("a.k", Biased::No, 30)], rows: LINEAR };
const CONV: MatrixRequest<'_> =
    MatrixRequest { parts: &[part("conv", Biased::Yes, 5)], rows: StoredRows::Convolution { inputs: 4, kernel: 3 } };
const EMBED: MatrixRequest<'_> = MatrixRequest { parts: &[part("embed", Biased::No, 50)], rows: LINEAR };

/// Loads everything that a network would.
fn load(source: &impl TensorSource, layout: Layout) -> Result<(Vec<QuantizedWeights>, Vec<f32>), WeightError> {
    let norm = source.floats("norm.weight", &[7])?.to_vec();
    let matrices =
        [STACKED, CONV, EMBED].iter().map(|request| source.quantized(layout, request)).collect::<Result<_, _>>()?;
    Ok((matrices, norm))
}

fn contents(layout: Layout) -> (Contents, Vec<TensorError>) {
    contents_as(layout, &|_| WeightType::Int8)
}

fn contents_as(layout: Layout, weight_type: &dyn Fn(&str) -> WeightType) -> (Contents, Vec<TensorError>) {
    let (source, cancel) = (Source::new(), CancelToken::new());
    let recorder = Recorder::new(&source, layout, weight_type, &cancel);
    load(&recorder, Layout::Columns).unwrap();
    let (mut contents, errors) = recorder.finish();
    contents.add_bytes("words", b"some bytes".to_vec());
    contents.set_metadata("title", "a \"quoted\" title".to_owned());
    (contents, errors)
}

fn file(layout: Layout) -> Vec<u8> {
    contents(layout).0.to_bytes()
}

fn open(bytes: &[u8]) -> Result<PackedModel, WeightError> {
    PackedModel::from_bytes(Cow::Owned(bytes.to_vec()), "model.sotto")
}

fn write(contents: &Contents, path: &Path, replace: bool) -> Result<u64, WriteError> {
    contents.write(path, replace, &|_, _| {}, &CancelToken::new())
}

#[test]
fn any_safetensors_reader_lists_the_tensors() {
    let bytes = file(Layout::Quads);
    let reference = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let stacked = reference.tensor("a.q+k.int8").unwrap();
    assert_eq!((stacked.dtype(), stacked.shape()), (safetensors::Dtype::I8, &[6, 12 * 32][..]));
    assert_eq!(reference.tensor("a.q+k.scales").unwrap().shape(), [72]);
    assert_eq!(reference.tensor("a.q+k.bias").unwrap().shape(), [63]);
    assert_eq!(reference.tensor("words").unwrap().data(), b"some bytes");
    for (name, tensor) in reference.tensors() {
        let start = tensor.data().as_ptr() as usize - bytes.as_ptr() as usize;
        let is_free = name.starts_with("_padding") || name.ends_with(".scales");
        assert!(start.is_multiple_of(ALIGNMENT) || is_free, "{name} at {start}");
    }
    assert_eq!(open(&bytes).unwrap().metadata("title"), Some("a \"quoted\" title"));
}

#[test]
fn the_same_weights_give_the_same_bytes() {
    for layout in Layout::ALL {
        assert!(file(layout) == file(layout));
    }
}

#[test]
fn weights_are_those_that_quantizing_at_load_gives_in_every_layout() {
    let source = Source::new();
    for from in Layout::ALL {
        let packed = open(&file(from)).unwrap();
        assert_eq!(packed.layout(), from);
        for to in Layout::ALL {
            let (expected, expected_norm) = load(&source, to).unwrap();
            let (found, norm) = load(&packed, to).unwrap();
            assert_eq!(norm, expected_norm);
            for (found, expected) in found.iter().zip(&expected) {
                assert!(found.matrix.bytes() == expected.matrix.bytes(), "{from} to {to}");
                assert_eq!(found.bias.as_deref(), expected.bias.as_deref());
            }
        }
    }
}

#[test]
fn as_f32_a_matrix_is_what_its_weights_stand_for() {
    let source = Source::new();
    for layout in Layout::ALL {
        let packed = open(&file(layout)).unwrap();
        for request in [STACKED, CONV, EMBED] {
            let found = packed.matrix(&request).unwrap();
            let original = source.matrix(&request).unwrap();
            assert_eq!(found.bias, original.bias);
            let int8 = packed.quantized(layout, &request).unwrap().matrix;
            let mut column = vec![0.0; request.depth()];
            let rows = found.rows.chunks(request.depth()).zip(original.rows.chunks(request.depth()));
            assert_eq!(rows.len(), request.columns());
            for (index, (row, original)) in rows.enumerate() {
                int8.column(index, &mut column);
                assert_eq!(row, column);
                let peak = original.iter().fold(0.0f32, |peak, weight| peak.max(weight.abs()));
                let error = row.iter().zip(original).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(error <= 0.51 * peak / 127.0, "{layout}, row {index}: {error}");
            }
        }
    }
}

/// A file with 4-bit weights in all matrices except the convolution.
fn int4_file(layout: Layout) -> Vec<u8> {
    let weight_type = |name: &str| if name == "conv" { WeightType::Int8 } else { WeightType::Int4 };
    contents_as(layout, &weight_type).0.to_bytes()
}

#[test]
fn four_bit_weights_are_the_same_in_every_layout() {
    let source = Source::new();
    for from in Layout::ALL {
        let packed = open(&int4_file(from)).unwrap();
        assert_eq!(packed.weight_type(), WeightType::Int4);
        assert_eq!(open(&file(from)).unwrap().weight_type(), WeightType::Int8);
        for to in Layout::ALL {
            for request in [STACKED, EMBED] {
                let expected = request.quantized(&source, to, WeightType::Int4).unwrap();
                let found = packed.quantized(to, &request).unwrap();
                assert!(found.matrix.bytes() == expected.matrix.bytes(), "{from} to {to}");
                assert_eq!(found.bias.as_deref(), expected.bias.as_deref());
                assert!(matches!(found.matrix, QuantizedMatrix::Int4(_)));
            }
            assert!(matches!(packed.quantized(to, &CONV).unwrap().matrix, QuantizedMatrix::Int8(_)));
        }
        let (rows, original) = (packed.matrix(&EMBED).unwrap().rows, source.matrix(&EMBED).unwrap().rows);
        assert_eq!(rows.len(), original.len(), "{from}");
        // Half a step is 1/16 in a block whose largest weight is 1; at the clamped end the error is a little larger.
        assert!(rows.iter().zip(&original).all(|(found, original)| (found - original).abs() < 0.15), "{from}");
    }
}

#[test]
fn four_bit_weights_lie_in_the_file_and_are_listed_by_any_reader() {
    let bytes = int4_file(Layout::Vnni);
    let reference = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let embed = reference.tensor("embed.int4").unwrap();
    // Two panels; one block of 32 in depth: codes of 32 columns, and their scales.
    assert_eq!((embed.dtype(), embed.shape()), (safetensors::Dtype::U8, &[2, 32 * 32 / 2 + 2 * 32][..]));
    let model = open(&bytes).unwrap();
    let (shared, _) = model.bytes("words").unwrap();
    let matrix = model.quantized(Layout::Vnni, &EMBED).unwrap().matrix;
    assert!((*shared).as_ref().as_ptr_range().contains(&matrix.bytes().as_ptr()));
    assert_eq!(matrix.bytes(), embed.data());
}

#[test]
fn four_bit_weights_of_another_shape_or_type_are_refused() {
    let model = open(&int4_file(Layout::Quads)).unwrap();
    for (outputs, inputs) in [(49 * 2, WIDTH), (50, 2 * WIDTH), (0, WIDTH), (50, 0), (usize::MAX / 8, WIDTH)] {
        let parts = [part("embed", Biased::No, outputs)];
        let other = MatrixRequest { parts: &parts, rows: StoredRows::Linear { inputs } };
        assert!(model.quantized(Layout::Quads, &other).is_err(), "{outputs} × {inputs}");
    }
    let swap = |from: &str, to: &str| {
        let mut bytes = int4_file(Layout::Quads);
        let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        assert!(reseal(&mut bytes));
        open(&bytes).unwrap().quantized(Layout::Quads, &EMBED)
    };
    let kind = swap("\"embed.int4\":{\"dtype\":\"U8\"", "\"embed.int4\":{\"dtype\":\"I8\"");
    assert!(matches!(kind, Err(WeightError::ElementType { .. })), "{kind:?}");
    assert!(matches!(swap("\"embed.int4\"", "\"embed.int5\""), Err(WeightError::Missing { .. })));
}

#[test]
fn four_bit_weights_with_a_scale_that_is_not_finite_are_refused() {
    let mut bytes = int4_file(Layout::Vnni);
    let embed = safetensors::SafeTensors::deserialize(&bytes).unwrap().tensor("embed.int4").unwrap().data().as_ptr();
    // After the codes of the first block.
    let at = embed.addr() - bytes.as_ptr().addr() + 32 * 32 / 2;
    bytes[at..at + 2].copy_from_slice(&0x7c00u16.to_le_bytes());
    let error = open(&bytes).unwrap().quantized(Layout::Vnni, &EMBED).map(|_| ()).unwrap_err();
    assert!(matches!(&error, WeightError::NotFinite { index: 512, .. }), "{error}");
}

#[test]
fn weights_and_norms_lie_in_the_mapped_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.sotto");
    let (contents, _) = contents(Layout::Vnni);
    assert_eq!(write(&contents, &path, false).unwrap(), std::fs::metadata(&path).unwrap().len());
    assert!(std::fs::read(&path).unwrap() == contents.to_bytes());
    let model = PackedModel::open(&path).unwrap();
    let (shared, words) = model.bytes("words").unwrap();
    let mapped = (*shared).as_ref().as_ptr_range();
    let is_inside = |bytes: *const u8| mapped.contains(&bytes);
    let weights = [STACKED, CONV, EMBED].map(|request| model.quantized(Layout::Vnni, &request).unwrap());
    let norm = model.floats("norm.weight", &[7]).unwrap();
    drop(model);
    for QuantizedWeights { matrix, bias } in &weights {
        assert!(is_inside(matrix.bytes().as_ptr()));
        assert!(bias.as_ref().is_none_or(|bias| is_inside(bias.as_ptr().cast())));
    }
    assert!(is_inside(norm.as_ptr().cast()));
    assert_eq!((*shared).as_ref()[words], *b"some bytes");
}

#[test]
fn errors_are_measured_against_the_source() {
    let (_, errors) = contents(Layout::Pairs);
    let names: Vec<&str> = errors.iter().map(|error| error.name.as_str()).collect();
    assert_eq!(names, ["a.q+k", "conv", "embed"]);
    // Uniform rounding by half a step of 1/127: 1/127/√12 over the sine's root mean square of 0.7.
    assert!(errors.iter().all(|error| (0.001..0.006).contains(&error.relative())), "{errors:?}");
    let packed = open(&file(Layout::Pairs)).unwrap();
    let cancel = CancelToken::new();
    let again = Recorder::new(&packed, Layout::Octets, &|_| WeightType::Int4, &cancel);
    load(&again, Layout::Columns).unwrap();
    let (contents, errors) = again.finish();
    assert!(errors.is_empty(), "a packed model has nothing to be compared with");
    assert_eq!(open(&contents.to_bytes()).unwrap().weight_type(), WeightType::Int8, "it keeps its weights");
}

#[test]
fn a_file_is_replaced_only_on_demand_and_nothing_else_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.sotto");
    let only_file = || {
        let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(names.iter().all(|name| name == "model.sotto"), "{names:?}");
        names.len()
    };
    std::fs::write(&path, "mine").unwrap();
    let (contents, _) = contents(Layout::Columns);
    assert!(matches!(write(&contents, &path, false), Err(WriteError::Exists { .. })));
    assert_eq!((std::fs::read(&path).unwrap(), only_file()), (b"mine".to_vec(), 1));
    let cancel = CancelToken::new();
    let stop = |_: u64, _: u64| cancel.cancel();
    assert!(matches!(contents.write(&path, true, &stop, &cancel), Err(WriteError::Cancelled(_))));
    assert_eq!((std::fs::read(&path).unwrap(), only_file()), (b"mine".to_vec(), 1));
    write(&contents, &path, true).unwrap();
    assert_eq!((std::fs::read(&path).unwrap() == contents.to_bytes(), only_file()), (true, 1));
    // A loaded model keeps its own file.
    let model = PackedModel::open(&path).unwrap();
    let matrix = model.quantized(Layout::Columns, &EMBED).unwrap().matrix;
    let before: Vec<u8> = matrix.bytes().to_vec();
    write(&contents, &path, true).unwrap();
    assert!(matrix.bytes() == before);
    model.check_unchanged().unwrap();
    assert!(matches!(write(&contents, &folder.path().join("no/where.sotto"), false), Err(WriteError::Io { .. })));
}

#[test]
fn what_a_crashed_packing_left_behind_is_not_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.sotto");
    let (contents, _) = contents(Layout::Columns);
    write(&contents, &path, false).unwrap();
    let left = folder.path().join(format!(".other.sotto.{}.0.part", std::process::id()));
    std::fs::hard_link(&path, &left).unwrap();
    let before = std::fs::read(&path).unwrap();
    let other = folder.path().join("other.sotto");
    let mut changed = contents_as(Layout::Columns, &|_| WeightType::Int4).0;
    changed.set_metadata("title", "another".to_owned());
    write(&changed, &other, false).unwrap();
    assert!(std::fs::read(&path).unwrap() == before, "the model under its second name");
    assert!(std::fs::read(&other).unwrap() == changed.to_bytes());
}

#[test]
fn a_file_that_is_cut_under_a_model_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.sotto");
    write(&contents(Layout::Columns).0, &path, false).unwrap();
    let model = PackedModel::open(&path).unwrap();
    model.check_unchanged().unwrap();
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(100).unwrap();
    assert!(matches!(model.check_unchanged(), Err(WeightError::Changed { .. })));
}

/// The message of a refusal; checks that it names the file.
fn refusal(bytes: &[u8]) -> String {
    let message = open(bytes).map(|_| ()).unwrap_err().to_string();
    assert!(message.contains("model.sotto") && message.len() < 600, "{message}");
    message
}

#[test]
fn a_file_is_refused_wherever_it_is_cut() {
    let bytes = file(Layout::Quads);
    for length in 0..bytes.len() {
        refusal(&bytes[..length]);
    }
    refusal(&[&bytes[..], &[0]].concat());
}

#[test]
fn every_changed_bit_of_the_header_is_noticed() {
    let mut bytes = file(Layout::Quads);
    let header = LENGTH + u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
    for at in 0..header {
        for bit in 0..8 {
            bytes[at] ^= 1 << bit;
            refusal(&bytes);
            bytes[at] ^= 1 << bit;
        }
    }
}

/// The file with one piece of its header replaced by another of the same length, and a checksum that fits.
fn changed(from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = file(Layout::Quads);
    let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).expect("the header has it");
    bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    reseal(&mut bytes);
    bytes
}

#[test]
fn unknown_versions_and_layouts_are_named() {
    assert!(matches!(open(&changed("\"sotto.format\":\"1\"", "\"sotto.format\":\"9\"")),
        Err(WeightError::PackedVersion { found, .. }) if found == "9"));
    assert!(matches!(open(&changed("\"4 quads\"", "\"9 quads\"")), Err(WeightError::UnknownLayout { .. })));
    assert!(matches!(open(&changed("sotto.format", "other.format")), Err(WeightError::NotPacked { .. })));
    assert!(matches!(open(&changed("sotto.checksum", "sotto.checksun")), Err(WeightError::Checksum { .. })));
    // Only the number counts; the name is for people.
    assert!(open(&changed("\"4 quads\"", "\"4 other\"")).is_ok());
}

#[test]
fn tensors_of_another_kind_shape_or_place_are_refused() {
    let model = open(&file(Layout::Quads)).unwrap();
    let quantized = |outputs, inputs| {
        let parts = [part("embed", Biased::No, outputs)];
        model.quantized(Layout::Quads, &MatrixRequest { parts: &parts, rows: StoredRows::Linear { inputs } })
    };
    for (outputs, inputs) in [(49, 200), (13, WIDTH), (500, WIDTH)] {
        assert!(matches!(quantized(outputs, inputs), Err(WeightError::Shape { .. })));
    }
    for (outputs, inputs) in [(0, WIDTH), (1, 0), (usize::MAX, WIDTH), (50, 1 << 18)] {
        assert!(quantized(outputs, inputs).is_err());
    }
    assert!(matches!(model.floats("norm.weight", &[8]), Err(WeightError::Shape { .. })));
    assert!(matches!(model.floats("words", &[10]), Err(WeightError::ElementType { .. })));
    assert!(matches!(model.bytes("norm.weight"), Err(WeightError::ElementType { .. })));
    assert!(matches!(model.bytes("absent"), Err(WeightError::Missing { .. })));
    // Weights with the type of an offset layout, in a layout without an offset.
    let kind = changed("\"embed.int8\":{\"dtype\":\"I8\"", "\"embed.int8\":{\"dtype\":\"U8\"");
    assert!(matches!(open(&kind).unwrap().quantized(Layout::Quads, &EMBED), Err(WeightError::ElementType { .. })));
    // Scales under another name than the weights before them.
    let swapped = changed("\"embed.scales\"", "\"ombed.scales\"");
    assert!(matches!(open(&swapped).unwrap().quantized(Layout::Quads, &EMBED), Err(WeightError::Missing { .. })));
}

#[test]
fn weights_beyond_the_file_overlapping_or_misaligned_are_refused() {
    let bytes = file(Layout::Quads);
    let header = String::from_utf8_lossy(&bytes[LENGTH..]).into_owned();
    let offsets = |name: &str| {
        let entry = &header[header.find(&format!("\"{name}\"")).unwrap()..];
        let start = entry.find("[").unwrap();
        let list = &entry[entry[start + 1..].find('[').unwrap() + start + 2..];
        list[..list.find(']').unwrap()].to_owned()
    };
    let norm = offsets("norm.weight");
    assert_eq!(norm, "0,28");
    for (from, to, cause) in [
        ("[0,28]", "[4,32]", "leaves a hole"),
        ("[0,28]", "[0,29]", "where its shape"),
        (
            "\"norm.weight\":{\"dtype\":\"F32\",\"shape\":[7]",
            "\"norm.weight\":{\"dtype\":\"F32\",\"shape\":[9]",
            "shape",
        ),
    ] {
        let message = refusal(&changed(from, to));
        assert!(message.contains(cause), "{message}");
    }
    // Valid tensors, but an unpadded header: the first tensor does not start on a cache line.
    let metadata = HashMap::from([
        ("sotto.format".to_owned(), "1".to_owned()),
        ("sotto.layout".to_owned(), "4 quads".to_owned()),
        ("sotto.checksum".to_owned(), header::NO_CHECKSUM.to_owned()),
    ]);
    let values = [0u8; 28];
    let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![7], &values).unwrap();
    let mut unpadded = safetensors::serialize([("norm.weight", view)], Some(metadata)).unwrap();
    let length = u64::from_le_bytes(*unpadded.first_chunk().unwrap());
    let spaces = if (LENGTH as u64 + length + 8).is_multiple_of(ALIGNMENT as u64) { 16 } else { 8 };
    let end = LENGTH + length as usize;
    unpadded.splice(end..end, vec![b' '; spaces]);
    unpadded.splice(..LENGTH, (length + spaces as u64).to_le_bytes());
    assert!(reseal(&mut unpadded));
    assert!(refusal(&unpadded).contains("no multiple of"), "{}", refusal(&unpadded));
}

#[test]
fn values_that_are_not_finite_are_refused() {
    let bytes = file(Layout::Quads);
    let model = open(&bytes).unwrap();
    let offset = |pointer: *const u8| {
        let (shared, _) = model.bytes("words").unwrap();
        pointer as usize - (*shared).as_ref().as_ptr() as usize
    };
    let norm = offset(model.floats("norm.weight", &[7]).unwrap().as_ptr().cast());
    let embed = model.quantized(Layout::Quads, &EMBED).unwrap().matrix;
    let scales = offset(embed.bytes().as_ptr()) + 5 * Layout::Quads.panel_len(WIDTH);
    for (at, name) in [(norm, "norm.weight"), (scales, "embed.scales")] {
        let mut bytes = bytes.clone();
        bytes[at..at + 4].copy_from_slice(&f32::INFINITY.to_le_bytes());
        let error = load(&open(&bytes).unwrap(), Layout::Quads).map(|_| ()).unwrap_err();
        assert!(matches!(&error, WeightError::NotFinite { index: 0, .. }), "{error}");
        assert!(error.to_string().contains(name), "{error}");
    }
}

/// Reads every weight; returns the number of columns that are not all zero.
fn filled_columns(matrix: &QuantizedMatrix) -> usize {
    let mut weights = vec![0.0; matrix.depth()];
    let mut is_filled = |column| {
        matrix.column(column, &mut weights);
        weights.iter().any(|&weight| weight != 0.0)
    };
    (0..matrix.columns()).filter(|&column| is_filled(column)).count()
}

proptest! {
    /// For any header with a valid checksum, opening either fails or gives a model that reads only inside the file.
    #[test]
    fn damaged_files_never_read_out_of_bounds(
        changes in prop::collection::vec((0..file(Layout::Quads).len(), any::<u8>()), 1..4),
        in_header in any::<bool>(),
        cut in prop::option::of(0..file(Layout::Quads).len()),
        four_bits in any::<bool>(),
    ) {
        let mut bytes = if four_bits { int4_file(Layout::Quads) } else { file(Layout::Quads) };
        let header = LENGTH + u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
        for (at, byte) in changes {
            let at = at % if in_header { header } else { bytes.len() };
            bytes[at] = byte;
        }
        bytes.truncate(cut.unwrap_or(bytes.len()));
        reseal(&mut bytes);
        if let Ok(model) = open(&bytes) {
            for layout in [Layout::Quads, Layout::Vnni] {
                if let Ok((matrices, norm)) = load(&model, layout) {
                    prop_assert!(norm.iter().all(|value| value.is_finite()));
                    let fits = |matrix: &QuantizedMatrix| filled_columns(matrix) <= matrix.columns();
                    prop_assert!(matrices.iter().all(|weights| fits(&weights.matrix)));
                }
            }
        }
    }
}
