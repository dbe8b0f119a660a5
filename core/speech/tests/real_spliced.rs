//! All speech appears: of recordings spliced of several clips none is lost and none said twice, whatever lies between
//! them, offline, with voice activity detection and live.
//!
//! A quarter of the recordings by default; with `SOTTO_LONG=1` (`scripts/test.sh long`) all sixty. With
//! `SOTTO_MODEL=base` on whisper-base. With `SOTTO_PEER=FOLDER` another engine's texts are judged alike
//! (`scripts/peers/faster_whisper_texts.py`).
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

mod support;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use sotto_audio::{Pcm16k, SAMPLE_RATE};
use sotto_runtime::{CancelToken, NoProgress, Threads};
use sotto_speech::stream::StreamOptions;
use sotto_speech::vad::{SileroVad, VadOptions};
use sotto_speech::{LoadOptions, Precision, SpeechRecognizer, TranscribeOptions, Vad};
use sotto_testkit::{data_dir, long_tests, whisper_base};
use support::live::{final_text, listen};
use support::spliced::{Heard, Spliced, follow, spliced};
use support::{clip, tiny_en_int8};

fn recognizer() -> Option<&'static SpeechRecognizer> {
    static BASE: OnceLock<Option<SpeechRecognizer>> = OnceLock::new();
    if std::env::var("SOTTO_MODEL").is_ok_and(|model| model == "base") {
        let options = LoadOptions { threads: Threads::ONE, precision: Some(Precision::Int8), ..LoadOptions::default() };
        let load = |folder: PathBuf| {
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
    final_text(&listen(recognizer, audio, &options))
}

/// What became of the clips of all recordings.
#[derive(Default)]
struct Figures {
    words: usize,
    errors: usize,
    /// Errors of the clips where they stand alone.
    own: usize,
    clips: usize,
    lost: usize,
    said_twice: usize,
    /// Recordings with a clip that is lost or said twice.
    faults: Vec<String>,
}

impl Figures {
    fn percent(&self, errors: usize) -> f64 {
        100.0 * errors as f64 / self.words as f64
    }

    fn print(&self, way: &str) {
        let Self { words, clips, lost, said_twice, .. } = self;
        let (errors, own) = (self.percent(self.errors), self.percent(self.own));
        println!("{way}: {words} words, {errors:.2} % errors, alone {own:.2} %");
        println!("{way}: of {clips} clips {lost} lost, {said_twice} said twice; faults {}", self.faults.len());
    }
}

fn cases() -> Vec<Spliced> {
    spliced(if long_tests() { 60 } else { 24 })
}

/// Counts over all recordings; `hear` gives the text of the recording with a number, `alone` that of a clip.
fn count(way: &str, alone: impl Fn(&str) -> String, hear: impl Fn(usize, &Spliced) -> String) -> Figures {
    let mut singles: HashMap<String, Heard> = HashMap::new();
    let mut figures = Figures::default();
    for (number, case) in cases().iter().enumerate() {
        let text = hear(number, case);
        let references: Vec<&str> = case.clips.iter().map(|clip| clip.text.as_str()).collect();
        let heard = follow(&references, &text);
        let mut faulty = false;
        for (part, heard) in case.clips.iter().zip(&heard) {
            let single =
                *singles.entry(part.file.clone()).or_insert_with(|| follow(&[&part.text], &alone(&part.file))[0]);
            figures.words += heard.words;
            figures.errors += heard.errors;
            figures.own += single.errors;
            figures.clips += 1;
            figures.lost += usize::from(heard.is_lost(single));
            figures.said_twice += usize::from(heard.is_said_twice(single));
            faulty |= heard.is_lost(single) || heard.is_said_twice(single);
        }
        if faulty {
            figures.faults.push(case.name.clone());
        }
        if std::env::var_os("SOTTO_SHOW").is_some() {
            let mark = if faulty { "FAULT" } else { "ok" };
            println!("{way} {mark} {}: {heard:?}\n   {text}", case.name);
        }
    }
    figures.print(way);
    figures
}

/// Word errors of the clips where they stand alone, and spliced.
fn check(way: &str, hear: impl Fn(&SpeechRecognizer, &Pcm16k) -> String) {
    let Some(recognizer) = recognizer() else { return };
    let alone = |file: &str| offline(recognizer, &clip(file), None);
    let figures = count(way, alone, |_, case| hear(recognizer, &case.audio));
    assert!(figures.faults.is_empty(), "{way}: lost or said twice: {:#?}", figures.faults);
    assert!(figures.percent(figures.errors) <= figures.percent(figures.own) + 1.0, "{way}");
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

/// The recordings and their clips as samples in a folder, for another engine to write its texts beside them; where the
/// texts are there, they are judged.
#[test]
fn another_engine_is_judged_alike() {
    let Some(folder) = std::env::var_os("SOTTO_PEER").map(PathBuf::from) else { return };
    let name = |file: &str| file.rsplit('/').next().unwrap().replace(".flac", "");
    if !folder.join("recording-00.txt").exists() {
        let write = |name: &str, audio: &Pcm16k| {
            let bytes: Vec<u8> = audio.samples().iter().flat_map(|sample| sample.to_le_bytes()).collect();
            std::fs::write(folder.join(name).with_extension("f32"), bytes).unwrap();
        };
        for (number, case) in cases().iter().enumerate() {
            write(&format!("recording-{number:02}"), &case.audio);
            case.clips.iter().for_each(|part| write(&name(&part.file), &clip(&part.file)));
        }
        return;
    }
    let text = |name: &str| std::fs::read_to_string(folder.join(format!("{name}.txt"))).unwrap();
    count("another engine", |file| text(&name(file)), |number, _| text(&format!("recording-{number:02}")));
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
