//! Long recordings, and what live text of them is measured by. Used by the tests and by `examples/live_figures.rs`.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

use std::path::Path;

use sotto_audio::{Pcm16k, SAMPLE_RATE, decode_file};
use sotto_runtime::CancelToken;
use sotto_speech::SpeechRecognizer;
use sotto_speech::stream::{StreamEvent, StreamOptions, StreamTranscriber};

/// A recording and what is said in it.
pub struct Recording {
    pub name: String,
    pub audio: Pcm16k,
    pub text: String,
}

/// The events of a recording that arrives from a microphone, 100 ms at a time.
pub fn listen(recognizer: &SpeechRecognizer, audio: &Pcm16k, options: &StreamOptions) -> Vec<StreamEvent> {
    let cancel = CancelToken::new();
    let mut transcriber = StreamTranscriber::new(recognizer, options, SAMPLE_RATE, 1, &cancel).unwrap();
    let mut events = Vec::new();
    for block in audio.samples().chunks(SAMPLE_RATE as usize / 10) {
        transcriber.push(block, &mut events).unwrap();
    }
    transcriber.finish(&mut events).unwrap();
    events
}

/// The text that became final.
pub fn final_text(events: &[StreamEvent]) -> String {
    let text = |event: &StreamEvent| match event {
        StreamEvent::Final { text, .. } => Some(text.text.clone()),
        _ => None,
    };
    events.iter().filter_map(text).collect()
}

/// Medians over the words: from the end of a word to its first appearance, and to its final text, in seconds of audio.
pub fn delays(events: &[StreamEvent]) -> (f64, f64) {
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

/// The upper median, in the unit of the values; NaN of none.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A talk, reading with short pauses, several speakers, quiet noise: what the data folder makes, of that the recordings
/// whose names are `wanted`.
pub fn recordings(data: &Path, wanted: impl Fn(&str) -> bool) -> Vec<Recording> {
    let speech = data.join("speech");
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
    let mut mixed: Vec<_> = real.clone();
    // Every speaker beside every other, in ten minutes.
    for (index, clip) in synthetic.iter().enumerate() {
        mixed.insert((index * 7) % mixed.len(), clip.clone());
    }
    let make = |name: &str| match name {
        "longform" => longform(&speech),
        "reading" => join(name, &speech, &reading, &[0.4], None),
        "synthetic" => join(name, &speech, &synthetic, &[0.2, 0.7, 1.5, 3.0], None),
        "mixed" => join(name, &speech, &mixed, &[0.3, 1.0, 0.5, 4.0, 0.1], None),
        _ => join(name, &speech, &mixed, &[0.3, 1.0, 0.5, 4.0, 0.1], Some(&noise)),
    };
    let names = ["longform", "reading", "synthetic", "mixed", "mixed in noise"];
    names.into_iter().filter(|name| wanted(name)).map(make).collect()
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
