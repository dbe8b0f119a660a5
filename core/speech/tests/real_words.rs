//! Words of the real tiny.en beside openai-whisper's `transcribe(word_timestamps=True)`: the same text in whole
//! words, at about the same times. Ours are nearer to the sound, which `real_word_times.rs` measures: the reference's
//! begin late.
//!
//! Golden: section `words` of `reference_decoding.json` (scripts/goldens/reference_decoding.py; revisions inside).
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

mod support;

use serde_json::Value;
use sotto_speech::{Normalization, Thresholds, TimestampTokens, Timestamps, TranscribeOptions, Transcript, Word};
use support::joined::joined;
use support::{clip, golden, tiny_en, token_ids, transcribe, word_errors};

/// Median over a clip's words of the distance to the reference's start, in seconds.
const TIME: f64 = 0.16;

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

/// Starts of the words that stand between spaces, of rows of text and start.
fn starts<'v>(rows: impl Iterator<Item = (&'v Value, &'v Value)>) -> Vec<(String, f64)> {
    let mut words: Vec<(String, f64)> = Vec::new();
    for (text, start) in rows {
        let (text, start) = (text.as_str().unwrap(), start.as_f64().unwrap());
        match words.last_mut() {
            Some((word, _)) if !text.starts_with(' ') => word.push_str(text),
            _ => words.push((text.to_owned(), start)),
        }
    }
    words
}

#[track_caller]
fn assert_near(file: &str, words: &[&Word], expected: &[(String, f64)]) {
    let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    assert_eq!(texts, expected.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>(), "{file}");
    // The first word starts where speech does; the reference gives it the silence before.
    let mut errors: Vec<f64> =
        words.iter().zip(expected).skip(1).map(|(word, (_, start))| (word.start - start).abs()).collect();
    errors.sort_by(f64::total_cmp);
    let median = errors.get(errors.len() / 2).copied().unwrap_or_default();
    assert!(median <= TIME, "{file}: {errors:.2?}");
}

/// Inside the audio, in order, none ending before it starts, all of the text.
fn assert_in_order(name: &str, transcript: &Transcript) {
    let mut last = 0.0;
    for segment in &transcript.segments {
        assert!(segment.start <= segment.end && segment.end <= transcript.duration, "{name}: {segment:?}");
        let joined: String = segment.words.iter().map(|word| word.text.as_str()).collect();
        assert_eq!(joined, segment.text, "{name}");
        for word in &segment.words {
            assert!(last <= word.start + 1e-9 && word.start < word.end, "{name}: {word:?} after {last}");
            let inside = segment.start <= word.start + 1e-9 && word.end <= segment.end + 1e-9;
            assert!(inside, "{name}: {word:?} outside of its segment");
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
            let expected = starts(expected.iter().map(|word| (&word["word"], &word["start"])));
            assert_near(file, &segment.words.iter().collect::<Vec<_>>(), &expected);
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
        assert_near(file, &words(&transcript), &starts(rows.iter().map(|row| (&row[0], &row[2]))));
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

/// As reading on where a recording was cut: what is given is said once, and each of its words has a time of its own.
#[test]
fn words_of_a_prefix_are_heard_where_they_are_said() {
    if tiny_en().is_none() {
        return;
    }
    let audio = clip("clips/LJ001-0003.flac");
    let whole = transcribe(&audio, &TranscribeOptions { timestamps: Timestamps::Word, ..TranscribeOptions::default() });
    let expected: Vec<&str> = words(&whole).iter().map(|word| word.text.as_str()).collect();
    assert!(expected.len() > 20, "{expected:?}");
    for given in [2, 10, expected.len() - 1] {
        for (timestamps, timestamp_tokens) in [
            (Timestamps::Word, TimestampTokens::LongForm),
            (Timestamps::Word, TimestampTokens::Always),
            (Timestamps::None, TimestampTokens::LongForm),
        ] {
            let prefix = Some(expected[..given].concat());
            let options = TranscribeOptions { prefix, timestamps, timestamp_tokens, ..TranscribeOptions::default() };
            let heard = transcribe(&audio, &options);
            let errors = word_errors(&whole.text, &heard.text);
            assert_eq!(errors.rate(), 0.0, "{given} given, {timestamps:?}, {timestamp_tokens:?}: {}", heard.text);
            if timestamps == Timestamps::Word {
                let starts = |transcript| words(transcript).iter().map(|word| word.start).collect::<Vec<_>>();
                let (here, there) = (starts(&heard), starts(&whole));
                let near = here.iter().zip(&there).filter(|(a, b)| (**a - **b).abs() < 0.1).count();
                assert!(here.len() == there.len() && near + 2 >= there.len(), "{given}: {here:?} {there:?}");
            }
        }
    }
}
