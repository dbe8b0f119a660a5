//! Greedy decoding of the real tiny.en equals transformers' token by token.
//!
//! Goldens: `greedy_tokens.json`, `greedy_timestamps.json` (scripts/goldens/greedy.py; revisions inside).

mod support;

use serde_json::Value;
use sotto_speech::{TimestampTokens, Timestamps, TranscribeOptions};

use support::{clip, golden, tiny_en, token_ids, tokens, transcribe};

// Rounding may decide between two tokens of almost the same score; more would be a fault.
const FLIPS_ALLOWED: usize = 2;

/// Runs every `step`th clip; returns how many were compared and which differ.
fn compare(golden: &Value, options: &TranscribeOptions, step: usize) -> (usize, Vec<String>) {
    let clips = golden["clips"].as_array().unwrap();
    let chosen: Vec<&Value> = clips.iter().step_by(step).collect();
    let differs = |expected: &&&Value| {
        let transcript = transcribe(&clip(expected["file"].as_str().unwrap()), options);
        tokens(&transcript) != token_ids(&expected["tokens"])
    };
    let name = |clip: &&Value| clip["file"].as_str().unwrap().to_owned();
    (chosen.len(), chosen.iter().filter(differs).map(name).collect())
}

/// Settings of transformers' `generate`: 448 tokens in all, prompt included.
fn settings(timestamps: bool) -> TranscribeOptions {
    let prompt = if timestamps { 1 } else { 2 };
    TranscribeOptions {
        max_tokens: Some(448 - prompt),
        timestamps: if timestamps { Timestamps::Segment } else { Timestamps::None },
        timestamp_tokens: if timestamps { TimestampTokens::Always } else { TimestampTokens::LongForm },
        ..TranscribeOptions::greedy()
    }
}

#[test]
fn every_clip_gives_the_tokens_of_transformers() {
    if tiny_en().is_none() {
        return;
    }
    let (count, flipped) = compare(&golden("greedy_tokens"), &settings(false), 1);
    assert_eq!(count, 140);
    assert!(flipped.len() <= FLIPS_ALLOWED, "{} of {count} clips differ: {flipped:?}", flipped.len());
}
