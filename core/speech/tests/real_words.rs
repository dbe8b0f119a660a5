//! Word times and probabilities of the real tiny.en against openai-whisper's `transcribe(word_timestamps=True)`.
//!
//! Golden: section `words` of `reference_decoding.json` (scripts/goldens/reference_decoding.py; revisions inside).
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

mod support;

use serde_json::Value;
use sotto_speech::{Normalization, Thresholds, TimestampTokens, Timestamps, TranscribeOptions, Transcript, Word};
use support::joined::joined;
use support::{clip, golden, tiny_en, token_ids, transcribe};

// Three encoder states: rounding may move a step of the time warping.
const TIME: f64 = 0.06;
const PROBABILITY: f64 = 1e-2;

/// openai-whisper's `transcribe` at temperature 0.
fn reference_settings() -> TranscribeOptions {
    TranscribeOptions {
        timestamps: Timestamps::Word,
        timestamp_tokens: TimestampTokens::Always,
        // The reference's rule for silent windows; without a second temperature the others change nothing.
        thresholds: Thresholds { compression_ratio: None, ..Thresholds::default() },
        normalization: Normalization::Recording,
        ..TranscribeOptions::greedy()
    }
}

fn words(transcript: &Transcript) -> Vec<&Word> {
    transcript.segments.iter().flat_map(|segment| &segment.words).collect()
}

fn assert_word(file: &str, word: &Word, text: &str, start: &Value, end: &Value, probability: &Value) {
    let near = |actual: f64, expected: &Value, tolerance: f64| (actual - expected.as_f64().unwrap()).abs() <= tolerance;
    assert_eq!(word.text, text, "{file}");
    assert!(near(word.start, start, TIME + 1e-9), "{file}: {word:?} starts at {start}");
    assert!(near(word.end, end, TIME + 1e-9), "{file}: {word:?} ends at {end}");
    assert!(near(f64::from(word.probability), probability, PROBABILITY), "{file}: {word:?} has {probability}");
}

/// Inside the audio, in order, none ending before it starts, all of the text.
fn assert_in_order(name: &str, transcript: &Transcript) {
    let mut last = 0.0;
    for segment in &transcript.segments {
        assert!(segment.start <= segment.end && segment.end <= transcript.duration, "{name}: {segment:?}");
        let joined: String = segment.words.iter().map(|word| word.text.as_str()).collect();
        assert_eq!(joined, segment.text, "{name}");
        for word in &segment.words {
            assert!(last <= word.start && word.start <= word.end, "{name}: {word:?} after {last}");
            assert!(segment.start <= word.start && word.end <= segment.end, "{name}: {word:?} outside of its segment");
            assert!((0.0..=1.0).contains(&word.probability), "{name}: {word:?}");
            last = word.end;
        }
    }
}

#[test]
fn words_have_the_times_of_the_reference() {
    if tiny_en().is_none() {
        return;
    }
    for expected in golden("reference_decoding")["words"]["clips"].as_array().unwrap() {
        let file = expected["file"].as_str().unwrap();
        let transcript = transcribe(&clip(file), &reference_settings());
        assert_in_order(file, &transcript);
        let segments = expected["segments"].as_array().unwrap();
        let spoken: Vec<&Value> = segments.iter().filter(|s| !s["tokens"].as_array().unwrap().is_empty()).collect();
        assert_eq!(transcript.segments.len(), spoken.len(), "{file}");
        for (segment, expected) in transcript.segments.iter().zip(spoken) {
            assert_eq!(segment.tokens, token_ids(&expected["tokens"]), "{file}");
            let expected = expected["words"].as_array().unwrap();
            assert_eq!(segment.words.len(), expected.len(), "{file}");
            for (word, expected) in segment.words.iter().zip(expected) {
                let text = expected["word"].as_str().unwrap();
                assert_word(file, word, text, &expected["start"], &expected["end"], &expected["probability"]);
            }
        }
    }
}

#[test]
fn words_of_short_recordings_follow_the_raw_alignment() {
    if tiny_en().is_none() {
        return;
    }
    let options = TranscribeOptions { timestamps: Timestamps::Word, ..TranscribeOptions::greedy() };
    let mut compared = 0;
    for expected in golden("reference_decoding")["words"]["clips"].as_array().unwrap() {
        let file = expected["file"].as_str().unwrap();
        let transcript = transcribe(&clip(file), &options);
        assert_in_order(file, &transcript);
        let rows = expected["alignment"].as_array().unwrap();
        let text: String = rows.iter().map(|row| row[0].as_str().unwrap()).collect();
        // Without timestamps the model may write something else.
        if transcript.segments.iter().map(|segment| segment.text.as_str()).collect::<String>() != text {
            continue;
        }
        let spoken = rows.iter().filter(|row| row[0].as_str().unwrap().chars().any(char::is_alphanumeric));
        // The first word starts where speech does; the raw alignment gives it all the silence before.
        for (word, row) in words(&transcript).into_iter().zip(spoken).skip(1) {
            let near = |actual: f64, expected: &Value| (actual - expected.as_f64().unwrap()).abs() <= TIME + 1e-9;
            assert!(near(word.start, &row[2]) && near(word.end, &row[3]), "{file}: {word:?} instead of {row}");
            assert!((f64::from(word.probability) - row[4].as_f64().unwrap()).abs() <= PROBABILITY, "{file}: {row}");
        }
        compared += 1;
    }
    assert!(compared >= 8, "{compared}");
}

#[test]
fn words_of_long_recordings_are_in_order_and_inside_the_audio() {
    if tiny_en().is_none() {
        return;
    }
    let recording = joined("two_minutes");
    let options = TranscribeOptions { timestamps: Timestamps::Word, ..TranscribeOptions::greedy() };
    let transcript = transcribe(&recording.audio, &options);
    assert_in_order("two_minutes", &transcript);
    assert!(words(&transcript).len() > 150);
}
