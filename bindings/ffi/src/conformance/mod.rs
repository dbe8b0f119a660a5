//! Runs `bindings/conformance/speech.json` on this surface: what Kotlin and Swift are held to, without their languages.

mod expect;
mod inputs;
mod race;

use std::sync::Arc;

use serde_json::Value;
use sotto_testkit::{block_on as wait, conformance};

use self::expect::Outcome;
use self::inputs::Place;
use crate::engine::{Engine, EngineSettings};
use crate::error::SpeechFailure;
use crate::source::{PcmFormat, SampleEncoding};
use crate::speech::{LiveEvent, LoadEvent, SpeechModel, TranscriptionEvent, VoiceSearchEvent};
use crate::text::{SubtitleFormat, subtitles};

#[test]
fn every_case_of_the_table_holds_here() {
    let place = Place::new();
    let mut failed = Vec::new();
    for case in &conformance::cases("rust") {
        let name = case["name"].as_str().unwrap();
        let result = if case["run"] == "race" { race::run(case, &place) } else { run(case, &place) };
        if let Err(problem) = result.check(&case["expect"]) {
            failed.push(format!("{name}: {problem}"));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

fn engine(case: &Value) -> Arc<Engine> {
    let memory_limit = case["engine"]["memory_limit"].as_u64();
    Engine::new(EngineSettings { threads: 2, memory_limit, ..EngineSettings::default() }).unwrap()
}

/// The model of a case; the starter on an engine without settings is loaded once for all.
fn model(case: &Value, place: &Place) -> Result<Arc<SpeechModel>, SpeechFailure> {
    if case["model"] != "starter" || !case["engine"].is_null() {
        return load(&engine(case), case, place);
    }
    place.starter.get_or_init(|| load(&engine(case), case, place).unwrap());
    Ok(Arc::clone(place.starter.get().unwrap()))
}

fn load(engine: &Engine, case: &Value, place: &Place) -> Result<Arc<SpeechModel>, SpeechFailure> {
    let load = engine.load_speech(place.model(case["model"].as_str().unwrap_or("starter")))?;
    loop {
        match wait(load.next_event())? {
            Some(LoadEvent::Loaded { model }) => return Ok(model),
            Some(LoadEvent::Progress { .. }) => {}
            None => panic!("a load without a model"),
        }
    }
}

fn run(case: &Value, place: &Place) -> Outcome {
    let mut outcome = Outcome::default();
    let result = match case["run"].as_str().unwrap() {
        "load" => load(&engine(case), case, place).map(drop),
        "transcribe" | "subtitles" => transcribe(case, place, &mut outcome),
        "stream" => stream(case, place, &mut outcome),
        "detect_language" => detect_language(case, place, &mut outcome),
        "voice_activity" => voice_activity(case, place, &mut outcome),
        other => panic!("a run of kind {other}"),
    };
    outcome.error = result.err();
    outcome
}

fn transcribe(case: &Value, place: &Place, outcome: &mut Outcome) -> Result<(), SpeechFailure> {
    let model = model(case, place)?;
    let settings = inputs::speech_settings(&case["settings"]);
    let transcription = model.transcribe(place.input(case), None, settings)?;
    while let Some(event) = wait(transcription.next_event())? {
        match event {
            TranscriptionEvent::Progress { .. } => outcome.event("progress"),
            TranscriptionEvent::Segment { .. } => outcome.event("segment"),
            TranscriptionEvent::Finished { transcript } => {
                outcome.event("finished");
                outcome.transcript = Some(transcript);
            }
        }
    }
    if let Some(format) = case["subtitle_format"].as_str() {
        let format = if format == "srt" { SubtitleFormat::Srt } else { SubtitleFormat::Vtt };
        let segments = outcome.transcript.clone().unwrap().segments;
        outcome.file = Some(subtitles(segments, format, inputs::subtitle_settings())?);
    }
    Ok(())
}

fn stream(case: &Value, place: &Place, outcome: &mut Outcome) -> Result<(), SpeechFailure> {
    let model = model(case, place)?;
    let format = &case["format"];
    let number = |key: &str| format[key].as_u64().unwrap();
    let encoding = if format["encoding"] == "s16" { SampleEncoding::Signed16 } else { SampleEncoding::Float32 };
    let format = PcmFormat { encoding, rate: number("rate") as u32, channels: number("channels") as u16 };
    let session = model.start_session(format, inputs::live_settings(&case["settings"]))?;
    let pcm = place.pcm(case, format);
    let sample = if encoding == SampleEncoding::Signed16 { 2 } else { 4 };
    let bytes_per_second = number("rate") * number("channels") * sample;
    let piece = (bytes_per_second * case["push_ms"].as_u64().unwrap() / 1000).max(1) as usize;
    for piece in pcm.chunks(piece) {
        session.push_pcm(piece)?;
    }
    session.finish();
    while let Some(event) = wait(session.next_event())? {
        match event {
            LiveEvent::Volatile { .. } => outcome.event("volatile"),
            LiveEvent::Final { text, .. } => {
                outcome.event("final");
                outcome.finals.push_str(&text.text);
            }
        }
    }
    Ok(())
}

fn detect_language(case: &Value, place: &Place, outcome: &mut Outcome) -> Result<(), SpeechFailure> {
    let model = model(case, place)?;
    let detection = model.detect_language(place.input(case), None)?;
    outcome.language = Some(wait(detection.result())?.code);
    Ok(())
}

fn voice_activity(case: &Value, place: &Place, outcome: &mut Outcome) -> Result<(), SpeechFailure> {
    let activity = inputs::voice_activity(&case["settings"]);
    let search = engine(case).find_speech(place.input(case), None, activity)?;
    let mut voice = 0;
    while let Some(event) = wait(search.next_event())? {
        voice += usize::from(matches!(event, VoiceSearchEvent::Speech { .. }));
    }
    outcome.voice = Some(voice);
    Ok(())
}
