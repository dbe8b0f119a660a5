//! One engine for all of an application: what is loaded is shared, kept while there is room, and given back.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use sotto::job::Answer;
use sotto::speech::{
    self, Estimate, LiveOptions, LiveTranscriber, LoadError, ModelSource, Options, Recognizer, Session, SessionError,
    SessionInput,
};
use sotto::{
    Bytes, CancelToken, Engine, LoadOptions, MemoryBudget, MemoryFile, NoProgress, Progress, Threads, TrimLevel, audio,
};
use sotto_testkit::commands;
use tempfile::TempDir;

/// Folders with the recognizer of commands, each a model of its own.
struct Models {
    folder: TempDir,
}

impl Models {
    fn new(names: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            let path = folder.path().join(name);
            std::fs::create_dir(&path).unwrap();
            commands::write(&path).unwrap();
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn source(&self, name: &str) -> ModelSource {
        self.path(name).into()
    }

    fn estimate(&self, name: &str) -> Estimate {
        Engine::default().estimate_speech(&self.source(name)).unwrap()
    }

    /// An engine with room for so many of these models, and for loading and using the last of them.
    fn engine_for(&self, models: u64) -> Engine {
        let estimate = self.estimate("a");
        // A model that is loaded takes `model`; what loading one and using one takes beyond that comes on top.
        let room = Bytes(estimate.model.0 * (models - 1) + estimate.peak().0);
        Engine::new(LoadOptions {
            budget: MemoryBudget::limited(room),
            threads: Threads::new(2),
            ..LoadOptions::default()
        })
    }
}

fn load(engine: &Engine, source: &ModelSource) -> Result<Recognizer, LoadError> {
    engine.speech(source, &NoProgress, &CancelToken::new())
}

fn transcribe(recognizer: &Recognizer) -> Result<String, speech::Error> {
    let clip = audio::decode_bytes(commands::clip()).unwrap();
    let options = Options::default();
    let transcript = recognizer.transcribe(&clip, &options, &NoProgress, &CancelToken::new())?;
    // With the probabilities: another bit anywhere shows in them.
    Ok(format!("{} {:?}", transcript.text, transcript.segments.iter().map(|s| s.avg_logprob).collect::<Vec<_>>()))
}

fn names(engine: &Engine) -> Vec<String> {
    let name = |path: &str| path.rsplit(['/', '\\']).next().unwrap().to_owned();
    engine.loaded().iter().map(|model| name(&model.name)).collect()
}

#[test]
fn loading_twice_shares_the_model_and_its_memory() {
    let models = Models::new(&["a", "b"]);
    let engine = Engine::default();
    let first = load(&engine, &models.source("a")).unwrap();
    let one = engine.budget().used();
    // The same folder by another path, on a clone of the engine.
    let second = load(&engine.clone(), &models.source("b/../a")).unwrap();
    assert_eq!(engine.budget().used(), one);
    let [model] = &engine.loaded()[..] else { panic!("{:?}", engine.loaded()) };
    assert_eq!((model.handles, model.running, model.bytes), (2, 0, one));
    let other = load(&engine, &models.source("b")).unwrap();
    assert_eq!(engine.budget().used().0, 2 * one.0);
    assert_eq!(names(&engine), ["b", "a"]);
    drop((first, other));
    assert_eq!(engine.loaded()[0].handles, 1);
    assert!(transcribe(&second).is_ok());
}

#[test]
fn without_a_budget_the_last_handle_frees_the_model() {
    let models = Models::new(&["a"]);
    let engine = Engine::default();
    let recognizer = load(&engine, &models.source("a")).unwrap();
    let clone = recognizer.clone();
    drop(recognizer);
    assert_eq!(names(&engine), ["a"]);
    drop(clone);
    assert!(engine.loaded().is_empty());
    assert_eq!(engine.budget().used(), Bytes(0));
}

#[test]
fn a_model_whose_files_were_replaced_is_loaded_anew() {
    let models = Models::new(&["a", "b"]);
    let engine = Engine::default();
    let before = load(&engine, &models.source("a")).unwrap();
    std::fs::rename(models.path("a"), models.path("old")).unwrap();
    std::fs::rename(models.path("b"), models.path("a")).unwrap();
    let after = load(&engine, &models.source("a")).unwrap();
    assert_eq!(engine.loaded().len(), 2);
    assert_eq!(transcribe(&before).unwrap(), transcribe(&after).unwrap());
}

#[test]
fn bytes_in_memory_are_shared_by_where_they_lie() {
    let (engine, folder) = (Engine::default(), Models::new(&["a"]));
    let path = folder.path("packed.sotto");
    sotto::packing::quantize(
        &folder.source("a"),
        &path,
        &sotto::packing::QuantizeOptions::default(),
        &NoProgress,
        &CancelToken::new(),
    )
    .unwrap();
    let bytes: Arc<[u8]> = std::fs::read(&path).unwrap().into();
    let (one, other) = (MemoryFile::new("mine", Arc::clone(&bytes)), MemoryFile::new("mine", bytes.to_vec()));
    let first = load(&engine, &one.clone().into()).unwrap();
    let same = load(&engine, &MemoryFile::new("another name", bytes).into()).unwrap();
    assert_eq!(engine.loaded().len(), 1);
    let copy = load(&engine, &other.into()).unwrap();
    assert_eq!(engine.loaded().len(), 2);
    assert_eq!(transcribe(&first).unwrap(), transcribe(&copy).unwrap());
    assert_eq!(transcribe(&same).unwrap(), transcribe(&load(&engine, &path.into()).unwrap()).unwrap());
}

#[test]
fn within_a_budget_models_stay_until_their_memory_is_needed_and_the_least_recently_used_goes_first() {
    let models = Models::new(&["a", "b", "c"]);
    let engine = models.engine_for(2);
    for name in ["a", "b"] {
        drop(load(&engine, &models.source(name)).unwrap());
    }
    assert_eq!(names(&engine), ["b", "a"]);
    // Loading `a` again finds it, and makes it the one that was used last.
    let used = engine.budget().used();
    let again = load(&engine, &models.source("a")).unwrap();
    transcribe(&again).unwrap();
    assert_eq!(engine.budget().used(), used);
    drop(again);
    drop(load(&engine, &models.source("c")).unwrap());
    assert_eq!(names(&engine), ["c", "a"]);
}

#[test]
fn a_model_in_use_stays_and_a_load_that_cannot_fit_frees_nothing() {
    let models = Models::new(&["a", "b", "c"]);
    let engine = models.engine_for(2);
    let held = load(&engine, &models.source("a")).unwrap();
    let also_held = load(&engine, &models.source("b")).unwrap();
    let refused = load(&engine, &models.source("c")).unwrap_err();
    assert!(matches!(refused, LoadError::OutOfBudget { .. }), "{refused}");
    assert_eq!(engine.loaded().len(), 2);
    drop(also_held);
    let third = load(&engine, &models.source("c")).unwrap();
    assert_eq!(names(&engine), ["c", "a"]);
    assert!(transcribe(&held).is_ok() && transcribe(&third).is_ok());
    // These two would not fit even if every other model were unloaded.
    let small = models.engine_for(1);
    drop(load(&small, &models.source("a")).unwrap());
    let most = Options {
        search: sotto::speech::Search { beam: 32, best_of: 32, ..sotto::speech::Search::default() },
        ..Options::default()
    };
    let held = load(&small, &models.source("b")).unwrap();
    assert_eq!(names(&small), ["b"], "what is not held made room");
    let clip = audio::decode_bytes(commands::clip()).unwrap();
    let refused = held.transcribe(&clip, &most, &NoProgress, &CancelToken::new()).unwrap_err();
    assert!(matches!(refused, speech::Error::OutOfBudget(_)), "{refused}");
}

#[test]
fn a_transcription_that_needs_room_gets_that_of_a_model_nobody_holds() {
    let models = Models::new(&["a", "b"]);
    let plain = Engine::new(LoadOptions { threads: Threads::ONE, ..LoadOptions::default() });
    let held = load(&plain, &models.source("a")).unwrap();
    let (options, cancel) = (LiveOptions::default(), CancelToken::new());
    let (model, session) = (plain.budget().used(), held.transcription_bytes(&options.transcribe));
    // One byte less than two models and two live sessions need.
    let budget = MemoryBudget::limited(Bytes(2 * model.0 + 2 * session.0 - 1));
    let engine = Engine::new(LoadOptions { budget, threads: Threads::ONE, ..LoadOptions::default() });
    drop(load(&engine, &models.source("b")).unwrap());
    let held = load(&engine, &models.source("a")).unwrap();
    let start = || LiveTranscriber::new(&held, &options, 16_000, 1, &cancel);
    let first = start().unwrap();
    assert_eq!(names(&engine), ["a", "b"]);
    let second = start().unwrap();
    assert_eq!(names(&engine), ["a"], "the model that nobody holds made room");
    let mut more = Vec::new();
    let refused = loop {
        match start() {
            Ok(session) => more.push(session),
            Err(refused) => break refused,
        }
        assert!(more.len() < 100, "sessions take nothing");
    };
    assert!(matches!(refused, speech::Error::OutOfBudget(_)), "{refused}");
    drop((first, second, more));
    assert_eq!(engine.budget().used(), engine.loaded()[0].bytes);
}

#[test]
fn an_unloaded_model_is_gone_for_all_its_handles_and_what_runs_on_it_ends() {
    let models = Models::new(&["a"]);
    let engine = models.engine_for(2);
    let (held, other) = (load(&engine, &models.source("a")).unwrap(), load(&engine, &models.source("a")).unwrap());
    let live = Session::start(&held, LiveOptions::default(), SessionInput::default(), &CancelToken::new()).unwrap();
    while engine.loaded()[0].running == 0 {
        std::thread::yield_now();
    }
    let id = engine.loaded()[0].id;
    assert!(engine.unload(id));
    assert!(!engine.unload(id) && engine.loaded().is_empty());
    let clip = audio::decode_bytes(commands::clip()).unwrap();
    for handle in [&held, &other] {
        let refused = transcribe(handle).unwrap_err();
        assert!(matches!(refused, speech::Error::Unloaded(_)), "{refused}");
        assert!(refused.to_string().contains("load it again"), "{refused}");
        assert!(matches!(handle.model(), Err(speech::Error::Unloaded(_))));
        assert!(matches!(handle.hotwords(["rice"], 1.0), Err(speech::Error::Unloaded(_))));
        let session =
            Session::start(handle, LiveOptions::default(), SessionInput::default(), &CancelToken::new()).map(drop);
        assert!(matches!(session, Err(speech::Error::Unloaded(_))), "{session:?}");
        // Queries that need no weights still work.
        assert!(handle.window_seconds() > 0.0 && handle.transcription_bytes(&Options::default()).0 > 0);
    }
    assert!(engine.budget().used() > Bytes(0), "the session has the model still");
    live.push(clip.samples()).unwrap();
    live.finish();
    let mut heard = 0;
    while let Answer::Event(_) = live.next_event(Duration::from_secs(60)).unwrap() {
        heard += 1;
    }
    assert!(heard > 0);
    drop(live);
    assert_eq!(engine.budget().used(), Bytes(0));
    let again = load(&engine, &models.source("a")).unwrap();
    assert!(transcribe(&again).is_ok());
    assert!(matches!(transcribe(&held), Err(speech::Error::Unloaded(_))), "another load does not bring it back");
}

#[test]
fn each_level_of_trimming_gives_back_what_it_says() {
    let models = Models::new(&["idle", "unused"]);
    let packed = models.path("packed.sotto");
    sotto::packing::quantize(
        &models.source("idle"),
        &packed,
        &sotto::packing::QuantizeOptions::default(),
        &NoProgress,
        &CancelToken::new(),
    )
    .unwrap();
    let budget = MemoryBudget::limited(Bytes(1 << 30));
    let engine = Engine::new(LoadOptions { budget, threads: Threads::ONE, ..LoadOptions::default() });
    let (mapped, held) = (load(&engine, &packed.into()).unwrap(), load(&engine, &models.source("idle")).unwrap());
    drop(load(&engine, &models.source("unused")).unwrap());
    let before = transcribe(&mapped).unwrap();
    let used = engine.budget().used();
    let trimmed = engine.trim(TrimLevel::Pages);
    assert_eq!((trimmed.models, trimmed.memory), (0, Bytes(0)));
    assert!(trimmed.pages > Bytes(100_000), "{trimmed:?}");
    assert_eq!(engine.budget().used(), used);
    assert_eq!(transcribe(&mapped).unwrap(), before, "pages come back");
    let unused = engine.loaded().iter().find(|model| model.handles == 0).unwrap().bytes;
    let trimmed = engine.trim(TrimLevel::Unused);
    assert_eq!((trimmed.models, trimmed.memory), (1, unused));
    assert_eq!(engine.budget().used().0, used.0 - unused.0);
    assert_eq!(engine.trim(TrimLevel::Unused).models, 0);
    assert!(transcribe(&held).is_ok());
    let running = Session::start(&held, LiveOptions::default(), SessionInput::default(), &CancelToken::new()).unwrap();
    while !engine.loaded().iter().any(|model| model.running > 0) {
        std::thread::yield_now();
    }
    assert_eq!(engine.trim(TrimLevel::Idle).models, 1, "what runs is never touched");
    assert!(matches!(transcribe(&mapped), Err(speech::Error::Unloaded(_))));
    assert!(transcribe(&held).is_ok());
    running.cancel();
    assert!(running.wait_until_idle(Duration::from_secs(60)));
    assert_eq!(engine.trim(TrimLevel::Idle).models, 1);
    assert!(engine.loaded().is_empty() && engine.budget().used() == Bytes(0));
}

#[test]
fn many_sessions_on_one_pool_compute_what_one_does_alone() {
    let models = Models::new(&["a", "b"]);
    let alone = Engine::new(LoadOptions { threads: Threads::ONE, ..LoadOptions::default() });
    let expected = transcribe(&load(&alone, &models.source("a")).unwrap()).unwrap();
    let engine = Engine::new(LoadOptions { threads: Threads::new(3), ..LoadOptions::default() });
    let recognizers = ["a", "b"].map(|name| load(&engine, &models.source(name)).unwrap());
    std::thread::scope(|scope| {
        for recognizer in recognizers.iter().cycle().take(8) {
            scope.spawn(|| {
                for _ in 0..3 {
                    assert_eq!(transcribe(recognizer).unwrap(), expected);
                }
            });
        }
    });
}

#[test]
fn a_model_that_many_threads_want_at_once_is_loaded_once() {
    let models = Models::new(&["a"]);
    let engine = Engine::default();
    let (loads, start) = (AtomicUsize::new(0), Barrier::new(6));
    // Only the thread that loads reports progress before the end.
    let count = |progress: &Progress<'_>| {
        if progress.done == 0 {
            loads.fetch_add(1, Ordering::SeqCst);
        }
    };
    let handles: Vec<Recognizer> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    engine.speech(&models.source("a"), &count, &CancelToken::new()).unwrap()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!((loads.load(Ordering::SeqCst), engine.loaded()[0].handles), (1, 6));
    drop(handles);
}

#[test]
fn who_waits_for_a_load_takes_over_when_it_is_cancelled_and_can_be_cancelled_itself() {
    let models = Models::new(&["a"]);
    let engine = Engine::default();
    let (first, impatient) = (CancelToken::new(), CancelToken::new());
    let (begun, go_on) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let loader = scope.spawn(|| {
            let hold = |_: &Progress<'_>| {
                begun.store(true, Ordering::SeqCst);
                while !go_on.load(Ordering::SeqCst) {
                    std::thread::yield_now();
                }
            };
            engine.speech(&models.source("a"), &hold, &first).map(drop)
        });
        while !begun.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        let waiter = scope.spawn(|| engine.speech(&models.source("a"), &NoProgress, &impatient).map(drop));
        let heir = scope.spawn(|| load(&engine, &models.source("a")).map(drop));
        impatient.cancel();
        assert!(matches!(waiter.join().unwrap(), Err(LoadError::Cancelled(_))));
        first.cancel();
        go_on.store(true, Ordering::SeqCst);
        assert!(matches!(loader.join().unwrap(), Err(LoadError::Cancelled(_))));
        heir.join().unwrap().unwrap();
    });
}

/// Everything at once: loads, transcriptions, live sessions, trims and unloads. Nothing but the errors that the
/// documentation names, no wrong result, and not a byte left at the end.
#[test]
fn loads_sessions_and_trims_from_many_threads_end_with_an_empty_budget() {
    let models = Models::new(&["a", "b", "c"]);
    let expected = transcribe(&load(&Engine::default(), &models.source("a")).unwrap()).unwrap();
    let engine = models.engine_for(3);
    let (done, work) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|worker| {
                let (engine, models, expected, work) = (&engine, &models, &expected, &work);
                scope.spawn(move || {
                    for round in 0..12 {
                        let name = ["a", "b", "c"][(worker + round) % 3];
                        let recognizer = match load(engine, &models.source(name)) {
                            Ok(recognizer) => recognizer,
                            Err(LoadError::OutOfBudget { .. }) => continue,
                            Err(error) => panic!("{error}"),
                        };
                        if round % 3 == 0 {
                            live(&recognizer, round % 2 == 0);
                        }
                        match transcribe(&recognizer) {
                            Ok(text) => assert_eq!(text, *expected),
                            Err(speech::Error::Unloaded(_) | speech::Error::OutOfBudget(_)) => continue,
                            Err(error) => panic!("{error}"),
                        }
                        work.fetch_add(1, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        let (engine, done, work) = (&engine, &done, &work);
        scope.spawn(move || {
            let levels = [TrimLevel::Pages, TrimLevel::Unused, TrimLevel::Idle];
            let (mut seen, mut pause) = (0, Duration::from_millis(3));
            for turn in 0.. {
                if done.load(Ordering::SeqCst) {
                    break;
                }
                engine.trim(levels[turn % 3]);
                if let Some(model) = engine.loaded().get(turn % 4) {
                    engine.unload(model.id);
                }
                assert!(engine.budget().used() <= engine.budget().limit());
                std::thread::sleep(pause);
                // Where machines are slow, no model would ever live long enough to be used: longer, until one is.
                let now = work.load(Ordering::SeqCst);
                pause = if now == seen { (pause * 2).min(Duration::from_secs(2)) } else { Duration::from_millis(3) };
                seen = now;
            }
        });
        let outcomes: Vec<_> = workers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::SeqCst);
        assert!(outcomes.iter().all(Result::is_ok));
    });
    assert!(work.load(Ordering::SeqCst) > 0, "nothing was ever transcribed");
    // Dropped sessions end when they next poll their token; nothing has waited for that yet.
    let patience = Instant::now() + Duration::from_secs(60);
    while engine.budget().used() > Bytes(0) && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(1));
        engine.trim(TrimLevel::Idle);
    }
    assert_eq!((engine.budget().used(), engine.loaded().len()), (Bytes(0), 0));
}

/// A live session that is ended or dropped half-way.
fn live(recognizer: &Recognizer, to_its_end: bool) {
    let session = match Session::start(recognizer, LiveOptions::default(), SessionInput::default(), &CancelToken::new())
    {
        Ok(session) => session,
        Err(speech::Error::Unloaded(_) | speech::Error::OutOfBudget(_)) => return,
        Err(error) => panic!("{error}"),
    };
    let clip = audio::decode_bytes(commands::clip()).unwrap();
    let _ = session.push(clip.samples());
    session.finish();
    if !to_its_end {
        return;
    }
    loop {
        match session.next_event(Duration::from_secs(60)) {
            Ok(Answer::Event(_)) => {}
            Ok(Answer::Ended) => return,
            Ok(Answer::Waiting) => panic!("nothing was heard for a minute"),
            // The model was unloaded or the budget filled between the check of the options and the start.
            Err(SessionError::Failed(reason)) => {
                assert!(matches!(*reason, speech::Error::Unloaded(_) | speech::Error::OutOfBudget(_)), "{reason}");
                return;
            }
            Err(error) => panic!("{error}"),
        }
    }
}
