//! `sotto models` from the command line to the disk, against a hub on this machine, and transcribing with what it
//! fetched.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use sotto_testkit::commands;
use sotto_testkit::hub::{FakeHub, Fault, REPOSITORY};
use tempfile::TempDir;

/// A desk with a store of its own and a hub that has the test kit's recognizer as `openai/whisper-nano`.
struct Desk {
    hub: FakeHub,
    home: TempDir,
}

impl Desk {
    fn new() -> Self {
        let hub = FakeHub::start();
        let model = commands::model();
        hub.put("config.json", model.config_json);
        hub.put("generation_config.json", model.generation_config_json);
        hub.put("tokenizer.json", model.tokenizer_json);
        hub.put("model.safetensors", model.model_safetensors);
        Self { hub, home: tempfile::tempdir().unwrap() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sotto"));
        command.args(arguments).env("SOTTO_MODELS", self.home.path()).env("HF_ENDPOINT", self.hub.address());
        command.env("SOTTO_CACHE", self.home.path().join("cache"));
        command.env_remove("HF_TOKEN").stdin(Stdio::null());
        command
    }

    fn sotto(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What a command that must succeed prints.
    #[track_caller]
    fn run(&self, arguments: &[&str]) -> String {
        let output = self.sotto(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The message of a command that must fail with 1.
    #[track_caller]
    fn fail(&self, arguments: &[&str]) -> String {
        let output = self.sotto(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", stderr(&output));
        assert!(output.stdout.is_empty());
        stderr(&output)
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_model_is_pulled_used_listed_checked_and_removed() {
    let desk = Desk::new();
    let pulled = json(&desk.run(&["models", "pull", "--json", REPOSITORY]));
    assert_eq!((pulled["name"].as_str(), pulled["active"].as_bool()), (Some(REPOSITORY), Some(true)));
    assert_eq!(pulled["commit"], desk.hub.commit());
    assert!(Path::new(pulled["path"].as_str().unwrap()).join("model.safetensors").is_file());

    // From now on without the hub.
    let offline = |arguments: &[&str]| {
        let output = desk.command(arguments).env("HF_ENDPOINT", "http://127.0.0.1:9").output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let clip = desk.home.path().join("demo.flac");
    std::fs::write(&clip, commands::clip()).unwrap();
    let clip = clip.to_str().unwrap();
    let text = offline(&["transcribe", "--model", "whisper-nano", clip]);
    assert_eq!(text.split_whitespace().collect::<Vec<_>>().join(" "), commands::TEXT);
    assert!(offline(&["models", "pull", REPOSITORY]).contains("is ready"));
    assert!(offline(&["models", "list"]).contains(REPOSITORY));
    assert_eq!(json(&offline(&["models", "list", "--json"]))["bytes"], pulled["bytes"]);
    assert!(offline(&["models", "verify"]).contains("is intact"));
    assert_eq!(json(&offline(&["models", "path", "--json", REPOSITORY]))["path"], pulled["path"]);
    assert!(offline(&["inspect", "whisper-nano"]).contains("80"));

    std::fs::write(Path::new(pulled["path"].as_str().unwrap()).join("tokenizer.json"), "{}").unwrap();
    assert!(desk.sotto(&["models", "verify", REPOSITORY]).status.code() == Some(1));
    let removed = json(&desk.run(&["models", "remove", "--json", REPOSITORY]));
    assert_eq!((&removed["name"], &removed["removed"]), (&REPOSITORY.into(), &true.into()));
    assert!(!Path::new(pulled["path"].as_str().unwrap()).exists());
    assert_eq!(desk.sotto(&["models", "remove", REPOSITORY]).status.code(), Some(1), "nothing is left to remove");
    assert!(desk.run(&["models", "list"]).contains("no models"));
    assert!(desk.fail(&["transcribe", "--model", "whisper-nano", clip]).contains("whisper-nano"));
}

/// Packed models as `sotto models cache` lists them.
fn packed(desk: &Desk) -> Vec<Value> {
    desk.run(&["models", "cache", "--json"]).lines().map(json).collect()
}

#[test]
fn a_pulled_model_is_packed_at_once_and_what_was_packed_goes_with_it() {
    let desk = Desk::new();
    assert!(desk.run(&["models", "cache"]).contains("no packed models"));
    desk.run(&["models", "pull", REPOSITORY]);
    let models = packed(&desk);
    assert_eq!(models.len(), 1);
    let file = Path::new(models[0]["path"].as_str().unwrap()).to_owned();
    assert_eq!(models[0]["bytes"], file.metadata().unwrap().len());
    let folder = desk.run(&["models", "path", REPOSITORY]);
    let source = Path::new(models[0]["source"].as_str().unwrap());
    assert_eq!(source, std::fs::canonicalize(folder.trim()).unwrap());
    let listed = desk.run(&["models", "cache", "list"]);
    assert!(listed.contains(source.to_str().unwrap()) && listed.contains("used today"), "{listed}");

    // Loading maps it: the text is the same as without.
    let clip = desk.home.path().join("demo.flac");
    std::fs::write(&clip, sotto_starter::demo_clip()).unwrap();
    let clip = clip.to_str().unwrap();
    let text = desk.run(&["transcribe", "--model", "whisper-nano", clip]);
    assert_eq!(text, desk.run(&["transcribe", "--no-cache", "--model", "whisper-nano", clip]));
    assert_eq!(packed(&desk).len(), 1);

    desk.run(&["models", "remove", REPOSITORY]);
    assert!(packed(&desk).is_empty() && !file.exists());
}

#[test]
fn the_cache_has_a_limit_can_be_cleared_and_can_be_left_alone() {
    let desk = Desk::new();
    desk.run(&["models", "pull", "--no-cache", REPOSITORY]);
    assert!(packed(&desk).is_empty());
    assert!(desk.run(&["models", "cache", "limit"]).contains("4.0 GiB"));
    let clip = desk.home.path().join("demo.flac");
    std::fs::write(&clip, sotto_starter::demo_clip()).unwrap();
    let transcribe = || {
        let output = desk.sotto(&["transcribe", "--model", "whisper-nano", clip.to_str().unwrap()]);
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(stderr(&output), "");
        packed(&desk).len()
    };
    assert_eq!(transcribe(), 1);
    let freed = json(&desk.run(&["models", "cache", "clear", "--json"]))["bytes"].as_u64().unwrap();
    assert!(freed > 1_000_000 && packed(&desk).is_empty());
    assert_eq!(json(&desk.run(&["models", "cache", "limit", "100k", "--json"]))["limit"], 100 << 10);
    assert_eq!(transcribe(), 0, "it is larger than that");
    desk.run(&["models", "cache", "limit", "unlimited"]);
    assert_eq!(transcribe(), 1);
    assert!(desk.run(&["models", "cache", "limit", "0"]).contains("freed"));
    assert!(packed(&desk).is_empty());
    assert_eq!(desk.sotto(&["models", "cache", "limit", "much"]).status.code(), Some(2));

    // A cache that cannot be written to costs time and a warning.
    let nowhere = desk.home.path().join("file");
    std::fs::write(&nowhere, "").unwrap();
    for (options, said) in [(&[][..], "not in the cache"), (&["--quiet"], "")] {
        let mut command = desk.command(&["transcribe", "--model", "whisper-nano", clip.to_str().unwrap()]);
        let output = command.args(options).env("SOTTO_CACHE", &nowhere).output().unwrap();
        assert!(output.status.success() && stderr(&output).contains(said), "{}", stderr(&output));
        assert_eq!(stderr(&output).is_empty(), said.is_empty());
    }
}

#[test]
fn what_is_here_already_is_imported_used_switched_and_rolled_back() {
    let desk = Desk::new();
    let model = commands::model();
    let folder = desk.home.path().join("my models").join("nano");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("config.json"), model.config_json).unwrap();
    std::fs::write(folder.join("generation_config.json"), model.generation_config_json).unwrap();
    std::fs::write(folder.join("tokenizer.json"), model.tokenizer_json).unwrap();
    std::fs::write(folder.join("model.safetensors"), model.model_safetensors).unwrap();
    std::fs::write(folder.join("flax_model.msgpack"), b"another framework").unwrap();
    let folder = folder.to_str().unwrap();
    let output = desk.sotto(&["models", "import", "--json", "--licence", "mit", "nano@1", folder]);
    assert!(stderr(&output).contains("flax_model.msgpack"), "{}", stderr(&output));
    let imported = json(&String::from_utf8(output.stdout).unwrap());
    assert_eq!((&imported["name"], &imported["revision"]), (&"local/nano".into(), &"1".into()));
    assert_eq!((&imported["imported"], &imported["licence"]), (&true.into(), &"mit".into()));
    assert_eq!(packed(&desk).len(), 1, "packed as a pulled model is");

    let clip = desk.home.path().join("demo.flac");
    std::fs::write(&clip, commands::clip()).unwrap();
    let text = desk.run(&["transcribe", "--model", "nano", clip.to_str().unwrap()]);
    assert_eq!(text.split_whitespace().collect::<Vec<_>>().join(" "), commands::TEXT);
    assert!(desk.run(&["models", "verify", "local/nano"]).contains("is intact"));

    // A second version: one packed file, moved in.
    let file = desk.home.path().join("new.sotto");
    desk.run(&["quantize", "nano", file.to_str().unwrap()]);
    assert!(
        desk.run(&["models", "import", "--move", "nano@2", file.to_str().unwrap()]).contains("local/nano is ready")
    );
    assert!(!file.exists());
    assert_eq!(desk.run(&["transcribe", "--model", "nano", clip.to_str().unwrap()]), text);
    let list = desk.run(&["models", "list"]);
    let lines: Vec<_> = list.lines().collect();
    assert_eq!(lines.len(), 2);
    let line = |marked: &str| *lines.iter().find(|line| line.starts_with(marked)).unwrap();
    assert!(line("*").contains("  2  ") && !line("*").contains("active before"), "{list}");
    assert!(line(" ").contains("  1  ") && line(" ").ends_with("active before"), "{list}");

    let back = json(&desk.run(&["models", "rollback", "--json", "nano"]));
    assert_eq!((&back["revision"], &back["active"], &back["previous"]), (&"1".into(), &true.into(), &false.into()));
    assert!(desk.fail(&["models", "rollback", "nano"]).contains("no earlier version"));
    assert!(desk.run(&["models", "activate", "nano@2"]).contains("local/nano is now 2"));
    assert!(desk.fail(&["models", "activate", "nano@3"]).contains("`sotto models pull nano@3`"));
    assert_eq!(desk.sotto(&["models", "activate", "nano"]).status.code(), Some(2));
    desk.run(&["models", "remove", "nano@2"]);
    assert_eq!(json(&desk.run(&["models", "list", "--json"]))["revision"], "1");

    // Any kind of model; one that is none.
    let other = desk.home.path().join("en-de");
    std::fs::create_dir(&other).unwrap();
    assert!(desk.fail(&["models", "import", "firefox/en-de", other.to_str().unwrap()]).contains("no file in it"));
    std::fs::write(other.join("model.ende.intgemm.alphas.bin"), b"weights").unwrap();
    desk.run(&["models", "import", "firefox/en-de", other.to_str().unwrap()]);
    assert!(desk.run(&["models", "list"]).contains("firefox/en-de"));
    assert!(desk.fail(&["models", "import", "x", "/nowhere/at all"]).contains("/nowhere/at all"));
    assert_eq!(desk.sotto(&["models", "import", "x"]).status.code(), Some(2));
    assert!(desk.fail(&["models", "pull", "--update", "firefox/en-de"]).contains("has no repository"));
}

#[test]
fn refusals_of_the_hub_are_told_apart_and_leave_nothing() {
    for (status, header, said, to_type) in [
        (401, "X-Error-Code: RepoNotFound\r\n", "has no repository", "HF_TOKEN"),
        (403, "X-Error-Code: GatedRepo\r\n", "is gated", "--token-file FILE"),
        (404, "X-Error-Code: RevisionNotFound\r\n", "has no revision", ""),
        (404, "", "has no repository", "HF_TOKEN"),
        (429, "Retry-After: 3600\r\n", "limits the number of requests", "HF_TOKEN"),
    ] {
        let desk = Desk::new();
        desk.hub.fail("api/models", Fault::Status(status, header));
        let message = desk.fail(&["models", "pull", REPOSITORY]);
        assert!(message.starts_with("sotto: ") && message.contains(said), "{status}: {message}");
        assert!(message.contains(to_type), "{status}: {message}");
        assert!(desk.run(&["models", "list"]).contains("no models"));
    }
    // A server that stays broken is left after a few attempts.
    let desk = Desk::new();
    for status in [500, 502, 503, 504, 503, 503, 503, 503] {
        desk.hub.fail("api/models", Fault::Status(status, ""));
    }
    let message = desk.fail(&["models", "pull", REPOSITORY]);
    assert!(message.contains("answered with status 50") && message.contains("try again later"), "{message}");
    assert!((2..8).contains(&desk.hub.requests()), "{} requests", desk.hub.requests());
    assert!(desk.run(&["models", "list", "--json"]).is_empty());

    // Nobody at home.
    let offline =
        desk.command(&["models", "pull", REPOSITORY]).env("HF_ENDPOINT", "http://127.0.0.1:9").output().unwrap();
    assert_eq!(offline.status.code(), Some(1));
    assert!(stderr(&offline).contains("the connection was refused"), "{}", stderr(&offline));

    let desk = Desk::new();
    let message = String::from_utf8(
        desk.command(&["models", "pull", REPOSITORY]).env("HF_ENDPOINT", "not an address").output().unwrap().stderr,
    );
    assert!(message.unwrap().contains("HF_ENDPOINT"));
    assert_eq!(desk.sotto(&["models", "pull", "../../etc/passwd"]).status.code(), Some(1));
    assert_eq!(desk.sotto(&["models", "pull"]).status.code(), Some(2));
}

#[test]
fn a_copied_revision_is_pulled_from_a_server_or_a_path() {
    let publisher = Desk::new();
    let revision = json(&publisher.run(&["models", "pull", "--json", REPOSITORY]))["path"].as_str().unwrap().to_owned();
    publisher.hub.put("sotto.json", &std::fs::read(Path::new(&revision).join("sotto.json")).unwrap());
    let folder = publisher.hub.folder();

    for place in [&*folder, &*revision] {
        let desk = Desk::new();
        let pulled = json(&desk.run(&["models", "pull", "--json", "--from", place, REPOSITORY]));
        assert_eq!(pulled["commit"], publisher.hub.commit());
        assert_eq!((&pulled["imported"], &pulled["revision"]), (&false.into(), &"main".into()));
        desk.run(&["models", "pull", "--update", "--from", place, REPOSITORY]);
        assert_eq!(desk.hub.requests(), 0, "the hub is not asked");
        assert!(desk.run(&["models", "verify"]).contains("is intact"));
        assert!(desk.run(&["inspect", "whisper-nano"]).contains("80"));
    }

    // The hub's token stays with the hub; a folder gets the one of a file.
    let desk = Desk::new();
    let pull = ["models", "pull", "--from", &folder, REPOSITORY];
    publisher.hub.require_token("hf_folder", "");
    let before = publisher.hub.requests();
    let refused = desk.command(&pull).env("HF_TOKEN", "hf_folder").output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("--token-file FILE"), "{}", stderr(&refused));
    assert!(publisher.hub.log()[before..].iter().all(|seen| !seen.headers.contains_key("authorization")));
    let token = desk.home.path().join("token");
    std::fs::write(&token, "hf_folder\n").unwrap();
    desk.run(&[&pull[..], &["--token-file", token.to_str().unwrap()]].concat());

    assert_eq!(desk.sotto(&["models", "pull", "--from", &folder, REPOSITORY, "a/b"]).status.code(), Some(2));
    assert!(desk.fail(&["models", "pull", "--from", "http://192.0.2.1/m", REPOSITORY]).contains("https://"));
    assert!(desk.fail(&["models", "pull", "--from", &revision, "openai/other"]).contains(REPOSITORY));
    let nothing = desk.fail(&["models", "pull", "--from", "/nowhere/at all", "openai/other"]);
    assert!(nothing.contains("sotto.json") && nothing.contains("models import"), "{nothing}");
}

#[test]
fn contents_that_do_not_match_their_hash_are_not_kept() {
    let desk = Desk::new();
    for _ in 0..8 {
        desk.hub.fail("storage:model.safetensors", Fault::WrongByte);
    }
    let message = desk.fail(&["models", "pull", REPOSITORY]);
    assert!(message.contains("model.safetensors") && message.contains("hash"), "{message}");
    assert!(desk.run(&["models", "list"]).contains("no models"));
    // What a failed pull keeps for the next one can be removed, once.
    desk.run(&["models", "remove", REPOSITORY]);
    assert!(desk.fail(&["models", "remove", REPOSITORY]).contains("is not in the model store"));
}

#[test]
fn a_passing_fault_and_a_cut_connection_cost_a_retry_not_the_pull() {
    let desk = Desk::new();
    desk.hub.fail("api/models", Fault::Status(503, "Retry-After: 0\r\n"));
    desk.hub.fail("storage:model.safetensors", Fault::CutAfter(100_000));
    desk.run(&["models", "pull", REPOSITORY]);
    let fetches = desk.hub.fetches("model.safetensors");
    assert_eq!(fetches.len(), 2);
    assert!(fetches[1].headers.keys().any(|name| name.eq_ignore_ascii_case("range")), "{:?}", fetches[1]);
    desk.run(&["models", "verify"]);
}

#[test]
#[cfg(unix)]
fn ctrl_c_stops_a_pull_with_130_and_the_next_one_goes_on() {
    let desk = Desk::new();
    desk.hub.fail("storage:model.safetensors", Fault::StallAfter(200_000));
    let child = desk.command(&["models", "pull", REPOSITORY]).stderr(Stdio::piped()).spawn().unwrap();
    let mut child = child;
    // Stopped where the file has stalled.
    while desk.hub.fetches("model.safetensors").is_empty() {
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(300));
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(desk.run(&["models", "list"]).contains("no models"));
    desk.run(&["models", "pull", REPOSITORY]);
    let fetches = desk.hub.fetches("model.safetensors");
    assert!(fetches.last().unwrap().headers.keys().any(|name| name.eq_ignore_ascii_case("range")), "{fetches:?}");
    desk.run(&["models", "verify"]);
}
