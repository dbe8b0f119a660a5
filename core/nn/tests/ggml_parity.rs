//! The same model through both loaders: the real tiny.en as safetensors, and a whisper.cpp file written from it.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::borrow::Cow;

use sotto_nn::weights::Weights;
use sotto_testkit::data_dir;
use sotto_testkit::ggml::{GgmlHeader, GgmlType, NamedTensor, openai_name, tiny_en_ggml, whisper_ggml};

/// Both models, or nothing without the data folder.
fn both(kind: GgmlType) -> Option<(Weights, Weights)> {
    let safetensors = Weights::open_safetensors(&data_dir()?.join("openai-whisper-tiny.en/model.safetensors")).unwrap();
    let (_, ggml) = Weights::from_ggml_bytes(Cow::Owned(tiny_en_ggml(kind)?), "tiny.en.bin").unwrap();
    assert_eq!(ggml.names().count(), safetensors.names().count());
    Some((safetensors, ggml))
}

fn each_pair(kind: GgmlType, mut check: impl FnMut(&str, &[usize], &[f32], &[f32])) {
    let Some((safetensors, ggml)) = both(kind) else { return };
    for name in safetensors.names() {
        let shape = safetensors.shape(name).unwrap();
        let theirs = openai_name(name);
        let column: Vec<usize> = shape.iter().copied().chain([1]).collect();
        let conv_bias = theirs.starts_with("encoder.conv") && theirs.ends_with("bias");
        let expected = safetensors.tensor(name, shape).unwrap();
        let found = ggml.tensor(&theirs, if conv_bias { &column } else { shape }).unwrap();
        check(name, shape, &found, &expected);
    }
}

#[test]
fn floats_are_equal_bit_for_bit() {
    for kind in [GgmlType::F32, GgmlType::F16] {
        each_pair(kind, |name, _, found, expected| assert!(found == expected, "{name} as {kind:?}"));
    }
}

/// Largest allowed error of a value: half a step of its block by rounding, or a whole step at the end of the signed
/// range that has one code less, plus the rounding of scale and minimum to f16.
fn bound(kind: GgmlType, block: &[f32]) -> f32 {
    const F16: f32 = 1.0 / 2048.0;
    // The smallest step of f16 (subnormal).
    const SMALLEST: f32 = 1.0 / 16_777_216.0;
    let extreme = block.iter().fold(0.0f32, |extreme, value| extreme.max(value.abs()));
    let minimum = block.iter().copied().fold(f32::INFINITY, f32::min);
    let maximum = block.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let range = maximum - minimum;
    match kind {
        GgmlType::Q4_0 => extreme / 8.0 + extreme * F16 + 8.0 * SMALLEST,
        GgmlType::Q5_0 => extreme / 16.0 + extreme * F16 + 16.0 * SMALLEST,
        GgmlType::Q4_1 => range / 30.0 + (range + extreme) * F16 + 16.0 * SMALLEST,
        GgmlType::Q5_1 => range / 62.0 + (range + extreme) * F16 + 32.0 * SMALLEST,
        GgmlType::Q8_0 => extreme / 254.0 + extreme * F16 + 128.0 * SMALLEST,
        GgmlType::F32 | GgmlType::F16 => 0.0,
    }
}

#[test]
fn quantized_matrices_stay_within_a_step_of_their_block() {
    for kind in [GgmlType::Q4_0, GgmlType::Q4_1, GgmlType::Q5_0, GgmlType::Q5_1, GgmlType::Q8_0] {
        let mut quantized = 0;
        each_pair(kind, |name, shape, found, expected| {
            if shape.len() != 2 || name.ends_with("embed_positions.weight") {
                assert!(found == expected, "{name}");
                return;
            }
            quantized += 1;
            for (found, expected) in found.chunks(32).zip(expected.chunks(32)) {
                let bound = bound(kind, expected) * 1.0001;
                let worst = found.iter().zip(expected).map(|(f, e)| (f - e).abs()).fold(0.0, f32::max);
                assert!(worst <= bound, "{name} as {kind:?}: {worst} > {bound}");
            }
        });
        assert!(quantized == 0 && data_dir().is_none() || quantized > 60, "{quantized} matrices");
    }
}

#[test]
fn the_header_survives_being_written_again() {
    let Some(data) = data_dir() else { return };
    let path = data.join("whisper-ggml-headers/for-tests-ggml-base.en.bin");
    let (model, _) = Weights::open_ggml(&path).unwrap();
    let h = model.header;
    let sizes = [
        h.n_vocab,
        h.n_audio_ctx,
        h.n_audio_state,
        h.n_audio_head,
        h.n_audio_layer,
        h.n_text_ctx,
        h.n_text_state,
        h.n_text_head,
        h.n_text_layer,
        h.n_mels,
    ];
    let header = GgmlHeader {
        sizes: sizes.map(|size| size as i32),
        mel_filters: model.mel_filters,
        vocabulary: model.vocabulary,
    };
    assert!(header.to_bytes(GgmlType::F16) == std::fs::read(&path).unwrap());
}

#[test]
fn the_quantization_version_is_told_from_the_type() {
    let header = GgmlHeader { sizes: [1; 10], mel_filters: vec![0.5; 3], vocabulary: vec![b"a".to_vec()] };
    let tensor = NamedTensor { name: "w".into(), shape: vec![2, 32], values: vec![1.0; 64] };
    let file = whisper_ggml(&header, &[tensor], GgmlType::Q5_1);
    let (model, weights) = Weights::from_ggml_bytes(Cow::Owned(file), "made").unwrap();
    assert_eq!((model.header.ftype, model.header.quantization_version), (9, 2));
    assert_eq!((model.mel_filter_bins, model.vocabulary.as_slice()), (3, [b"a".to_vec()].as_slice()));
    assert_eq!(weights.tensor("w", &[2, 32]).unwrap(), [1.0; 64]);
}
