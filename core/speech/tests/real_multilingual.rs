//! Languages, on the complete multilingual `whisper-base`: detection, other alphabets, translation, as in transformers.
//!
//! Golden: `multilingual.json` (scripts/goldens/multilingual.py; revisions inside), one clip of each of nine languages.
//! The model is no part of the data folder: `sotto_testkit::whisper_base` says where it lies. A part of the runs by
//! default, all of them with `SOTTO_LONG=1`.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

mod support;

use std::path::PathBuf;
use std::sync::OnceLock;

use serde_json::Value;
use sotto_audio::{Pcm16k, SAMPLE_RATE};
use sotto_runtime::{CancelToken, NoProgress, Threads};
use sotto_speech::stream::{StreamEvent, StreamOptions, StreamTranscriber};
use sotto_speech::{
    Language, LoadOptions, Precision, Samples, SpeechRecognizer, Task, TimestampTokens, Timestamps, TranscribeOptions,
    Transcript, Vad,
};
use sotto_testkit::{data_dir, long_tests, whisper_base};
use sotto_text::metrics::{ErrorCounts, character_errors};
use sotto_text::normalize::{BasicOptions, basic};
use support::{clip, golden, kept, token_ids, tokens};

/// The folder of the model, where the recordings are too.
fn folder() -> Option<PathBuf> {
    data_dir().and_then(|_| whisper_base())
}

fn load(precision: Precision) -> Option<SpeechRecognizer> {
    // Tests run beside each other: one thread each.
    let options = LoadOptions { threads: Threads::ONE, precision: Some(precision), ..LoadOptions::default() };
    Some(SpeechRecognizer::load(&folder()?.into(), &options, &NoProgress, &CancelToken::new()).unwrap())
}

/// The model in f32, loaded once.
fn base() -> Option<&'static SpeechRecognizer> {
    static MODEL: OnceLock<Option<SpeechRecognizer>> = OnceLock::new();
    MODEL.get_or_init(|| load(Precision::F32)).as_ref()
}

fn transcribe(recognizer: &SpeechRecognizer, file: &str, options: &TranscribeOptions) -> Transcript {
    recognizer.transcribe(&clip(file), options, &NoProgress, &CancelToken::new()).unwrap()
}

/// Settings of transformers' `generate`: 448 tokens in all, the four of the prompt included.
fn settings() -> TranscribeOptions {
    TranscribeOptions { max_tokens: Some(444), ..TranscribeOptions::greedy() }
}

/// The tokens of one run of the golden, without the end of the text.
fn expected(golden: &Value, run: &Value) -> Vec<u32> {
    let mut expected = token_ids(&run["tokens"]);
    assert_eq!(expected.pop().map(u64::from), golden["end_of_text"].as_u64());
    expected
}

/// Every clip of the golden with the file's name, and each `step`th of them unless everything is asked for.
fn languages(golden: &Value, step: usize) -> Vec<(&str, &Value)> {
    let all = golden["languages"].as_array().unwrap();
    assert_eq!(all.len(), 9);
    let step = if long_tests() { 1 } else { step };
    all.iter().step_by(step).map(|record| (record["file"].as_str().unwrap(), record)).collect()
}

#[test]
fn nine_languages_are_detected_and_written_as_in_transformers() {
    let Some(recognizer) = base() else { return };
    let golden = golden("multilingual");
    for (file, record) in languages(&golden, 1) {
        let transcript = transcribe(recognizer, file, &settings());
        assert_eq!(transcript.language, record["language"].as_str().unwrap(), "{file}");
        assert_eq!(tokens(&transcript), expected(&golden, &record["transcribe"]), "{file}");
        assert_eq!(transcript.text.trim(), record["transcribe"]["text"].as_str().unwrap().trim(), "{file}");
    }
}

#[test]
fn the_probability_of_a_language_is_that_of_transformers() {
    let Some(recognizer) = base() else { return };
    let golden = golden("multilingual");
    for (file, record) in languages(&golden, 4) {
        let audio = clip(file);
        let found = recognizer.detect_language(&mut Samples::from(&audio), &CancelToken::new()).unwrap();
        let theirs = &record["detected"];
        assert_eq!(found.code, theirs["code"].as_str().unwrap(), "{file}");
        let difference = f64::from(found.probability) - theirs["probability"].as_f64().unwrap();
        assert!(difference.abs() < 1e-3, "{file}: {found:?} instead of {theirs}");
    }
}

#[test]
fn speech_is_translated_to_english_as_in_transformers() {
    let Some(recognizer) = base() else { return };
    let golden = golden("multilingual");
    let options = TranscribeOptions { task: Task::Translate, ..settings() };
    for (file, record) in languages(&golden, 1) {
        let transcript = transcribe(recognizer, file, &options);
        assert_eq!(tokens(&transcript), expected(&golden, &record["translate"]), "{file}");
        assert_eq!(transcript.language, record["language"].as_str().unwrap(), "{file}");
    }
}

#[test]
fn times_are_those_of_transformers_in_any_language() {
    let Some(recognizer) = base() else { return };
    let golden = golden("multilingual");
    let begin = golden["timestamp_begin"].as_u64().unwrap() as u32;
    let options = TranscribeOptions {
        timestamps: Timestamps::Segment,
        timestamp_tokens: TimestampTokens::Always,
        // Three tokens of the prompt, not four.
        max_tokens: Some(445),
        ..settings()
    };
    for (file, record) in languages(&golden, 3) {
        let expected = expected(&golden, &record["timestamps"]);
        let kept = kept(&expected, begin);
        let found = tokens(&transcribe(recognizer, file, &options));
        assert_eq!(found.get(..kept.len()), Some(kept), "{file}");
    }
}

/// A language given in the options is used without detection, whatever the clip's language is.
#[test]
fn a_wrong_language_does_what_it_does_in_transformers() {
    let Some(recognizer) = base() else { return };
    let golden = golden("multilingual");
    let options = TranscribeOptions { language: Language::Fixed("en".into()), ..settings() };
    for (file, record) in languages(&golden, 4) {
        let transcript = transcribe(recognizer, file, &options);
        assert_eq!(tokens(&transcript), expected(&golden, &record["transcribe_as_en"]), "{file}");
        assert_eq!(transcript.language, "en", "{file}");
    }
}

#[test]
fn english_is_written_as_in_transformers() {
    let Some(recognizer) = base() else { return };
    let golden = golden("multilingual");
    let clips = golden["english"].as_array().unwrap();
    let options = TranscribeOptions { language: Language::Fixed("en".into()), ..settings() };
    for record in clips.iter().step_by(if long_tests() { 1 } else { 4 }) {
        let file = record["file"].as_str().unwrap();
        assert_eq!(tokens(&transcribe(recognizer, file, &options)), expected(&golden, record), "{file}");
    }
}

/// Compares characters, since not every language separates its words.
#[test]
fn int8_detects_the_same_languages_and_writes_no_worse() {
    let Some(recognizer) = load(Precision::Int8) else { return };
    let golden = golden("multilingual");
    let (mut exact, mut quantized) = (ErrorCounts::default(), ErrorCounts::default());
    for (file, record) in languages(&golden, 1) {
        let transcript = transcribe(&recognizer, file, &settings());
        assert_eq!(transcript.language, record["language"].as_str().unwrap(), "{file}");
        let said = basic(record["reference"].as_str().unwrap(), BasicOptions::default());
        exact +=
            character_errors(&said, &basic(record["transcribe"]["text"].as_str().unwrap(), BasicOptions::default()));
        quantized += character_errors(&said, &basic(&transcript.text, BasicOptions::default()));
    }
    println!("characters wrong: f32 {exact:?}, int8 {quantized:?}");
    assert!(quantized.rate() <= exact.rate() + 0.01, "{exact:?} {quantized:?}");
}

/// The final text of a live session.
fn live(recognizer: &SpeechRecognizer, audio: &Pcm16k) -> String {
    let options = StreamOptions::default();
    let cancel = CancelToken::new();
    let mut transcriber = StreamTranscriber::new(recognizer, &options, SAMPLE_RATE, 1, &cancel).unwrap();
    let mut events = Vec::new();
    transcriber.push(audio.samples(), &mut events).unwrap();
    transcriber.finish(&mut events).unwrap();
    let text = |event| match event {
        StreamEvent::Final { text, .. } => Some(text.text),
        _ => None,
    };
    events.into_iter().filter_map(text).collect()
}

/// A live session knows the language of its first second only, and base takes "Will we ever forget it." for Arabic:
/// all that followed was written in Arabic letters.
#[test]
fn a_second_of_speech_does_not_decide_the_language_of_a_recording() {
    let Some(recognizer) = load(Precision::Int8) else { return };
    let errors = |said: &str, text: &str| {
        let plain = |text: &str| basic(text, BasicOptions::default());
        character_errors(&plain(said), &plain(text)).rate()
    };
    let pause = vec![0.0; 2 * SAMPLE_RATE as usize];
    let said = "especially as no more time is occupied, or cost incurred, in casting, setting, or printing beautiful \
                letters";
    let parts = [clip("clips/pyroomacoustics_cmu_arctic_us_axb_a0005.flac"), clip("clips/LJ001-0012.flac")];
    let joined = Pcm16k::new([parts[0].samples(), &pause, parts[1].samples()].concat()).unwrap();
    let options = TranscribeOptions { vad: Some(Vad::builtin()), ..TranscribeOptions::default() };
    let offline = recognizer.transcribe(&joined, &options, &NoProgress, &CancelToken::new()).unwrap();
    for text in [live(&recognizer, &joined), offline.text] {
        let tail = text.char_indices().rev().nth(said.len() - 1).map_or(0, |(at, _)| at);
        assert!(errors(said, &text[tail..]) < 0.2, "{text}");
    }
    // What was clear by itself stays so.
    let italian = clip("clips/picovoice_test_it.flac");
    let text = live(&recognizer, &italian);
    assert!(errors("Sempre alla radio nacquero anche alcune sue canzoni o meglio ritmi.", &text) < 0.3, "{text}");
}
