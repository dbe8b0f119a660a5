//! The desk contract: what goes in, what comes out where, and with which exit code. Runs on the starter recognizer.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use sotto_testkit::commands;

fn sotto(arguments: &[&str]) -> Output {
    // Not the user's own cache.
    let cache = concat!(env!("CARGO_TARGET_TMPDIR"), "/packed");
    Command::new(env!("CARGO_BIN_EXE_sotto")).args(arguments).env("SOTTO_CACHE", cache).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The words of a text, however its lines are cut.
fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

/// A folder with the demo clip in it.
fn clip() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("demo.flac");
    std::fs::write(&path, sotto_starter::demo_clip()).unwrap();
    (folder, path)
}

/// The demo clip as raw 16-bit samples, as a microphone pipe would send them.
fn raw_clip() -> Vec<u8> {
    let audio = sotto::audio::decode_bytes(sotto_starter::demo_clip()).unwrap();
    audio.samples().iter().flat_map(|sample| ((sample * 32767.0) as i16).to_le_bytes()).collect()
}

fn with_stdin(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sotto"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn the_demo_transcribes_its_clip_and_says_how_to_get_a_full_model() {
    let output = sotto(&["demo"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    let heard = text.lines().find_map(|line| line.trim().strip_prefix("text ")).unwrap().trim();
    assert_eq!(heard, sotto_starter::DEMO_TEXT);
    assert!(text.contains("sotto models pull"), "{text}");
}

#[test]
fn a_kernel_set_that_is_not_there_is_warned_of_once_and_another_one_computes() {
    let demo = |isa: &str, options: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sotto"));
        let output = command.arg("demo").args(options).env("SOTTO_ISA", isa).output().unwrap();
        assert!(output.status.success() && stdout(&output).contains(sotto_starter::DEMO_TEXT), "{}", stderr(&output));
        stderr(&output)
    };
    let warning = demo("pentium", &[]);
    assert_eq!(warning.matches("warning: SOTTO_ISA").count(), 1, "{warning}");
    let foreign = if cfg!(target_arch = "x86_64") { "neon" } else { "avx2" };
    assert!(demo(foreign, &[]).contains(foreign));
    assert_eq!(demo("pentium", &["--quiet"]), "");
    assert_eq!(demo("scalar", &[]), "");
}

#[test]
fn json_is_one_object_per_line_and_nothing_else_on_stdout() {
    let (_folder, path) = clip();
    let path = path.to_str().unwrap();
    let output = sotto(&["transcribe", "--json", "--timestamps", "word", path, path]);
    assert!(output.status.success(), "{}", stderr(&output));
    let objects: Vec<Value> = stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(objects.len(), 2);
    for object in objects {
        assert_eq!(object["file"], path);
        assert_eq!(object["language"], "en");
        let duration = object["duration"].as_f64().unwrap();
        let mut last = 0.0;
        for segment in object["segments"].as_array().unwrap() {
            for word in segment["words"].as_array().unwrap() {
                let (start, end) = (word["start"].as_f64().unwrap(), word["end"].as_f64().unwrap());
                assert!(last <= start && start <= end && end <= duration, "{word}");
                assert!((0.0..=1.0).contains(&word["probability"].as_f64().unwrap()));
                last = start;
            }
        }
        assert!(object["timing"]["total_ms"].as_f64().unwrap() > 0.0);
    }
}

#[test]
fn subtitles_have_their_headers() {
    let (_folder, path) = clip();
    let path = path.to_str().unwrap();
    assert!(stdout(&sotto(&["transcribe", "--format", "srt", path])).starts_with("1\n00:00:0"));
    assert!(stdout(&sotto(&["transcribe", "--format", "vtt", path])).starts_with("WEBVTT\n\n00:00:0"));
    let two = sotto(&["transcribe", "--format", "vtt", path, path]);
    assert!(two.stdout.is_empty() && stderr(&two).contains("one file at a time"), "{}", stderr(&two));
}

#[test]
fn a_prefix_with_an_empty_line_does_not_end_its_cue() {
    let (folder, (_clip, path)) = (small_folder(), small_clip());
    let (model, path) = (folder.path().to_str().unwrap(), path.to_str().unwrap());
    let arguments = ["transcribe", "--model", model, "--format", "srt", "--prefix", "stop\n\ngo", path];
    let output = stdout(&sotto(&arguments));
    let cues: Vec<&str> = output.trim().split("\n\n").collect();
    assert!(output.contains("stop go") && cues.iter().all(|cue| cue.contains(" --> ")), "{output}");
}

#[test]
fn a_pipe_is_transcribed_live() {
    let output = with_stdin(&["transcribe", "--stream", "--json", "-"], &raw_clip());
    assert!(output.status.success(), "{}", stderr(&output));
    let events: Vec<Value> = stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(events.iter().all(|event| ["volatile", "final"].contains(&event["event"].as_str().unwrap())));
    let text: String =
        events.iter().filter(|event| event["event"] == "final").map(|event| event["text"].as_str().unwrap()).collect();
    assert!(text.split_whitespace().count() >= 3, "{text}");
}

#[test]
fn raw_samples_and_files_give_the_same_text() {
    let (_folder, path) = clip();
    let file = stdout(&sotto(&["transcribe", path.to_str().unwrap()]));
    let pipe = stdout(&with_stdin(&["transcribe", "-"], &raw_clip()));
    assert_eq!(file, pipe);
}

#[test]
fn wrong_usage_exits_with_2_and_failure_with_1() {
    let (_folder, path) = clip();
    let path = path.to_str().unwrap();
    for arguments in [
        &["transcribe"][..],
        &["transcribe", "--beam", "0", path],
        &["transcribe", "--task", "translate", path],
        &["transcribe", "--language", "klingon", path],
        &["transcribe", "--stream", path, path],
        &["transcribe", "-", path],
        &["transcribe", "--json", "--format", "srt", path],
        &["transcribe", "--format", "srt", "--timestamps", "none", path],
        &["transcribe", "--format", "srt", path, path],
        &["transcribe", "--format", "vtt", path, path],
        &["transcribe", "--stream", "--format", "vtt", path],
        &["transcribe", "--max-line-length", "30", path],
        &["transcribe", "--format", "srt", "--max-line-length", "3", path],
        &["transcribe", "--format", "vtt", "--max-cue-seconds", "0", path],
        &["transcribe", "--stream", "--timestamps", "word", path],
        &["transcribe", "--hotword-strength", "2", path],
        &["transcribe", "--length-penalty", "-1", "--beam", "2", path],
        &["transcribe", "--vad-threshold", "0.5", path],
        &["transcribe", "--rate", "8000", path],
        &["transcribe", "--channels", "2", path],
        &["transcribe", "--sample-format", "u8", "--stream", path],
        &["bench", "speech", "--step", "2", path],
        &["bench", "speech", "--stream", "--timestamps", "word", path],
        &["bench", "speech"],
        &["fly"],
    ] {
        assert_eq!(sotto(arguments).status.code(), Some(2), "{arguments:?}: {}", stderr(&sotto(arguments)));
    }
    for arguments in [
        &["transcribe", "/nowhere/at/all.wav"][..],
        &["transcribe", "--model", "/nowhere/at/all", path],
        &["transcribe", "--memory", "1", path],
        &["inspect", path],
    ] {
        let output = sotto(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", stderr(&output));
        assert!(output.stdout.is_empty() && stderr(&output).starts_with("sotto: "));
    }
}

/// The test kit's small recognizer as a model folder.
fn small_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    commands::write(folder.path()).unwrap();
    std::fs::write(folder.path().join("LICENSE"), "Free for all.\n").unwrap();
    folder
}

/// A folder with what the small recognizer understands in it.
fn small_clip() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("demo.flac");
    std::fs::write(&path, commands::clip()).unwrap();
    (folder, path)
}

#[test]
fn a_packed_model_transcribes_as_its_source_and_says_where_it_comes_from() {
    let (folder, (_clip, clip)) = (small_folder(), small_clip());
    let (source, packed) = (folder.path(), folder.path().join("starter.sotto"));
    let (source, packed, clip) = (source.to_str().unwrap(), packed.to_str().unwrap(), clip.to_str().unwrap());
    let run = |arguments: &[&str]| {
        let output = sotto(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        stdout(&output)
    };
    // As the store notes it beside what it pulled.
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let note = |hash: &str| {
        let pulled = serde_json::json!({
            "format": 1, "name": "sotto/starter", "revision": "main", "commit": commit,
            "endpoint": "https://hub.example", "pulled_at": "2026-11-01T00:00:00Z",
            "files": [{ "path": "model.safetensors", "size": 1, "sha256": hash }],
        });
        std::fs::write(folder.path().join("sotto.json"), pulled.to_string()).unwrap();
    };
    let quantize = || run(&["quantize", "--json", "--licence", "mit", "--force", source, packed]);
    // About other weights than those that lie there.
    note(&"0".repeat(64));
    quantize();
    let about: Value = serde_json::from_str(&run(&["inspect", "--json", packed])).unwrap();
    let origin = &about["packed"]["source"];
    assert!(origin["repository"].is_null() && origin["revision"].is_null(), "{about}");
    note(origin["sha256"].as_str().unwrap());
    let report: Value = serde_json::from_str(&quantize()).unwrap();
    assert_eq!(report["bytes"], std::fs::metadata(packed).unwrap().len());
    assert_eq!(
        run(&["transcribe", "--model", packed, clip]),
        run(&["transcribe", "--precision", "int8", "--model", source, clip])
    );
    let about: Value = serde_json::from_str(&run(&["inspect", "--json", packed])).unwrap();
    let about = &about["packed"];
    assert_eq!((&about["licence"], &about["layout"]), (&"mit".into(), &report["layout"]));
    assert_eq!(about["source"]["sha256"].as_str().map(str::len), Some(64));
    assert_eq!(about["source"]["repository"], "sotto/starter");
    assert_eq!(about["source"]["revision"], commit);
    assert!(about["quality"]["relative_error"]["token embedding"].as_f64().unwrap() < 0.05);
    assert!(run(&["inspect", packed]).contains("mit"));
}

#[test]
fn measuring_while_packing_keeps_to_the_memory_and_the_device_that_are_asked_for() {
    let (folder, (clips, _clip)) = (small_folder(), small_clip());
    let list = clips.path().join("clips.tsv");
    std::fs::write(&list, format!("file\ttext\ndemo.flac\t{}\n", commands::TEXT)).unwrap();
    let (source, packed) = (folder.path(), folder.path().join("starter.sotto"));
    let common = ["quantize", source.to_str().unwrap(), packed.to_str().unwrap(), "--measure", list.to_str().unwrap()];
    let small = sotto(&[&common[..], &["--memory", "1"]].concat());
    assert_eq!(small.status.code(), Some(1));
    assert!(stderr(&small).contains("budget") && !packed.exists(), "{}", stderr(&small));
    let measured = sotto(&[&common[..], &["--device", "metal"]].concat());
    assert!(measured.status.success(), "{}", stderr(&measured));
    assert_eq!(stderr(&measured).contains("the CPU computes"), !cfg!(feature = "metal"), "{}", stderr(&measured));
    let about: Value = serde_json::from_str(&stdout(&sotto(&["inspect", "--json", packed.to_str().unwrap()]))).unwrap();
    assert_eq!(about["packed"]["quality"]["measured"]["word_error_rate"]["clips"], 1, "{about}");
}

#[test]
fn a_decoder_with_four_bit_weights_is_packed_measured_and_used() {
    let (folder, (clips, clip)) = (small_folder(), small_clip());
    let list = clips.path().join("clips.tsv");
    std::fs::write(&list, format!("file\ttext\ndemo.flac\t{}\n", commands::TEXT)).unwrap();
    let packed = clips.path().join("starter.sotto");
    let (source, packed) = (folder.path().to_str().unwrap(), packed.to_str().unwrap());
    let list = list.to_str().unwrap();
    let run = |arguments: &[&str]| {
        let output = sotto(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        stdout(&output)
    };
    let report = run(&["quantize", "--json", "--weights", "int4", "--measure", list, source, packed]);
    assert_eq!(serde_json::from_str::<Value>(&report).unwrap()["weights"], "int4");
    let about: Value = serde_json::from_str(&run(&["inspect", "--json", packed])).unwrap();
    let (quality, about) = (&about["packed"]["quality"], &about["packed"]);
    assert_eq!(about["weights"], "int4");
    // These weights were trained for few bits: four are enough for most of them.
    assert!(quality["relative_error"]["token embedding"].as_f64().unwrap() < 0.05, "{quality}");
    assert!(quality["measured"]["word_error_rate"]["int4"].as_f64().unwrap() < 0.5, "{quality}");
    assert!(!run(&["transcribe", "--model", packed, clip.to_str().unwrap()]).trim().is_empty());
    assert_eq!(std::fs::read_dir(clips.path()).unwrap().count(), 3, "the clip, the list and the packed model");
}

#[test]
fn packing_refuses_what_it_should_not_do() {
    let folder = small_folder();
    let (source, packed) = (folder.path(), folder.path().join("starter.sotto"));
    let (source, packed) = (source.to_str().unwrap(), packed.to_str().unwrap());
    std::fs::write(packed, "mine").unwrap();
    let code = |arguments: &[&str]| sotto(arguments).status.code();
    assert_eq!(code(&["quantize", source, packed]), Some(1));
    assert_eq!(std::fs::read(packed).unwrap(), b"mine");
    assert_eq!(code(&["quantize", "--weights", "int2", source, "other.sotto"]), Some(2));
    assert_eq!(code(&["quantize", "--layout", "diagonal", source, "other.sotto"]), Some(2));
    assert_eq!(code(&["quantize", "/nowhere/at/all", packed]), Some(1));
    assert_eq!(code(&["quantize", "--force", source, packed]), Some(0));
    let four_bits = sotto(&["quantize", "--force", "--weights", "int4", packed, packed]);
    assert_eq!(four_bits.status.code(), Some(1));
    assert!(stderr(&four_bits).contains("int8 weights already"), "{}", stderr(&four_bits));
    assert_eq!(code(&["transcribe", "--precision", "f32", "--model", packed, "x.wav"]), Some(1));
    assert_eq!(std::fs::read_dir(source).unwrap().count(), 6, "five files of the model and the packed one");
}

#[test]
fn one_bad_file_does_not_take_the_others_with_it() {
    let (folder, path) = clip();
    let bad = folder.path().join("bad.wav");
    std::fs::write(&bad, "not audio").unwrap();
    let output = sotto(&["transcribe", bad.to_str().unwrap(), path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("bad.wav"));
    assert!(stdout(&output).contains("demo.flac:"));
}

/// Each option reaches the recognizer: what it says is what the option promises.
#[test]
fn options_do_what_they_say() {
    let (folder, path) = clip();
    let path = path.to_str().unwrap();
    let plain = stdout(&sotto(&["transcribe", path]));
    let words = folder.path().join("words.txt");
    std::fs::write(&words, "# names\numbrella\n").unwrap();
    let words = words.to_str().unwrap();
    for arguments in [
        &["--beam", "3"][..],
        &["--temperature", "0"],
        &["--hotwords", words, "--hotword-strength", "1"],
        &["--timestamps", "none"],
        &["--prompt", "At the station."],
        &["--condition"],
        &["--max-tokens", "100"],
        &["--language", "en"],
        &["--format", "text"],
        &["--quiet", "--threads", "1"],
    ] {
        let output = sotto(&[&["transcribe"], arguments, &[path]].concat());
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        assert!(!stdout(&output).trim().is_empty(), "{arguments:?}");
        if !matches!(arguments[0], "--prompt") {
            let (found, expected) = (stdout(&output), plain.clone());
            let count = |text: &str| text.split_whitespace().count();
            assert!(count(&found).abs_diff(count(&expected)) <= 1, "{arguments:?}: {found}");
        }
    }
    assert!(stdout(&sotto(&["transcribe", "--prefix", "Good", path])).trim().starts_with("Good"));
    assert!(stdout(&sotto(&["transcribe", "--timestamps", "segment", path])).starts_with("[00:00:0"));
    let lines = stdout(&sotto(&["transcribe", "--timestamps", "word", path])).lines().count();
    assert_eq!(lines, plain.split_whitespace().count(), "one line per word");
    let short = stdout(&sotto(&["transcribe", "--max-tokens", "3", path]));
    assert!(short.split_whitespace().count() < plain.split_whitespace().count(), "{short}");
}

#[test]
fn benchmarks_measure_what_they_are_asked_for() {
    let (folder, path) = clip();
    let list = folder.path().join("clips.tsv");
    let text = sotto_starter::DEMO_TEXT;
    std::fs::write(&list, format!("file\ttext\ndemo.flac\t{text}\ndemo.flac\tsomething else\n")).unwrap();
    let words = folder.path().join("words.txt");
    std::fs::write(&words, "umbrella\n").unwrap();
    let (list, words) = (list.to_str().unwrap(), words.to_str().unwrap());
    let report = |arguments: &[&str]| -> Value {
        let output = sotto(&[&["bench", "speech", "--json"], arguments].concat());
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        serde_json::from_str(&stdout(&output)).unwrap()
    };
    let whole = report(&[list]);
    assert_eq!(whole["clips"], 2);
    assert!(
        whole["word_error_rate"].as_f64().unwrap() > 0.1 && whole["peak_resident_bytes"].as_u64().unwrap() > 1 << 20
    );
    let first = report(&["--limit", "1", "--hotwords", words, list]);
    assert_eq!((&first["clips"], &first["hotwords_said"]), (&1.into(), &1.into()));
    assert_eq!(first["word_error_rate_with_hotwords"], first["word_error_rate"]);
    let lasting = report(&["--rounds", "3", "--limit", "1", list]);
    let rounds = lasting["rounds"].as_array().unwrap();
    assert!(rounds.len() == 3 && rounds.iter().all(|round| round["decode_ms_per_token"].as_f64().unwrap() > 0.0));
    assert_eq!(rounds[0]["ratio_to_first"], 1.0);
    // What rounds are compared with is warm: the cold window is in none of them.
    assert_eq!(lasting["warm_encode_ms_per_window"], rounds[0]["encode_ms_per_window"]);
    for field in ["load_ms", "cold_encode_ms_per_window", "cold_decode_ms_per_token", "warm_decode_ms_per_token"] {
        assert!(lasting[field].as_f64().unwrap() > 0.0, "{field}: {lasting}");
    }
    let live = report(&["--stream", "--beam", "2", "--limit", "1", "--hotwords", words, list]);
    assert_eq!(live["hotwords_said"], 1);
    assert!(live["word_error_rate"].is_number() && live["word_error_rate_without_hotwords"].is_null(), "{live}");
    assert!(live["finalisation_delay_s"]["median"].as_f64().unwrap() >= 0.0);
    assert!(report(&[path.to_str().unwrap()])["word_error_rate"].is_null(), "no text, no word errors");
}

#[test]
fn a_decode_step_is_held_against_its_limit() {
    let ((_folder, path), model) = (small_clip(), small_folder());
    let model = model.path().to_str().unwrap();
    let path = path.to_str().unwrap();
    let run = |arguments: &[&str]| {
        let output = sotto(&[&["bench", "speech", "--threads", "1", "--model", model], arguments, &[path]].concat());
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        stdout(&output)
    };
    let report: Value = serde_json::from_str(&run(&["--json", "--precision", "int8"])).unwrap();
    let number = |field: &str| report[field].as_f64().unwrap();
    assert!(number("step_ms") > 0.0 && number("step_bytes") > 1e6 && number("share_of_limit") > 0.0, "{report}");
    let share = number("step_bytes") / (number("read_gb_per_s") * 1e9) / (number("step_ms") / 1e3);
    assert!((number("share_of_limit") / share - 1.0).abs() < 1e-6, "{report}");
    let exact: Value = serde_json::from_str(&run(&["--json", "--precision", "f32"])).unwrap();
    assert!(exact["step_bytes"].as_f64().unwrap() > 3.0 * number("step_bytes"), "f32 reads four times as much");
    let text = run(&["--rounds", "2"]);
    for words in ["cold", "warm", "decode step", "GB/s", "of the calling thread", "time of the first round"] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn a_busy_thread_works_beside_the_measurement_where_it_is_asked_for() {
    let (_folder, path) = clip();
    let path = path.to_str().unwrap();
    for arguments in [&["speech", path][..], &["speech", "--stream", path]] {
        for load in [true, false] {
            let options = if load { &["--json", "--with-load"][..] } else { &["--json"] };
            let output = sotto(&[&["bench"], arguments, options].concat());
            assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
            let lines = stdout(&output);
            let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
            let work: Vec<u64> = lines.filter_map(|line| line["busy_thread_work"].as_u64()).collect();
            assert_eq!(work.iter().filter(|&&work| work > 0).count(), usize::from(load), "{arguments:?} {work:?}");
        }
    }
}

#[test]
fn a_benchmark_without_recordings_says_so() {
    let (_folder, path) = clip();
    let output = sotto(&["bench", "speech", "--limit", "0", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("no recordings"), "{}", stderr(&output));
}

#[test]
fn kernels_are_measured_beside_the_limits_of_the_machine() {
    let output = sotto(&["bench", "kernels", "--json", "--with-load", "--repeats", "1"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let lines: Vec<Value> = stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let with = |field: &'static str| lines.iter().filter(move |line| !line[field].is_null());
    assert_eq!(with("bytes_per_second").count(), 2);
    assert!(with("busy_thread_work").all(|line| line["busy_thread_work"].as_u64().unwrap() > 0));
    assert_eq!(with("busy_thread_work").count(), 1, "a thread was busy meanwhile");
    assert!(with("operation").count() > 20);
    for line in with("operation") {
        assert!(line["best_ns"].as_u64().unwrap() > 0 && line["macs"].as_u64().unwrap() > 0, "{line}");
    }
    // The scalar kernels have no peak to be held against.
    assert_eq!(with("share_of_peak").count() > 0, with("peak_macs_per_second").count() > 0);
    // How great a share is depends on what else the machine does; what it is a share of does not.
    let number = |line: &Value, field: &str| line[field].as_f64().unwrap();
    for line in with("share_of_peak") {
        let peak = with("peak_macs_per_second").find(|peak| peak["isa"] == line["isa"]).unwrap();
        let speed = number(line, "macs") / number(line, "best_ns") * 1e9;
        let share = speed / number(peak, "peak_macs_per_second");
        assert!((number(line, "share_of_peak") / share - 1.0).abs() < 1e-3, "{line} {peak}");
    }
}

#[test]
fn voice_activity_detection_needs_no_download() {
    let (folder, (_clip, path), home) = (small_folder(), small_clip(), tempfile::tempdir().unwrap());
    let (model, path) = (folder.path().to_str().unwrap(), path.to_str().unwrap());
    let plain = stdout(&sotto(&["transcribe", "--model", model, path]));
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sotto"));
        command.args(arguments).args(["--model", model, path]);
        command.env("SOTTO_MODELS", home.path()).env_remove("SOTTO_VAD_MODEL");
        command.output().unwrap()
    };
    let heard = run(&["transcribe", "--vad"]);
    assert!(heard.status.success(), "{}", stderr(&heard));
    assert_eq!(words(&stdout(&heard)), words(&plain));
    let bench = run(&["bench", "speech", "--vad"]);
    assert!(bench.status.success(), "{}", stderr(&bench));
    let silence = with_stdin(&["transcribe", "--vad", "-"], &vec![0; 160_000]);
    assert!(silence.status.success() && stdout(&silence).trim().is_empty(), "{}", stdout(&silence));
}

#[test]
fn thresholds_of_the_voice_activity_detector_are_probabilities() {
    let (_folder, path) = clip();
    let path = path.to_str().unwrap();
    for threshold in ["nan", "inf", "-0.1", "1.01"] {
        let threshold = format!("--vad-threshold={threshold}");
        for stream in [&[][..], &["--stream"]] {
            let output = sotto(&[&["transcribe", "--vad", &threshold], stream, &[path]].concat());
            assert!(!output.status.success() && stdout(&output).is_empty(), "{threshold}: {}", stdout(&output));
            assert!(stderr(&output).contains("--vad-threshold"), "{threshold}: {}", stderr(&output));
        }
    }
}

#[test]
fn a_damaged_voice_activity_detector_is_called_damaged_not_missing() {
    let ((_folder, path), home) = (clip(), tempfile::tempdir().unwrap());
    let name = "ggml-org/whisper-vad/ggml-silero-v6.2.0.bin";
    let model = home.path().join(name);
    let commit = "0123456789abcdef0123456789abcdef01234567";
    std::fs::create_dir_all(model.join("revisions").join(commit)).unwrap();
    std::fs::write(model.join("active"), commit).unwrap();
    std::fs::write(model.join("revisions").join(commit).join("sotto.json"), "{").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sotto"));
    command.args(["transcribe", "--vad", "--vad-model", name]).arg(&path).env("SOTTO_MODELS", home.path());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("sotto.json"), "{}", stderr(&output));
}

#[test]
fn voice_activity_detection_keeps_speech_and_leaves_silence_out() {
    let Some(data) = sotto_testkit::data_dir() else { return };
    let (folder, (_clip, path)) = (small_folder(), small_clip());
    let (model, path) = (folder.path().to_str().unwrap(), path.to_str().unwrap());
    let plain = stdout(&sotto(&["transcribe", "--model", model, path]));
    for weights in ["vad/silero_vad_16k.safetensors", "vad/ggml-silero-v6.2.0.bin"] {
        let weights = data.join(weights);
        let vad = ["--vad", "--vad-model", weights.to_str().unwrap()];
        let heard = sotto(&[&["transcribe", "--model", model], &vad[..], &[path]].concat());
        assert!(heard.status.success(), "{}", stderr(&heard));
        assert_eq!(words(&stdout(&heard)), words(&plain));
        let silence = with_stdin(&[&["transcribe"], &vad[..], &["-"]].concat(), &vec![0; 160_000]);
        assert!(silence.status.success() && stdout(&silence).trim().is_empty(), "{}", stdout(&silence));
        // Nothing is as sure as this.
        let strict = sotto(&[&["transcribe"], &vad[..], &["--vad-threshold", "1", path]].concat());
        assert!(strict.status.success() && stdout(&strict).trim().is_empty(), "{}{}", stdout(&strict), stderr(&strict));
    }
}

#[test]
fn without_a_model_it_is_said_which_one_answers_and_how_to_get_a_larger_one() {
    let (_folder, path) = clip();
    let path = path.to_str().unwrap();
    let said = stderr(&sotto(&["transcribe", path]));
    assert!(said.contains("starter recognizer") && said.contains("sotto models pull openai/whisper-"), "{said}");
    assert_eq!(stderr(&sotto(&["transcribe", "--quiet", path])), "");
    let small = small_folder();
    let named = sotto(&["transcribe", "--model", small.path().to_str().unwrap(), path]);
    assert!(!stderr(&named).contains("starter"), "{}", stderr(&named));
}

#[test]
fn the_starter_sends_for_a_larger_model_where_it_cannot_help() {
    let (_folder, path) = clip();
    for wish in [["--language", "de"], ["--language", "German"], ["--task", "translate"]] {
        let output = sotto(&["transcribe", wish[0], wish[1], path.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2), "{wish:?}");
        let said = stderr(&output);
        assert!(said.contains(wish[0]) && said.contains("sotto models pull openai/whisper-base"), "{said}");
    }
}

#[test]
fn models_describe_themselves() {
    let folder = small_folder();
    let about: Value =
        serde_json::from_str(&stdout(&sotto(&["inspect", "--json", folder.path().to_str().unwrap()]))).unwrap();
    assert_eq!(about["mels"], 80, "{about}");
    assert!(stdout(&sotto(&["inspect"])).contains("80"));
}

#[test]
fn a_file_in_a_pipe_is_told_from_samples() {
    for (header, kind) in [
        (&b"RIFF\x24\x08\0\0WAVEfmt "[..], "WAV"),
        (b"fLaC\0\0\0\x22", "FLAC"),
        (b"OggS\0\x02\0\0", "Ogg"),
        (b"\0\0\0\x20ftypM4A ", "M4A"),
    ] {
        let output = with_stdin(&["transcribe", "-"], header);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains(kind) && stderr(&output).contains("raw samples"), "{}", stderr(&output));
    }
    for format in ["u8", "s24le", "s32le", "f32le", "f64le", "alaw", "mulaw"] {
        let output = with_stdin(&["transcribe", "--sample-format", format, "-"], &[0x80; 4800]);
        assert!(output.status.success(), "{format}: {}", stderr(&output));
    }
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(stdout(&sotto(&["completions", shell])).contains("transcribe"), "{shell}");
    }
}

#[test]
fn a_pipe_gives_final_text_while_it_is_open() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sotto"))
        .args(["transcribe", "--stream", "--json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    // The clip again and again: more than a window, so that text becomes final on the way.
    let clip = raw_clip();
    let writer = std::thread::spawn(move || {
        while stdin.write_all(&clip).is_ok() {
            std::thread::sleep(Duration::from_millis(500));
        }
    });
    let is_final = |line: &str| serde_json::from_str::<Value>(line).is_ok_and(|event| event["event"] == "final");
    let found = output.lines().map_while(Result::ok).find(|line| is_final(line));
    assert!(found.is_some(), "the output ended without final text");
    child.kill().unwrap();
    child.wait().unwrap();
    writer.join().unwrap();
}

#[test]
#[cfg(unix)]
fn ctrl_c_is_answered_while_a_pipe_is_silent() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sotto"))
        .args(["transcribe", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let stdin = child.stdin.take().unwrap();
    std::thread::sleep(Duration::from_secs(2));
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    drop(stdin);
}

#[cfg(unix)]
fn interrupt(child: &std::process::Child) {
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
}

/// A live transcription whose pipe stays open, as that of a microphone does.
#[cfg(unix)]
fn live() -> std::process::Child {
    Command::new(env!("CARGO_BIN_EXE_sotto"))
        .args(["transcribe", "--stream", "--json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
#[cfg(unix)]
fn the_first_ctrl_c_ends_a_live_recording_and_makes_its_words_final() {
    let final_text = |events: &mut dyn Iterator<Item = String>| -> String {
        let events = events.map(|line| serde_json::from_str::<Value>(&line).unwrap());
        events
            .filter(|event| event["event"] == "final")
            .map(|event| event["text"].as_str().unwrap().to_owned())
            .collect()
    };
    // What is said where the pipe is closed.
    let closed = stdout(&with_stdin(&["transcribe", "--stream", "--json", "-"], &raw_clip()));
    let expected = final_text(&mut closed.lines().map(str::to_owned));
    assert!(!expected.is_empty());
    let mut child = live();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&raw_clip()).unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // With the first event it has begun to listen.
    let first = lines.next().unwrap().unwrap();
    interrupt(&child);
    let said = final_text(&mut std::iter::once(first).chain(lines.map(Result::unwrap)));
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(said, expected);
    drop(stdin);
}

#[test]
#[cfg(unix)]
fn ctrl_c_ends_a_live_recording_whose_pipe_never_runs_dry() {
    let mut child = live();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || while stdin.write_all(&raw_clip()).is_ok() {});
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.next().unwrap().unwrap();
    interrupt(&child);
    let last = lines.map_while(Result::ok).last();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{last:?}");
    writer.join().unwrap();
}

#[test]
fn a_device_that_is_not_there_is_named_and_the_cpu_writes_the_text() {
    if cfg!(feature = "metal") {
        return;
    }
    let (_folder, clip) = clip();
    let output = sotto(&["transcribe", "--device", "metal", clip.to_str().unwrap()]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(words(&stdout(&output)), words(sotto_starter::DEMO_TEXT));
    assert!(stderr(&output).contains("the CPU computes") && stderr(&output).contains("metal"), "{}", stderr(&output));
}
