//! What the cache promises, on a small recognizer laid out as a folder.

use std::fs;
#[cfg(target_os = "linux")]
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use sotto_kernels::Isa;
use sotto_runtime::{Bytes, CancelToken, MemoryBudget, NoProgress, Progress, Stage};
use sotto_speech::{LoadError, LoadOptions, ModelSource, Precision, TranscribeOptions};
use sotto_testkit::commands;
use tempfile::TempDir;

use super::{CacheError, PackedCache};
use crate::{Engine, EngineOptions, audio, starter};

/// A model of a desk: a folder of files, and a cache of its own.
struct Desk {
    folder: TempDir,
}

/// What loading a model did.
#[derive(Debug, PartialEq)]
enum Did {
    /// Mapped what the cache had, without reading the source.
    Nothing,
    /// Read the source to know what it holds.
    Read,
    /// Read the source and packed it.
    Packed,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap() };
        desk.write_model("model");
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn cache(&self) -> PackedCache {
        PackedCache::new(self.path("cache"))
    }

    fn source(&self, name: &str) -> ModelSource {
        ModelSource::Path(self.path(name))
    }

    /// The recognizer of commands in Hugging Face's form; old enough for its time stamps to be relied on.
    fn write_model(&self, name: &str) {
        let folder = self.path(name);
        fs::create_dir_all(&folder).unwrap();
        commands::write(&folder).unwrap();
        settle();
    }

    fn engine(&self) -> Engine {
        Engine::new(EngineOptions { cache: Some(self.cache()), ..EngineOptions::default() })
    }

    /// What packing the model does, and where the packed file is.
    fn pack(&self, cache: &PackedCache, name: &str) -> (Did, Result<Option<PathBuf>, CacheError>) {
        let stages = Mutex::new(Vec::new());
        let sink = |progress: &Progress<'_>| stages.lock().unwrap().push(progress.stage);
        let packed = cache.pack(&self.source(name), &sink, &CancelToken::new());
        let stages = stages.into_inner().unwrap();
        let did = match (stages.contains(&Stage::Verify), stages.contains(&Stage::Quantize)) {
            (_, true) => Did::Packed,
            (true, false) => Did::Read,
            (false, false) => Did::Nothing,
        };
        (did, packed)
    }

    /// As [`pack`](Self::pack) with the cache of this desk, which must be able to.
    fn packs(&self, name: &str) -> (Did, PathBuf) {
        let (did, packed) = self.pack(&self.cache(), name);
        (did, packed.unwrap().unwrap())
    }

    fn files(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path("cache").join(folder)).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// Waits until files that were just written are older than the resolution of time stamps.
fn settle() {
    std::thread::sleep(Duration::from_millis(120));
}

fn text(engine: &Engine, source: &ModelSource) -> (String, f32, bool) {
    let cancel = CancelToken::new();
    let recognizer = engine.speech(source, &NoProgress, &cancel).unwrap();
    let clip = audio::decode_bytes(commands::clip()).unwrap();
    let options = TranscribeOptions::default();
    let transcript = recognizer.transcribe(&clip, &options, &NoProgress, &cancel).unwrap();
    let logprob = transcript.segments.iter().map(|segment| segment.avg_logprob).sum();
    (transcript.text, logprob, recognizer.model().unwrap().packed().is_some())
}

#[test]
fn a_folder_is_packed_once_and_then_mapped_with_the_same_bits() {
    let desk = Desk::new();
    let (plain, logprob, packed) = text(&Engine::default(), &desk.source("model"));
    assert!(!packed && !plain.is_empty());
    for _ in 0..2 {
        let engine = desk.engine();
        assert_eq!(text(&engine, &desk.source("model")), (plain.clone(), logprob, true));
        assert!(engine.take_cache_problem().is_none());
    }
    assert_eq!(desk.cache().models().unwrap().len(), 1);
    assert_eq!(desk.packs("model").0, Did::Nothing);
    // Nothing was written beside the source.
    assert_eq!(fs::read_dir(desk.path("model")).unwrap().count(), 4);
    assert!(desk.path("cache/CACHEDIR.TAG").is_file());
}

#[test]
fn a_model_is_found_by_what_it_holds_wherever_it_lies() {
    let desk = Desk::new();
    let (_, first) = desk.packs("model");
    desk.write_model("copy");
    assert_eq!(desk.packs("copy"), (Did::Read, first.clone()));
    assert_eq!(desk.packs("copy"), (Did::Nothing, first.clone()));
    fs::rename(desk.path("copy"), desk.path("moved")).unwrap();
    assert_eq!(desk.packs("moved").1, first);
    // The store's note, licences and pictures are no part of the model.
    fs::write(desk.path("model/sotto.json"), "{}").unwrap();
    fs::write(desk.path("model/README.md"), "about").unwrap();
    assert_eq!(desk.packs("model"), (Did::Nothing, first));
}

#[test]
fn a_changed_file_is_noticed_even_with_the_old_time_and_length() {
    let desk = Desk::new();
    let (_, first) = desk.packs("model");
    let weights = desk.path("model/model.safetensors");
    let time = weights.metadata().unwrap().modified().unwrap();
    let mut bytes = fs::read(&weights).unwrap();
    // In the middle of a matrix, between samples.
    let middle = bytes.len() / 2 + 5000;
    bytes[middle] ^= 1;
    fs::write(&weights, &bytes).unwrap();
    fs::File::options().write(true).open(&weights).unwrap().set_modified(time).unwrap();
    let (did, second) = desk.packs("model");
    assert_eq!(did, Did::Packed);
    assert_ne!(first, second);
    // And back: what was packed first is found again.
    bytes[middle] ^= 1;
    fs::write(&weights, &bytes).unwrap();
    assert_eq!(desk.packs("model"), (Did::Read, first));
    for file in ["config.json", "generation_config.json", "tokenizer.json"] {
        let path = desk.path("model").join(file);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{text} ")).unwrap();
        assert_eq!(desk.packs("model").0, Did::Packed, "{file}");
        fs::write(&path, text).unwrap();
    }
    // A file more can matter as well.
    fs::write(desk.path("model/added_tokens.json"), "{}").unwrap();
    assert_eq!(desk.packs("model").0, Did::Packed);
}

#[test]
fn a_damaged_packed_model_is_replaced_and_the_load_does_not_fail() {
    let desk = Desk::new();
    let (_, file) = desk.packs("model");
    let whole = fs::read(&file).unwrap();
    for damaged in [&whole[..1000], &whole[..whole.len() - 100], &[][..], &[0; 5000]] {
        fs::write(&file, damaged).unwrap();
        let engine = desk.engine();
        let (_, _, packed) = text(&engine, &desk.source("model"));
        assert!(!packed, "{} bytes", damaged.len());
        assert!(engine.take_cache_problem().is_some());
        assert!(!file.exists());
        assert!(text(&desk.engine(), &desk.source("model")).2);
        assert_eq!(fs::read(&file).unwrap(), whole);
    }
    // Notes that cannot be read are written anew.
    for folder in ["models", "sources"] {
        for name in desk.files(folder).iter().filter(|name| name.ends_with(".json")) {
            fs::write(desk.path("cache").join(folder).join(name), "{").unwrap();
        }
    }
    assert_eq!(desk.packs("model"), (Did::Read, file));
    assert_eq!(desk.cache().models().unwrap()[0].source, Some(fs::canonicalize(desk.path("model")).unwrap()));
}

#[test]
fn a_cache_that_cannot_be_written_to_fails_no_load() {
    let desk = Desk::new();
    // A file in place of the folder, and one in place of the folder of models.
    fs::write(desk.path("file"), "").unwrap();
    fs::create_dir(desk.path("half")).unwrap();
    fs::write(desk.path("half/models"), "").unwrap();
    for folder in ["file", "half", "/proc/sotto"] {
        let cache = Some(PackedCache::new(desk.path(folder)));
        let engine = Engine::new(EngineOptions { cache, ..EngineOptions::default() });
        let (heard, _, packed) = text(&engine, &desk.source("model"));
        assert!(!heard.is_empty() && !packed, "{folder}");
        let problem = engine.take_cache_problem().unwrap();
        assert!(matches!(problem, CacheError::Io { .. }), "{problem}");
        assert!(engine.take_cache_problem().is_none());
    }
}

#[test]
fn what_the_model_itself_lacks_is_said_as_without_a_cache() {
    let desk = Desk::new();
    fs::remove_file(desk.path("model/tokenizer.json")).unwrap();
    let load = |engine: Engine, name: &str| {
        engine.speech(&desk.source(name), &NoProgress, &CancelToken::new()).unwrap_err().to_string()
    };
    for name in ["model", "nowhere"] {
        assert_eq!(load(desk.engine(), name), load(Engine::default(), name));
    }
    assert!(desk.cache().models().unwrap().is_empty());
}

#[test]
fn what_is_not_packed_leaves_no_trace() {
    let desk = Desk::new();
    let exact = EngineOptions {
        load: LoadOptions { precision: Some(Precision::F32), ..LoadOptions::default() },
        cache: Some(desk.cache()),
    };
    assert!(!text(&Engine::new(exact), &desk.source("model")).2);
    // Models inside the application, and packed ones.
    text(&desk.engine(), &starter::speech());
    let (_, file) = desk.packs("model");
    fs::copy(&file, desk.path("own.sotto")).unwrap();
    desk.cache().clear().unwrap();
    assert!(text(&desk.engine(), &desk.source("own.sotto")).2);
    assert!(desk.cache().models().unwrap().is_empty());
}

#[test]
fn the_least_recently_used_goes_first_and_the_newest_stays() {
    let desk = Desk::new();
    let names = ["one", "two", "three"];
    let files: Vec<PathBuf> = names
        .iter()
        .map(|name| {
            desk.write_model(name);
            // Models of their own.
            fs::write(desk.path(name).join("vocab.json"), format!("{{\"{name}\": 0}}")).unwrap();
            settle();
            desk.packs(name).1
        })
        .collect();
    let bytes = files[0].metadata().unwrap().len();
    let listed =
        |cache: &PackedCache| -> Vec<PathBuf> { cache.models().unwrap().into_iter().map(|model| model.path).collect() };
    assert_eq!(listed(&desk.cache()), [&files[2], &files[1], &files[0]].map(Clone::clone));
    settle();
    desk.packs("one");
    assert_eq!(listed(&desk.cache())[0], files[0]);
    // Room for two: the one that was not used since goes when a fourth comes.
    let two = desk.cache().with_limit(Bytes(2 * bytes + bytes / 2));
    settle();
    let (_, newest) = desk.pack(&two, "model");
    assert_eq!(listed(&desk.cache()), [newest.unwrap().unwrap(), files[0].clone()]);
    assert_eq!(desk.files("models").len(), 4, "their notes went too");
    // A limit in the folder holds for every program.
    assert_eq!(desk.cache().set_limit(Bytes(bytes)).unwrap().0 / bytes, 1);
    assert_eq!(desk.cache().limit(), Bytes(bytes));
    assert_eq!(listed(&desk.cache()).len(), 1);
}

#[test]
fn a_model_beyond_the_limit_is_not_kept_nor_packed_again() {
    let desk = Desk::new();
    let small = desk.cache().with_limit(Bytes(100_000));
    let (did, file) = desk.pack(&small, "model");
    assert_eq!((did, file.unwrap()), (Did::Packed, None));
    let (did, file) = desk.pack(&small, "model");
    assert_eq!((did, file.unwrap()), (Did::Nothing, None));
    assert!(desk.cache().models().unwrap().is_empty());
    let none = desk.cache().with_limit(Bytes(0));
    assert_eq!(desk.pack(&none, "model").1.unwrap(), None);
    assert!(desk.pack(&desk.cache(), "model").1.unwrap().is_some());
}

#[test]
fn clearing_and_forgetting_leave_nothing_of_the_models() {
    let desk = Desk::new();
    desk.packs("model");
    desk.cache().set_limit(Bytes(1 << 40)).unwrap();
    let unfinished = desk.path("cache/models/.x.sotto.1.0.part");
    fs::write(&unfinished, "half").unwrap();
    assert_eq!(desk.cache().forget(&desk.path("other")).unwrap(), Bytes(0));
    assert!(desk.cache().forget(&desk.path("model")).unwrap() > Bytes(0));
    assert!(desk.cache().models().unwrap().is_empty());
    desk.packs("model");
    assert!(unfinished.exists(), "another process may still write to it");
    let old = SystemTime::now() - Duration::from_secs(7200);
    fs::File::options().write(true).open(&unfinished).unwrap().set_modified(old).unwrap();
    desk.cache().set_limit(Bytes(1 << 40)).unwrap();
    assert!(!unfinished.exists());
    assert!(desk.cache().clear().unwrap() > Bytes(0));
    for folder in ["models", "sources", "locks"] {
        assert_eq!(desk.files(folder), [""; 0], "{folder}");
    }
    assert_eq!(desk.cache().limit(), Bytes(1 << 40), "the limit stays");
    assert_eq!(PackedCache::new(desk.path("none")).clear().unwrap(), Bytes(0));
    assert!(!desk.path("none").exists());
}

#[test]
fn a_cancelled_packing_leaves_nothing_behind() {
    let desk = Desk::new();
    for stage in [Stage::Verify, Stage::Quantize, Stage::Write] {
        let cancel = CancelToken::new();
        let sink = |progress: &Progress<'_>| {
            if progress.stage == stage {
                cancel.cancel();
            }
        };
        let loaded = desk.engine().speech(&desk.source("model"), &sink, &cancel);
        assert!(matches!(loaded, Err(LoadError::Cancelled(_))), "{stage:?}");
        assert!(desk.cache().models().unwrap().is_empty());
        assert!(!desk.path("cache/models").exists() || desk.files("models").is_empty(), "{stage:?}");
    }
}

#[test]
fn packing_counts_against_the_budget() {
    let desk = Desk::new();
    let needed = Engine::default().estimate_speech(&desk.source("model")).unwrap().peak();
    let engine = |memory: u64| {
        let (budget, cache) = (MemoryBudget::limited(Bytes(memory)), Some(desk.cache()));
        Engine::new(EngineOptions { load: LoadOptions { budget, ..LoadOptions::default() }, cache })
    };
    let refused = engine(needed.0 - 1).speech(&desk.source("model"), &NoProgress, &CancelToken::new()).unwrap_err();
    assert!(matches!(&refused, LoadError::OutOfBudget { model, .. } if model.ends_with("model")), "{refused}");
    // The packed file has a few bytes more than its weights.
    let enough = engine(needed.0 + needed.0 / 10);
    let recognizer = enough.speech(&desk.source("model"), &NoProgress, &CancelToken::new()).unwrap();
    assert!(recognizer.model().unwrap().packed().is_some() && enough.budget().used() < needed);
    // Once it is packed it takes less.
    let tiny = engine(100_000).speech(&desk.source("model"), &NoProgress, &CancelToken::new()).unwrap_err();
    assert!(matches!(&tiny, LoadError::OutOfBudget { model, .. } if model.ends_with("model")), "{tiny}");
}

#[test]
fn each_order_of_weights_has_a_file_of_its_own() {
    let desk = Desk::new();
    let load = |isa| {
        let options =
            EngineOptions { load: LoadOptions { isa: Some(isa), ..LoadOptions::default() }, cache: Some(desk.cache()) };
        text(&Engine::new(options), &desk.source("model"))
    };
    let scalar = load(Isa::Scalar);
    assert!(scalar.2);
    assert_eq!(text(&desk.engine(), &desk.source("model")), scalar);
    assert_eq!(load(Isa::Scalar), scalar);
    assert!(desk.cache().models().unwrap().len() <= 2);
}

/// Names a folder: what a child of [`two_processes_pack_a_model_once`] works on.
const CHILD: &str = "SOTTO_CACHE_TEST_FOLDER";

#[test]
fn child() {
    let Some(folder) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    let engine =
        Engine::new(EngineOptions { cache: Some(PackedCache::new(folder.join("cache"))), ..EngineOptions::default() });
    let stages = Mutex::new(Vec::new());
    let sink = |progress: &Progress<'_>| stages.lock().unwrap().push(progress.stage);
    let source = ModelSource::Path(folder.join("model"));
    let recognizer = engine.speech(&source, &sink, &CancelToken::new()).unwrap();
    assert!(recognizer.model().unwrap().packed().is_some());
    let problem = engine.take_cache_problem();
    assert!(problem.is_none(), "{problem:?}");
    println!("PACKED {}", stages.into_inner().unwrap().contains(&Stage::Write));
}

/// Processes that load the model of a desk at the same time; how many of them packed it.
fn processes(desk: &Desk, count: usize) -> usize {
    let start = || {
        std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "cache::tests::child", "--nocapture"])
            .env(CHILD, desk.folder.path())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap()
    };
    let children: Vec<_> = (0..count).map(|_| start()).collect();
    let packed = |child: std::process::Child| {
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && said.contains("PACKED "), "{said}");
        said.contains("PACKED true")
    };
    children.into_iter().map(packed).filter(|&packed| packed).count()
}

#[test]
fn two_processes_pack_a_model_once() {
    let desk = Desk::new();
    assert_eq!(processes(&desk, 4), 1);
    assert_eq!(desk.cache().models().unwrap().len(), 1);
    assert_eq!(desk.files("models").len(), 2, "nothing unfinished stays");
    assert_eq!(processes(&desk, 2), 0);
}

#[test]
fn a_process_that_hangs_while_it_packs_holds_up_nobody_for_ever() {
    let desk = Desk::new();
    let (_, file) = desk.packs("model");
    fs::remove_file(&file).unwrap();
    let lock = desk.path("cache/locks").join(&desk.files("locks")[0]);
    let held = fs::File::options().write(true).open(lock).unwrap();
    held.lock().unwrap();
    let impatient = PackedCache { patience: Duration::from_millis(50), ..desk.cache() };
    let engine = Engine::new(EngineOptions { cache: Some(impatient), ..EngineOptions::default() });
    assert!(!text(&engine, &desk.source("model")).2);
    assert!(matches!(engine.take_cache_problem(), Some(CacheError::Busy { .. })));
    drop(held);
    assert!(text(&desk.engine(), &desk.source("model")).2);
}

/// A file system of a few megabytes, where this test may mount one.
#[cfg(target_os = "linux")]
struct SmallDisk(PathBuf);

#[cfg(target_os = "linux")]
impl SmallDisk {
    fn mount(folder: &Path, bytes: u64) -> Option<Self> {
        fs::create_dir(folder).unwrap();
        let status = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"])
            .arg(folder)
            .stderr(std::process::Stdio::null())
            .status();
        status.is_ok_and(|status| status.success()).then(|| Self(folder.to_owned()))
    }
}

#[cfg(target_os = "linux")]
impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(&self.0).status();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_fails_no_load_and_keeps_no_half_of_a_model() {
    let desk = Desk::new();
    let (_, file) = desk.packs("model");
    let bytes = file.metadata().unwrap().len();
    desk.cache().clear().unwrap();
    fs::remove_dir_all(desk.path("cache")).unwrap();
    // Room for notes, and for half of the model.
    let Some(_disk) = SmallDisk::mount(&desk.path("cache"), bytes / 2) else {
        eprintln!("skipped: no small file system can be mounted here");
        return;
    };
    for _ in 0..2 {
        let engine = desk.engine();
        let (heard, _, packed) = text(&engine, &desk.source("model"));
        assert!(!heard.is_empty() && !packed);
        let problem = engine.take_cache_problem().unwrap();
        assert!(matches!(problem, CacheError::DiskFull { .. }), "{problem}");
        assert_eq!(desk.files("models"), [""; 0]);
    }
    // With no room at all not even notes.
    let filler = desk.path("cache/filler");
    let mut left = fs::File::create(&filler).unwrap();
    while std::io::Write::write_all(&mut left, &[0; 4096]).is_ok() {}
    let (heard, ..) = text(&desk.engine(), &desk.source("model"));
    assert!(!heard.is_empty());
}
