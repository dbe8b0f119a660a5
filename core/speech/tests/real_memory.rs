//! The memory estimate is what a transcription really takes at its peak, in every form of a model and of a
//! transcription.
//!
//! The peak of a process never falls: each case runs in a process of its own, which is this program again.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

#[path = "support/starter.rs"]
mod starter;
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use sotto_audio::{Pcm16k, SAMPLE_RATE};
use sotto_runtime::{CancelToken, NoProgress, Threads};
use sotto_speech::stream::{StreamOptions, StreamTranscriber};
use sotto_speech::vad::{SileroVad, VadOptions};
use sotto_speech::{
    LoadOptions, ModelSource, Precision, QuantizeOptions, Search, SpeechRecognizer, Timestamps, TranscribeOptions, Vad,
    quantize,
};
use sotto_testkit::data_dir;
use sotto_testkit::ggml::{GgmlType, tiny_en_ggml};
use support::joined::joined;

/// Names the case that a child runs, and the folder of the models that were made for it.
const CASE: &str = "SOTTO_MEMORY_CASE";
const FOLDER: &str = "SOTTO_MEMORY_FOLDER";

/// The case of a phone's promise, which is one of a whole process.
const PHONE: &str = "phone";

/// What tiny.en may take while it transcribes 30 s greedily on one thread: resident bytes of the whole process.
const PHONE_PEAK: u64 = 75_000_000;

/// Estimated bytes may differ from the measured ones by this share of them.
const TOLERANCE: f64 = 0.15;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Model {
    Safetensors,
    Ggml,
    Packed,
    Starter,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Run {
    Greedy,
    Beam,
    Words,
    VoiceActivity,
    Stream,
}

const CASES: [(&str, Model, Option<Precision>, Run); 15] = [
    ("f32 greedy", Model::Safetensors, Some(Precision::F32), Run::Greedy),
    ("f32 beam", Model::Safetensors, Some(Precision::F32), Run::Beam),
    ("f32 words", Model::Safetensors, Some(Precision::F32), Run::Words),
    ("int8 beam", Model::Safetensors, Some(Precision::Int8), Run::Beam),
    ("int8 words", Model::Safetensors, Some(Precision::Int8), Run::Words),
    ("mixed greedy", Model::Safetensors, Some(Precision::Mixed), Run::Greedy),
    ("int8 voice activity", Model::Safetensors, Some(Precision::Int8), Run::VoiceActivity),
    ("int8 stream", Model::Safetensors, Some(Precision::Int8), Run::Stream),
    ("ggml q8_0 int8 greedy", Model::Ggml, Some(Precision::Int8), Run::Greedy),
    ("packed words", Model::Packed, None, Run::Words),
    ("packed beam", Model::Packed, None, Run::Beam),
    ("packed mixed greedy", Model::Packed, Some(Precision::Mixed), Run::Greedy),
    ("packed mixed beam", Model::Packed, Some(Precision::Mixed), Run::Beam),
    ("packed mixed words", Model::Packed, Some(Precision::Mixed), Run::Words),
    ("starter words", Model::Starter, Some(Precision::F32), Run::Words),
];

/// Resident bytes of this process: `VmRSS` now, `VmHWM` at the peak.
fn resident(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

fn source(model: Model, folder: &Path) -> ModelSource {
    match model {
        Model::Safetensors => ModelSource::Path(data_dir().unwrap().join("openai-whisper-tiny.en")),
        Model::Ggml => ModelSource::Path(folder.join("ggml-tiny.en-q8_0.bin")),
        Model::Packed => ModelSource::Path(folder.join("tiny.en.sotto")),
        Model::Starter => starter::starter_source(),
    }
}

fn options(run: Run) -> TranscribeOptions {
    let search = Search { beam: if run == Run::Beam { 5 } else { 1 }, temperatures: vec![0.0], ..Search::default() };
    let vad = matches!(run, Run::VoiceActivity | Run::Stream).then(|| {
        let weights = data_dir().unwrap().join("vad/silero_vad_16k.safetensors");
        Vad { model: Arc::new(SileroVad::load(&weights).unwrap()), options: VadOptions::default() }
    });
    let timestamps = if run == Run::Words { Timestamps::Word } else { Timestamps::None };
    TranscribeOptions { search, vad, timestamps, ..TranscribeOptions::greedy() }
}

fn transcribe(recognizer: &SpeechRecognizer, run: Run, options: TranscribeOptions, audio: &Pcm16k) {
    let cancel = CancelToken::new();
    if run != Run::Stream {
        recognizer.transcribe(audio, &options, &NoProgress, &cancel).unwrap();
        return;
    }
    let options = StreamOptions { transcribe: options, ..StreamOptions::default() };
    let mut transcriber = StreamTranscriber::new(recognizer, &options, SAMPLE_RATE, 1, &cancel).unwrap();
    let mut events = Vec::new();
    for block in audio.samples().chunks(SAMPLE_RATE as usize / 10) {
        transcriber.push(block, &mut events).unwrap();
        events.clear();
    }
    transcriber.finish(&mut events).unwrap();
}

/// Measures one case in a child process. Run as an ordinary test, without a case, it does nothing.
#[test]
fn child() {
    let Some(case) = std::env::var_os(CASE).filter(|case| case != PHONE) else { return };
    let (_, model, precision, run) = CASES.into_iter().find(|&(name, ..)| case == name).unwrap();
    let folder = PathBuf::from(std::env::var_os(FOLDER).unwrap());
    let seconds = if run == Run::Stream { 12 } else { 40 };
    let audio = Pcm16k::new(joined("two_minutes").audio.samples()[..seconds * SAMPLE_RATE as usize].to_vec()).unwrap();
    let source = source(model, &folder);
    let options = LoadOptions { threads: Threads::ONE, precision, ..LoadOptions::default() };
    let before = resident("VmRSS");
    let transcription = self::options(run);
    let estimate = SpeechRecognizer::estimate_for(&source, &options, &transcription).unwrap().peak().0;
    let recognizer = SpeechRecognizer::load(&source, &options, &NoProgress, &CancelToken::new()).unwrap();
    let loaded = resident("VmHWM") - before;
    transcribe(&recognizer, run, transcription, &audio);
    let used = resident("VmHWM") - before;
    let off = estimate.abs_diff(used) as f64 / used as f64;
    println!("MEASURED {off:.3} estimate {:.1} MB, loaded {:.1} MB, peak {:.1} MB", mb(estimate), mb(loaded), mb(used));
}

/// Bytes in memory and changed bytes among them of all mappings of the file at `path`.
fn mapped(path: &Path) -> (u64, u64) {
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let (mut inside, mut sums) = (false, (0, 0));
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let field = words.next().unwrap();
        let mut bytes = || words.next().unwrap().parse::<u64>().unwrap() * 1024;
        match field {
            _ if !field.ends_with(':') => inside = line.ends_with(path.to_str().unwrap()),
            "Rss:" if inside => sums.0 += bytes(),
            "Private_Dirty:" | "Shared_Dirty:" if inside => sums.1 += bytes(),
            _ => {}
        }
    }
    sums
}

/// The memory of a process that only runs a recognizer. Run as an ordinary test, without the case, it does nothing.
#[test]
fn phone() {
    if std::env::var_os(CASE).is_none_or(|case| case != PHONE) {
        return;
    }
    let path = PathBuf::from(std::env::var_os(FOLDER).unwrap()).join("tiny.en.sotto");
    let options = LoadOptions { threads: Threads::ONE, ..LoadOptions::default() };
    let cancel = CancelToken::new();
    let recognizer = SpeechRecognizer::load(&path.as_path().into(), &options, &NoProgress, &cancel).unwrap();
    let whole = support::clip("clips/joinly_osr_OSR_us_000_0034_8k.flac");
    let audio = Pcm16k::new(whole.samples()[..30 * SAMPLE_RATE as usize].to_vec()).unwrap();
    drop(whole);
    recognizer.transcribe(&audio, &TranscribeOptions::greedy(), &NoProgress, &cancel).unwrap();
    let (weights, changed) = mapped(&path);
    println!("MEASURED {} {weights} {changed}", resident("VmHWM"));
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// What the test `test` of a process of its own says of a case.
fn measured(test: &str, case: &str, folder: &Path) -> String {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(CASE, case)
        .env(FOLDER, folder)
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout);
    let line = output.lines().find_map(|line| line.split_once("MEASURED "));
    line.unwrap_or_else(|| panic!("{case}: {child:?}")).1.to_owned()
}

/// Packs tiny.en into `folder`; the bytes of the file.
fn pack(data: &Path, folder: &Path) -> u64 {
    let (original, packed) = (ModelSource::Path(data.join("openai-whisper-tiny.en")), folder.join("tiny.en.sotto"));
    quantize(&original, &packed, &QuantizeOptions::default(), &NoProgress, &CancelToken::new()).unwrap().bytes.0
}

#[test]
fn a_packed_tiny_takes_75_mb_whose_weights_the_system_may_drop() {
    let Some(data) = data_dir() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = pack(&data, folder.path());
    let line = measured("phone", PHONE, folder.path());
    let numbers: Vec<u64> = line.split(' ').map(|number| number.parse().unwrap()).collect();
    println!("peak {:.1} MB, {:.1} MB of them the file's, {} changed", mb(numbers[0]), mb(numbers[1]), numbers[2]);
    assert!(numbers[0] <= PHONE_PEAK, "{line}");
    // Most of the file was read where it lies; pages that nobody wrote to can go whenever memory is short.
    assert!(numbers[1] > file / 2 && numbers[2] == 0, "{line}");
}

#[test]
fn the_estimate_is_within_15_percent_of_the_measured_peak() {
    let Some(data) = data_dir() else { return };
    let folder = tempfile::tempdir().unwrap();
    pack(&data, folder.path());
    std::fs::write(folder.path().join("ggml-tiny.en-q8_0.bin"), tiny_en_ggml(GgmlType::Q8_0).unwrap()).unwrap();
    let mut wrong = Vec::new();
    for (name, ..) in CASES {
        let line = measured("child", name, folder.path());
        println!("{name}: {line}");
        if line.split(' ').next().unwrap().parse::<f64>().unwrap() > TOLERANCE {
            wrong.push(format!("{name}: {line}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
