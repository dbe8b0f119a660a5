//! Models fetched, imported and checked as jobs, with an app at the other end of a relay.

// Helpers of tests may unwrap like the tests themselves.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use sotto::job::{Answer, Job, Step};
use sotto::store::{
    Hub, ImportRequest, ImportSource, PullRequest, Relay, RelayEvent, Store, StoreError, Transport, sha256_of,
};
use sotto::{CancelToken, Engine, NoProgress};

const NAME: &str = "ggerganov/whisper.cpp/ggml-nano.bin";
const MODEL: &[u8] = b"lmgg: the weights of a very small model";

fn store() -> (Store, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (Store::open(dir.path().join("models")).unwrap(), dir)
}

fn request() -> PullRequest {
    PullRequest::new(NAME, Hub::new("https://hub.example").unwrap()).unwrap()
}

/// An app that has the repository in its memory, until the relay is closed.
fn serve(relay: &Relay) {
    while let Some(event) = relay.wait_event() {
        let RelayEvent::Fetch { id, request } = event else { continue };
        let body = if request.url.contains("/api/models/") {
            let (commit, size, hash) = ("a".repeat(40), MODEL.len(), sha256_of(MODEL));
            format!(
                r#"{{"sha": "{commit}", "siblings": [{{"rfilename": "ggml-nano.bin", "size": {size},
                    "lfs": {{"sha256": "{hash}", "size": {size}}}}}]}}"#
            )
            .into_bytes()
        } else {
            MODEL.to_vec()
        };
        assert!(relay.respond(id, 200, Vec::new()));
        assert!(relay.push_blocking(id, &body));
        relay.end(id);
    }
}

#[test]
fn a_pull_is_a_job_that_an_app_fetches_for() {
    let ((store, _dir), engine, relay) = (store(), Engine::default(), Relay::new());
    let app = std::thread::spawn({
        let relay = relay.clone();
        move || serve(&relay)
    });
    let job = engine.pull(&store, request(), relay.clone(), &CancelToken::new());
    let (mut bytes, mut pulled) = (0, None);
    loop {
        match job.next_event(Duration::MAX).unwrap() {
            Answer::Event(Step::Progress(progress)) => bytes = bytes.max(progress.done),
            Answer::Event(Step::Done(installed)) => pulled = Some(installed),
            Answer::Ended => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(bytes, MODEL.len() as u64);
    let pulled = pulled.unwrap();
    assert!(pulled.active);
    assert_eq!(std::fs::read(&pulled.path).unwrap(), MODEL);
    relay.close();
    app.join().unwrap();
    // The model is in the store now: a second pull needs no app to fetch it.
    assert_eq!(engine.pull(&store, request(), relay, &CancelToken::new()).wait(&NoProgress).unwrap().path, pulled.path);
    let manifest = engine.verify(&store, NAME, &CancelToken::new()).wait(&NoProgress).unwrap();
    assert_eq!(manifest.size(), MODEL.len() as u64);
}

/// What a job failed with. Progress comes first, if the job before it still held the model.
fn failure<T: std::fmt::Debug + Send + 'static>(job: &Job<Step<T>, StoreError>) -> Arc<StoreError> {
    loop {
        match job.next_event(Duration::MAX) {
            Ok(Answer::Event(Step::Progress(_))) => {}
            Ok(other) => panic!("{other:?}"),
            Err(error) => return error,
        }
    }
}

#[test]
fn a_job_that_is_dropped_or_cancelled_gives_its_exchanges_up() {
    let ((store, _dir), engine, relay) = (store(), Engine::default(), Relay::new());
    for dropped in [true, false] {
        let job = engine.pull(&store, request(), relay.clone(), &CancelToken::new());
        let Some(RelayEvent::Fetch { id, .. }) = relay.wait_event() else { panic!("no request") };
        if dropped {
            drop(job);
        } else {
            job.cancel();
            assert!(matches!(*failure(&job), StoreError::Cancelled(_)));
            assert!(job.wait_until_idle(Duration::from_secs(20)));
        }
        assert_eq!(relay.wait_event(), Some(RelayEvent::Abandon { id }));
    }
    assert!(store.list().unwrap().is_empty());
}

#[test]
fn an_import_is_a_job_from_a_path_or_a_stream() {
    let ((store, dir), engine, cancel) = (store(), Engine::default(), CancelToken::new());
    let file = dir.path().join("x.sotto");
    std::fs::write(&file, MODEL).unwrap();
    let import = |reference: &str, source| {
        let request = ImportRequest::new(reference).unwrap();
        engine.import(&store, request, source, &cancel).wait(&NoProgress)
    };
    let first = import("dictation@1", ImportSource::Path(file)).unwrap();
    let contents = Box::new(&b"another"[..]);
    import("dictation@2", ImportSource::Stream { name: "document.sotto".to_owned(), contents }).unwrap();
    assert_eq!(store.rollback("dictation").unwrap().commit, first.installed.commit);
    let missing = import("m", ImportSource::Path(dir.path().join("missing"))).unwrap_err();
    assert!(matches!(*missing, StoreError::Io { .. }));
}

#[test]
fn what_apps_share_between_threads_may_be_shared() {
    fn shared<T: Send + Sync>() {}
    shared::<(Store, Relay, StoreError, RelayEvent, Box<dyn Transport>)>();
}
