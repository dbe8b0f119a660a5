//! All speech appears: of recordings spliced of several clips none is lost and none said twice, whatever lies between
//! them, offline, with voice activity detection and live.
//!
//! A quarter of the recordings by default; with `SOTTO_LONG=1` (`scripts/test.sh long`) all sixty. With
//! `SOTTO_MODEL=base` on whisper-base.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

mod support;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use sotto_audio::{Pcm16k, SAMPLE_RATE};
use sotto_runtime::{CancelToken, NoProgress, Threads};
use sotto_speech::stream::{StreamEvent, StreamOptions, StreamTranscriber};
use sotto_speech::vad::{SileroVad, VadOptions};
use sotto_speech::{LoadOptions, Precision, SpeechRecognizer, TranscribeOptions, Vad};
use sotto_testkit::{data_dir, long_tests, whisper_base};
use support::spliced::{Heard, follow, spliced};
use support::{clip, tiny_en_int8};

fn recognizer() -> Option<&'static SpeechRecognizer> {
    static BASE: OnceLock<Option<SpeechRecognizer>> = OnceLock::new();
    if std::env::var("SOTTO_MODEL").is_ok_and(|model| model == "base") {
        let options = LoadOptions { threads: Threads::ONE, precision: Some(Precision::Int8), ..LoadOptions::default() };
        let load = |folder: std::path::PathBuf| {
            SpeechRecognizer::load(&folder.into(), &options, &NoProgress, &CancelToken::new()).unwrap()
        };
        return BASE.get_or_init(|| whisper_base().map(load)).as_ref();
    }
    tiny_en_int8()
}

fn vad() -> Option<Vad> {
    let weights = data_dir().unwrap().join("vad/silero_vad_16k.safetensors");
    Some(Vad { model: Arc::new(SileroVad::load(&weights).unwrap()), options: VadOptions::default() })
}

fn offline(recognizer: &SpeechRecognizer, audio: &Pcm16k, vad: Option<Vad>) -> String {
    let options = TranscribeOptions { vad, ..TranscribeOptions::default() };
    recognizer.transcribe(audio, &options, &NoProgress, &CancelToken::new()).unwrap().text
}

fn live(recognizer: &SpeechRecognizer, audio: &Pcm16k, vad: Option<Vad>) -> String {
    let transcribe = TranscribeOptions { vad, ..TranscribeOptions::default() };
    let options = StreamOptions { transcribe, ..StreamOptions::default() };
    let cancel = CancelToken::new();
    let mut transcriber = StreamTranscriber::new(recognizer, &options, SAMPLE_RATE, 1, &cancel).unwrap();
    let mut events = Vec::new();
    for block in audio.samples().chunks(SAMPLE_RATE as usize / 10) {
        transcriber.push(block, &mut events).unwrap();
    }
    transcriber.finish(&mut events).unwrap();
    let text = |event| match event {
        StreamEvent::Final { text, .. } => Some(text.text),
        _ => None,
    };
    events.into_iter().filter_map(text).collect()
}

/// Word errors of the clips where they stand alone, and spliced.
fn check(way: &str, hear: impl Fn(&SpeechRecognizer, &Pcm16k) -> String) {
    let Some(recognizer) = recognizer() else { return };
    let mut alone: HashMap<String, Heard> = HashMap::new();
    let (mut words, mut errors, mut own, mut faults) = (0, 0, 0, Vec::new());
    for case in spliced(if long_tests() { 60 } else { 16 }) {
        let text = hear(recognizer, &case.audio);
        let references: Vec<&str> = case.clips.iter().map(|clip| clip.text.as_str()).collect();
        let heard = follow(&references, &text);
        let mut faulty = false;
        for (part, heard) in case.clips.iter().zip(&heard) {
            let single = *alone
                .entry(part.file.clone())
                .or_insert_with(|| follow(&[&part.text], &offline(recognizer, &clip(&part.file), None))[0]);
            words += heard.words;
            errors += heard.errors;
            own += single.errors;
            faulty |= heard.is_lost(single) || heard.is_said_twice(single);
        }
        if faulty {
            faults.push(case.name.clone());
        }
        if std::env::var_os("SOTTO_SHOW").is_some() {
            let mark = if faulty { "FAULT" } else { "ok" };
            println!("{way} {mark} {}: {heard:?}\n   {text}", case.name);
        }
    }
    let rate = |errors: usize| 100.0 * errors as f64 / words as f64;
    println!("{way}: {words} words, {:.2} % errors, alone {:.2} %, faults {}", rate(errors), rate(own), faults.len());
    assert!(faults.is_empty(), "{way}: lost or said twice: {faults:#?}");
    assert!(rate(errors) <= rate(own) + 1.0, "{way}");
}

#[test]
fn offline_hears_every_clip_once() {
    check("offline", |recognizer, audio| offline(recognizer, audio, None));
}

#[test]
fn with_voice_activity_detection_every_clip_is_heard_once() {
    check("offline, voice activity", |recognizer, audio| offline(recognizer, audio, vad()));
}

#[test]
fn live_text_has_every_clip_once() {
    check("live", |recognizer, audio| live(recognizer, audio, None));
}

#[test]
fn live_text_with_voice_activity_detection_has_every_clip_once() {
    check("live, voice activity", |recognizer, audio| live(recognizer, audio, vad()));
}

/// Without voice activity detection, too; noise is another matter.
#[test]
fn digital_silence_says_nothing() {
    let Some(recognizer) = tiny_en_int8() else { return };
    for seconds in [1, 10, 45] {
        let silence = Pcm16k::new(vec![0.0; seconds * SAMPLE_RATE as usize]).unwrap();
        assert_eq!(offline(recognizer, &silence, None), "", "{seconds} s");
    }
}
