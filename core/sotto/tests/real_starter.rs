//! The starter recognizer on real English recordings: the word error rate of its card.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

use sotto::audio::{decode_bytes, decode_file};
use sotto::text::{ErrorCounts, english, word_errors};
use sotto::{CancelToken, Engine, NoProgress, SpeechRecognizer, TranscribeOptions, starter};
use sotto_testkit::data_dir;

fn load() -> SpeechRecognizer {
    Engine::default().speech(&starter::speech(), &NoProgress, &CancelToken::new()).unwrap()
}

fn heard(speech: &SpeechRecognizer, audio: &sotto::audio::Pcm16k) -> String {
    speech.transcribe(audio, &TranscribeOptions::default(), &NoProgress, &CancelToken::new()).unwrap().text
}

#[test]
fn the_demo_clip_is_understood_word_for_word() {
    let text = heard(&load(), &decode_bytes(starter::demo_clip()).unwrap());
    assert_eq!(english(&text), english(sotto_starter::DEMO_TEXT));
}

#[test]
fn real_english_recordings_are_understood() {
    let Some(data) = data_dir() else { return };
    let (speech, mut sum) = (load(), ErrorCounts::default());
    let list = std::fs::read_to_string(data.join("speech/manifest.tsv")).unwrap();
    for line in list.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        if columns[1] != "en" {
            continue;
        }
        let audio = decode_file(data.join("speech").join(columns[0])).unwrap();
        let (said, heard) = (english(columns[5]), english(&heard(&speech, &audio)));
        let errors = word_errors(&said, &heard);
        if errors.rate() > 0.0 {
            println!("{}: {errors:?}\n  said  {said}\n  heard {heard}", columns[0]);
        }
        sum += errors;
    }
    println!("{:.2} % word errors, {sum:?}", 100.0 * sum.rate());
    assert!(sum.rate() <= 0.065, "{sum:?}");
}

#[test]
fn every_string_can_be_written() {
    let speech = load();
    let tokenizer = speech.model().tokenizer();
    for text in [" The hippopotamus, 1,234.5", "naïve Größe", "日本語 🙂", "\u{0}\t\n\u{7f}"] {
        assert_eq!(tokenizer.decode(&tokenizer.encode(text)), text);
    }
    assert!(!tokenizer.is_multilingual());
    assert_eq!(tokenizer.special().timestamp_count, 1501);
    assert_eq!(speech.model().packed().unwrap().licence, Some("mit"));
}
