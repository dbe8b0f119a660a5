//! Models that the user already has, and which of several versions a name means.

// Helpers of tests may unwrap like the tests themselves.
#![allow(clippy::unwrap_used)]

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use sotto_runtime::{CancelToken, NoProgress, Progress, Stage};
use sotto_store::{Commit, ImportRequest, Imported, ManifestFile, Revision, Store, StoreError, sha256_of};
use sotto_testkit::hub::weights;
use tempfile::TempDir;

/// A store, and a folder beside it with what the user has.
struct Desk {
    store: Store,
    dir: TempDir,
}

impl Desk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { store: Store::open(dir.path().join("models")).unwrap(), dir }
    }

    /// A file outside the store.
    fn file(&self, path: &str, contents: &[u8]) -> PathBuf {
        let path = self.dir.path().join("user").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, contents).unwrap();
        path
    }

    fn import(&self, reference: &str, path: &Path) -> Result<Imported, StoreError> {
        let request = ImportRequest::new(reference)?;
        self.store.import(&request, path, &NoProgress, &CancelToken::new())
    }

    fn take(&self, reference: &str, path: &Path) -> Result<Imported, StoreError> {
        let mut request = ImportRequest::new(reference)?;
        request.take = true;
        self.store.import(&request, path, &NoProgress, &CancelToken::new())
    }

    /// A model of one file in three versions, the last of them active.
    fn three_versions(&self) {
        for version in ["1", "2", "3"] {
            let file = self.file("x.sotto", format!("version {version}").as_bytes());
            self.import(&format!("firefox/en-de@{version}"), &file).unwrap();
        }
    }

    /// What the name means: the contents of its file.
    fn meant(&self, name: &str) -> String {
        std::fs::read_to_string(self.store.resolve(name).unwrap()).unwrap()
    }

    fn activate(&self, version: &str) -> Result<(), StoreError> {
        self.store.activate("firefox/en-de", &version.parse::<Revision>()?).map(drop)
    }

    /// Nothing is left of an import that failed.
    #[track_caller]
    fn is_clean(&self) {
        assert!(self.store.list().unwrap().is_empty());
        let partial = self.store.dir().join(".partial");
        assert!(!partial.exists() || std::fs::read_dir(partial).unwrap().next().is_none());
    }
}

#[test]
fn a_packed_file_becomes_a_model_of_one_file() {
    let desk = Desk::new();
    // A name as a phone's downloads have it.
    let file = desk.file("Modell für Diktat (1).sotto", b"packed");
    let imported = desk.import("dictation", &file).unwrap();
    assert_eq!(imported.installed.name.to_string(), "local/dictation");
    assert!(imported.installed.active && imported.left_out.is_empty() && file.exists());
    let path = desk.store.resolve("dictation").unwrap();
    assert_eq!(path, imported.installed.path);
    assert_eq!(path.file_name().unwrap(), "dictation.sotto");
    assert_eq!(std::fs::read(&path).unwrap(), b"packed");
    let manifest = desk.store.verify("local/dictation", &NoProgress, &CancelToken::new()).unwrap();
    assert!(manifest.is_imported());
    assert_eq!((manifest.revision.as_str(), manifest.size()), ("imported", 6));
    assert_eq!(desk.store.resolve("dictation@imported").unwrap(), path);
    // A name with the ending of the file gets it once.
    let path = desk.import("dictation.sotto", &file).unwrap().installed.path;
    assert_eq!(path.file_name().unwrap(), "dictation.sotto");
}

#[test]
fn a_folder_of_any_kind_becomes_a_model() {
    let desk = Desk::new();
    let model = weights(300_000);
    desk.file("en-de/model.ende.intgemm.alphas.bin", &model);
    desk.file("en-de/vocab.ende.spm", b"vocabulary");
    desk.file("en-de/lex.50.50.ende.s2t.bin", b"");
    desk.file("en-de/.DS_Store", b"junk");
    desk.file("en-de/other/file", b"another framework");
    let folder = desk.dir.path().join("user/en-de");
    let mut request = ImportRequest::new("firefox/en-de@2.1").unwrap();
    request.licence = Some("MPL-2.0".to_owned());
    let reports = std::sync::Mutex::new(Vec::new());
    let sink = |progress: &Progress<'_>| reports.lock().unwrap().push((progress.stage, progress.done, progress.total));
    let imported = desk.store.import(&request, &folder, &sink, &CancelToken::new()).unwrap();
    assert_eq!(imported.left_out, ["other"]);
    let path = desk.store.resolve("firefox/en-de@2.1").unwrap();
    assert_eq!(path, desk.store.resolve("en-de").unwrap());
    assert_eq!(std::fs::read(path.join("model.ende.intgemm.alphas.bin")).unwrap(), model);
    let manifest = desk.store.verify("en-de", &NoProgress, &CancelToken::new()).unwrap();
    let names: Vec<_> = manifest.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(names, ["lex.50.50.ende.s2t.bin", "model.ende.intgemm.alphas.bin", "vocab.ende.spm"]);
    assert_eq!(manifest.files[1].sha256, sha256_of(&model));
    assert_eq!(manifest.commit, Commit::of_files(&manifest.files));
    assert_eq!(manifest.licence.as_deref(), Some("MPL-2.0"));
    let reports = reports.into_inner().unwrap();
    assert!(reports.is_sorted_by_key(|report| report.1));
    assert_eq!(reports.last(), Some(&(Stage::Write, 300_010, Some(300_010))));
}

#[test]
fn of_a_whisper_folder_only_what_whisper_needs_is_taken() {
    let desk = Desk::new();
    desk.file("w/config.json", br#"{"model_type": "whisper"}"#);
    desk.file("w/tokenizer.json", b"{}");
    desk.file("w/pytorch_model.bin", b"a pickle");
    let folder = desk.dir.path().join("user/w");
    assert!(matches!(desk.import("w", &folder), Err(StoreError::PickleOnly { .. })));
    desk.is_clean();
    desk.file("w/model.safetensors", b"weights");
    desk.file("w/model.fp32-00001-of-00002.safetensors", b"a variant");
    let imported = desk.import("w", &folder).unwrap();
    assert_eq!(imported.left_out, ["model.fp32-00001-of-00002.safetensors", "pytorch_model.bin"]);
    assert_eq!(imported.installed.manifest.unwrap().files.len(), 3);
}

#[test]
fn what_is_no_model_is_refused_and_leaves_nothing() {
    let desk = Desk::new();
    let user = desk.dir.path().join("user");
    std::fs::create_dir_all(user.join("empty/sub")).unwrap();
    desk.file("hidden/.x", b"x");
    desk.file("odd/model (1).bin", b"x");
    let nothing = desk.file("nothing.sotto", b"");
    for path in [user.join("empty"), user.join("hidden"), user.join("odd"), nothing] {
        let error = desk.import("m", &path).unwrap_err();
        assert!(matches!(error, StoreError::Import { .. }), "{error:?}");
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        desk.is_clean();
    }
    assert!(matches!(desk.import("m", &user.join("missing")), Err(StoreError::Io { .. })));
    assert!(matches!(desk.import("../m", &user), Err(StoreError::Name { .. })));
    desk.is_clean();
    #[cfg(unix)]
    {
        let pipe = user.join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert!(matches!(desk.import("m", &pipe), Err(StoreError::Import { .. })));
        let socket = desk.file("with/a", b"x").with_file_name("socket");
        let _listener = std::os::unix::net::UnixListener::bind(socket).unwrap();
        assert!(matches!(desk.import("m", &user.join("with")), Err(StoreError::Import { .. })));
        desk.is_clean();
    }
}

#[test]
fn a_moved_model_lies_in_the_store_and_no_longer_where_it_was() {
    let desk = Desk::new();
    let file = desk.file("a.sotto", b"packed");
    let imported = desk.take("a", &file).unwrap();
    assert!(!file.exists() && imported.kept.is_empty());
    assert_eq!(desk.meant("a"), "packed");

    desk.file("m/one.bin", b"1");
    desk.file("m/two.bin", b"2");
    let folder = desk.dir.path().join("user/m");
    desk.take("x/m", &folder).unwrap();
    assert!(!folder.exists());
    desk.file("n/one.bin", b"1");
    let left = desk.file("n/.hidden", b"2");
    desk.take("x/n", left.parent().unwrap()).unwrap();
    assert!(left.exists() && !left.with_file_name("one.bin").exists(), "only what was taken goes");
    for name in ["a", "x/m", "x/n"] {
        desk.store.verify(name, &NoProgress, &CancelToken::new()).unwrap();
    }

    // The same again is found to be here, and still moved.
    let file = desk.file("a.sotto", b"packed");
    desk.take("a", &file).unwrap();
    assert!(!file.exists());
    assert_eq!(desk.store.list().unwrap().len(), 3);

    // Out of the store itself nothing is moved.
    let inside = desk.store.resolve("x/m").unwrap();
    for path in [&inside, &inside.join("one.bin"), &desk.store.dir().join("x/m"), desk.dir.path()] {
        assert!(matches!(desk.take("y", path), Err(StoreError::Import { .. })), "{}", path.display());
    }
    let beside = desk.store.dir().join("beside.bin");
    std::fs::write(&beside, b"an app's own").unwrap();
    desk.take("beside", &beside).unwrap();
    assert!(matches!(desk.import("y", &desk.store.dir().join("x/m")), Err(StoreError::Import { .. })));
    assert!(desk.import("y", &inside).is_ok());
    assert!(desk.store.resolve("x/m").is_ok());
}

#[cfg(unix)]
#[test]
fn what_a_link_leads_to_stays_there() {
    let desk = Desk::new();
    let blob = desk.file("blobs/abc", b"packed");
    let link = desk.dir.path().join("user/a.sotto");
    std::os::unix::fs::symlink("blobs/abc", &link).unwrap();
    desk.take("a", &link).unwrap();
    assert!(blob.exists() && !link.is_symlink());
    assert!(!desk.store.resolve("a").unwrap().is_symlink());
    assert_eq!(desk.meant("a"), "packed");
}

#[test]
fn a_stream_without_a_length_is_imported_and_one_that_breaks_is_not() {
    struct Broken(usize);
    impl Read for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.0 = self.0.checked_sub(1).ok_or(std::io::ErrorKind::BrokenPipe)?;
            Ok(buffer.len())
        }
    }
    let desk = Desk::new();
    let request = ImportRequest::new("dictation").unwrap();
    let import = |name: &str, stream: &mut dyn Read| {
        desk.store.import_stream(&request, name, stream, &NoProgress, &CancelToken::new())
    };
    assert!(matches!(import("x.sotto", &mut Broken(3)), Err(StoreError::Io { .. })));
    assert!(matches!(import("x.sotto", &mut std::io::empty()), Err(StoreError::Import { .. })));
    desk.is_clean();
    let model = weights(700_000);
    let imported = import("document:primary/1234.sotto", &mut model.as_slice()).unwrap();
    assert_eq!(imported.installed.path.file_name().unwrap(), "dictation.sotto");
    assert_eq!(std::fs::read(imported.installed.path).unwrap(), model);
}

#[test]
fn an_import_stopped_at_any_moment_loses_nothing() {
    for take in [false, true] {
        let mut look = 1;
        loop {
            let desk = Desk::new();
            let one = desk.file("m/one.bin", &weights(600_000));
            let two = desk.file("m/two.bin", b"2");
            let cancel = CancelToken::firing_at_look(look);
            let mut request = ImportRequest::new("m").unwrap();
            request.take = take;
            let imported = desk.store.import(&request, one.parent().unwrap(), &NoProgress, &cancel);
            if imported.is_ok() {
                break;
            }
            assert!(matches!(imported, Err(StoreError::Cancelled(_))));
            assert!(one.exists() && two.exists());
            desk.is_clean();
            look += 1;
        }
        assert!(look > 5, "each block is a look");
    }
}

#[test]
fn a_moved_file_whose_import_was_cut_short_is_found_again() {
    let desk = Desk::new();
    // As after a crash between the last two renames.
    let file = ManifestFile { path: "a.sotto".to_owned(), size: 6, sha256: sha256_of(b"packed") };
    let commit = Commit::of_files(std::slice::from_ref(&file));
    let staging = desk.store.dir().join(".partial/local--a@import");
    std::fs::create_dir_all(&staging).unwrap();
    std::fs::write(staging.join("a.sotto"), b"packed").unwrap();
    let manifest = format!(
        r#"{{"format": 1, "name": "local/a", "revision": "1", "commit": "{commit}", "pulled_at": "", "entry": "a.sotto",
            "files": [{{"path": "a.sotto", "size": 6, "sha256": "{}"}}]}}"#,
        file.sha256
    );
    std::fs::write(staging.join("sotto.json"), manifest).unwrap();
    let gone = desk.dir.path().join("a.sotto");
    assert!(matches!(desk.take("a@1", &gone), Err(StoreError::Io { .. })));
    desk.store.activate("local/a", &"1".parse().unwrap()).unwrap();
    assert_eq!(desk.meant("a"), "packed");
    assert!(!staging.exists());
    // What is not complete goes.
    std::fs::create_dir_all(&staging).unwrap();
    std::fs::write(staging.join("a.sotto"), b"pac").unwrap();
    let file = desk.file("b.sotto", b"another");
    desk.import("a@2", &file).unwrap();
    assert!(!staging.exists());
    assert_eq!(desk.store.list().unwrap().len(), 2);
}

#[test]
fn the_same_files_are_the_same_version_under_its_latest_label() {
    let desk = Desk::new();
    let file = desk.file("x.sotto", b"packed");
    let first = desk.import("a/b@1", &file).unwrap().installed;
    let again = desk.import("a/b@2", &file).unwrap().installed;
    assert_eq!(first.commit, again.commit);
    assert_eq!(desk.store.list().unwrap().len(), 1);
    assert!(desk.store.resolve("a/b@2").is_ok());
    // A damaged copy is replaced.
    std::fs::write(&again.path, b"pack3d").unwrap();
    let error = desk.store.verify("a/b", &NoProgress, &CancelToken::new()).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { imported: true, .. }));
    assert!(error.to_string().contains("import it again"), "{error}");
    desk.import("a/b@2", &file).unwrap();
    desk.store.verify("a/b", &NoProgress, &CancelToken::new()).unwrap();
}

#[test]
fn names_switch_between_versions_and_go_back_the_way_they_came() {
    let desk = Desk::new();
    desk.three_versions();
    let list = desk.store.list().unwrap();
    assert_eq!(list.len(), 3);
    let label = |marked: fn(&sotto_store::Installed) -> bool| {
        let found: Vec<_> = list.iter().filter(|entry| marked(entry)).collect();
        assert_eq!(found.len(), 1);
        found[0].manifest.as_ref().unwrap().revision.clone()
    };
    assert_eq!((label(|entry| entry.active), label(|entry| entry.previous)), ("3".to_owned(), "2".to_owned()));

    let back = desk.store.rollback("firefox/en-de").unwrap();
    assert!(back.active && !back.previous);
    assert_eq!(desk.meant("en-de"), "version 2");
    desk.store.rollback("en-de").unwrap();
    assert_eq!(desk.meant("en-de"), "version 1");
    assert!(matches!(desk.store.rollback("en-de"), Err(StoreError::NoEarlierVersion { .. })));
    assert_eq!(desk.meant("en-de"), "version 1", "a rollback that fails changes nothing");
    assert_eq!(desk.store.list().unwrap().len(), 3, "and no rollback deletes anything");

    desk.activate("3").unwrap();
    desk.activate("3").unwrap();
    assert_eq!(desk.meant("en-de"), "version 3");
    desk.store.rollback("en-de").unwrap();
    assert_eq!(desk.meant("en-de"), "version 1", "activating what is active is no step");
    assert!(matches!(desk.activate("4"), Err(StoreError::NotInstalled { .. })));
    assert!(matches!(desk.store.rollback("other/model"), Err(StoreError::NotInstalled { .. })));
    assert!(matches!(desk.store.rollback("none"), Err(StoreError::NotInstalled { .. })));
    assert!(!desk.store.dir().join(".locks/other--model.active").exists());
}

#[test]
fn versions_that_are_damaged_or_gone_are_passed_over() {
    let desk = Desk::new();
    desk.three_versions();
    let second = desk.store.resolve("en-de@2").unwrap();
    std::fs::write(&second, "short").unwrap();
    assert!(matches!(desk.activate("2"), Err(StoreError::Damaged { .. })));
    assert_eq!(desk.meant("en-de"), "version 3");
    desk.store.rollback("en-de").unwrap();
    assert_eq!(desk.meant("en-de"), "version 1");

    let desk = Desk::new();
    desk.three_versions();
    desk.activate("1").unwrap();
    // The active version goes: what it replaced takes its place, not what was imported last.
    desk.activate("2").unwrap();
    desk.store.remove("en-de@2").unwrap();
    assert_eq!(desk.meant("en-de"), "version 1");
    desk.store.remove("en-de@3").unwrap();
    assert!(matches!(desk.store.rollback("en-de"), Err(StoreError::NoEarlierVersion { .. })));
    desk.store.remove("en-de").unwrap();
    assert!(!desk.store.dir().join("firefox").exists());
}

#[test]
fn a_pointer_that_a_disk_has_ruined_is_no_model_and_one_of_an_older_store_is() {
    let desk = Desk::new();
    desk.three_versions();
    let pointer = desk.store.dir().join("firefox/en-de/active");
    let text = std::fs::read_to_string(&pointer).unwrap();
    assert_eq!(text.lines().count(), 3);
    std::fs::write(&pointer, text.lines().next().unwrap()).unwrap();
    assert_eq!(desk.meant("en-de"), "version 3");
    for ruin in [&b"\xff\xfe"[..], b"", b"\0\0\0", &[b'a'; 100_000]] {
        std::fs::write(&pointer, ruin).unwrap();
        assert!(matches!(desk.store.resolve("en-de"), Err(StoreError::NotInstalled { .. })));
        assert!(matches!(desk.store.rollback("en-de"), Err(StoreError::NoEarlierVersion { .. })));
        desk.activate("2").unwrap();
        assert_eq!(desk.meant("en-de"), "version 2");
    }
}

#[test]
fn a_name_can_be_switched_while_another_process_changes_the_model() {
    let desk = Desk::new();
    desk.three_versions();
    let lock = std::fs::File::options().write(true).open(desk.store.dir().join(".locks/firefox--en-de.lock")).unwrap();
    lock.lock().unwrap();
    desk.store.rollback("en-de").unwrap();
    desk.activate("1").unwrap();
    assert_eq!(desk.meant("en-de"), "version 1");
    let mut request = ImportRequest::new("firefox/en-de@4").unwrap();
    request.patience = Duration::from_millis(30);
    let file = desk.file("y.sotto", b"version 4");
    let import = || desk.store.import(&request, &file, &NoProgress, &CancelToken::new());
    assert!(matches!(import(), Err(StoreError::Busy { .. })));
    drop(lock);
    import().unwrap();
    assert_eq!(desk.meant("en-de"), "version 4");
}

/// Not a test of its own: what [`two_processes_switch_and_import_at_once`] runs in other processes.
#[test]
fn one_of_several_processes() {
    let Ok(folder) = std::env::var("SOTTO_TEST_STORE") else { return };
    let store = Store::open(Path::new(&folder).join("models")).unwrap();
    let own = std::process::id();
    for round in 0..20_u32 {
        let request = ImportRequest::new(&format!("a/b@{own}.{round}")).unwrap();
        let mut contents: &[u8] = &[&own.to_le_bytes()[..], &round.to_le_bytes()[..]].concat();
        store.import_stream(&request, "x.sotto", &mut contents, &NoProgress, &CancelToken::new()).unwrap();
        assert!(store.resolve("a/b").is_ok());
        match store.rollback("a/b") {
            Ok(_) | Err(StoreError::NoEarlierVersion { .. }) => {}
            Err(other) => panic!("{other:?}"),
        }
        store.activate("a/b", &format!("{own}.{}", round / 2).parse().unwrap()).unwrap();
    }
}

#[test]
fn two_processes_switch_and_import_at_once() {
    let desk = Desk::new();
    let start = || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "one_of_several_processes"]).env("SOTTO_TEST_STORE", desk.dir.path());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let processes = [start(), start()];
    for process in processes {
        let output = process.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    let list = desk.store.list().unwrap();
    assert_eq!(list.len(), 40);
    assert_eq!(list.iter().filter(|entry| entry.active).count(), 1);
    assert!(list.iter().all(|entry| entry.problems.is_empty()));
    desk.store.verify("a/b", &NoProgress, &CancelToken::new()).unwrap();
}
