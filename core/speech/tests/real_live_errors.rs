//! Live text has the words of offline text, and soon: what `examples/live_figures.rs` measures, but for the processor
//! time.
//!
//! The talk and the reading by default, on whisper-base with voice activity detection only; all recordings with
//! `SOTTO_LONG=1` (`scripts/test.sh long`).
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

mod support;

use sotto_runtime::{CancelToken, NoProgress, Threads};
use sotto_speech::stream::StreamOptions;
use sotto_speech::{LoadOptions, Precision, SpeechRecognizer, TranscribeOptions, Vad};
use sotto_testkit::{data_dir, long_tests, whisper_base};
use support::live::{delays, final_text, listen, recordings};
use support::{tiny_en_int8, word_errors};

/// Word errors that live text may have more than offline text, as a fraction of the words.
const MORE: f64 = 0.005;

/// Seconds of audio from the end of a word to its first appearance, and to its final text: medians, to a hundredth.
const SHOWN: f64 = 0.8;
const FINAL: f64 = 1.5;

fn check(recognizer: &SpeechRecognizer, vads: &[Option<Vad>]) {
    let wanted = |name: &str| long_tests() || ["longform", "reading"].contains(&name);
    for recording in recordings(&data_dir().unwrap(), wanted) {
        for vad in vads {
            let name = format!("{}, {}", recording.name, if vad.is_some() { "voice activity" } else { "all audio" });
            let transcribe = TranscribeOptions { vad: vad.clone(), ..TranscribeOptions::default() };
            let options = StreamOptions { transcribe, ..StreamOptions::default() };
            let offline =
                recognizer.transcribe(&recording.audio, &options.transcribe, &NoProgress, &CancelToken::new());
            let events = listen(recognizer, &recording.audio, &options);
            let [live, offline] =
                [final_text(&events), offline.unwrap().text].map(|text| word_errors(&recording.text, &text).rate());
            let (shown, settled) = delays(&events);
            println!("{name}: {live:.4} live, {offline:.4} offline; {shown:.2} s and {settled:.2} s");
            assert!(live <= offline + MORE, "{name}: {live} instead of {offline}");
            assert!(shown <= SHOWN && settled < FINAL + 0.01, "{name}: {shown} s and {settled} s");
        }
    }
}

#[test]
fn live_text_of_tiny_en_is_as_good_as_offline_text() {
    let Some(recognizer) = tiny_en_int8() else { return };
    check(recognizer, &[None, Some(Vad::builtin())]);
}

#[test]
fn live_text_of_base_is_as_good_as_offline_text() {
    let Some(folder) = data_dir().and_then(|_| whisper_base()) else { return };
    let options = LoadOptions { threads: Threads::ONE, precision: Some(Precision::Int8), ..LoadOptions::default() };
    let recognizer = SpeechRecognizer::load(&folder.into(), &options, &NoProgress, &CancelToken::new()).unwrap();
    let vads = [Some(Vad::builtin()), None];
    check(&recognizer, if long_tests() { &vads } else { &vads[..1] });
}
