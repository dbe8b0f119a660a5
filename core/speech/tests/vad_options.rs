//! Options of voice activity detection that cannot mean anything are refused by name, for recordings and for streams.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod support;

use sotto_audio::{Pcm16k, SAMPLE_RATE};
use sotto_runtime::{CancelToken, NoProgress};
use sotto_speech::stream::{StreamOptions, StreamTranscriber};
use sotto_speech::vad::VadOptions;
use sotto_speech::{SpeechError, TranscribeOptions, Vad};
use support::small;

fn default() -> VadOptions {
    VadOptions::default()
}

fn of_recording(options: &TranscribeOptions) -> Result<(), SpeechError> {
    let audio = Pcm16k::new(vec![0.0; 8_000]).unwrap();
    small().transcribe(&audio, options, &NoProgress, &CancelToken::new()).map(drop)
}

fn of_stream(options: TranscribeOptions) -> Result<(), SpeechError> {
    let options = StreamOptions { transcribe: options, ..StreamOptions::default() };
    StreamTranscriber::new(small(), &options, SAMPLE_RATE, 1, &CancelToken::new()).map(drop)
}

#[test]
fn what_cannot_mean_anything_is_refused_by_name() {
    let pad = default().speech_pad_ms;
    let cases = [
        ("vad_threshold", VadOptions { threshold: f32::NAN, ..default() }),
        ("vad_threshold", VadOptions { threshold: f32::INFINITY, ..default() }),
        ("vad_threshold", VadOptions { threshold: -0.01, ..default() }),
        ("vad_threshold", VadOptions { threshold: 1.01, ..default() }),
        ("vad_neg_threshold", VadOptions { neg_threshold: Some(f32::NAN), ..default() }),
        ("vad_neg_threshold", VadOptions { neg_threshold: Some(-0.1), ..default() }),
        ("vad_neg_threshold", VadOptions { threshold: 0.5, neg_threshold: Some(0.6), ..default() }),
        ("vad_min_speech_ms", VadOptions { min_speech_ms: 60_001, ..default() }),
        ("vad_min_voiced_ms", VadOptions { min_voiced_ms: u32::MAX, ..default() }),
        ("vad_min_silence_ms", VadOptions { min_silence_ms: u32::MAX, ..default() }),
        ("vad_speech_pad_ms", VadOptions { speech_pad_ms: u32::MAX, ..default() }),
        ("vad_min_pause_at_max_speech_ms", VadOptions { min_pause_at_max_speech_ms: u32::MAX, ..default() }),
        ("vad_max_speech_s", VadOptions { max_speech_s: f32::NAN, ..default() }),
        ("vad_max_speech_s", VadOptions { max_speech_s: f32::NEG_INFINITY, ..default() }),
        ("vad_max_speech_s", VadOptions { max_speech_s: 0.0, ..default() }),
        ("vad_max_speech_s", VadOptions { max_speech_s: -3.0, ..default() }),
        ("vad_max_speech_s", VadOptions { max_speech_s: 2.0 * pad as f32 / 1000.0, ..default() }),
        ("vad_max_speech_s", VadOptions { speech_pad_ms: 20_000, max_speech_s: 30.0, ..default() }),
    ];
    for (name, options) in cases {
        let shown = format!("{options:?}");
        let options = TranscribeOptions { vad: Some(Vad { options, ..Vad::builtin() }), ..TranscribeOptions::greedy() };
        for result in [of_recording(&options), of_stream(options)] {
            let error = result.expect_err(&shown);
            assert!(matches!(error, SpeechError::Option { option, .. } if option == name), "{shown}: {error}");
        }
    }
}

#[test]
fn paddings_that_fill_the_model_s_window_are_refused() {
    // Two paddings of a second fill the two seconds that this model hears at once.
    let options = VadOptions { speech_pad_ms: 1_000, max_speech_s: f32::INFINITY, ..default() };
    options.check().unwrap();
    let options = TranscribeOptions { vad: Some(Vad { options, ..Vad::builtin() }), ..TranscribeOptions::greedy() };
    for result in [of_recording(&options), of_stream(options)] {
        assert!(matches!(result, Err(SpeechError::Option { option: "vad_max_speech_s", .. })));
    }
}

#[test]
fn what_means_something_is_taken() {
    for options in [
        VadOptions::SILERO,
        VadOptions::SOTTO,
        VadOptions { threshold: 0.0, neg_threshold: Some(0.0), ..default() },
        VadOptions { threshold: 1.0, neg_threshold: Some(1.0), ..default() },
        VadOptions { max_speech_s: f32::INFINITY, min_speech_ms: 0, min_silence_ms: 0, ..default() },
        VadOptions { max_speech_s: 1.5, speech_pad_ms: 0, ..default() },
    ] {
        options.check().unwrap_or_else(|error| panic!("{options:?}: {error}"));
    }
}
