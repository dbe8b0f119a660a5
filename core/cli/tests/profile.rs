//! `sotto profile`: what it measures, writes and refuses. Runs on the starter recognizer.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn sotto(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sotto")).args(arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// What a profile without lasting work says as JSON.
fn json(arguments: &[&str]) -> Value {
    let output = sotto(&[&["profile", "--json", "--quiet", "--seconds", "0"], arguments].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    assert_eq!(text.lines().count(), 1);
    serde_json::from_str(&text).unwrap()
}

fn path(folder: &tempfile::TempDir, name: &str) -> String {
    folder.path().join(name).to_str().unwrap().to_owned()
}

#[test]
fn a_profile_is_one_object_and_its_verdict_says_what_is_wrong_with_it() {
    let report = json(&[]);
    assert_eq!((&report["format"], &report["version"]), (&"sotto-profile".into(), &1.into()));
    assert_eq!(report["verdict"]["validity"], "invalid");
    let codes: Vec<&str> = report["verdict"]["reasons"]
        .as_array()
        .unwrap()
        .iter()
        .map(|reason| reason["code"].as_str().unwrap())
        .collect();
    assert!(codes.contains(&"too_short"), "{codes:?}");
    assert_eq!(report["quality"]["word_error_rate"], 0.0);
    assert_eq!(report["runs"].as_array().unwrap().len(), 6);
    assert_eq!(report["loads"]["later_s"].as_array().unwrap().len(), 3);
    assert!(report["phases"]["warm"]["allocations_per_run"].as_f64().unwrap() > 0.0);
    assert!(report["memory"]["peak_bytes"].as_u64().is_some() || !cfg!(target_os = "linux"));
    assert_eq!(report["subject"]["precision"], "int8");
}

#[test]
fn a_clip_and_its_text_give_a_word_error_rate_and_leave_no_path_behind() {
    let folder = tempfile::tempdir().unwrap();
    let clip = path(&folder, "my clip.flac");
    std::fs::write(&clip, sotto_starter::demo_clip()).unwrap();
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../starter/models/speech/starter.en.sotto");
    let model = model.to_str().unwrap();
    let reference =
        "Good morning. The bus to the airport leaves at a quarter past nine. Please don't forget your umbrella.";
    let report = json(&["--clip", &clip, "--reference", reference, "--model", model, "--threads", "1"]);
    assert_eq!(report["plan"]["clips"][0]["name"], "my clip.flac");
    assert_eq!((&report["subject"]["model"], &report["subject"]["threads"]), (&"starter.en.sotto".into(), &1.into()));
    assert_eq!(report["quality"]["errors"]["substituted"], 1);
    let text = report.to_string();
    assert!(!text.contains(folder.path().to_str().unwrap()) && !text.contains("models/speech"));
    assert!(!text.contains("umbrella") && !text.contains("airport"));
    let without = json(&["--clip", &clip]);
    assert!(without["quality"].is_null());
}

#[test]
fn people_get_figures_a_page_and_the_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let page = path(&folder, "page.html");
    let output = sotto(&["profile", "--seconds", "1", "--html", &page]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    for part in ["first load", "warm runs, median", "word error rate", "0.00 %", "invalid", "lasting work"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(stderr(&output).contains(&page));
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains("starter recognizer"));
}

#[test]
fn two_profiles_stand_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b, page) = (path(&folder, "a.json"), path(&folder, "b.json"), path(&folder, "ab.html"));
    let mut report = json(&[]);
    std::fs::write(&a, report.to_string()).unwrap();
    report["subject"]["precision"] = "f32".into();
    std::fs::write(&b, report.to_string()).unwrap();
    let output = sotto(&["profile", "--compare", &a, &b, "--html", &page]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    for part in ["first load", "B against A", "other precisions", "A is invalid", "B is invalid"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(std::fs::read_to_string(page).unwrap().contains("A against B"));
    let output = sotto(&["profile", "--compare", &a, &b, "--json"]);
    let comparison: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let rates = comparison["differences"].as_array().unwrap();
    let rate = rates.iter().find(|difference| difference["name"] == "word_error_rate").unwrap();
    assert_eq!((&rate["a"], &rate["b"], &rate["notable"]), (&0.0.into(), &0.0.into(), &false.into()));
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let (other, missing, empty) = (path(&folder, "other.json"), path(&folder, "missing"), path(&folder, "empty.wav"));
    std::fs::write(&other, "{\"text\":\"hello\"}").unwrap();
    // A WAV file without a sample.
    let mut wav = b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0data".to_vec();
    wav.extend([0; 4]);
    std::fs::write(&empty, wav).unwrap();
    let usage: [&[&str]; 4] = [
        &["profile", "--reference", "text"],
        &["profile", "--compare", &other],
        &["profile", "--compare", &other, &other, "--model", "tiny"],
        &["profile", "--seconds", "-1"],
    ];
    for arguments in usage {
        assert_eq!(sotto(arguments).status.code(), Some(2), "{arguments:?}");
    }
    let failures: [(&[&str], &str); 4] = [
        (&["profile", "--compare", &other, &other], "other.json: not a profile"),
        (&["profile", "--compare", &missing, &other], "missing: "),
        (&["profile", "--clip", &missing], "missing"),
        (&["profile", "--clip", &empty], "empty.wav"),
    ];
    for (arguments, expected) in failures {
        let output = sotto(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(stderr(&output).contains(expected), "{arguments:?}: {}", stderr(&output));
        assert_eq!(stdout(&output), "");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn an_interrupt_ends_the_lasting_work_and_the_report_comes_all_the_same() {
    use std::process::Stdio;
    use std::time::Duration;

    let mut command = Command::new(env!("CARGO_BIN_EXE_sotto"));
    let child =
        command.args(["profile", "--json", "--quiet", "--seconds", "3600"]).stdout(Stdio::piped()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    // Who listens for interrupts is a thread of its own; readings come from one more, once the profile runs.
    let threads = || {
        let status = std::fs::read_to_string(&status).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("Threads:")).unwrap().trim().to_owned();
        line.parse::<usize>().unwrap()
    };
    while threads() < 3 {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let report: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(report["ended_early"], true);
}
