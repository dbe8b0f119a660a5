//! The real tiny.en on a second processor, against our own layers on the CPU: states, logits and text (cargo feature
//! `candle`). On Apple devices with the feature `metal` the GPU is one of the processors; elsewhere candle's CPU device
//! runs the same operations.
#![cfg(feature = "candle")]
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod support;

use sotto_audio::log_mel_spectrogram;
use sotto_runtime::{CancelToken, NoProgress, Threads};
use sotto_speech::{
    ComputeDevice, DeviceStatus, Layout, LoadOptions, ModelSource, Precision, QuantizeOptions, SpeechRecognizer,
    Timestamps, TranscribeOptions, quantize,
};
use sotto_testkit::{Tolerance, assert_close, data_dir};

use support::{clip, tiny_en, tokens, transcribe};

const MELS: usize = 80;
const CLIPS: [&str; 3] = ["synthetic/003.flac", "synthetic/041.flac", "synthetic/083.flac"];
/// The start of a transcript without timestamps, then words; any would do.
const TOKENS: [u32; 6] = [50_257, 50_362, 775, 6619, 546, 1524];

// Both are f32 in another order of operations. States reach 11, logits 26.
const STATES: Tolerance = Tolerance { abs: 2e-3, rel: 1e-4 };
const LOGITS: Tolerance = Tolerance { abs: 1e-2, rel: 1e-4 };

/// The processors that this machine has.
fn devices(precision: Precision, source: &ModelSource) -> Vec<(ComputeDevice, SpeechRecognizer)> {
    let load = |device| {
        let options =
            LoadOptions { device, precision: Some(precision), threads: Threads::ONE, ..LoadOptions::default() };
        SpeechRecognizer::load(source, &options, &NoProgress, &CancelToken::new()).unwrap()
    };
    let mut found = vec![(ComputeDevice::CandleCpu, load(ComputeDevice::CandleCpu))];
    if cfg!(feature = "metal") {
        let metal = load(ComputeDevice::Metal);
        match metal.device_status() {
            DeviceStatus::Running => found.push((ComputeDevice::Metal, metal)),
            status => println!("skipped on Metal: {status:?}"),
        }
    }
    assert_eq!(found[0].1.device_status(), DeviceStatus::Running);
    found
}

fn folder() -> ModelSource {
    ModelSource::Path(data_dir().unwrap().join("openai-whisper-tiny.en"))
}

#[test]
fn states_and_logits_are_those_of_the_cpu() {
    let Some(cpu) = tiny_en() else { return };
    let audio = clip(CLIPS[0]);
    let mut features = log_mel_spectrogram(audio.samples(), MELS, 480_000 - audio.samples().len()).unwrap().values;
    features.truncate(3000 * MELS);
    let cancel = CancelToken::new();
    let states = cpu.model().unwrap().encode(&features, Threads::ONE, &cancel).unwrap();
    let logits = cpu.model().unwrap().logits(&states, &TOKENS, Threads::ONE, &cancel).unwrap();
    for (device, recognizer) in devices(Precision::F32, &folder()) {
        let model = recognizer.model().unwrap();
        println!("{device:?}");
        assert_close(&model.encode(&features, Threads::ONE, &cancel).unwrap(), &states, STATES);
        assert_close(&model.logits(&states, &TOKENS, Threads::ONE, &cancel).unwrap(), &logits, LOGITS);
        assert_eq!(recognizer.device_status(), DeviceStatus::Running);
    }
}

#[test]
fn text_is_that_of_the_cpu_token_by_token() {
    if tiny_en().is_none() {
        return;
    }
    for (device, recognizer) in devices(Precision::F32, &folder()) {
        for name in CLIPS {
            let audio = clip(name);
            let options = TranscribeOptions::greedy();
            let found = recognizer.transcribe(&audio, &options, &NoProgress, &CancelToken::new()).unwrap();
            assert_eq!(tokens(&found), tokens(&transcribe(&audio, &options)), "{name} on {device:?}");
        }
        assert_eq!(recognizer.device_status(), DeviceStatus::Running);
    }
}

/// A packed model has int8 weights only: the device gets what they stand for, in f16.
#[test]
fn a_packed_model_runs_too() {
    if tiny_en().is_none() {
        return;
    }
    let temporary = tempfile::tempdir().unwrap();
    let packed = temporary.path().join("tiny.en.sotto");
    let options = QuantizeOptions { layout: Some(Layout::Columns), ..QuantizeOptions::default() };
    quantize(&folder(), &packed, &options, &NoProgress, &CancelToken::new()).unwrap();
    for (device, recognizer) in devices(Precision::Int8, &ModelSource::Path(packed)) {
        let options = TranscribeOptions { timestamps: Timestamps::Word, ..TranscribeOptions::default() };
        for name in CLIPS {
            let audio = clip(name);
            let found = recognizer.transcribe(&audio, &options, &NoProgress, &CancelToken::new()).unwrap();
            assert_eq!(found.text, transcribe(&audio, &options).text, "{name} on {device:?}");
            assert!(found.segments.iter().all(|segment| !segment.words.is_empty()), "{name} on {device:?}");
        }
        assert_eq!(recognizer.device_status(), DeviceStatus::Running);
    }
}
