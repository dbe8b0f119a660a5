//! Transcriptions and live sessions take their memory out of the budget when they start, and give it back when they
//! end.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

mod support;

use sotto_audio::{AudioError, Pcm16k, SAMPLE_RATE};
use sotto_runtime::{Bytes, CancelToken, MemoryBudget, NoProgress, Threads};
use sotto_speech::stream::{StreamOptions, StreamTranscriber};
use sotto_speech::{
    LoadOptions, SampleSource, Samples, Search, SpeechError, SpeechRecognizer, Timestamps, TranscribeOptions,
};
use support::formula::FormulaModel;

/// The small model within a budget that leaves `room` beside it.
fn within(room: Bytes) -> (SpeechRecognizer, MemoryBudget) {
    let folder = FormulaModel::small().write();
    let load = |budget: &MemoryBudget| {
        let options = LoadOptions { threads: Threads::ONE, budget: budget.clone(), ..LoadOptions::default() };
        SpeechRecognizer::load(&folder.path().into(), &options, &NoProgress, &CancelToken::new()).unwrap()
    };
    let plenty = MemoryBudget::unlimited();
    let held = load(&plenty);
    let model = plenty.used();
    drop(held);
    assert_eq!(plenty.used(), Bytes(0));
    let budget = MemoryBudget::limited(model + room);
    (load(&budget), budget)
}

fn options(beam: usize) -> TranscribeOptions {
    let search = Search { beam, best_of: 1, temperatures: vec![0.0], ..Search::default() };
    TranscribeOptions { search, ..TranscribeOptions::default() }
}

fn audio() -> Pcm16k {
    Pcm16k::new(support::tone(SAMPLE_RATE as usize)).unwrap()
}

/// Room for a transcription with a beam of 8 and not a byte more; a default one has to fit too, or nothing is loaded.
fn room() -> (Bytes, TranscribeOptions) {
    let recognizer = within(Bytes(1 << 30)).0;
    let plain = recognizer.transcription_bytes(&TranscribeOptions::default());
    let beam = (8..=32).find(|&beam| recognizer.transcription_bytes(&options(beam)) >= plain).unwrap();
    (recognizer.transcription_bytes(&options(beam)), options(beam))
}

#[test]
fn a_transcription_that_does_not_fit_is_refused_and_one_that_does_gives_its_memory_back() {
    let (room, fits) = room();
    let (recognizer, budget) = within(room);
    let (model, cancel) = (budget.used(), CancelToken::new());
    let more =
        TranscribeOptions { search: Search { beam: fits.search.beam + 1, ..fits.search.clone() }, ..fits.clone() };
    for _ in 0..2 {
        let refused = recognizer.transcribe(&audio(), &more, &NoProgress, &cancel).unwrap_err();
        let SpeechError::OutOfBudget(refused) = refused else { panic!("{refused}") };
        assert_eq!((refused.needed, refused.available), (recognizer.transcription_bytes(&more), room));
        assert_eq!(budget.used(), model);
        recognizer.transcribe(&audio(), &fits, &NoProgress, &cancel).unwrap();
        assert_eq!(budget.used(), model);
    }
    // A cancelled transcription gives its memory back as well.
    let cancelled = CancelToken::new();
    cancelled.cancel();
    recognizer.transcribe(&audio(), &fits, &NoProgress, &cancelled).unwrap_err();
    recognizer.detect_language(&mut Samples::from(&audio()), &cancel).unwrap();
    assert_eq!(budget.used(), model);
}

#[test]
fn a_live_session_holds_its_memory_until_it_is_dropped() {
    let (room, fits) = room();
    let (recognizer, budget) = within(room);
    let (model, cancel) = (budget.used(), CancelToken::new());
    let live = StreamOptions { transcribe: fits.clone(), step: 0.5, trim: 0.9, ..StreamOptions::default() };
    let start = || StreamTranscriber::new(&recognizer, &live, SAMPLE_RATE, 1, &cancel);
    let first = start().map_err(|error| error.to_string()).unwrap();
    assert_eq!(budget.used(), model + room);
    assert!(matches!(start().map(|_| ()), Err(SpeechError::OutOfBudget(_))));
    let beside = recognizer.transcribe(&audio(), &fits, &NoProgress, &cancel);
    assert!(matches!(beside, Err(SpeechError::OutOfBudget(_))));
    drop(first);
    assert_eq!(budget.used(), model);
    recognizer.transcribe(&audio(), &fits, &NoProgress, &cancel).unwrap();
}

/// A recording that fails or panics at its second block.
struct Broken {
    panics: bool,
    blocks: usize,
}

impl SampleSource for Broken {
    fn next_block(&mut self, out: &mut Vec<f32>) -> Result<bool, AudioError> {
        self.blocks += 1;
        assert!(self.blocks == 1 || !self.panics, "as a bug would");
        if self.blocks > 1 {
            let cause = std::io::Error::other("the card was taken out");
            return Err(AudioError::Io { source_name: "card".into(), cause });
        }
        out.extend_from_slice(audio().samples());
        Ok(true)
    }

    fn seconds(&self) -> Option<f64> {
        None
    }
}

#[test]
fn a_transcription_that_fails_or_panics_gives_its_memory_back() {
    let (room, fits) = room();
    let (recognizer, budget) = within(room);
    let (model, cancel) = (budget.used(), CancelToken::new());
    let transcribe = |panics| {
        let mut source = Broken { panics, blocks: 0 };
        recognizer.transcribe_source(&mut source, &fits, &mut |_| {}, &NoProgress, &cancel)
    };
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| transcribe(true).map(drop)));
    assert!(panicked.is_err());
    assert_eq!(budget.used(), model);
    assert!(matches!(transcribe(false), Err(SpeechError::Audio(_))));
    assert_eq!(budget.used(), model);
    // A live session, too: with samples that are not finite, and cancelled half-way.
    let live = StreamOptions { transcribe: fits.clone(), step: 0.5, trim: 0.9, ..StreamOptions::default() };
    let failing = CancelToken::firing_at_look(40);
    for (cancel, sample) in [(&cancel, f32::NAN), (&failing, 0.5)] {
        let mut events = Vec::new();
        let mut session = StreamTranscriber::new(&recognizer, &live, SAMPLE_RATE, 1, cancel).unwrap();
        let pushed = (0..100).try_for_each(|_| session.push(&[sample; 8000], &mut events));
        assert!(pushed.is_err());
        assert!(budget.used() > model, "it is there until it is dropped");
        drop(session);
        assert_eq!(budget.used(), model);
    }
    assert!(recognizer.transcribe(&audio(), &fits, &NoProgress, &cancel).is_ok());
}

#[test]
fn every_option_that_takes_memory_is_counted() {
    let recognizer = within(Bytes(1 << 30)).0;
    let bytes = |options: &TranscribeOptions| recognizer.transcription_bytes(options);
    let plain = TranscribeOptions { timestamps: Timestamps::None, ..options(1) };
    let more = [
        ("beam", TranscribeOptions { timestamps: Timestamps::None, ..options(2) }),
        ("times", options(1)),
        ("prompt", TranscribeOptions { prompt: Some("as before".into()), ..plain.clone() }),
        ("condition", TranscribeOptions { condition_on_previous: true, ..plain.clone() }),
        ("samples", {
            let search = Search { best_of: 3, temperatures: vec![0.0, 0.5], ..plain.search.clone() };
            TranscribeOptions { search, ..plain.clone() }
        }),
        ("hotwords", {
            let hotwords = Some(std::sync::Arc::new(recognizer.hotwords(["rice"], 2.0).unwrap()));
            TranscribeOptions { hotwords, ..plain.clone() }
        }),
    ];
    for (name, options) in more {
        assert!(bytes(&options) > bytes(&plain), "{name}");
    }
    // Memory that is never used is not counted: temperature 0 takes no samples, so `best_of` costs nothing.
    let unused = Search { best_of: 32, ..plain.search.clone() };
    assert_eq!(bytes(&TranscribeOptions { search: unused, ..plain.clone() }), bytes(&plain));
    let per_beam: Vec<u64> = [1, 2, 4, 8, 16, 32].iter().map(|&beam| bytes(&options(beam)).0).collect();
    assert!(per_beam.is_sorted_by(|a, b| a < b), "{per_beam:?}");
}
