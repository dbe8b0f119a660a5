//! Live text beside offline text: word errors, processor time, delays.
//!
//!     cargo run --release -p sotto-speech --example live_figures -- MODEL DETECTOR [RECORDING…]
//!
//! DETECTOR is a file or `builtin`. Without RECORDINGs: what the data folder makes (`../shared/data` or `SOTTO_DATA`).
//! Processor time is that of the thread, so that other work on the machine does not count; it needs Linux.
//! `SOTTO_VAD=0` or `1` measures without or with voice activity detection alone; `SOTTO_SHOW=1` shows the texts, as
//! they are and as they are compared.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a tool for the desk")]

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use sotto_audio::{Pcm16k, SAMPLE_RATE, decode_file};
use sotto_runtime::{CancelToken, NoProgress, Threads};
use sotto_speech::stream::{StreamEvent, StreamOptions, StreamTranscriber};
use sotto_speech::vad::load_detector;
use sotto_speech::{LoadOptions, Precision, SpeechRecognizer, TranscribeOptions, Vad};
use sotto_text::metrics::{ErrorCounts, word_errors};
use sotto_text::normalize::english;

/// A recording and what is said in it.
struct Recording {
    name: String,
    audio: Pcm16k,
    text: String,
}

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
    for recording in recordings(&data).into_iter().filter(|r| wanted.is_empty() || wanted.contains(&r.name)) {
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
    let start = processor_seconds();
    let offline = recognizer.transcribe(&recording.audio, &options.transcribe, &NoProgress, &cancel).unwrap();
    let offline_time = processor_seconds() - start;
    let start = processor_seconds();
    let mut transcriber = StreamTranscriber::new(recognizer, &options, SAMPLE_RATE, 1, &cancel).unwrap();
    let mut events = Vec::new();
    for block in recording.audio.samples().chunks(SAMPLE_RATE as usize / 10) {
        transcriber.push(block, &mut events).unwrap();
    }
    transcriber.finish(&mut events).unwrap();
    let live_time = processor_seconds() - start;
    let live: String = events
        .iter()
        .filter_map(|event| match event {
            StreamEvent::Final { text, .. } => Some(text.text.as_str()),
            _ => None,
        })
        .collect();
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

/// Medians over the words: from the end of a word to its first appearance, and to its final text, in seconds of audio.
fn delays(events: &[StreamEvent]) -> (f64, f64) {
    let (mut first, mut last) = (Vec::new(), Vec::new());
    let mut shown_to: f64 = 0.0;
    for event in events {
        let (at, text, is_final) = match event {
            StreamEvent::Volatile { at, text } => (*at, text, false),
            StreamEvent::Final { at, text } => (*at, text, true),
            _ => continue,
        };
        for word in &text.words {
            if word.end > shown_to + 0.05 {
                first.push((at - word.end).max(0.0));
                shown_to = word.end;
            }
            if is_final {
                last.push((at - word.end).max(0.0));
            }
        }
    }
    (median(&mut first), median(&mut last))
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn processor_seconds() -> f64 {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    statistics.split_whitespace().next().unwrap().parse::<f64>().unwrap() * 1e-9
}

/// Reading with short pauses, several speakers, quiet noise.
fn recordings(data: &Path) -> Vec<Recording> {
    let speech = data.join("speech");
    let mut all = vec![longform(&speech)];
    let rows = |list: &str| -> Vec<(String, String)> {
        let list = std::fs::read_to_string(speech.join(list)).unwrap();
        let rows = list.lines().skip(1).map(|line| line.split('\t').map(str::to_owned).collect::<Vec<_>>());
        rows.filter(|row| row[1] == "en" && row[2].parse::<f64>().unwrap() <= 12.0)
            .map(|row| (row[0].clone(), row[5].clone()))
            .collect()
    };
    let (real, synthetic) = (rows("manifest.tsv"), rows("synthetic.tsv"));
    let reading: Vec<_> = real.iter().filter(|(file, _)| file.contains("LJ001")).cloned().collect();
    let noise = decode_file(speech.join("noise/noise1.flac")).unwrap();
    all.push(join("reading", &speech, &reading, &[0.4], None));
    all.push(join("synthetic", &speech, &synthetic, &[0.2, 0.7, 1.5, 3.0], None));
    let mut mixed: Vec<_> = real.clone();
    // Every speaker beside every other, in ten minutes.
    for (index, clip) in synthetic.iter().enumerate() {
        mixed.insert((index * 7) % mixed.len(), clip.clone());
    }
    all.push(join("mixed", &speech, &mixed, &[0.3, 1.0, 0.5, 4.0, 0.1], None));
    all.push(join("mixed in noise", &speech, &mixed, &[0.3, 1.0, 0.5, 4.0, 0.1], Some(&noise)));
    all
}

fn longform(speech: &Path) -> Recording {
    let text = std::fs::read_to_string(speech.join("formats/en-sample.txt")).unwrap();
    let audio = decode_file(speech.join("formats/longform_en.ogg")).unwrap();
    Recording { name: "longform".into(), audio, text }
}

fn join(name: &str, speech: &Path, clips: &[(String, String)], pauses: &[f64], noise: Option<&Pcm16k>) -> Recording {
    let (mut samples, mut text) = (Vec::new(), String::new());
    for ((file, said), pause) in clips.iter().zip(pauses.iter().cycle()) {
        samples.extend_from_slice(decode_file(speech.join(file)).unwrap().samples());
        samples.resize(samples.len() + (pause * f64::from(SAMPLE_RATE)) as usize, 0.0);
        text.push_str(said);
        text.push(' ');
    }
    if let Some(noise) = noise {
        let loudest = noise.samples().iter().fold(1e-9f32, |peak, x| peak.max(x.abs()));
        for (sample, noise) in samples.iter_mut().zip(noise.samples().iter().cycle()) {
            *sample += noise / loudest * 0.02;
        }
    }
    Recording { name: name.into(), audio: Pcm16k::new(samples).unwrap(), text }
}
