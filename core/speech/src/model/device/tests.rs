//! A device that fails in any pass only costs time: tested with the starter recognizer on candle's CPU device.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

use sotto_runtime::{CancelToken, NoProgress, Threads};

use crate::starter::{demo_audio, starter_source};
use crate::{LoadOptions, Precision, Search, SpeechRecognizer, Timestamps, TranscribeOptions, Transcript};
use sotto_nn::load::{ComputeDevice, DeviceStatus};

fn load(device: ComputeDevice, precision: Precision) -> SpeechRecognizer {
    let options = LoadOptions { device, precision: Some(precision), threads: Threads::ONE, ..LoadOptions::default() };
    SpeechRecognizer::load(&starter_source(), &options, &NoProgress, &CancelToken::new()).unwrap()
}

fn transcribe(recognizer: &SpeechRecognizer, options: &TranscribeOptions) -> Transcript {
    recognizer.transcribe(&demo_audio(), options, &NoProgress, &CancelToken::new()).unwrap()
}

/// Tokens and times; probabilities are equal up to rounding.
fn content(transcript: &Transcript) -> (Vec<u32>, Vec<(String, i64)>) {
    let tokens = transcript.segments.iter().flat_map(|segment| segment.tokens.clone()).collect();
    let words = transcript.segments.iter().flat_map(|segment| &segment.words);
    (tokens, words.map(|word| (word.text.clone(), (word.start * 100.0).round() as i64)).collect())
}

/// Word times need the attention of the last pass; a beam copies caches between hypotheses.
fn settings() -> [TranscribeOptions; 2] {
    let words = TranscribeOptions { timestamps: Timestamps::Word, ..TranscribeOptions::default() };
    let beam = Search { beam: 3, ..Search::default() };
    [words.clone(), TranscribeOptions { search: beam, ..words }]
}

#[test]
fn a_device_writes_what_the_cpu_writes_and_a_failure_at_any_pass_changes_nothing() {
    let cpu = load(ComputeDevice::Cpu, Precision::F32);
    assert_eq!(cpu.device_status(), DeviceStatus::Cpu);
    let device = load(ComputeDevice::CandleCpu, Precision::F32);
    for options in settings() {
        let expected = content(&transcribe(&cpu, &options));
        assert!(!expected.1.is_empty());
        assert_eq!(content(&transcribe(&device, &options)), expected);
        assert_eq!(device.device_status(), DeviceStatus::Running);
        // A beam search feeds three times as much per pass, so every third pass is enough.
        for pass in (0..).step_by(options.search.beam) {
            device.model().unwrap().device.fail_after(Some(pass));
            let found = content(&transcribe(&device, &options));
            assert_eq!(found, expected, "pass {pass}");
            device.model().unwrap().device.fail_after(None);
            if device.device_status() == DeviceStatus::Running {
                // The audio, its keys and values, the prompt, each token, the times of the words.
                assert!(pass > 20, "only {pass} passes");
                break;
            }
            assert_eq!(device.device_status(), DeviceStatus::Failed { reason: "a test wanted it".into() });
            device.set_foreground(true);
        }
    }
}

#[test]
fn in_the_background_the_cpu_computes() {
    let options = settings()[0].clone();
    let device = load(ComputeDevice::CandleCpu, Precision::Int8);
    let on_device = content(&transcribe(&device, &options));
    device.set_foreground(false);
    assert_eq!(device.device_status(), DeviceStatus::Paused);
    // If the device were used, it would fail.
    device.model().unwrap().device.fail_after(Some(0));
    let in_background = transcribe(&device, &options);
    assert_eq!(device.device_status(), DeviceStatus::Paused);
    let cpu = load(ComputeDevice::Cpu, Precision::Int8);
    // On the CPU int8 gives the same bits wherever it runs.
    assert_eq!(in_background.segments, transcribe(&cpu, &options).segments);
    assert_eq!(content(&in_background).0, on_device.0);
    device.set_foreground(true);
    device.model().unwrap().device.fail_after(None);
    assert_eq!(content(&transcribe(&device, &options)), on_device);
    cpu.set_foreground(true);
    assert_eq!(cpu.device_status(), DeviceStatus::Cpu);
}

#[test]
fn a_device_that_is_not_there_leaves_the_cpu_and_the_reason() {
    if cfg!(feature = "metal") {
        return;
    }
    let recognizer = load(ComputeDevice::Metal, Precision::F32);
    let DeviceStatus::Failed { reason } = recognizer.device_status() else { panic!("no Metal in this build") };
    assert!(reason.contains("metal"), "{reason}");
    recognizer.set_foreground(true);
    assert!(matches!(recognizer.device_status(), DeviceStatus::Failed { .. }), "nothing was loaded to try again with");
    let options = settings()[0].clone();
    let expected = transcribe(&load(ComputeDevice::Cpu, Precision::F32), &options);
    assert_eq!(transcribe(&recognizer, &options).segments, expected.segments);
}

#[test]
fn a_cancelled_pass_is_no_failure() {
    let device = load(ComputeDevice::CandleCpu, Precision::F32);
    let cancel = CancelToken::new();
    cancel.cancel();
    device.transcribe(&demo_audio(), &settings()[0], &NoProgress, &cancel).unwrap_err();
    assert_eq!(device.device_status(), DeviceStatus::Running);
}
