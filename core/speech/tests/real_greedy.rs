//! Greedy decoding of the real tiny.en equals transformers' token by token.
//!
//! Goldens: `greedy_tokens.json` (scripts/goldens/greedy.py; revisions inside).
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use sotto_speech::TranscribeOptions;

use support::{clip, golden, tiny_en, token_ids, tokens, transcribe};

// Where rounding decides between two tokens of almost the same score, the clip is named here: there is none.
const FLIPS: [&str; 0] = [];

/// The clips of a golden whose tokens differ, in two workers: a clip that loops takes seconds.
fn differing(golden: &Value, options: &TranscribeOptions) -> Vec<String> {
    let end_of_text = golden["end_of_text"].as_u64().unwrap() as u32;
    let clips = golden["clips"].as_array().unwrap();
    let next = AtomicUsize::new(0);
    let differs = |expected: &Value| {
        let transcript = transcribe(&clip(expected["file"].as_str().unwrap()), options);
        // The golden ends with the end of the text, unless it was cut off at 448 tokens.
        let mut expected = token_ids(&expected["tokens"]);
        expected.pop_if(|&mut token| token == end_of_text);
        tokens(&transcript) != expected
    };
    let work = || {
        let mut names = Vec::new();
        while let Some(clip) = clips.get(next.fetch_add(1, Ordering::Relaxed)) {
            if differs(clip) {
                names.push(clip["file"].as_str().unwrap().to_owned());
            }
        }
        names
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(work);
        let mut names = work();
        names.extend(other.join().unwrap());
        names
    })
}

/// Settings of transformers' `generate`: 448 tokens in all, the two of the prompt included.
fn settings() -> TranscribeOptions {
    TranscribeOptions { max_tokens: Some(446), ..TranscribeOptions::greedy() }
}

#[test]
fn every_clip_gives_the_tokens_of_transformers() {
    if tiny_en().is_none() {
        return;
    }
    let golden = golden("greedy_tokens");
    assert_eq!(golden["clips"].as_array().unwrap().len(), 140);
    let differing = differing(&golden, &settings());
    println!("clips that differ: {differing:?}");
    assert_eq!(differing, FLIPS);
}
