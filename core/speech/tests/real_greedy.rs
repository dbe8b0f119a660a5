//! Greedy decoding of the real tiny.en equals transformers' token by token.
//!
//! Goldens: `greedy_tokens.json` and `greedy_timestamps.json` (scripts/goldens/greedy.py; revisions inside).
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use sotto_speech::{TimestampTokens, Timestamps, TranscribeOptions};

use sotto_testkit::long_tests;
use support::{clip, golden, kept, tiny_en, token_ids, tokens, transcribe};

// Where rounding decides between two tokens of almost the same score, the clip is named here: there is none.
const FLIPS: [&str; 0] = [];

/// The clips of a golden whose tokens differ, in two workers.
fn differing(golden: &Value, clips: &[Value], options: &TranscribeOptions) -> Vec<String> {
    let [end_of_text, begin] = ["end_of_text", "timestamp_begin"].map(|key| golden[key].as_u64().unwrap() as u32);
    let next = AtomicUsize::new(0);
    let differs = |expected: &Value| {
        let transcript = transcribe(&clip(expected["file"].as_str().unwrap()), options);
        // The golden ends with the end of the text, unless it was cut off at 448 tokens.
        let mut expected = token_ids(&expected["tokens"]);
        expected.pop_if(|&mut token| token == end_of_text);
        match options.timestamp_tokens {
            TimestampTokens::Always => {
                let expected = kept(&expected, begin);
                tokens(&transcript).get(..expected.len()) != Some(expected)
            }
            _ => tokens(&transcript) != expected,
        }
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
    let clips = golden["clips"].as_array().unwrap();
    assert_eq!(clips.len(), 140);
    let differing = differing(&golden, clips, &settings());
    println!("clips that differ: {differing:?}");
    assert_eq!(differing, FLIPS);
}

/// With timestamps in the text. Every fifth synthetic clip by default, all 140 clips with `SOTTO_LONG=1`.
#[test]
fn timestamps_are_those_of_transformers() {
    if tiny_en().is_none() {
        return;
    }
    let golden = golden("greedy_timestamps");
    let clips = golden["clips"].as_array().unwrap();
    let long = long_tests();
    let chosen: Vec<Value> = if long {
        clips.clone()
    } else {
        clips
            .iter()
            .filter(|clip| clip["file"].as_str().unwrap().starts_with("synthetic"))
            .step_by(5)
            .cloned()
            .collect()
    };
    assert_eq!(chosen.len(), if long { 140 } else { 20 });
    let options = TranscribeOptions {
        timestamps: Timestamps::Segment,
        timestamp_tokens: TimestampTokens::Always,
        // One token of the prompt, not two.
        max_tokens: Some(447),
        ..settings()
    };
    assert_eq!(differing(&golden, &chosen, &options), FLIPS);
}
