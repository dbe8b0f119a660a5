//! Runs `bindings/conformance/speech.json` on the command line: the table that all surfaces share.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

use std::process::{Command, Output};

use serde_json::Value;
use sotto::text::english;
use sotto_testkit::conformance::{self, Files};

#[test]
fn every_case_of_the_table_holds_on_the_command_line() {
    let files = Files::new(sotto_starter::speech(), sotto_starter::demo_clip());
    let mut failed = Vec::new();
    let mut ran = 0;
    for case in &conformance::cases("cli") {
        ran += 1;
        let outcome = run(&files, case);
        for (key, wanted) in case["expect"].as_object().unwrap() {
            if !outcome.holds(key, wanted) {
                failed.push(format!("{}: {key} is not {wanted}: {:?}", case["name"], outcome.output));
            }
        }
        if case["expect"]["error"].is_null() && !outcome.output.status.success() {
            failed.push(format!("{}: failed: {:?}", case["name"], outcome.output));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(ran > 10, "the table was read");
}

fn run(files: &Files, case: &Value) -> Outcome {
    let mut arguments = vec!["transcribe".to_owned()];
    let mut option = |name: &str, value: Option<String>| {
        arguments.push(name.to_owned());
        arguments.extend(value);
    };
    let model = case["model"].as_str().unwrap_or("starter");
    option("--model", Some(files.model(model).display().to_string()));
    let settings = &case["settings"];
    if let Some(beam) = settings["search"]["beam"].as_u64() {
        option("--beam", Some(beam.to_string()));
    }
    if settings["timestamps"] == "word" {
        option("--timestamps", Some("word".into()));
    }
    if settings["context"] == "true_length" {
        option("--audio-context", Some("true-length".into()));
    }
    if let Some(prefix) = settings["prefix"].as_str() {
        option("--prefix", Some(prefix.into()));
    }
    if settings["voice_activity"].is_object() {
        option("--vad", None);
    }
    if let Some(threshold) = settings["voice_activity"]["threshold"].as_f64() {
        option("--vad-threshold", Some(threshold.to_string()));
    }
    if let Some(limit) = case["engine"]["memory_limit"].as_u64() {
        option("--memory", Some((limit >> 20).max(1).to_string()));
    }
    match case["subtitle_format"].as_str() {
        Some(format) => option("--format", Some(format.into())),
        None => option("--json", None),
    }
    if case["run"] == "stream" {
        option("--stream", None);
    }
    let recording = files.recording(case["input"].as_str().unwrap_or("demo"));
    arguments.push(recording.display().to_string());
    let cache = concat!(env!("CARGO_TARGET_TMPDIR"), "/packed");
    let output = Command::new(env!("CARGO_BIN_EXE_sotto")).args(arguments).env("SOTTO_CACHE", cache).output();
    Outcome { output: output.unwrap() }
}

struct Outcome {
    output: Output,
}

impl Outcome {
    fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    /// The one line of a transcript.
    fn transcript(&self) -> Value {
        serde_json::from_slice(&self.output.stdout).unwrap_or_default()
    }

    fn finals(&self) -> String {
        let events = self.stdout();
        let events = events.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        events
            .filter(|event| event["event"] == "final")
            .filter_map(|event| Some(event["text"].as_str()?.to_owned()))
            .collect()
    }

    fn holds(&self, key: &str, wanted: &Value) -> bool {
        let transcript = self.transcript();
        let text = transcript["text"].as_str().unwrap_or_default();
        let string = wanted.as_str().unwrap_or_default();
        let segments = transcript["segments"].as_array();
        match key {
            "words" => english(text) == string,
            "text_has" => text.contains(string),
            "segments" => segments.is_some_and(|segments| wanted == segments.len()),
            "words_timed" => segments.is_some_and(|segments| words_are_timed(segments)),
            "warnings" => transcript["warnings"].as_array().is_some_and(|warnings| wanted == !warnings.is_empty()),
            "language" => transcript["language"] == *wanted,
            // How often things are reported shows on a screen alone.
            "events" => true,
            "final_words_have" => english(&self.finals()).contains(string),
            "error" => self.output.status.code() == Some(exit_code(wanted)),
            "error_has" => String::from_utf8_lossy(&self.output.stderr).replace('-', "_").contains(string),
            "file_has" => self.stdout().contains(string),
            "file_starts" => self.stdout().starts_with(string),
            other => panic!("nothing is known of `{other}`"),
        }
    }
}

/// A wrong option may be found where the command line is read, or where the model is known.
fn exit_code(error: &Value) -> i32 {
    if error == "InvalidOption" { 2 } else { 1 }
}

fn words_are_timed(segments: &[Value]) -> bool {
    let words = segments.iter().flat_map(|segment| segment["words"].as_array().into_iter().flatten());
    let times = words.map(|word| (word["start"].as_f64().unwrap(), word["end"].as_f64().unwrap()));
    conformance::words_are_timed(&times.collect::<Vec<_>>())
}
