//! Where nobody speaks: the text that the model invents is the reference's, and voice activity detection leaves none of
//! it.
//!
//! Golden: `silence.json` (scripts/goldens/silence.py; revisions inside): a minute of each noise clip, looped, and of
//! digital silence.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

mod support;

use std::sync::Arc;

use sotto_audio::{Pcm16k, SAMPLE_RATE};
use sotto_speech::vad::{SileroVad, VadOptions};
use sotto_speech::{Normalization, TimestampTokens, Timestamps, TranscribeOptions, Vad};
use sotto_testkit::data_dir;
use support::{clip, golden, tiny_en, transcribe};

/// An input of the golden by its name there.
fn minute(name: &str) -> Pcm16k {
    let length = 60 * SAMPLE_RATE as usize;
    let noise = match name {
        "digital silence" => vec![0.0],
        file => clip(&format!("noise/{file}")).into_samples(),
    };
    Pcm16k::new(noise.into_iter().cycle().take(length).collect()).unwrap()
}

#[test]
fn voice_activity_detection_leaves_no_text_on_noise_and_silence() {
    if tiny_en().is_none() {
        return;
    }
    let weights = data_dir().unwrap().join("vad/silero_vad_16k.safetensors");
    let vad = Vad { model: Arc::new(SileroVad::load(&weights).unwrap()), options: VadOptions::default() };
    let options = TranscribeOptions { vad: Some(vad), ..TranscribeOptions::default() };
    let golden = golden("silence");
    let inputs = golden["inputs"].as_array().unwrap();
    assert_eq!(inputs.len(), 8);
    for input in inputs {
        let name = input["input"].as_str().unwrap();
        let transcript = transcribe(&minute(name), &options);
        assert!(transcript.segments.is_empty() && transcript.text.is_empty(), "{name}: {transcript:?}");
    }
}

#[test]
fn without_it_the_model_says_what_it_says_in_transformers() {
    if tiny_en().is_none() {
        return;
    }
    let options = TranscribeOptions {
        timestamps: Timestamps::Segment,
        timestamp_tokens: TimestampTokens::Always,
        normalization: Normalization::Recording,
        max_tokens: Some(447),
        ..TranscribeOptions::greedy()
    };
    for input in golden("silence")["inputs"].as_array().unwrap() {
        let name = input["input"].as_str().unwrap();
        let transcript = transcribe(&minute(name), &options);
        assert_eq!(transcript.text, input["transformers"]["text"].as_str().unwrap().trim(), "{name}");
    }
}
