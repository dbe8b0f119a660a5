//! Tests of both readers: conversion on demand, int8 scales, shards, real files.

use std::borrow::Cow;

use super::*;

/// A safetensors file of tensors given as (name, element type, shape, bytes), in this order.
fn image(tensors: &[(&str, &str, &[usize], &[u8])]) -> Vec<u8> {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, dtype, shape, bytes) in tensors {
        let offsets = [data.len(), data.len() + bytes.len()];
        let info = serde_json::json!({ "dtype": dtype, "shape": shape, "data_offsets": offsets });
        header.insert((*name).to_owned(), info);
        data.extend_from_slice(bytes);
    }
    file(&serde_json::Value::Object(header).to_string(), &data)
}

fn file(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

fn open(bytes: Vec<u8>) -> Result<Weights, WeightError> {
    Weights::from_safetensors_bytes(Cow::Owned(bytes), "test.safetensors")
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[test]
fn a_tensor_comes_back_only_in_the_shape_it_has() {
    let weights = open(image(&[("a", "F32", &[2, 2], &floats(&[1.0, 2.0, 3.0, 4.0]))])).unwrap();
    assert_eq!(weights.tensor("a", &[2, 2]).unwrap(), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(weights.shape("a"), Some([2, 2].as_slice()));
    let message = weights.tensor("a", &[4]).unwrap_err().to_string();
    assert!(message.contains("test.safetensors: tensor `a` has shape [2, 2], [4] is needed"), "{message}");
    let message = weights.tensor("b", &[4]).unwrap_err().to_string();
    assert!(message.contains("no tensor `b`"), "{message}");
}

#[test]
fn int8_rows_are_multiplied_with_their_scales() {
    let scales = floats(&[0.5, 2.0]);
    for shape in [[2].as_slice(), &[2, 1]] {
        let bytes = image(&[("w", "I8", &[2, 3], &[1, 2, 0xff, 4, 5, 6]), ("w_scale", "F32", shape, &scales)]);
        assert_eq!(open(bytes).unwrap().tensor("w", &[2, 3]).unwrap(), [0.5, 1.0, -0.5, 8.0, 10.0, 12.0]);
    }
}

#[test]
fn int8_without_fitting_scales_is_refused() {
    let int8 = ("w", "I8", [2usize, 1].as_slice(), [1u8, 2].as_slice());
    let error = open(image(&[int8])).unwrap().tensor("w", &[2, 1]).unwrap_err();
    assert!(matches!(&error, WeightError::Missing { name, .. } if name == "w_scale"), "{error}");
    let three = floats(&[1.0; 3]);
    let error = open(image(&[int8, ("w_scale", "F32", &[3], &three)])).unwrap().tensor("w", &[2, 1]).unwrap_err();
    assert!(matches!(&error, WeightError::Shape { name, .. } if name == "w_scale"), "{error}");
    let error = open(image(&[int8, ("w_scale", "I8", &[2], &[1, 1])])).unwrap().tensor("w", &[2, 1]).unwrap_err();
    assert!(matches!(&error, WeightError::ElementType { name, .. } if name == "w_scale"), "{error}");
}

#[test]
fn bytes_with_scales_are_pairs_of_4_bit_values_in_blocks_of_32() {
    // Two rows of 64: code `c` at column `c % 16`, scales 1 and 2 in the first row, 0.5 and -1 in the second.
    let row: Vec<u8> = (0..32).map(|pair| ((2 * pair) % 16) | (((2 * pair + 1) % 16) << 4)).collect();
    let scales = floats(&[1.0, 2.0, 0.5, -1.0]);
    let rows = row.repeat(2);
    for (stored, shape) in [([2, 32].as_slice(), [2, 64].as_slice()), (&[2, 8, 4], &[2, 16, 4])] {
        let weights = open(image(&[("w", "U8", stored, &rows), ("w_scale", "F32", &[2, 2], &scales)])).unwrap();
        assert_eq!(weights.shape("w"), Some(shape));
        let values = weights.tensor("w", shape).unwrap();
        for (index, value) in values.into_iter().enumerate() {
            let scale = [1.0, 2.0, 0.5, -1.0][index / 32];
            assert_eq!(value, ((index % 16) as f32 - 8.0) * scale, "{index}");
        }
    }
}

#[test]
fn bytes_whose_scales_do_not_fit_are_refused() {
    let bytes = ("w", "U8", [2usize, 16].as_slice(), [0u8; 32].as_slice());
    for (shape, count) in [([2].as_slice(), 2), (&[1, 2], 2), (&[2, 2], 4)] {
        let scales = floats(&vec![1.0; count]);
        let error =
            open(image(&[bytes, ("w_scale", "F32", shape, &scales)])).unwrap().tensor("w", &[2, 32]).unwrap_err();
        let fits =
            matches!(&error, WeightError::Shape { name, expected, .. } if name == "w_scale" && expected == &[2, 1]);
        assert!(fits, "{error}");
    }
    let error = open(image(&[bytes])).unwrap().tensor("w", &[2, 16]).unwrap_err();
    assert!(matches!(&error, WeightError::ElementType { .. }), "{error}");
}

#[test]
fn a_value_that_is_not_finite_is_found_at_its_place() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let weights = open(image(&[("a", "F32", &[3], &floats(&[0.0, bad, 1.0]))])).unwrap();
        let error = weights.tensor("a", &[3]).unwrap_err();
        assert!(matches!(&error, WeightError::NotFinite { index: 1, .. }), "{error}");
    }
}

#[test]
fn types_that_hold_no_weights_are_listed_but_not_converted() {
    let weights = open(image(&[("ids", "I64", &[1], &[0; 8])])).unwrap();
    assert_eq!(weights.names().collect::<Vec<_>>(), ["ids"]);
    let error = weights.tensor("ids", &[1]).unwrap_err();
    assert!(matches!(&error, WeightError::ElementType { found, .. } if found == "I64"), "{error}");
}

#[test]
fn metadata_is_readable() {
    let bytes = file(r#"{"__metadata__":{"format":"pt"}}"#, &[]);
    assert_eq!(open(bytes).unwrap().metadata("format"), Some("pt"));
}

#[test]
fn shards_read_as_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write("one.safetensors", &image(&[("a", "F32", &[1], &floats(&[1.0]))]));
    write("two.safetensors", &image(&[("b", "F32", &[1], &floats(&[2.0]))]));
    let index = folder.path().join("model.safetensors.index.json");
    write("model.safetensors.index.json", br#"{"weight_map":{"a":"one.safetensors","b":"two.safetensors"}}"#);
    let weights = Weights::open_safetensors_sharded(&index).unwrap();
    assert_eq!(weights.tensor("a", &[1]).unwrap(), [1.0]);
    assert_eq!(weights.tensor("b", &[1]).unwrap(), [2.0]);

    write("model.safetensors.index.json", br#"{"weight_map":{"c":"one.safetensors"}}"#);
    let error = Weights::open_safetensors_sharded(&index).unwrap_err();
    assert!(matches!(&error, WeightError::Missing { name, file } if name == "c" && file.ends_with("one.safetensors")));

    for outside in ["../one.safetensors", "/etc/passwd", "a/b.safetensors", "", ".."] {
        write("model.safetensors.index.json", format!(r#"{{"weight_map":{{"a":"{outside}"}}}}"#).as_bytes());
        let error = Weights::open_safetensors_sharded(&index).unwrap_err();
        assert!(matches!(error, WeightError::Damaged { .. }), "{outside}: {error}");
    }
}

#[test]
fn real_weights_agree_with_the_safetensors_crate() {
    let Some(data) = sotto_testkit::data_dir() else { return };
    let path = data.join("openai-whisper-tiny.en/model.safetensors");
    let weights = Weights::open_safetensors(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(weights.bytes_on_disk(), bytes.len() as u64);
    let reference = ::safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(weights.names().count(), reference.len());
    for (name, view) in reference.tensors() {
        assert_eq!(weights.shape(&name), Some(view.shape()), "{name}");
        let expected: Vec<f32> =
            view.data().as_chunks::<2>().0.iter().map(|b| half::f16::from_le_bytes(*b).to_f32()).collect();
        assert_eq!(weights.tensor(&name, view.shape()).unwrap(), expected, "{name}");
    }
}

#[test]
fn whisper_cpp_headers_are_read() {
    let Some(data) = sotto_testkit::data_dir() else { return };
    for (file, n_vocab, width, tokens) in [
        ("for-tests-ggml-tiny.en.bin", 51_864, 384, 50_257),
        ("for-tests-ggml-tiny.bin", 51_865, 384, 50_257),
        ("for-tests-ggml-base.en.bin", 51_864, 512, 50_257),
    ] {
        let (model, weights) = Weights::open_ggml(&data.join("whisper-ggml-headers").join(file)).unwrap();
        assert_eq!((model.header.n_vocab, model.header.n_audio_state), (n_vocab, width), "{file}");
        assert_eq!((model.header.n_mels, model.mel_filter_bins, model.mel_filters.len()), (80, 201, 80 * 201));
        assert_eq!(model.vocabulary.len(), tokens, "{file}");
        assert!(model.vocabulary.contains(&b" the".to_vec()), "{file}");
        assert_eq!(weights.names().count(), 0);
    }
}

#[test]
fn the_silero_ggml_header_is_read() {
    let Some(data) = sotto_testkit::data_dir() else { return };
    let (model, weights) = Weights::open_silero_ggml(&data.join("vad/ggml-silero-v6.2.0.bin")).unwrap();
    assert_eq!((model.kind.as_str(), model.version), ("silero-16k", [6, 2, 0]));
    assert_eq!((model.window, model.context, model.lstm_hidden), (512, 64, 128));
    assert_eq!(model.encoder[0], SileroConv { input: 129, output: 128, kernel: 3 });
    assert_eq!(weights.tensor("_model.encoder.0.reparam_conv.weight", &[128, 129, 3]).unwrap().len(), 128 * 129 * 3);
    assert_eq!(weights.tensor("_model.decoder.rnn.weight_hh", &[512, 128]).unwrap().len(), 512 * 128);
}

#[test]
fn blocks_dequantize_as_in_the_gguf_package() {
    // ggml_blocks.safetensors: scripts/goldens/ggml_blocks.py
    let golden = sotto_testkit::golden("ggml_blocks").unwrap();
    for element in [Element::Q4_0, Element::Q4_1, Element::Q5_0, Element::Q5_1, Element::Q8_0] {
        let name = element.name();
        let blocks: Vec<u8> = golden.integers(&format!("{name}.blocks")).iter().map(|&byte| byte as u8).collect();
        assert_eq!(element.to_f32(&blocks).unwrap(), golden[format!("{name}.values").as_str()], "{name}");
    }
}
