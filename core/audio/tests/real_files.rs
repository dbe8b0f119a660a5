//! The recordings of the data folder against libsndfile and ffmpeg (scripts/goldens/audio.py).

// Helpers of tests unwrap as tests do.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use serde_json::Value;
use sotto_audio::{AudioFile, Codec, decode_file};
use sotto_testkit::{data_dir, workspace_root};

fn golden() -> Value {
    let path = workspace_root().join("core/audio/tests/goldens/audio.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn fnv1a(bytes: impl Iterator<Item = u8>) -> String {
    let digest =
        bytes.fold(0xcbf2_9ce4_8422_2325u64, |digest, byte| (digest ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    format!("{digest:016x}")
}

#[test]
fn lossless_files_decode_to_the_sample() {
    let Some(data) = data_dir() else { return };
    let golden = golden();
    let files = golden["lossless"].as_object().unwrap();
    assert_eq!(files.len(), 150);
    for (file, expected) in files {
        let pcm = decode_file(data.join("speech").join(file)).unwrap();
        assert_eq!(Some(pcm.samples().len() as u64), expected["samples"].as_u64(), "{file}");
        let bytes = pcm.samples().iter().step_by(7).flat_map(|x| ((x * 32_768.0) as i16).to_le_bytes());
        assert_eq!(Some(fnv1a(bytes).as_str()), expected["fnv1a_of_every_7th"].as_str(), "{file}");
    }
}

#[test]
fn all_other_formats_agree_with_ffmpeg() {
    let Some(data) = data_dir() else { return };
    let golden = golden();
    for (file, codec) in [
        ("formats/8_Channel_ID.m4a", Codec::Aac),
        ("formats/OSR_us_000_0034_8k.wav", Codec::Wav),
        ("formats/hotwords.mp3", Codec::Mp3),
        ("formats/jfk_441khz.m4a", Codec::Aac),
        ("formats/longform_en.ogg", Codec::Opus),
        ("formats/stereo_diarization.wav", Codec::Wav),
    ] {
        // Five minutes of Opus take as long under an emulator, which gains nothing from them.
        if cfg!(not(target_arch = "x86_64")) && codec == Codec::Opus {
            continue;
        }
        let expected = &golden["converted"][file];
        check_converted(&data.join("speech").join(file), codec, expected);
    }
}

fn check_converted(path: &Path, codec: Codec, expected: &Value) {
    let name = path.display();
    let mut file = AudioFile::open(path).unwrap();
    let info = file.info();
    assert_eq!(info.codec, codec, "{name}");
    assert_eq!(Some(u64::from(info.sample_rate)), expected["rate"].as_u64(), "{name}");
    assert_eq!(Some(u64::from(info.channels)), expected["channels"].as_u64(), "{name}");
    let mut samples = Vec::new();
    let mut longest = 0;
    loop {
        let before = samples.len();
        if !file.next_block(&mut samples).unwrap() {
            break;
        }
        longest = longest.max(samples.len() - before);
    }
    assert!(longest < 3 * 16_000, "{name}: a block of {longest} samples");
    let duration = samples.len() as f64 / 16_000.0;
    if let Some(announced) = info.duration {
        assert!(
            (announced.as_secs_f64() - duration).abs() < 0.05,
            "{name}: {announced:?} announced, {duration} s there"
        );
    }
    // Resamplers round the length differently, and a 44.1 kHz edit list is in milliseconds.
    let reference = expected["samples"].as_u64().unwrap() as i64;
    assert!((samples.len() as i64 - reference).abs() <= 320, "{name}: {} samples, ffmpeg {reference}", samples.len());
    for excerpt in expected["excerpts"].as_array().unwrap() {
        let at = excerpt["at"].as_u64().unwrap() as usize;
        let reference: Vec<f64> = excerpt["values"].as_array().unwrap().iter().filter_map(Value::as_f64).collect();
        let ours: Vec<f64> = samples[at..at + reference.len()].iter().map(|&x| f64::from(x)).collect();
        let correlation = correlation(&ours, &reference);
        assert!(correlation > 0.99, "{name}: correlation {correlation} at sample {at}");
    }
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}
