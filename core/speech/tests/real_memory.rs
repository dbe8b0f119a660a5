//! The memory estimate is what a transcription really takes at its peak. One test: the peak of a process never falls.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

mod support;

use sotto_runtime::{CancelToken, NoProgress, Threads};
use sotto_speech::{LoadOptions, ModelSource, Search, SpeechRecognizer, TranscribeOptions};
use sotto_testkit::data_dir;
use support::joined::joined;

/// Resident bytes of this process: `VmRSS` now, `VmHWM` at the peak.
fn resident(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[cfg(target_os = "linux")]
#[test]
fn the_estimate_is_within_15_percent_of_the_measured_peak() {
    let Some(data) = data_dir() else { return };
    let source = ModelSource::Path(data.join("whisper-tiny.en"));
    let audio = joined("two_minutes").audio;
    let before = resident("VmRSS");
    let estimate = SpeechRecognizer::estimate(&source, &LoadOptions::default()).unwrap().0;
    let options = LoadOptions { threads: Threads::ONE, ..LoadOptions::default() };
    let recognizer = SpeechRecognizer::load(&source, &options, &NoProgress, &CancelToken::new()).unwrap();
    let loaded = resident("VmHWM") - before;
    let search = Search { beam: 5, temperatures: vec![0.0], ..Search::default() };
    let options = TranscribeOptions { search, ..TranscribeOptions::greedy() };
    let part = sotto_audio::Pcm16k::new(audio.samples()[..40 * 16_000].to_vec()).unwrap();
    recognizer.transcribe(&part, &options, &NoProgress, &CancelToken::new()).unwrap();
    let used = resident("VmHWM") - before;
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    println!(
        "estimate {:.1} MB, loaded {:.1} MB, peak {:.1} MB",
        megabytes(estimate),
        megabytes(loaded),
        megabytes(used)
    );
    assert!(estimate.abs_diff(used) as f64 <= 0.15 * used as f64, "estimated {estimate}, used {used}");
}
