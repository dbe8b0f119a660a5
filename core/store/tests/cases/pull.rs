//! What a store promises when everything goes well: one command, the right files, no network afterwards.

use std::sync::Mutex;
use std::time::Duration;

use sotto_runtime::{CancelToken, NoProgress, Progress, Stage};
use sotto_store::{Hub, ModelName, PullRequest, Store, StoreError};
use sotto_testkit::hub::{self, FakeHub, Fault, REPOSITORY, ggml, weights};
use tempfile::TempDir;

use super::client::settings;
use super::transport;

fn fixture() -> (FakeHub, Store, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path().join("models")).unwrap();
    (FakeHub::start(), store, dir)
}

fn request(hub: &FakeHub, reference: &str) -> PullRequest {
    PullRequest::new(reference, settings(hub)).unwrap()
}

fn pull(store: &Store, hub: &FakeHub, reference: &str) -> Result<std::path::PathBuf, StoreError> {
    store.pull(&request(hub, reference), &transport(), &NoProgress, &CancelToken::new())
}

#[test]
fn a_repository_arrives_with_only_the_files_that_whisper_needs() {
    let (hub, store, _dir) = fixture();
    let folder = pull(&store, &hub, REPOSITORY).unwrap();
    let mut names: Vec<_> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(
        names,
        ["README.md", "config.json", "generation_config.json", "model.safetensors", "sotto.json", "tokenizer.json"]
    );
    assert_eq!(std::fs::read(folder.join("model.safetensors")).unwrap(), weights(200_000));
    let listed = store.list().unwrap();
    let manifest = listed[0].manifest.as_ref().unwrap();
    assert_eq!(manifest.licence.as_deref(), Some("mit"));
    assert_eq!(manifest.commit.as_str(), hub.commit());
    assert_eq!(manifest.revision, "main");
    let weights_file = manifest.files.iter().find(|file| file.path == "model.safetensors").unwrap();
    assert_eq!(weights_file.sha256, hub::sha256(&weights(200_000)));
    assert!(listed[0].active && listed[0].problems.is_empty());
    store.verify(REPOSITORY, &NoProgress, &CancelToken::new()).unwrap();
}

#[test]
fn a_ggml_file_of_a_repository_is_a_model_of_its_own() {
    let (hub, store, _dir) = fixture();
    hub.put("ggml-nano.en-q5_1.bin", &ggml(9_000));
    hub.put("ggml-base.bin", &ggml(5_000));
    let path = pull(&store, &hub, &format!("{REPOSITORY}/ggml-nano.en-q5_1.bin")).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), ggml(9_000));
    assert_eq!(store.resolve("ggml-nano.en-q5_1").unwrap(), path);
    assert_eq!(store.resolve("ggml-nano.en-q5_1.bin").unwrap(), path);
    // The whole repository and its single files live side by side, and go one by one.
    pull(&store, &hub, REPOSITORY).unwrap();
    pull(&store, &hub, &format!("{REPOSITORY}/ggml-base.bin")).unwrap();
    assert_eq!(store.list().unwrap().len(), 3);
    store.remove(REPOSITORY).unwrap();
    assert_eq!(store.list().unwrap().len(), 2);
    assert!(path.exists());
}

#[test]
fn sharded_weights_arrive_whole() {
    let (hub, store, _dir) = fixture();
    hub.delete("model.safetensors");
    hub.put("model.safetensors.index.json", b"{\"weight_map\": {}}");
    hub.put("model-00001-of-00002.safetensors", &weights(3_000));
    hub.put("model-00002-of-00002.safetensors", &weights(2_000));
    let folder = pull(&store, &hub, REPOSITORY).unwrap();
    assert_eq!(std::fs::read(folder.join("model-00002-of-00002.safetensors")).unwrap(), weights(2_000));
    assert!(folder.join("model.safetensors.index.json").exists());
}

#[test]
fn a_model_that_is_here_is_used_again_without_any_network_call() {
    let (hub, store, _dir) = fixture();
    let folder = pull(&store, &hub, REPOSITORY).unwrap();
    let before = hub.requests();
    assert_eq!(pull(&store, &hub, REPOSITORY).unwrap(), folder);
    assert_eq!(pull(&store, &hub, &format!("{REPOSITORY}@main")).unwrap(), folder);
    assert_eq!(pull(&store, &hub, &format!("{REPOSITORY}@{}", &hub.commit()[..10])).unwrap(), folder);
    assert_eq!(store.resolve("whisper-nano").unwrap(), folder);
    assert_eq!(hub.requests(), before);
    drop(hub);
    assert_eq!(store.resolve(REPOSITORY).unwrap(), folder);
}

#[test]
fn an_update_fetches_only_what_changed_and_keeps_the_old_revision_beside_the_new() {
    let (hub, store, _dir) = fixture();
    let old = pull(&store, &hub, REPOSITORY).unwrap();
    let unchanged = request(&hub, REPOSITORY).with_update(true);
    assert_eq!(store.pull(&unchanged, &transport(), &NoProgress, &CancelToken::new()).unwrap(), old);
    assert_eq!(hub.fetches("model.safetensors").len(), 1);

    hub.set_commit('b');
    hub.put("tokenizer.json", b"{\"new\": true}");
    let new = store.pull(&unchanged, &transport(), &NoProgress, &CancelToken::new()).unwrap();
    assert_ne!(old, new);
    assert_eq!(std::fs::read(new.join("tokenizer.json")).unwrap(), b"{\"new\": true}");
    assert_eq!(hub.fetches("model.safetensors").len(), 1, "the same weights are not fetched twice");
    assert_eq!(store.resolve(REPOSITORY).unwrap(), new);
    assert_eq!(store.resolve(&format!("{REPOSITORY}@aaaaaaa")).unwrap(), old);
    assert_eq!(store.list().unwrap().iter().filter(|revision| revision.active).count(), 1);
    // Removing the active revision falls back to the one that is left.
    store.remove(&format!("{REPOSITORY}@bbbbbbb")).unwrap();
    assert_eq!(store.resolve(REPOSITORY).unwrap(), old);
}

#[test]
fn a_branch_with_a_slash_is_one_revision() {
    let (hub, store, _dir) = fixture();
    let folder = pull(&store, &hub, &format!("{REPOSITORY}@refs/pr/1")).unwrap();
    assert_eq!(store.resolve(&format!("{REPOSITORY}@refs/pr/1")).unwrap(), folder);
    assert!(matches!(store.resolve(&format!("{REPOSITORY}@v9")), Err(StoreError::NotInstalled { .. })));
}

#[test]
fn progress_covers_all_bytes_and_never_goes_back() {
    let (hub, store, _dir) = fixture();
    hub.fail("storage:model.safetensors", Fault::CutAfter(150_000));
    hub.fail("storage:model.safetensors", Fault::IgnoreRange);
    let reports = Mutex::new(Vec::new());
    let sink = |progress: &Progress<'_>| reports.lock().unwrap().push((progress.stage, progress.done, progress.total));
    store.pull(&request(&hub, REPOSITORY), &transport(), &sink, &CancelToken::new()).unwrap();
    let total = store.list().unwrap()[0].manifest.as_ref().unwrap().size();
    for stage in [Stage::Download, Stage::Verify] {
        let done: Vec<_> = reports.lock().unwrap().iter().filter(|report| report.0 == stage).copied().collect();
        assert!(done.is_sorted_by_key(|report| report.1), "{done:?}");
        assert_eq!(done.last().map(|report| (report.1, report.2)), Some((total, Some(total))));
    }
}

#[test]
fn a_short_name_that_fits_two_models_names_both() {
    let (hub, store, _dir) = fixture();
    let folder = pull(&store, &hub, REPOSITORY).unwrap();
    // The same repository under another owner, as a mirror would have it.
    let other = store.dir().join("someone").join("whisper-nano").join("revisions").join(hub.commit());
    std::fs::create_dir_all(&other).unwrap();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), other.join(entry.file_name())).unwrap();
    }
    match store.resolve("whisper-nano") {
        Err(StoreError::Ambiguous { candidates, .. }) => {
            assert_eq!(candidates, [REPOSITORY, "someone/whisper-nano"]);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn removing_a_model_leaves_no_trace_of_it() {
    let (hub, store, _dir) = fixture();
    let folder = pull(&store, &hub, REPOSITORY).unwrap();
    assert!(store.remove("whisper-nano").unwrap() > 200_000);
    assert!(!folder.exists());
    assert!(store.list().unwrap().is_empty());
    assert!(!store.dir().join("openai").exists());
    assert!(matches!(store.remove(REPOSITORY), Err(StoreError::NotInstalled { .. })));
}

#[test]
fn damage_is_found_named_and_repaired() {
    let (hub, store, _dir) = fixture();
    let folder = pull(&store, &hub, REPOSITORY).unwrap();
    let weights_path = folder.join("model.safetensors");
    let mut bytes = weights(200_000);
    bytes[123] ^= 1;
    std::fs::write(&weights_path, &bytes).unwrap();
    // The length still fits: only reading the contents shows it.
    assert!(store.resolve(REPOSITORY).is_ok());
    let found = store.verify(REPOSITORY, &NoProgress, &CancelToken::new()).unwrap_err();
    assert!(matches!(&found, StoreError::Damaged { .. }) && found.to_string().contains("model.safetensors"), "{found}");

    std::fs::write(&weights_path, &bytes[..1000]).unwrap();
    assert!(matches!(store.resolve(REPOSITORY), Err(StoreError::Damaged { .. })));
    assert_eq!(store.list().unwrap()[0].problems.len(), 1);
    assert_eq!(pull(&store, &hub, REPOSITORY).unwrap(), folder, "a pull repairs what does not fit");
    store.verify(REPOSITORY, &NoProgress, &CancelToken::new()).unwrap();

    std::fs::write(folder.join("sotto.json"), "{").unwrap();
    assert!(matches!(store.resolve(REPOSITORY), Err(StoreError::Manifest { .. })));
    pull(&store, &hub, REPOSITORY).unwrap();
    assert!(store.resolve(REPOSITORY).is_ok());
}

#[test]
fn two_pulls_of_one_model_at_once_fetch_it_once() {
    let (hub, store, _dir) = fixture();
    hub.fail("storage:model.safetensors", Fault::Slow(Duration::from_millis(1)));
    let paths: Vec<_> = std::thread::scope(|scope| {
        let pulls: Vec<_> = (0..2).map(|_| scope.spawn(|| pull(&store, &hub, REPOSITORY).unwrap())).collect();
        pulls.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(paths[0], paths[1]);
    assert_eq!(hub.fetches("model.safetensors").len(), 1);
}

#[test]
fn pulls_of_two_revisions_at_once_both_succeed_and_one_of_them_is_active() {
    let (hub, store, _dir) = fixture();
    let old = pull(&store, &hub, REPOSITORY).unwrap();
    hub.set_commit('b');
    let new = store
        .pull(&request(&hub, REPOSITORY).with_update(true), &transport(), &NoProgress, &CancelToken::new())
        .unwrap();
    // Both are here: each pull only makes its revision the active one.
    std::thread::scope(|scope| {
        for (revision, folder) in [("aaaaaaa", &old), ("bbbbbbb", &new)].repeat(2) {
            let (hub, store) = (&hub, &store);
            scope.spawn(move || {
                for _ in 0..50 {
                    assert_eq!(pull(store, hub, &format!("{REPOSITORY}@{revision}")).unwrap(), *folder);
                }
            });
        }
    });
    assert!([old, new].contains(&store.resolve(REPOSITORY).unwrap()));
    let folder = store.dir().join(REPOSITORY);
    let left = std::fs::read_dir(folder).unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().ends_with(".tmp")
    });
    assert_eq!(left.count(), 0, "no temporary file stays");
}

#[test]
fn a_pull_activates_nothing_while_another_program_changes_the_model() {
    let (hub, store, _dir) = fixture();
    let old = pull(&store, &hub, REPOSITORY).unwrap();
    hub.set_commit('b');
    let new = store
        .pull(&request(&hub, REPOSITORY).with_update(true), &transport(), &NoProgress, &CancelToken::new())
        .unwrap();
    let locks = std::fs::read_dir(store.dir().join(".locks")).unwrap();
    let lock = std::fs::File::options().write(true).open(locks.last().unwrap().unwrap().path()).unwrap();
    lock.lock().unwrap();
    let mut other = request(&hub, &format!("{REPOSITORY}@aaaaaaa"));
    let patience = sotto_store::Patience { lock: Duration::from_millis(30), ..Default::default() };
    other.origin = other.origin.with_patience(patience);
    assert!(matches!(store.pull(&other, &transport(), &NoProgress, &CancelToken::new()), Err(StoreError::Busy { .. })));
    assert_eq!(store.resolve(REPOSITORY).unwrap(), new);
    // What is active already is given out without a lock.
    assert_eq!(pull(&store, &hub, REPOSITORY).unwrap(), new);
    drop(lock);
    assert_eq!(store.pull(&other, &transport(), &NoProgress, &CancelToken::new()).unwrap(), old);
    assert_eq!(store.resolve(REPOSITORY).unwrap(), old);
}

#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_read_hides_no_other_model() {
    let (hub, store, _dir) = fixture();
    pull(&store, &hub, REPOSITORY).unwrap();
    // A link to itself cannot be listed by anybody, a folder without permissions not by most.
    let (circle, closed) = (store.dir().join("circle"), store.dir().join("closed"));
    std::os::unix::fs::symlink(&circle, &circle).unwrap();
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o0)).unwrap();
    let revisions = store.dir().join("someone/whisper-other/revisions");
    std::fs::create_dir_all(revisions.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(&revisions, &revisions).unwrap();
    assert_eq!(store.list().unwrap().len(), 1);
    assert!(store.resolve("whisper-nano").is_ok());
}

#[test]
fn a_model_that_is_being_fetched_cannot_be_removed_and_waiting_has_an_end() {
    let (hub, store, _dir) = fixture();
    hub.fail("storage:model.safetensors", Fault::Slow(Duration::from_millis(5)));
    std::thread::scope(|scope| {
        let cancel = CancelToken::new();
        let stop = cancel.clone();
        let puller = scope.spawn({
            let request = request(&hub, REPOSITORY);
            let store = store.clone();
            move || store.pull(&request, &transport(), &NoProgress, &cancel)
        });
        while hub.fetches("model.safetensors").is_empty() {
            std::thread::sleep(Duration::from_millis(2));
        }
        assert!(matches!(store.remove(REPOSITORY), Err(StoreError::Busy { .. })));
        let mut second = request(&hub, REPOSITORY);
        let patience = sotto_store::Patience { lock: Duration::from_millis(30), ..Default::default() };
        second.origin = second.origin.with_patience(patience);
        assert!(matches!(
            store.pull(&second, &transport(), &NoProgress, &CancelToken::new()),
            Err(StoreError::Busy { .. })
        ));
        stop.cancel();
        assert!(matches!(puller.join().unwrap(), Err(StoreError::Cancelled(_))));
    });
}

#[test]
fn a_hub_that_states_no_sizes_is_asked_for_each_file() {
    let (hub, store, _dir) = fixture();
    hub.leave_sizes_out();
    let folder = pull(&store, &hub, REPOSITORY).unwrap();
    assert_eq!(std::fs::read(folder.join("model.safetensors")).unwrap(), weights(200_000));
    assert!(hub.log().iter().any(|seen| seen.method == "HEAD"));
    assert!(hub.log().iter().all(|seen| seen.method != "HEAD" || !seen.storage));
}

#[test]
fn names_and_requests_are_checked_before_anything_is_sent() {
    let (hub, ..) = fixture();
    for reference in ["whisper-nano", "../x/y", "a/b@", "a/b@.."] {
        assert!(matches!(PullRequest::new(reference, settings(&hub)), Err(StoreError::Name { .. })), "{reference}");
    }
    let unknown = PullRequest::new("a/b/c.txt", settings(&hub)).unwrap_err();
    assert!(matches!(&unknown, StoreError::UnknownKind { known, .. } if !known.is_empty()), "{unknown:?}");
    assert!(REPOSITORY.parse::<ModelName>().is_ok());
    assert_eq!(hub.requests(), 0);
    let offline = Hub::new("http://127.0.0.1:1").unwrap();
    assert!(PullRequest::new(REPOSITORY, offline).is_ok());
}
