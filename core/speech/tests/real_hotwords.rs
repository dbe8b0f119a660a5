//! Hotwords on the real tiny.en: more of the named words are heard, and the other clips do not pay for it.
//!
//! The words stand in `hotwords.txt`; `sotto bench speech --hotwords` measures all clips (docs/PERFORMANCE.md).
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

mod support;

use std::sync::Arc;

use sotto_runtime::{CancelToken, NoProgress};
use sotto_speech::{Hotwords, TranscribeOptions};
use sotto_text::metrics::{ErrorCounts, contains_phrase};
use sotto_text::normalize::english;
use support::{Spoken, clip, synthetic, tiny_en_int8, word_errors};

/// Hotwords said and heard, and the word errors of clips without any.
#[derive(Debug, Default)]
struct Found {
    said: usize,
    heard: usize,
    others: ErrorCounts,
}

fn listen(clips: &[Spoken], words: &[String], hotwords: Option<Arc<Hotwords>>) -> Found {
    let options = TranscribeOptions { hotwords, ..TranscribeOptions::greedy() };
    clips.iter().fold(Found::default(), |mut found, spoken| {
        let recognizer = tiny_en_int8().unwrap();
        let text = recognizer.transcribe(&clip(&spoken.file), &options, &NoProgress, &CancelToken::new()).unwrap().text;
        let (said, heard) = (english(&spoken.text), english(&text));
        let named: Vec<_> = words.iter().filter(|word| contains_phrase(&said, word)).collect();
        found.said += named.len();
        found.heard += named.iter().filter(|word| contains_phrase(&heard, word)).count();
        if named.is_empty() {
            found.others += word_errors(&spoken.text, &text);
        }
        found
    })
}

#[test]
fn more_of_the_named_words_are_heard_and_other_clips_stay_as_they_were() {
    let Some(recognizer) = tiny_en_int8() else { return };
    let words: Vec<String> = include_str!("hotwords.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|word| word.trim().to_owned())
        .collect();
    let normalized: Vec<String> = words.iter().map(|word| english(word)).collect();
    let named = |spoken: &Spoken| normalized.iter().any(|word| contains_phrase(&english(&spoken.text), word));
    // All clips with a hotword, every third of the others.
    let (with, without): (Vec<_>, Vec<_>) = synthetic().into_iter().partition(named);
    let clips: Vec<Spoken> = with.into_iter().chain(without.into_iter().step_by(3)).collect();
    let off = listen(&clips, &normalized, None);
    let on = Hotwords::new(&words, 4.0, recognizer.model().unwrap().tokenizer());
    let on = listen(&clips, &normalized, Some(Arc::new(on)));
    println!("without: {off:?}\nwith: {on:?}");
    assert!(off.said >= 25 && off.said == on.said);
    // 22 without them, 30 with them.
    assert!(on.heard >= off.heard + 5, "{off:?} {on:?}");
    assert!(on.others.rate() <= off.others.rate() + 0.01, "{off:?} {on:?}");
}
