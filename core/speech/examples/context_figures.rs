//! What encoding the true length costs in word errors and saves in processor time, on short recordings.
//!
//!     cargo run --release -p sotto-speech --example context_figures -- MODEL [ROUNDS]
//!
//! The English clips of the data folder (`../shared/data` or `SOTTO_DATA`), clean and in ROUNDS rounds of its noises at
//! 10 dB, each round with other noises at other places. Processor time is that of the thread, of clips up to 12 s; it
//! needs Linux. With `SOTTO_SHOW=1` texts that differ.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a tool for the desk")]

use std::path::{Path, PathBuf};

use sotto_audio::{Pcm16k, decode_file};
use sotto_runtime::{CancelToken, NoProgress, Threads};
use sotto_speech::{AudioContext, LoadOptions, Precision, SpeechRecognizer, TranscribeOptions, Transcript};
use sotto_testkit::noise::mixed;
use sotto_text::metrics::{ErrorCounts, word_errors};
use sotto_text::normalize::english;

const NOISES: [&str; 7] = ["doing_the_dishes", "exercise_bike", "noise1", "noise2", "noise3", "noise4", "noise5"];
const DECIBELS: f64 = 10.0;
const SHORT: f64 = 12.0;

/// Of one way to decode one list of clips.
#[derive(Default)]
struct Figures {
    errors: ErrorCounts,
    processor: f64,
    clips: usize,
    windows: usize,
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let model: PathBuf = arguments.next().expect("the folder of a model").into();
    let rounds: usize = arguments.next().map_or(0, |rounds| rounds.parse().expect("a number of rounds"));
    let data: PathBuf = std::env::var_os("SOTTO_DATA").map_or_else(|| "../shared/data".into(), Into::into);
    let speech = data.join("speech");
    let options = LoadOptions { precision: Some(Precision::Int8), threads: Threads::ONE, ..LoadOptions::default() };
    let recognizer = SpeechRecognizer::load(&model.into(), &options, &NoProgress, &CancelToken::new()).unwrap();
    let sound = |name: &str| decode_file(speech.join(name)).unwrap().samples().to_vec();
    let noises: Vec<Vec<f32>> = NOISES.iter().map(|name| sound(&format!("noise/{name}.flac"))).collect();
    for list in ["manifest.tsv", "synthetic.tsv"] {
        let clips = clips(&speech, list);
        let mut clean: [Figures; 2] = Default::default();
        let mut noisy: [Figures; 2] = Default::default();
        for round in 0..=rounds {
            let mut below = seeded(7 + round as u64);
            for (index, (file, said)) in clips.iter().enumerate() {
                let mut samples = sound(file);
                if round > 0 {
                    let noise = &noises[(index + round) % noises.len()];
                    samples = mixed(&samples, noise, below(noise.len()), DECIBELS);
                }
                let audio = Pcm16k::new(samples).unwrap();
                let figures = if round > 0 { &mut noisy } else { &mut clean };
                let contexts = [AudioContext::Window, AudioContext::TrueLength];
                let texts = contexts.map(|context| {
                    let way = usize::from(context == AudioContext::TrueLength);
                    measure(&recognizer, &audio, context, said, &mut figures[way]).text
                });
                if texts[0] != texts[1] && std::env::var_os("SOTTO_SHOW").is_some() {
                    println!("{file}, round {round}\n    {}\n    {}\n    {}", said, texts[0].trim(), texts[1].trim());
                }
            }
        }
        print(&format!("{list}, clean"), &clean);
        if rounds > 0 {
            print(&format!("{list}, noise at {DECIBELS} dB, {rounds} rounds"), &noisy);
        }
    }
}

fn measure(
    recognizer: &SpeechRecognizer,
    audio: &Pcm16k,
    audio_context: AudioContext,
    said: &str,
    figures: &mut Figures,
) -> Transcript {
    let options = TranscribeOptions { audio_context, ..TranscribeOptions::default() };
    let start = processor_seconds();
    let transcript = recognizer.transcribe(audio, &options, &NoProgress, &CancelToken::new()).unwrap();
    if audio.seconds() <= SHORT {
        figures.processor += processor_seconds() - start;
        figures.clips += 1;
        figures.windows += transcript.timing.windows;
    }
    figures.errors += word_errors(&english(said), &english(&transcript.text));
    transcript
}

fn print(name: &str, [window, short]: &[Figures; 2]) {
    let percent = |figures: &Figures| 100.0 * figures.errors.rate();
    let again = short.windows as f64 / window.windows as f64 - 1.0;
    let words = window.errors.hits + window.errors.substitutions + window.errors.deletions;
    println!(
        "{name}: {words} words, window {:.2} %, true length {:.2} %; {:.1} and {:.1} ms of the processor per clip, \
         {:.2} times; {:.0} % heard again",
        percent(window),
        percent(short),
        1e3 * window.processor / window.clips as f64,
        1e3 * short.processor / short.clips as f64,
        short.processor / window.processor,
        100.0 * again,
    );
}

/// Files and texts of a list's English clips.
fn clips(speech: &Path, list: &str) -> Vec<(String, String)> {
    let list = std::fs::read_to_string(speech.join(list)).unwrap();
    let rows = list.lines().skip(1).map(|line| line.split('\t').map(str::to_owned).collect::<Vec<_>>());
    rows.filter(|row| row[1] == "en").map(|row| (row[0].clone(), row[5].clone())).collect()
}

/// Pseudo-random numbers below a limit.
fn seeded(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed;
    move |limit| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 32) as usize * limit) >> 32
    }
}

fn processor_seconds() -> f64 {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    statistics.split_whitespace().next().unwrap().parse::<f64>().unwrap() * 1e-9
}
