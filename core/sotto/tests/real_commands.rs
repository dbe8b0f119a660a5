//! The test kit's small recognizer on real speakers that its training never heard: the word error rate of its card.
//!
//! `core/testkit/models/commands/evaluation.json` says which recordings of the Free Spoken Digit Dataset follow each
//! other with how much silence between them; the recordings come from the data folder.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

use std::collections::HashMap;
use std::io::{Cursor, Read};

use serde::Deserialize;
use sotto::audio::{AudioFile, Pcm16k, RawFormat, RawPcm, SampleFormat};
use sotto::speech::{ModelBytes, ModelSource, Options, Recognizer};
use sotto::text::{ErrorCounts, word_errors};
use sotto::{CancelToken, Engine, NoProgress};
use sotto_testkit::{commands, data_dir};

#[derive(Deserialize)]
struct Evaluation {
    archive: String,
    sample_rate: u32,
    strings: Vec<DigitString>,
}

#[derive(Deserialize)]
struct DigitString {
    speaker: String,
    files: Vec<String>,
    /// Zero samples before the first recording, between them, after the last.
    pauses: Vec<usize>,
    text: String,
}

/// Recordings of an archive of 16-bit mono WAV files, as the bytes of their samples.
fn recordings(archive: &std::path::Path) -> HashMap<String, Vec<u8>> {
    const WAV_HEADER: usize = 44;
    let file = std::fs::File::open(archive).unwrap();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
    let mut found = HashMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        if name.ends_with(".wav") {
            // Our own reader has to agree on where the samples are.
            let info = AudioFile::from_reader(Cursor::new(bytes.clone()), &name).unwrap().info();
            assert_eq!((info.sample_rate, info.channels), (8000, 1), "{name}");
            assert_eq!(&bytes[36..40], b"data", "{name}");
            found.insert(name, bytes.split_off(WAV_HEADER));
        }
    }
    found
}

fn audio(string: &DigitString, recordings: &HashMap<String, Vec<u8>>, sample_rate: u32) -> Pcm16k {
    let silence = |samples: usize| std::iter::repeat_n(0u8, 2 * samples);
    let mut bytes: Vec<u8> = silence(string.pauses[0]).collect();
    for (file, &pause) in string.files.iter().zip(&string.pauses[1..]) {
        bytes.extend(&recordings[file]);
        bytes.extend(silence(pause));
    }
    let format = RawFormat { sample: SampleFormat::S16Le, rate: sample_rate, channels: 1 };
    let mut pcm = RawPcm::new(Cursor::new(bytes), format, "digit string").unwrap();
    let mut samples = Vec::new();
    while pcm.next_block(&mut samples).unwrap() {}
    Pcm16k::new(samples).unwrap()
}

fn errors(speech: &Recognizer, strings: &[&DigitString], at: impl Fn(&DigitString) -> Pcm16k) -> ErrorCounts {
    strings.iter().fold(ErrorCounts::default(), |mut sum, string| {
        let options = Options::default();
        let heard = speech.transcribe(&at(string), &options, &NoProgress, &CancelToken::new()).unwrap();
        sum += word_errors(&string.text, heard.text.trim());
        sum
    })
}

#[test]
fn digit_strings_of_unknown_speakers_are_understood() {
    let Some(data) = data_dir() else { return };
    let evaluation: Evaluation = serde_json::from_slice(commands::evaluation()).unwrap();
    let recordings = recordings(&data.join(&evaluation.archive));
    let model = commands::model();
    let source = ModelSource::Bytes(ModelBytes {
        name: "commands",
        config: model.config_json,
        generation_config: model.generation_config_json,
        tokenizer: model.tokenizer_json,
        weights: model.model_safetensors,
    });
    let speech = Engine::default().speech(&source, &NoProgress, &CancelToken::new()).unwrap();
    let mut sum = ErrorCounts::default();
    for speaker in ["jackson", "lucas"] {
        let strings: Vec<&DigitString> = evaluation.strings.iter().filter(|string| string.speaker == speaker).collect();
        let counts = errors(&speech, &strings, |string| audio(string, &recordings, evaluation.sample_rate));
        println!("{speaker}: {:.2} % word errors in {} strings, {counts:?}", 100.0 * counts.rate(), strings.len());
        sum += counts;
    }
    println!("both: {:.2} %", 100.0 * sum.rate());
    assert!(sum.rate() <= 0.05, "{sum:?}");
}
