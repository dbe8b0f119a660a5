//! What a store promises when something goes wrong: a typed error or a recovery, bounded, and nothing half-written.

use std::time::{Duration, Instant};

use sotto_runtime::{CancelToken, NoProgress};
use sotto_store::{Hub, NetworkFailure, PullRequest, Store, StoreError, Token};
use sotto_testkit::hub::{FakeHub, Fault, REPOSITORY, weights};
use tempfile::TempDir;

use super::client::{cancelled_beyond, settings};
use super::transport;

const WEIGHTS: &str = "storage:model.safetensors";

struct Desk {
    hub: FakeHub,
    store: Store,
    _dir: TempDir,
}

impl Desk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { hub: FakeHub::start(), store: Store::open(dir.path()).unwrap(), _dir: dir }
    }

    fn pull(&self) -> Result<std::path::PathBuf, StoreError> {
        self.pull_as(REPOSITORY, settings(&self.hub))
    }

    fn pull_as(&self, reference: &str, settings: Hub) -> Result<std::path::PathBuf, StoreError> {
        let request = PullRequest::new(reference, settings)?;
        self.store.pull(&request, &transport(), &NoProgress, &CancelToken::new())
    }

    /// The pull fails, and the store does not know the model afterwards.
    fn refused(&self) -> StoreError {
        let error = self.pull().unwrap_err();
        assert!(self.store.list().unwrap().is_empty());
        assert!(matches!(self.store.resolve(REPOSITORY), Err(StoreError::NotInstalled { .. })));
        error
    }

    fn succeeds(&self) {
        let folder = self.pull().unwrap();
        assert_eq!(std::fs::read(folder.join("model.safetensors")).unwrap(), weights(200_000));
        self.store.verify(REPOSITORY, &NoProgress, &CancelToken::new()).unwrap();
    }

    /// `Range` headers of the requests for the weights.
    fn ranges(&self) -> Vec<Option<String>> {
        self.hub.fetches("model.safetensors").iter().map(|seen| seen.headers.get("range").cloned()).collect()
    }
}

#[test]
fn a_cut_connection_is_resumed_where_it_broke() {
    let desk = Desk::new();
    desk.hub.fail(WEIGHTS, Fault::CutAfter(70_000));
    desk.hub.fail(WEIGHTS, Fault::CutAfter(60_000));
    desk.succeeds();
    let ranges = desk.ranges();
    assert_eq!(ranges, [None, Some("bytes=70000-".to_owned()), Some("bytes=130000-".to_owned())]);
    assert!(desk.hub.fetches("model.safetensors")[1].headers.contains_key("if-range"));
}

#[test]
fn cuts_without_an_end_are_given_up_and_the_next_pull_goes_on() {
    let desk = Desk::new();
    for _ in 0..3 {
        desk.hub.fail(WEIGHTS, Fault::CutAfter(10_000));
    }
    let error = desk.refused();
    assert!(matches!(error, StoreError::Network { failure: NetworkFailure::Cut, .. }), "{error:?}");
    assert_eq!(desk.ranges().len(), 3);
    desk.succeeds();
    assert_eq!(desk.ranges().last().unwrap().as_deref(), Some("bytes=30000-"));
}

#[test]
fn a_cancelled_pull_keeps_its_part_and_the_next_one_goes_on() {
    let desk = Desk::new();
    desk.hub.fail(WEIGHTS, Fault::StallAfter(120_000));
    let (cancel, sink) = cancelled_beyond(100_000);
    let request = PullRequest::new(REPOSITORY, settings(&desk.hub)).unwrap();
    let error = desk.store.pull(&request, &transport(), &sink, &cancel).unwrap_err();
    assert!(matches!(error, StoreError::Cancelled(_)));
    assert!(desk.store.list().unwrap().is_empty());
    desk.succeeds();
    assert!(desk.ranges()[1].is_some());
}

#[test]
fn cancel_is_observed_at_once_even_while_the_server_is_silent() {
    let desk = Desk::new();
    desk.hub.fail(WEIGHTS, Fault::StallAfter(0));
    let mut settings = settings(&desk.hub);
    settings = settings.with_patience(sotto_store::Patience { silence: Duration::from_secs(20), ..Default::default() });
    let request = PullRequest::new(REPOSITORY, settings).unwrap();
    let cancel = CancelToken::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while desk.hub.fetches("model.safetensors").is_empty() {
                std::thread::sleep(Duration::from_millis(2));
            }
            cancel.cancel();
        });
        let start = Instant::now();
        assert!(matches!(desk.store.pull(&request, &transport(), &NoProgress, &cancel), Err(StoreError::Cancelled(_))));
        assert!(start.elapsed() < Duration::from_secs(5));
    });
}

#[test]
fn a_silent_server_is_left_after_its_time_and_asked_again() {
    let desk = Desk::new();
    desk.hub.fail(WEIGHTS, Fault::StallAfter(50_000));
    desk.succeeds();
    assert_eq!(desk.ranges()[1].as_deref(), Some("bytes=50000-"));
}

#[test]
fn a_file_that_changed_meanwhile_starts_over() {
    let desk = Desk::new();
    desk.hub.fail(WEIGHTS, Fault::CutAfter(70_000));
    desk.hub.fail(WEIGHTS, Fault::NewTag);
    desk.succeeds();
    assert_eq!(desk.ranges().len(), 2);
}

#[test]
fn a_server_without_ranges_starts_over() {
    let desk = Desk::new();
    desk.hub.fail(WEIGHTS, Fault::CutAfter(70_000));
    desk.hub.fail(WEIGHTS, Fault::IgnoreRange);
    desk.succeeds();
}

#[test]
fn another_part_than_asked_for_is_not_spliced_in() {
    let desk = Desk::new();
    desk.hub.fail(WEIGHTS, Fault::CutAfter(70_000));
    desk.hub.fail(WEIGHTS, Fault::ShiftedRange);
    desk.succeeds();
    assert_eq!(desk.ranges(), [None, Some("bytes=70000-".to_owned()), None]);
}

#[test]
fn wrong_bytes_are_never_installed() {
    let desk = Desk::new();
    desk.hub.fail(WEIGHTS, Fault::WrongByte);
    let error = desk.refused();
    assert!(matches!(&error, StoreError::WrongHash { file, .. } if file == "model.safetensors"), "{error:?}");
    // The bad part is gone: the next pull starts clean.
    desk.succeeds();
    assert_eq!(desk.ranges(), [None, None]);
}

#[test]
fn wrong_bytes_in_a_small_file_fail_its_git_hash() {
    let desk = Desk::new();
    desk.hub.fail("/blob/tokenizer.json", Fault::WrongByte);
    assert!(matches!(desk.refused(), StoreError::WrongHash { .. }));
}

#[test]
fn a_bad_part_of_an_earlier_pull_is_fetched_anew_once() {
    let desk = Desk::new();
    desk.hub.fail(WEIGHTS, Fault::WrongByte);
    desk.hub.fail(WEIGHTS, Fault::CutAfter(1));
    for _ in 0..2 {
        desk.hub.fail(WEIGHTS, Fault::Status(500, ""));
    }
    assert!(matches!(desk.refused(), StoreError::WrongHash { .. }));
    let error = desk.refused();
    assert!(matches!(error, StoreError::Server { status: 500, .. }), "{error:?}");
    // Damage what lies there, as a failing disk would.
    let part = std::fs::read_dir(desk.store.dir().join(".partial")).unwrap().next().unwrap().unwrap().path();
    std::fs::write(part.join("model.safetensors.part"), vec![1; 5_000]).unwrap();
    desk.succeeds();
    assert_eq!(desk.ranges().last(), Some(&None));
}

#[test]
fn a_wrong_length_is_refused_before_a_byte_is_kept() {
    for more in [1, -1, 1_000_000] {
        let desk = Desk::new();
        desk.hub.fail(WEIGHTS, Fault::Length(more));
        let error = desk.refused();
        assert!(matches!(error, StoreError::WrongSize { expected: 200_000, .. }), "{error:?}");
    }
}

#[test]
fn an_endless_body_ends_at_the_right_size() {
    let desk = Desk::new();
    desk.hub.fail(WEIGHTS, Fault::Endless);
    assert!(matches!(desk.refused(), StoreError::WrongSize { .. }));
    desk.hub.fail("/api/models/", Fault::Body(vec![b' '; 17 << 20]));
    assert!(matches!(desk.refused(), StoreError::Reply { .. }));
}

#[test]
fn server_errors_are_retried_a_bounded_number_of_times() {
    let desk = Desk::new();
    desk.hub.fail("/api/models/", Fault::Status(500, ""));
    desk.hub.fail(WEIGHTS, Fault::Status(502, ""));
    desk.hub.fail("/resolve/", Fault::Status(503, ""));
    desk.succeeds();

    let desk = Desk::new();
    for _ in 0..10 {
        desk.hub.fail("/api/models/", Fault::Status(500, ""));
    }
    assert!(matches!(desk.refused(), StoreError::Server { status: 500, .. }));
    assert_eq!(desk.hub.requests(), 3);
}

#[test]
fn retry_after_is_honoured_and_bounded() {
    let desk = Desk::new();
    desk.hub.fail("/api/models/", Fault::Status(429, "Retry-After: 1\r\n"));
    let start = Instant::now();
    desk.succeeds();
    assert!(start.elapsed() >= Duration::from_secs(1));

    for header in ["Retry-After: 3600\r\n", "RateLimit: \"api\";r=0;t=3600\r\n"] {
        let desk = Desk::new();
        desk.hub.fail("/api/models/", Fault::Status(429, header));
        let start = Instant::now();
        match desk.refused() {
            StoreError::RateLimited { retry_after: Some(wait), .. } => assert_eq!(wait.as_secs(), 3600),
            other => panic!("{other:?}"),
        }
        // It did not wait for the hour that was asked for.
        assert!(start.elapsed() < Duration::from_secs(60));
    }
}

#[test]
fn an_expired_storage_address_is_asked_for_again() {
    let desk = Desk::new();
    desk.hub.fail(WEIGHTS, Fault::Status(403, ""));
    desk.succeeds();
}

#[test]
fn a_storage_that_stays_without_the_file_is_named_with_its_own_status() {
    let desk = Desk::new();
    for _ in 0..3 {
        desk.hub.fail(WEIGHTS, Fault::Status(404, ""));
    }
    assert!(matches!(desk.refused(), StoreError::Storage { status: 404, .. }));
    assert_eq!(desk.ranges().len(), 3);
}

#[test]
fn a_file_that_is_another_kind_inside_is_refused_and_leaves_nothing() {
    let desk = Desk::new();
    desk.hub.put("ggml-nano.bin", b"PK: a pickle under another name");
    let error = desk.pull_as(&format!("{REPOSITORY}/ggml-nano.bin"), settings(&desk.hub)).unwrap_err();
    assert!(matches!(&error, StoreError::UnknownKind { found, .. } if found.contains("whisper.cpp")), "{error:?}");
    assert_eq!(std::fs::read_dir(desk.store.dir().join(".partial")).unwrap().count(), 0);
}

#[test]
fn what_is_missing_is_named() {
    let desk = Desk::new();
    let refused = |reference: &str| desk.pull_as(reference, settings(&desk.hub)).unwrap_err();
    assert!(matches!(refused("openai/whisper-none"), StoreError::RepositoryNotFound { had_token: false, .. }));
    assert!(matches!(refused(&format!("{REPOSITORY}@v9")), StoreError::RevisionNotFound { .. }));
    desk.hub.put("ggml-base.bin", b"x");
    let absent = refused(&format!("{REPOSITORY}/ggml-none.bin"));
    assert!(matches!(&absent, StoreError::FileNotFound { alternatives, .. } if *alternatives == ["ggml-base.bin"]));
    // A mirror without error codes.
    desk.hub.fail("/api/models/", Fault::Status(404, ""));
    assert!(matches!(refused(REPOSITORY), StoreError::RepositoryNotFound { .. }));
    desk.hub.fail("/api/models/", Fault::Status(404, ""));
    assert!(matches!(refused(&format!("{REPOSITORY}@v1")), StoreError::RevisionNotFound { .. }));
    // A file that is listed but not there.
    desk.hub.fail("/resolve/", Fault::Status(404, "X-Error-Code: EntryNotFound\r\n"));
    assert!(matches!(refused(REPOSITORY), StoreError::FileNotFound { .. }));
}

#[test]
fn gated_and_private_models_say_how_to_give_a_token() {
    let desk = Desk::new();
    desk.hub.require_token("hf_right", "GatedRepo");
    let without = desk.refused();
    assert!(matches!(without, StoreError::Gated { had_token: false, .. }));
    assert!(without.to_string().contains("an access token") && without.to_string().contains(REPOSITORY), "{without}");
    let with = |token: &str| settings(&desk.hub).with_token(Token::new(token).unwrap()).unwrap();
    let wrong = desk.pull_as(REPOSITORY, with("hf_wrong")).unwrap_err();
    assert!(matches!(wrong, StoreError::Gated { had_token: true, .. }));
    assert!(!format!("{wrong} {wrong:?}").contains("hf_wrong"));
    desk.hub.require_token("hf_right", "");
    assert!(matches!(desk.refused(), StoreError::Unauthorized { had_token: false, .. }));
    desk.pull_as(REPOSITORY, with("hf_right")).unwrap();
    let (storage, hub): (Vec<_>, Vec<_>) = desk.hub.log().into_iter().partition(|seen| seen.storage);
    assert!(hub.iter().any(|seen| seen.headers.contains_key("authorization")));
    assert!(!storage.is_empty());
    assert!(storage.iter().all(|seen| !seen.headers.contains_key("authorization")), "a token went to another host");
}

#[test]
fn redirects_in_a_circle_or_out_of_the_web_are_not_followed() {
    let desk = Desk::new();
    for _ in 0..20 {
        desk.hub.fail("/resolve/", Fault::Redirect(format!("/{REPOSITORY}/resolve/again")));
    }
    assert!(matches!(desk.refused(), StoreError::Redirect { .. }));
    assert!(desk.hub.requests() < 12);

    for target in ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://user:password@127.0.0.1/"] {
        let desk = Desk::new();
        desk.hub.fail("/api/models/", Fault::Redirect(target.to_owned()));
        assert!(matches!(desk.refused(), StoreError::Redirect { .. }), "{target}");
    }
}

#[test]
fn a_renamed_repository_is_followed() {
    let desk = Desk::new();
    desk.hub.fail("/api/models/", Fault::Redirect(format!("/api/models/{REPOSITORY}/revision/main?blobs=true")));
    desk.succeeds();
}

#[test]
fn without_a_network_the_error_comes_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    // A port that was just free, and a name that can never exist (RFC 6761).
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let pull = |address: &str| {
        let request = PullRequest::new(REPOSITORY, Hub::new(address).unwrap()).unwrap();
        store.pull(&request, &transport(), &NoProgress, &CancelToken::new()).unwrap_err()
    };
    let start = Instant::now();
    let refused = pull(&format!("http://127.0.0.1:{port}"));
    assert!(matches!(refused, StoreError::Network { failure: NetworkFailure::Refused, .. }), "{refused:?}");
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn nonsense_from_the_server_is_an_error() {
    for body in
        ["", "<html>log in to the hotel's network</html>", "{}", "[[[[[[", "{\"sha\": \"main\", \"siblings\": []}"]
    {
        let desk = Desk::new();
        desk.hub.fail("/api/models/", Fault::Body(body.as_bytes().to_vec()));
        assert!(matches!(desk.refused(), StoreError::Reply { .. }), "{body}");
    }
}

#[test]
fn a_repository_that_would_write_elsewhere_is_refused_whole() {
    let desk = Desk::new();
    desk.hub.put("../../evil.json", b"x");
    assert!(matches!(desk.refused(), StoreError::UnsafeFileName { .. }));
    assert_eq!(desk.hub.requests(), 1);
}

#[test]
fn pickles_and_other_models_are_refused_before_their_weights_are_fetched() {
    let desk = Desk::new();
    desk.hub.put("config.json", b"{\"model_type\": \"llama\"}");
    let error = desk.refused();
    assert!(matches!(&error, StoreError::UnknownKind { found, .. } if found.contains("llama")), "{error:?}");
    desk.hub.put("config.json", b"{\"model_type\": \"whisper\"}");
    desk.hub.delete("model.safetensors");
    assert!(matches!(desk.refused(), StoreError::PickleOnly { .. }));
    assert!(desk.ranges().is_empty());
}

#[test]
fn a_model_larger_than_the_disk_is_refused_before_anything_is_fetched() {
    let desk = Desk::new();
    let info = format!(
        r#"{{"sha": "{}", "siblings": [
            {{"rfilename": "ggml-x.bin", "size": {}, "lfs": {{"sha256": "{}", "size": {}}}}}]}}"#,
        desk.hub.commit(),
        u64::MAX,
        "0".repeat(64),
        u64::MAX,
    );
    desk.hub.fail("/api/models/", Fault::Body(info.into_bytes()));
    let error = desk.pull_as(&format!("{REPOSITORY}/ggml-x.bin"), settings(&desk.hub)).unwrap_err();
    assert!(matches!(error, StoreError::NoSpace { .. }), "{error:?}");
    assert_eq!(desk.hub.requests(), 1);
}

#[test]
fn a_file_that_cannot_be_checked_is_not_fetched() {
    let desk = Desk::new();
    desk.hub.leave_sizes_out();
    desk.hub.fail("/resolve/", Fault::Bare);
    desk.hub.fail("/cache/", Fault::Status(200, ""));
    let error = desk.refused();
    assert!(matches!(error, StoreError::Unverifiable { .. }), "{error:?}");
}

#[test]
fn an_unfinished_pull_can_be_removed() {
    let desk = Desk::new();
    desk.hub.fail(WEIGHTS, Fault::WrongByte);
    desk.refused();
    assert!(desk.store.remove(REPOSITORY).unwrap() > 0);
    assert!(matches!(desk.store.remove(REPOSITORY), Err(StoreError::NotInstalled { .. })));
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let hub = FakeHub::start();
    let blocked = dir.path().join("a-file");
    std::fs::write(&blocked, "x").unwrap();
    let store = Store::open(blocked.join("models")).unwrap();
    assert!(matches!(Store::open(&blocked), Err(StoreError::Configuration { .. })));
    let request = PullRequest::new(REPOSITORY, settings(&hub)).unwrap();
    let error = store.pull(&request, &transport(), &NoProgress, &CancelToken::new()).unwrap_err();
    assert!(matches!(&error, StoreError::Io { .. }) && error.to_string().contains("a-file"), "{error:?}");
}
