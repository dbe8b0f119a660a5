//! Silero VAD against the original (`vad.safetensors`, scripts/goldens/vad.py), and what it does with real recordings.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::Value;
use sotto_audio::decode_file;
use sotto_runtime::CancelToken;
use sotto_speech::vad::{Endpoint, STEP, Segmenter, SileroVad, VadOptions, VadStream, segments_of, speech_segments};
use sotto_testkit::{Golden, Tolerance, assert_close, data_dir, golden, onnx_constants};

/// Promised is 1e-3; the same weights in another order of sums stay far below.
const SAME_WEIGHTS: Tolerance = Tolerance::abs(1e-4);

/// ggml's f16 weights against the f32 original: the golden script measures 0.0028.
const ROUNDED_WEIGHTS: Tolerance = Tolerance::abs(4e-3);

fn vad_dir() -> Option<PathBuf> {
    Some(data_dir()?.join("vad"))
}

fn ggml() -> Option<Arc<SileroVad>> {
    Some(Arc::new(SileroVad::load(&vad_dir()?.join("ggml-silero-v6.2.0.bin")).unwrap()))
}

fn published() -> Option<Arc<SileroVad>> {
    Some(Arc::new(SileroVad::load(&vad_dir()?.join("silero_vad_16k.safetensors")).unwrap()))
}

/// The weights inside Silero's ONNX file, through a safetensors image in memory.
fn original() -> Option<Arc<SileroVad>> {
    let file = std::fs::read(vad_dir()?.join("silero_vad.onnx")).unwrap();
    let mut tensors = Vec::new();
    for (name, constant) in onnx_constants(&file) {
        // The other branch is the 8 kHz network.
        let Some(name) = name.strip_prefix("If_0_then_branch__Inline_0__") else { continue };
        let name = match name.split('.').collect::<Vec<_>>()[..] {
            ["stft", ..] => "stft_conv.weight".to_owned(),
            ["encoder", layer, _, kind] => format!("conv{}.{kind}", layer.parse::<usize>().unwrap() + 1),
            ["decoder", "rnn", kind] => format!("lstm_cell.{kind}"),
            ["decoder", "decoder", "2", kind] => format!("final_conv.{kind}"),
            _ => continue,
        };
        let bytes: Vec<u8> = constant.values.iter().flat_map(|value| value.to_le_bytes()).collect();
        tensors.push((name, constant.shape, bytes));
    }
    let views = tensors.iter().map(|(name, shape, bytes)| {
        (name, safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes).unwrap())
    });
    let image = safetensors::serialize(views, None).unwrap();
    Some(Arc::new(SileroVad::from_bytes(Cow::Owned(image), "silero_vad.onnx").unwrap()))
}

fn probabilities(vad: &Arc<SileroVad>, samples: &[f32]) -> Vec<f32> {
    let (mut stream, mut probabilities) = (VadStream::new(vad), Vec::new());
    stream.push(samples, |probability| probabilities.push(probability));
    probabilities.extend(stream.finish());
    probabilities
}

/// The clips of the golden, cut as its script cut them.
fn clips(golden: &Golden) -> Vec<(String, Vec<f32>)> {
    let files: HashMap<String, String> = serde_json::from_str(golden.metadata("clips").unwrap()).unwrap();
    let seconds: usize = golden.metadata("seconds").unwrap().parse().unwrap();
    files
        .into_iter()
        .map(|(clip, file)| {
            let mut samples = decode_file(data_dir().unwrap().join("speech").join(file)).unwrap().into_samples();
            samples.truncate(seconds * 16_000);
            (clip, samples)
        })
        .collect()
}

/// Compares with the goldens of each of these weights.
fn assert_matches(vad: Option<Arc<SileroVad>>, expected: &[(&str, Tolerance)]) {
    let Some(vad) = vad else { return };
    let golden = golden("vad").unwrap();
    for (clip, samples) in clips(&golden) {
        let found = probabilities(&vad, &samples);
        for (weights, tolerance) in expected {
            assert_close(&found, &golden[format!("{clip}.{weights}").as_str()], *tolerance);
        }
    }
}

#[test]
fn probabilities_equal_the_onnx_original() {
    assert_matches(original(), &[("onnx", SAME_WEIGHTS)]);
}

#[test]
fn published_safetensors_give_the_probabilities_of_silero_s_plain_network() {
    assert_matches(published(), &[("safetensors", SAME_WEIGHTS)]);
}

#[test]
fn ggml_weights_differ_from_the_original_by_their_rounding_alone() {
    assert_matches(ggml(), &[("ggml", SAME_WEIGHTS), ("onnx", ROUNDED_WEIGHTS)]);
}

fn options(chosen: &Value) -> VadOptions {
    let mut options = VadOptions::SILERO;
    for (name, value) in chosen.as_object().unwrap() {
        let number = value.as_f64().unwrap();
        match name.as_str() {
            "threshold" => options.threshold = number as f32,
            "neg_threshold" => options.neg_threshold = Some(number as f32),
            "min_speech_duration_ms" => options.min_speech_ms = number as u32,
            "max_speech_duration_s" => options.max_speech_s = number as f32,
            "min_silence_duration_ms" => options.min_silence_ms = number as u32,
            "speech_pad_ms" => options.speech_pad_ms = number as u32,
            "min_silence_at_max_speech" => options.min_pause_at_max_speech_ms = number as u32,
            other => panic!("the golden has an option {other} that is not known here"),
        }
    }
    options
}

#[test]
fn segments_equal_those_of_get_speech_timestamps() {
    let golden = golden("vad").unwrap();
    let lengths: HashMap<String, usize> = serde_json::from_str(golden.metadata("lengths").unwrap()).unwrap();
    let sets: Vec<Value> = serde_json::from_str(golden.metadata("options").unwrap()).unwrap();
    assert!(lengths.len() >= 14 && sets.len() >= 9);
    for (source, length) in lengths {
        for (number, set) in sets.iter().enumerate() {
            let expected = golden.integers(&format!("{source}.segments.{number}"));
            let found = segments_of(&golden[source.as_str()], length, &options(set));
            let found: Vec<i64> = found.iter().flat_map(|s| [s.start as i64, s.end as i64]).collect();
            assert_eq!(found, expected, "{source} with {set}");
        }
    }
}

#[test]
fn the_segmenter_finds_the_segments_of_the_whole_recording() {
    let Some(vad) = ggml() else { return };
    let golden = golden("vad").unwrap();
    for (clip, samples) in clips(&golden) {
        let expected = speech_segments(&vad, &samples, &VadOptions::SILERO, &CancelToken::new()).unwrap();
        let mut segmenter = Segmenter::new(&vad, VadOptions::SILERO);
        let mut endpoints = Vec::new();
        for block in samples.chunks(1000) {
            let earliest = segmenter.earliest_start();
            for endpoint in segmenter.push(block) {
                if let Endpoint::Start { sample } = endpoint {
                    assert!(sample >= earliest, "{clip}: starts at {sample}, audio was kept from {earliest} on");
                }
                endpoints.push(endpoint);
            }
        }
        endpoints.extend(segmenter.finish());
        // A padding of 30 ms fits twice into the 100 ms that end a segment, so the two cannot differ.
        let expected: Vec<Endpoint> = expected
            .iter()
            .flat_map(|s| [Endpoint::Start { sample: s.start }, Endpoint::End { sample: s.end }])
            .collect();
        assert_eq!(endpoints, expected, "{clip}");
    }
}

#[test]
fn cancelling_stops_before_the_first_block() {
    let Some(vad) = ggml() else { return };
    let cancel = CancelToken::new();
    cancel.cancel();
    assert!(speech_segments(&vad, &[0.0; 16_000], &VadOptions::default(), &cancel).is_err());
}

#[test]
fn broken_samples_leave_no_trace() {
    let Some(vad) = ggml() else { return };
    let mut samples = vec![0.0; 20 * STEP];
    let clean = probabilities(&vad, &samples);
    for (index, bad) in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY].into_iter().enumerate() {
        samples[700 * (index + 1)] = bad;
    }
    assert_eq!(probabilities(&vad, &samples), clean);
    samples[5000] = f32::MAX;
    assert!(probabilities(&vad, &samples).iter().all(|probability| probability.is_finite()));
}

#[test]
fn a_file_of_another_kind_is_refused_by_name() {
    let error = SileroVad::from_bytes(Cow::Borrowed(b"RIFF....WAVE"), "speech.wav").unwrap_err().to_string();
    assert!(error.contains("speech.wav"), "{error}");
    let Some(data) = data_dir() else { return };
    for other in
        ["openai-whisper-tiny.en/model.safetensors", "whisper-ggml-headers/for-tests-ggml-tiny.bin", "README.md"]
    {
        let error = SileroVad::load(&data.join(other)).unwrap_err().to_string();
        assert!(error.contains(other), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn probabilities_do_not_depend_on_how_the_audio_is_cut(cuts in prop::collection::vec(1usize..2000, 1..40)) {
        let Some(vad) = ggml() else { return Ok(()) };
        let samples: Vec<f32> = (0..8000).map(|i| ((i * i) as f32 * 0.001).sin() * 0.3).collect();
        let (mut stream, mut cut, mut rest) = (VadStream::new(&vad), Vec::new(), samples.as_slice());
        for length in cuts.into_iter().chain(std::iter::repeat(1777)) {
            if rest.is_empty() {
                break;
            }
            let (now, later) = rest.split_at(length.min(rest.len()));
            stream.push(now, |probability| cut.push(probability));
            rest = later;
        }
        cut.extend(stream.finish());
        prop_assert_eq!(cut, probabilities(&vad, &samples));
    }

    #[test]
    fn segments_lie_in_order_inside_the_recording(
        probabilities in prop::collection::vec(0.0f32..=1.0, 0..200),
        missing in 0..STEP,
        options in (0.0f32..1.0, 0u32..600, 0.1f32..4.0, 0u32..600, 0u32..600),
    ) {
        let (threshold, min_speech_ms, max_speech_s, min_silence_ms, speech_pad_ms) = options;
        let options = VadOptions {
            threshold,
            min_speech_ms,
            max_speech_s,
            min_silence_ms,
            speech_pad_ms,
            min_voiced_ms: min_speech_ms / 2,
            ..VadOptions::SILERO
        };
        let length = (probabilities.len() * STEP).saturating_sub(missing);
        let mut before = 0;
        for segment in segments_of(&probabilities, length, &options) {
            prop_assert!(before <= segment.start && segment.start <= segment.end && segment.end <= length);
            before = segment.end;
        }
    }
}
