//! Live text beside offline text: word errors, processor time, delays.
//!
//!     cargo run --release -p sotto-speech --example live_figures -- MODEL DETECTOR [RECORDING…]
//!
//! DETECTOR is a file or `builtin`. Without RECORDINGs: what the data folder makes (`../shared/data` or `SOTTO_DATA`).
//! Processor time is that of the thread, so that other work on the machine does not count; it needs Linux. It is the
//! median of `SOTTO_ROUNDS` rounds (one by default), each of which runs offline and then live.
//! `SOTTO_VAD=0` or `1` measures without or with voice activity detection alone; `SOTTO_SHOW=1` shows the texts, as
//! they are and as they are compared.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a tool for the desk")]

#[path = "../tests/support/live.rs"]
mod live;

use std::collections::HashSet;
use std::path::PathBuf;

use live::{Recording, delays, final_text, listen, median, recordings};
use sotto_runtime::{CancelToken, NoProgress, Threads};
use sotto_speech::stream::StreamOptions;
use sotto_speech::vad::load_detector;
use sotto_speech::{LoadOptions, Precision, SpeechRecognizer, TranscribeOptions, Vad};
use sotto_text::metrics::{ErrorCounts, word_errors};
use sotto_text::normalize::english;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let model: PathBuf = arguments.next().expect("the folder of a model").into();
    let detector: PathBuf = arguments.next().expect("the file of a detector, or `builtin`").into();
    let wanted: Vec<String> = arguments.collect();
    let data: PathBuf = std::env::var_os("SOTTO_DATA").map_or_else(|| "../shared/data".into(), Into::into);
    let options = LoadOptions { precision: Some(Precision::Int8), threads: Threads::ONE, ..LoadOptions::default() };
    let recognizer = SpeechRecognizer::load(&model.into(), &options, &NoProgress, &CancelToken::new()).unwrap();
    let detector = match detector.to_str() {
        Some("builtin") => Vad::builtin(),
        _ => Vad::new(load_detector(&detector).unwrap()),
    };
    for recording in recordings(&data, |name| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name)) {
        for vad in [None, Some(detector.clone())] {
            if std::env::var("SOTTO_VAD").is_ok_and(|wanted| (wanted == "1") != vad.is_some()) {
                continue;
            }
            measure(&recognizer, &recording, vad);
        }
    }
}

fn measure(recognizer: &SpeechRecognizer, recording: &Recording, vad: Option<Vad>) {
    let with = if vad.is_some() { "voice activity" } else { "all audio" };
    let transcribe = TranscribeOptions { vad, ..TranscribeOptions::default() };
    let options = StreamOptions { transcribe, ..StreamOptions::default() };
    let cancel = CancelToken::new();
    let rounds: usize = std::env::var("SOTTO_ROUNDS").map_or(1, |rounds| rounds.parse().expect("a number of rounds"));
    let (mut offline_times, mut live_times) = (Vec::new(), Vec::new());
    let round = || {
        let start = processor_seconds();
        let offline = recognizer.transcribe(&recording.audio, &options.transcribe, &NoProgress, &cancel).unwrap();
        offline_times.push(processor_seconds() - start);
        let start = processor_seconds();
        let events = listen(recognizer, &recording.audio, &options);
        live_times.push(processor_seconds() - start);
        (offline, events)
    };
    let (offline, events) = std::iter::repeat_with(round).take(rounds.max(1)).last().expect("a round");
    let (live_time, offline_time) = (median(&mut live_times), median(&mut offline_times));
    let live = final_text(&events);
    if std::env::var_os("SOTTO_SHOW").is_some() {
        println!("LIVE {live}\nOFFL {}", offline.text);
        let texts = [english(&recording.text), english(&live), english(&offline.text)];
        println!("SAID {}\nLIVE {}\nOFFL {}", texts[0], texts[1], texts[2]);
    }
    let (live, offline) = (shown(&recording.text, &live), shown(&recording.text, &offline.text));
    let (first, last) = delays(&events);
    println!(
        "{}, {with}: {:.1} s; live {live} offline {offline}; {:.1} s and {:.1} s of the processor, {:.2} times; \
         first shown after {first:.2} s, final after {last:.2} s",
        recording.name,
        recording.audio.seconds(),
        live_time,
        offline_time,
        live_time / offline_time,
    );
}

/// Errors of a text as they count, and where a word that is spelled in two (`street car`) is none.
fn shown(said: &str, text: &str) -> String {
    let (said, text) = (english(said), english(text));
    let (strict, lenient) = (word_errors(&said, &text), word_errors(&joined(&said, &text), &joined(&text, &said)));
    let ErrorCounts { substitutions, deletions, insertions, .. } = strict;
    format!(
        "{:.2} % ({substitutions} other, {deletions} missing, {insertions} added; {:.2} % with compounds as one word)",
        100.0 * strict.rate(),
        100.0 * lenient.rate()
    )
}

/// `text` with two words as one wherever `other` has them as one.
fn joined(text: &str, other: &str) -> String {
    let whole: HashSet<&str> = other.split(' ').collect();
    let mut words: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match words.last_mut() {
            Some(last) if whole.contains(format!("{last}{word}").as_str()) => last.push_str(word),
            _ => words.push(word.to_owned()),
        }
    }
    words.join(" ")
}

fn processor_seconds() -> f64 {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    statistics.split_whitespace().next().unwrap().parse::<f64>().unwrap() * 1e-9
}
