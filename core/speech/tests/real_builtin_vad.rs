//! The built-in detector on real noise, real speech and real models.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod support;

use std::path::PathBuf;

use sotto_audio::{Pcm16k, decode_file};
use sotto_runtime::{CancelToken, NoProgress, Threads};
use sotto_speech::vad::speech_segments;
use sotto_speech::{LoadOptions, ModelSource, Precision, SpeechRecognizer, TranscribeOptions, Vad};
use sotto_testkit::data_dir;
use support::clip;

const MINUTE: usize = 60 * 16_000;

/// A minute of each noise and of digital silence.
fn minutes() -> Vec<(&'static str, Vec<f32>)> {
    let noises = ["doing_the_dishes", "exercise_bike", "noise1", "noise2", "noise3", "noise4", "noise5"];
    let looped = |name| clip(&format!("noise/{name}.flac")).into_samples().into_iter().cycle().take(MINUTE).collect();
    let mut minutes: Vec<_> = noises.map(|name| (name, looped(name))).into();
    minutes.push(("digital silence", vec![0.0; MINUTE]));
    minutes
}

/// At its beginning a stream has no background to compare a sound with: a motor that is switched on, as at the
/// start of `noise4`, may count as speech there. Nothing does later.
const COLD: usize = 2 * 16_000;

fn energy(samples: &[f32]) -> f64 {
    samples.iter().map(|sample| f64::from(sample * sample)).sum()
}

#[test]
fn once_begun_no_noise_is_speech_at_any_level_and_no_spoken_clip_is_lost() {
    let Some(data) = data_dir() else { return };
    let Vad { model, options } = Vad::builtin();
    let segments = |samples: &[f32]| speech_segments(&model, samples, &options, &CancelToken::new()).unwrap();
    for (noise, samples) in minutes() {
        for gain in [1.0, 0.1, 0.01] {
            let samples: Vec<f32> = samples.iter().map(|sample| gain * sample).collect();
            let found = segments(&samples);
            assert!(found.iter().all(|segment| segment.end <= COLD), "{noise}, gain {gain}: {found:?}");
        }
    }
    for list in ["synthetic.tsv", "manifest.tsv"] {
        for line in std::fs::read_to_string(data.join("speech").join(list)).unwrap().lines().skip(1) {
            let clip = line.split('\t').next().unwrap();
            let samples = decode_file(data.join("speech").join(clip)).unwrap().into_samples();
            let kept: f64 = segments(&samples).into_iter().map(|segment| energy(&samples[segment])).sum();
            assert!(kept > 0.97 * energy(&samples), "{clip}: {:.3} of the energy kept", kept / energy(&samples));
        }
    }
}

#[test]
fn once_begun_no_model_writes_text_on_noise_or_silence() {
    let Some(data) = data_dir() else { return };
    let base = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache/sotto/real-models/whisper-base"));
    let models = [Some(data.join("openai-whisper-tiny.en")), base];
    for folder in models.into_iter().flatten() {
        if !folder.join("config.json").is_file() {
            eprintln!("skipped: {} is absent", folder.display());
            continue;
        }
        let options = LoadOptions { threads: Threads::ONE, precision: Some(Precision::Int8), ..LoadOptions::default() };
        let cancel = CancelToken::new();
        let source = ModelSource::Path(folder);
        let recognizer = SpeechRecognizer::load(&source, &options, &NoProgress, &cancel).unwrap();
        let options = TranscribeOptions { vad: Some(Vad::builtin()), ..TranscribeOptions::default() };
        for (noise, samples) in minutes() {
            let audio = Pcm16k::new(samples).unwrap();
            let transcript = recognizer.transcribe(&audio, &options, &NoProgress, &cancel).unwrap();
            println!("{noise}: `{}`", transcript.text);
            let outside = transcript.segments.iter().find(|segment| segment.end > COLD as f64 / 16_000.0);
            assert!(outside.is_none(), "{noise}: {outside:?}");
        }
    }
}
