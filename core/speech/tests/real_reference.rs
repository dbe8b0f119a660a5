//! Decoding of the real tiny.en equals openai-whisper's: beam search, length penalty, prompt, prefix, and the figures
//! by which a result is judged.
//!
//! Golden: `reference_decoding.json` (scripts/goldens/reference_decoding.py; revisions inside).
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

mod support;

use serde_json::Value;
use sotto_speech::{Search, Segment, TimestampTokens, Timestamps, TranscribeOptions};
use sotto_testkit::long_tests;
use sotto_text::Tokenizer;
use support::{clip, golden, tiny_en, token_ids, transcribe};

/// First timestamp of the English-only vocabulary.
const TIMESTAMPS: u32 = 50_363;

// Logits reach 26, so a mean of log-probabilities carries their rounding; wrong rules would show in the first digit.
const LOGPROB: f64 = 5e-4;
// Relative: the rounding of logits is a factor.
const NO_SPEECH: f64 = 5e-3;
// Bytes after compression: two implementations of zlib lay out their blocks in different ways.
const COMPRESSED: f64 = 6.0;

/// Compression ratio from which a text is taken for a loop: both must judge alike.
const REPEATS: f64 = 2.4;

/// openai-whisper's `decode`: 224 tokens, one temperature, no thresholds.
fn settings(timestamps: bool, beam: usize) -> TranscribeOptions {
    TranscribeOptions {
        timestamps: if timestamps { Timestamps::Segment } else { Timestamps::None },
        timestamp_tokens: if timestamps { TimestampTokens::Always } else { TimestampTokens::LongForm },
        max_tokens: Some(224),
        search: Search { beam, temperatures: vec![0.0], ..Search::default() },
        ..TranscribeOptions::greedy()
    }
}

/// What of a window's tokens belongs to its segments: what follows the last pair of timestamps is heard again.
fn kept(tokens: &[u32]) -> &[u32] {
    let timestamp = |index: usize| tokens[index] >= TIMESTAMPS;
    let pair = (1..tokens.len()).rev().find(|&index| timestamp(index - 1) && timestamp(index));
    match (pair, tokens) {
        (_, [.., text, last]) if *text < TIMESTAMPS && *last >= TIMESTAMPS => tokens,
        (Some(pair), _) => &tokens[..pair],
        (None, _) => tokens,
    }
}

fn close(actual: f32, expected: &Value, absolute: f64, relative: f64) -> bool {
    let expected = expected.as_f64().unwrap();
    (f64::from(actual) - expected).abs() <= absolute + relative * expected.abs()
}

/// What differs between the first window of a clip and the golden; `None` for nothing. Ours begins with `prefix`,
/// unless the model wrote it again.
fn difference(expected: &Value, segments: &[Segment], prefix: &str) -> Option<String> {
    let tokens = token_ids(&expected["tokens"]);
    let file = expected["file"].as_str().unwrap();
    // Windows without text, that of a prefix included, have no segments.
    if expected["text"].as_str().unwrap().is_empty() && segments.is_empty() {
        return None;
    }
    let ours: Vec<u32> = segments.iter().flat_map(|segment| segment.tokens.iter().copied()).collect();
    let kept = kept(&tokens);
    let written_again = expected["text"].as_str().unwrap().trim_start().starts_with(prefix);
    let prefix = if prefix.is_empty() { String::new() } else { format!(" {prefix}") };
    let prefix = tiny_en().unwrap().model().unwrap().tokenizer().encode(&prefix);
    // Behind an opening timestamp.
    let opening = ours.iter().take_while(|&&token| token >= TIMESTAMPS).count();
    let (opening, text) = ours.split_at(opening);
    let Some(text) = text.strip_prefix(if written_again { &[][..] } else { &prefix }) else {
        return Some(format!("{file}: the prefix is missing"));
    };
    let ours = [opening, text].concat();
    if !ours.starts_with(kept) || (kept.len() == tokens.len() && ours.len() != kept.len()) {
        let at = ours.iter().zip(kept).take_while(|(a, b)| a == b).count();
        return Some(format!("{file}: token {at} differs of {} and {}", ours.len(), kept.len()));
    }
    let first = &segments[0];
    for (name, value, absolute, relative) in
        [("avg_logprob", first.avg_logprob, LOGPROB, 0.0), ("no_speech_prob", first.no_speech_prob, 1e-9, NO_SPEECH)]
    {
        if !close(value, &expected[name], absolute, relative) {
            return Some(format!("{file}: {name} {value} instead of {}", expected[name]));
        }
    }
    let length = expected["text"].as_str().unwrap().len() as f64;
    let theirs = expected["compression_ratio"].as_f64().unwrap();
    let ours = f64::from(first.compression_ratio);
    if (length / ours - length / theirs).abs() > COMPRESSED || (ours > REPEATS) != (theirs > REPEATS) {
        return Some(format!("{file}: compression ratio {ours} instead of {theirs}, {length} bytes"));
    }
    None
}

/// Compares a section of the golden, except the clips in `flips`, where rounding decides.
fn compare(section: &str, options: &TranscribeOptions, flips: &[&str]) {
    if tiny_en().is_none() {
        return;
    }
    assert!(flips.len() <= 2);
    let golden = golden("reference_decoding");
    let prefix = options.prefix.as_deref().unwrap_or_default();
    let clips = golden[section]["clips"].as_array().unwrap();
    let differences: Vec<String> = clips
        .iter()
        .step_by(if long_tests() { 1 } else { 2 })
        .filter(|expected| !flips.contains(&expected["file"].as_str().unwrap()))
        .filter_map(|expected| {
            let transcript = transcribe(&clip(expected["file"].as_str().unwrap()), options);
            difference(expected, &transcript.segments, prefix)
        })
        .collect();
    assert!(differences.is_empty(), "{section}, {} clips: {differences:#?}", clips.len());
}

#[test]
fn beam_search_gives_the_tokens_of_the_reference() {
    compare("beam_plain", &settings(false, 5), &[]);
}

#[test]
fn beam_search_with_timestamps_gives_the_tokens_of_the_reference() {
    compare("beam_timestamps", &settings(true, 5), &[]);
}

#[test]
fn the_length_penalty_ranks_as_the_reference() {
    let mut options = settings(true, 5);
    options.search.length_penalty = Some(0.6);
    compare("beam_penalty", &options, &[]);
}

#[test]
fn patience_waits_for_more_hypotheses_as_the_reference() {
    let mut options = settings(true, 5);
    options.search.patience = 2.0;
    compare("beam_patience", &options, &[]);
}

#[test]
fn the_figures_that_fallback_looks_at_are_those_of_the_reference() {
    compare("greedy", &settings(true, 1), &[]);
}

const PROMPT: &str = "We talked about the weather, and then about school.";
const PREFIX: &str = "I think";

#[test]
fn a_prompt_steers_as_in_the_reference() {
    let options = TranscribeOptions { prompt: Some(PROMPT.into()), ..settings(true, 1) };
    compare("prompt", &options, &[]);
}

#[test]
fn a_prefix_is_continued_as_in_the_reference() {
    let prefix = Some(PREFIX.to_owned());
    compare("prefix", &TranscribeOptions { prefix: prefix.clone(), ..settings(true, 1) }, &[]);
    compare("prefix_plain", &TranscribeOptions { prefix, ..settings(false, 1) }, &[]);
}

#[test]
fn prompt_and_prefix_go_together_as_in_the_reference() {
    let (prompt, prefix) = (Some(PROMPT.into()), Some(PREFIX.into()));
    compare("prompt_and_prefix", &TranscribeOptions { prompt, prefix, ..settings(true, 1) }, &[]);
}
