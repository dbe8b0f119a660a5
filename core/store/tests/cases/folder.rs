//! What a store promises of a copied revision folder, on a web server or on this machine: the same as of a hub.

use std::path::{Path, PathBuf};

use sotto_runtime::{CancelToken, NoProgress, Progress};
use sotto_store::{
    ImportRequest, LocalFolder, NetworkFailure, Origin, PullRequest, Store, StoreError, Token, WebFolder,
};
use sotto_testkit::hub::{FakeHub, Fault, REPOSITORY, sha256, weights};
use tempfile::TempDir;

use super::client::{cancelled_beyond, patience, settings};
use super::transport;

const WEIGHTS: &str = "/folder/model.safetensors";

/// A publisher with a store of its own, who copies revisions to a web server; and a user's store.
struct Desk {
    server: FakeHub,
    publisher: Store,
    store: Store,
    dir: TempDir,
}

impl Desk {
    /// The publisher has pulled the model and copied it to the server.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let open = |name: &str| Store::open(dir.path().join(name)).unwrap();
        let desk = Self { server: FakeHub::start(), publisher: open("publisher"), store: open("user"), dir };
        desk.publish();
        desk
    }

    /// Brings the publisher's store up to date and copies the active revision to the server.
    fn publish(&self) -> PathBuf {
        let request = PullRequest::new(REPOSITORY, settings(&self.server)).unwrap().with_update(true);
        let revision = self.publisher.pull(&request, &transport(), &NoProgress, &CancelToken::new()).unwrap();
        self.serve(&revision);
        revision
    }

    fn serve(&self, revision: &Path) {
        for entry in std::fs::read_dir(revision).unwrap() {
            let entry = entry.unwrap();
            self.server.put(entry.file_name().to_str().unwrap(), &std::fs::read(entry.path()).unwrap());
        }
    }

    fn origin(&self) -> Origin {
        Origin::folder(&self.server.folder()).unwrap().with_patience(patience())
    }

    fn pull_from(&self, reference: &str, origin: impl Into<Origin>, update: bool) -> Result<PathBuf, StoreError> {
        let request = PullRequest::new(reference, origin)?.with_update(update);
        self.store.pull(&request, &transport(), &NoProgress, &CancelToken::new())
    }

    fn pull(&self) -> Result<PathBuf, StoreError> {
        self.pull_from(REPOSITORY, self.origin(), false)
    }

    /// The manifest on the server, with one text in the place of another.
    fn change_manifest(&self, from: &str, to: &str) {
        let revision = self.publisher.resolve(REPOSITORY).unwrap();
        let manifest = std::fs::read_to_string(revision.join("sotto.json")).unwrap();
        assert!(manifest.contains(from), "{manifest}");
        self.server.put("sotto.json", manifest.replace(from, to).as_bytes());
    }

    fn refused(&self) -> StoreError {
        let error = self.pull().unwrap_err();
        assert!(self.store.list().unwrap().is_empty());
        error
    }

    fn succeeds(&self) -> PathBuf {
        let folder = self.pull().unwrap();
        assert_eq!(std::fs::read(folder.join("model.safetensors")).unwrap(), weights(200_000));
        self.store.verify(REPOSITORY, &NoProgress, &CancelToken::new()).unwrap();
        folder
    }

    fn ranges(&self) -> Vec<Option<String>> {
        self.server.reads("model.safetensors").iter().map(|seen| seen.headers.get("range").cloned()).collect()
    }
}

#[test]
fn a_copied_revision_arrives_as_it_was_published() {
    let desk = Desk::new();
    let folder = desk.succeeds();
    let original = desk.publisher.list().unwrap()[0].manifest.clone().unwrap();
    let copy = desk.store.list().unwrap()[0].manifest.clone().unwrap();
    assert_eq!((&copy.files, &copy.commit, &copy.revision), (&original.files, &original.commit, &original.revision));
    assert_eq!((&copy.licence, &copy.entry), (&original.licence, &original.entry));
    assert_eq!(copy.endpoint, Some(desk.server.folder()));
    // Used again without a request, also by its commit.
    let before = desk.server.requests();
    assert_eq!(desk.pull().unwrap(), folder);
    assert_eq!(desk.store.resolve("whisper-nano").unwrap(), folder);
    assert_eq!(desk.server.requests(), before);
}

#[test]
fn a_cut_connection_is_resumed_by_range_and_a_later_pull_goes_on() {
    let desk = Desk::new();
    desk.server.fail(WEIGHTS, Fault::CutAfter(70_000));
    desk.succeeds();
    assert_eq!(desk.ranges(), [None, Some("bytes=70000-".to_owned())]);
    assert!(desk.server.reads("model.safetensors")[1].headers.contains_key("if-range"));

    let desk = Desk::new();
    for _ in 0..3 {
        desk.server.fail(WEIGHTS, Fault::CutAfter(10_000));
    }
    assert!(matches!(desk.refused(), StoreError::Network { failure: NetworkFailure::Cut, .. }));
    desk.succeeds();
    assert_eq!(desk.ranges().last().unwrap().as_deref(), Some("bytes=30000-"));
}

#[test]
fn a_cancelled_pull_keeps_its_part() {
    let desk = Desk::new();
    desk.server.fail(WEIGHTS, Fault::StallAfter(120_000));
    let (cancel, sink) = cancelled_beyond(100_000);
    let request = PullRequest::new(REPOSITORY, desk.origin()).unwrap();
    let error = desk.store.pull(&request, &transport(), &sink, &cancel).unwrap_err();
    assert!(matches!(error, StoreError::Cancelled(_)));
    assert!(desk.store.list().unwrap().is_empty());
    desk.succeeds();
    assert!(desk.ranges()[1].is_some());
}

#[test]
fn wrong_contents_are_never_installed() {
    let desk = Desk::new();
    desk.server.fail("/folder/tokenizer.json", Fault::Length(3));
    assert!(matches!(desk.refused(), StoreError::WrongSize { .. }));
    desk.server.fail(WEIGHTS, Fault::WrongByte);
    assert!(matches!(desk.refused(), StoreError::WrongHash { .. }));
    desk.change_manifest(&sha256(&weights(200_000)), &"0".repeat(64));
    assert!(matches!(desk.refused(), StoreError::WrongHash { .. }));
}

#[test]
fn what_is_missing_is_named() {
    let desk = Desk::new();
    desk.server.delete("tokenizer.json");
    let absent = desk.refused();
    assert!(matches!(&absent, StoreError::FileNotFound { file, .. } if file == "tokenizer.json"), "{absent:?}");
    assert!(desk.ranges().is_empty(), "small files come first");
    desk.server.delete("sotto.json");
    let none = desk.refused();
    assert!(matches!(&none, StoreError::Folder { .. }) && none.to_string().contains("sotto.json"), "{none:?}");
    let other = desk.pull_from("openai/whisper-other", desk.origin(), false).unwrap_err();
    assert!(matches!(other, StoreError::Folder { .. }));
}

#[test]
fn a_folder_has_one_model_under_one_name_and_one_revision() {
    let desk = Desk::new();
    let other = desk.pull_from("openai/whisper-other", desk.origin(), false).unwrap_err();
    assert!(matches!(&other, StoreError::OtherModel { found, asked, .. }
        if found == REPOSITORY && asked == "openai/whisper-other"));
    let revision = desk.pull_from(&format!("{REPOSITORY}@v9"), desk.origin(), false).unwrap_err();
    assert!(matches!(revision, StoreError::RevisionNotFound { .. }), "{revision:?}");
    desk.pull_from(&format!("{REPOSITORY}@{}", &desk.server.commit()[..8]), desk.origin(), false).unwrap();
    desk.pull_from(&format!("{REPOSITORY}@main"), desk.origin(), true).unwrap();
}

#[test]
fn a_newer_commit_is_fetched_by_an_update_and_rolled_back() {
    let desk = Desk::new();
    let old = desk.succeeds();
    desk.server.set_commit('b');
    desk.server.put("tokenizer.json", b"{\"new\": true}");
    desk.publish();
    assert_eq!(desk.pull().unwrap(), old, "without an update nobody is asked");
    let new = desk.pull_from(REPOSITORY, desk.origin(), true).unwrap();
    assert_eq!(std::fs::read(new.join("tokenizer.json")).unwrap(), b"{\"new\": true}");
    assert_eq!(desk.ranges().len(), 1, "the same weights are not fetched twice");
    assert_eq!(desk.store.rollback(REPOSITORY).unwrap().path, old);
    // Another content under the commit that is here already is not believed.
    desk.change_manifest(&sha256(b"{\"new\": true}"), &"0".repeat(64));
    let contradiction = desk.pull_from(REPOSITORY, desk.origin(), true).unwrap_err();
    assert!(matches!(&contradiction, StoreError::Reply { reason, .. } if reason.contains("tokenizer.json")));
    assert_eq!(desk.store.resolve(&format!("{REPOSITORY}@bbbbbbb")).unwrap(), new);
}

#[test]
fn hostile_manifests_are_refused_with_bounded_words() {
    let desk = Desk::new();
    let long = "x".repeat(100_000);
    for (from, to) in [
        ("\"tokenizer.json\"", "\"../tokenizer.json\""),
        ("\"tokenizer.json\"", "\"/etc/passwd\""),
        ("\"tokenizer.json\"", "\"config.json\""),
        ("\"tokenizer.json\"", "\"sotto.json\""),
        ("\"main\"", "\"\\u001b[2J\""),
        ("\"main\"", &format!("\"{long}\"")),
        ("\"format\": 1", &format!("\"format\": \"{long}\"")),
        ("\"format\": 1", "\"format\": 7"),
        ("\"files\": [", "\"files\": 3, \"x\": ["),
        ("\"size\": 200000", "\"size\": -1"),
        ("\"entry\": \".\"", "\"entry\": \"none.bin\""),
    ] {
        desk.change_manifest(from, to);
        let error = desk.refused();
        assert!(matches!(error, StoreError::Folder { .. }), "{to:.80}: {error:?}");
        assert!(error.to_string().len() < 500 && !error.to_string().contains('\x1b'), "{to:.80}");
    }
    let files: Vec<_> = (0..5000).map(|i| format!(r#"{{"path":"f{i}","size":1,"sha256":""}}"#)).collect();
    desk.change_manifest("\"files\": [", &format!("\"files\": [{},", files.join(",")));
    assert!(matches!(desk.refused(), StoreError::Folder { .. }));
    desk.change_manifest("\"size\": 200000", &format!("\"size\": {}", u64::MAX));
    assert!(matches!(desk.refused(), StoreError::NoSpace { .. }));
    for body in [&b"<html>"[..], b"", &[0xff; 64], &vec![b' '; 2 << 20]] {
        desk.server.put("sotto.json", body);
        let error = desk.refused();
        assert!(matches!(error, StoreError::Folder { .. } | StoreError::Reply { .. }), "{error:?}");
    }
    desk.server.fail("/folder/sotto.json", Fault::Endless);
    assert!(matches!(desk.refused(), StoreError::Reply { .. }));
    assert!(desk.ranges().is_empty());
}

#[test]
fn a_folder_of_an_unknown_kind_names_both_sides() {
    let desk = Desk::new();
    desk.server.put("config.json", b"{\"model_type\": \"llama\"}");
    let config = desk.publisher.list().unwrap()[0].manifest.clone().unwrap().files;
    let config = config.into_iter().find(|file| file.path == "config.json").unwrap();
    let manifest = std::fs::read_to_string(desk.publisher.resolve(REPOSITORY).unwrap().join("sotto.json")).unwrap();
    let manifest = manifest
        .replace(&config.sha256, &sha256(b"{\"model_type\": \"llama\"}"))
        .replace(&format!("\"size\": {}", config.size), "\"size\": 23");
    desk.server.put("sotto.json", manifest.as_bytes());
    let error = desk.refused();
    assert!(
        matches!(&error, StoreError::UnknownKind { found, known, .. }
        if found.contains("llama") && known[0].contains("Whisper")),
        "{error:?}"
    );
}

#[test]
fn redirects_stay_encrypted_and_a_token_stays_at_home() {
    let desk = Desk::new();
    desk.server.fail("/folder/sotto.json", Fault::Redirect("http://192.0.2.1/sotto.json".to_owned()));
    assert!(matches!(desk.refused(), StoreError::Redirect { .. }));
    assert!(matches!(WebFolder::new("http://192.0.2.1/m"), Err(StoreError::Configuration { .. })));

    desk.server.require_token("secret-right", "");
    assert!(matches!(desk.refused(), StoreError::Unauthorized { had_token: false, .. }));
    let with = |token: &str| desk.origin().with_token(Token::new(token).unwrap()).unwrap();
    let wrong = desk.pull_from(REPOSITORY, with("secret-wrong"), false).unwrap_err();
    assert!(matches!(wrong, StoreError::Unauthorized { had_token: true, .. }));
    assert!(!format!("{wrong} {wrong:?}").contains("secret-wrong"));
    // The other server's files are public: it gets no token along a redirect.
    let elsewhere = FakeHub::start();
    elsewhere.put("sotto.json", b"{}");
    desk.server.fail("/folder/sotto.json", Fault::Redirect(format!("{}/sotto.json", elsewhere.folder())));
    assert!(desk.pull_from(REPOSITORY, with("secret-right"), false).is_err());
    assert_eq!(elsewhere.requests(), 1);
    assert!(!elsewhere.log()[0].headers.contains_key("authorization"));
    desk.pull_from(REPOSITORY, with("secret-right"), false).unwrap();
}

#[test]
fn a_single_file_is_a_model_from_a_folder_too() {
    let desk = Desk::new();
    let file = desk.dir.path().join("x.sotto");
    let packed = [&8_u64.to_le_bytes()[..], b"{\"__metadata__\":{}}"].concat();
    std::fs::write(&file, &packed).unwrap();
    let request = ImportRequest::new("dictation@1.0").unwrap();
    let imported = desk.publisher.import(&request, &file, &NoProgress, &CancelToken::new()).unwrap();
    desk.serve(imported.installed.path.parent().unwrap());
    let path = desk.pull_from("local/dictation", desk.origin(), false).unwrap();
    assert!(path.ends_with("dictation.sotto"));
    assert_eq!(std::fs::read(&path).unwrap(), packed);
    assert_eq!(desk.store.resolve("dictation@1.0").unwrap(), path);
}

#[test]
fn a_folder_on_this_machine_is_copied_checked_and_resumed() {
    let desk = Desk::new();
    let revision = desk.publisher.resolve(REPOSITORY).unwrap();
    let before = desk.server.requests();
    let stick = desk.dir.path().join("stick");
    std::fs::create_dir(&stick).unwrap();
    for entry in std::fs::read_dir(&revision).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), stick.join(entry.file_name())).unwrap();
    }
    let weights_path = stick.join("model.safetensors");
    let pull = || desk.pull_from(REPOSITORY, LocalFolder::new(&stick), false);

    let mut bytes = weights(200_000);
    bytes[7] ^= 1;
    std::fs::write(&weights_path, &bytes).unwrap();
    assert!(matches!(pull(), Err(StoreError::WrongHash { .. })));
    std::fs::write(&weights_path, &bytes[..100]).unwrap();
    assert!(matches!(pull(), Err(StoreError::WrongSize { .. })));
    std::fs::remove_file(&weights_path).unwrap();
    assert!(matches!(pull(), Err(StoreError::FileNotFound { .. })));
    std::fs::create_dir(&weights_path).unwrap();
    assert!(matches!(pull(), Err(StoreError::FileNotFound { .. })));
    assert!(desk.store.list().unwrap().is_empty());

    // A part of an earlier pull is continued.
    std::fs::remove_dir(&weights_path).unwrap();
    std::fs::write(&weights_path, weights(200_000)).unwrap();
    let staging = desk.store.dir().join(".partial").join(format!("openai--whisper-nano@{}", desk.server.commit()));
    std::fs::write(staging.join("model.safetensors.part"), &weights(200_000)[..150_000]).unwrap();
    let folder = pull().unwrap();
    assert_eq!(std::fs::read(folder.join("model.safetensors")).unwrap(), weights(200_000));
    desk.store.verify(REPOSITORY, &NoProgress, &CancelToken::new()).unwrap();
    assert!(!desk.store.list().unwrap()[0].manifest.as_ref().unwrap().is_imported());
    assert!(weights_path.is_file(), "the source stays");
    assert_eq!(desk.server.requests(), before, "no network");

    let cancel = CancelToken::new();
    cancel.cancel();
    let request = PullRequest::new(REPOSITORY, LocalFolder::new(&stick)).unwrap().with_update(true);
    let cancelled = desk.store.pull(&request, &transport(), &NoProgress, &cancel);
    assert!(matches!(cancelled, Err(StoreError::Cancelled(_))));
}

#[test]
fn a_copy_from_this_machine_stops_when_told_and_goes_on_there() {
    let desk = Desk::new();
    desk.server.set_commit('b');
    desk.server.put("model.safetensors", &weights(1_000_000));
    let revision = desk.publish();
    let cancel = CancelToken::new();
    let stop = cancel.clone();
    let sink = move |progress: &Progress<'_>| {
        if progress.done > 300_000 {
            stop.cancel();
        }
    };
    let request = PullRequest::new(REPOSITORY, LocalFolder::new(&revision)).unwrap();
    let stopped = desk.store.pull(&request, &transport(), &sink, &cancel);
    assert!(matches!(stopped, Err(StoreError::Cancelled(_))));
    let staging = desk.store.dir().join(".partial").join(format!("openai--whisper-nano@{}", desk.server.commit()));
    let part = staging.join("model.safetensors.part").metadata().unwrap().len();
    assert!(part > 200_000 && part < 1_000_000, "{part}");
    let folder = desk.pull_from(REPOSITORY, LocalFolder::new(&revision), false).unwrap();
    assert_eq!(std::fs::read(folder.join("model.safetensors")).unwrap(), weights(1_000_000));
}

#[test]
fn a_folder_without_a_manifest_is_to_be_imported() {
    let desk = Desk::new();
    let none = desk.pull_from(REPOSITORY, LocalFolder::new(desk.dir.path()), false).unwrap_err();
    assert!(matches!(&none, StoreError::Folder { .. }) && none.to_string().contains("sotto.json"), "{none}");
    let token = Token::new("x").unwrap();
    assert!(matches!(Origin::folder("some/path").unwrap().with_token(token), Err(StoreError::Configuration { .. })));
    for address in ["ftp://x/y", "file:///x", "http://example.org/m"] {
        assert!(matches!(Origin::folder(address), Err(StoreError::Configuration { .. })), "{address}");
    }
}
