//! The jobs that an app drives, on the test kit's small recognizer.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

use std::io::{Cursor, Read};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sotto::audio::{AudioError, Channel, Pcm16k, RawFormat, Recording, SampleSource, decode_bytes};
use sotto::job::{Answer, Event, Failure, Job, Step, WorkerError};
use sotto::packing::{QuantizeError, QuantizeOptions};
use sotto::speech::{
    Error, LiveEvent, LiveOptions, LoadError, ModelBytes, ModelSource, Options, Recognizer, SessionInput, Transcript,
    TranscriptionEvent, TranscriptionJob, Vad, VoiceEvent,
};
use sotto::vad::speech_segments;
use sotto::{Bytes, CancelToken, Engine, FileRange, HelperSetup, LoadOptions, MemoryBudget, NoProgress, Threads};
use sotto_testkit::commands;

fn source() -> ModelSource {
    let model = commands::model();
    ModelSource::Bytes(ModelBytes {
        name: "commands",
        config: model.config_json,
        generation_config: model.generation_config_json,
        tokenizer: model.tokenizer_json,
        weights: model.model_safetensors,
    })
}

fn engine() -> Engine {
    Engine::new(LoadOptions { threads: Threads::ONE, ..LoadOptions::default() })
}

fn recognizer() -> &'static Recognizer {
    static LOADED: OnceLock<Recognizer> = OnceLock::new();
    LOADED.get_or_init(|| engine().load_speech(source(), &CancelToken::new()).wait(&NoProgress).unwrap())
}

fn clip() -> Recording {
    Recording::bytes("clip", commands::clip())
}

fn samples() -> Pcm16k {
    decode_bytes(commands::clip()).unwrap()
}

/// The clip repeated so many times.
fn long(times: usize) -> Recording {
    Pcm16k::new(samples().samples().repeat(times)).unwrap().into()
}

fn transcribe(recording: Recording) -> TranscriptionJob {
    engine().transcribe(recognizer(), recording, Options::default(), &CancelToken::new())
}

/// All events of a job, and how it ends.
fn drain<E: Event, F: Failure>(job: &Job<E, F>) -> (Vec<E>, Result<(), Arc<F>>) {
    let mut events = Vec::new();
    loop {
        match job.next_event(Duration::MAX) {
            Ok(Answer::Event(event)) => events.push(event),
            Ok(_) => return (events, Ok(())),
            Err(failure) => return (events, Err(failure)),
        }
    }
}

fn failure<E: Event, F: Failure>(job: Job<E, F>) -> Arc<F> {
    drain(&job).1.expect_err("the job did not fail")
}

fn finished(job: TranscriptionJob) -> Transcript {
    let (mut events, end) = drain(&job);
    end.unwrap_or_else(|failure| panic!("{failure}"));
    let Some(TranscriptionEvent::Finished(transcript)) = events.pop() else { panic!("{events:?}") };
    transcript
}

#[test]
fn a_model_is_loaded_with_progress_and_hears() {
    let job = engine().load_speech(source(), &CancelToken::new());
    let (mut events, end) = drain(&job);
    assert!(end.is_ok());
    let Some(Step::Done(recognizer)) = events.pop() else { panic!("no result") };
    let Some(Step::Progress(last)) = events.pop() else { panic!("no progress") };
    assert_eq!(Some(last.done), last.total);
    let heard = recognizer.transcribe(&samples(), &Options::default(), &NoProgress, &CancelToken::new()).unwrap().text;
    assert!(heard.to_lowercase().contains("turn on the light"), "{heard}");
}

#[test]
fn what_cannot_be_loaded_says_why() {
    let cancel = CancelToken::new();
    let missing = engine().load_speech(ModelSource::Path("no/such/model".into()), &cancel);
    let missing = failure(missing);
    assert!(matches!(&*missing, Error::Load(LoadError::NotAModel { .. })), "{missing}");
    assert!(missing.to_string().contains("no/such/model"), "{missing}");
    let small = Engine::new(LoadOptions { budget: MemoryBudget::limited(Bytes(1 << 20)), ..LoadOptions::default() });
    assert!(matches!(&*failure(small.load_speech(source(), &cancel)), Error::Load(LoadError::OutOfBudget { .. })));
    assert_eq!(small.budget().used(), Bytes(0));
}

#[test]
fn a_recording_gives_its_segments_and_then_all_of_it() {
    let job = transcribe(long(4));
    let (mut events, end) = drain(&job);
    assert!(end.is_ok());
    let Some(TranscriptionEvent::Finished(transcript)) = events.pop() else { panic!("{events:?}") };
    let segments: Vec<_> = events
        .into_iter()
        .filter_map(|event| match event {
            TranscriptionEvent::Segment(segment) => Some(segment),
            _ => None,
        })
        .collect();
    assert!(segments.len() > 1);
    assert_eq!(segments, transcript.segments);
    let audio = Pcm16k::new(samples().samples().repeat(4)).unwrap();
    let blocking = recognizer().transcribe(&audio, &Options::default(), &NoProgress, &CancelToken::new()).unwrap();
    assert_eq!((transcript.text, transcript.segments), (blocking.text, blocking.segments));
}

/// A reader that only goes forward, a few bytes at a time.
struct Trickle(Cursor<Vec<u8>>);

impl Read for Trickle {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = buffer.len().min(777);
        self.0.read(&mut buffer[..length])
    }
}

/// Samples out of an app's own hands.
struct Own(Vec<f32>);

impl SampleSource for Own {
    fn next_block(&mut self, out: &mut Vec<f32>) -> Result<bool, AudioError> {
        let block = self.0.len().min(1000);
        out.extend(self.0.drain(..block));
        Ok(block > 0)
    }

    fn seconds(&self) -> Option<f64> {
        None
    }
}

#[test]
fn a_recording_says_the_same_wherever_it_comes_from() {
    let expected = finished(transcribe(clip())).text;
    assert!(!expected.is_empty());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.flac");
    std::fs::write(&path, commands::clip()).unwrap();
    let raw: Vec<u8> =
        samples().samples().iter().flat_map(|sample| ((sample * 32_768.0) as i16).to_le_bytes()).collect();
    let recordings = [
        Recording::file(&path),
        Recording::bytes("clip", commands::clip().to_vec()),
        Recording::reader("clip", std::fs::File::open(&path).unwrap()),
        Recording::range(&FileRange::new(std::fs::File::open(&path).unwrap(), 0, None, "clip").unwrap()),
        Recording::stream("clip", Trickle(Cursor::new(commands::clip().to_vec()))),
        Recording::raw("clip", Trickle(Cursor::new(raw)), RawFormat::default()),
        Recording::samples(samples()).channel(Channel::LEFT),
        Recording::source(Own(samples().samples().to_vec())),
    ];
    for recording in recordings {
        let name = format!("{recording:?}");
        assert_eq!(finished(transcribe(recording)).text, expected, "{name}");
    }
}

#[test]
fn a_recording_that_cannot_be_read_fails_its_job_and_names_it() {
    let wrong = [
        (Recording::file("no/such/file.wav"), "no/such/file.wav"),
        (Recording::bytes("note", *b"not audio at all"), "note"),
        (Recording::bytes("nothing", Vec::new()), "nothing"),
        (clip().channel(Channel::RIGHT), "no channel 2"),
        (Recording::samples(samples()).channel(Channel::RIGHT), "no channel 2"),
        (Recording::source(Own(Vec::new())).channel(Channel::Only(7)), "no channel 8"),
    ];
    for (recording, named) in wrong {
        let failure = failure(transcribe(recording));
        assert!(matches!(&*failure, Error::Audio(_)) && failure.to_string().contains(named), "{failure}");
    }
}

#[test]
fn options_that_contradict_the_model_fail_the_job() {
    let options = Options { max_tokens: Some(0), ..Options::default() };
    let job = engine().transcribe(recognizer(), clip(), options, &CancelToken::new());
    assert!(matches!(&*failure(job), Error::Option { .. }));
}

/// A reader that waits until it is let go: a provider of files that fetches them first.
struct Silent(Receiver<()>);

impl Read for Silent {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        let _ = self.0.recv();
        Ok(0)
    }
}

#[test]
fn a_job_whose_reader_hangs_can_be_cancelled_and_dropped() {
    let (_open, silent) = channel();
    let job = transcribe(Recording::stream("provider", Silent(silent)));
    assert_eq!(job.next_event(Duration::from_millis(20)).unwrap(), Answer::Waiting);
    job.cancel();
    assert!(matches!(&*failure(job), Error::Cancelled(_)));
}

/// Independent of time: the token fires at its first poll, then at its second, and so on.
#[test]
fn every_job_ends_at_whatever_look_its_token_fires() {
    let folder = tempfile::tempdir().unwrap();
    let packed = folder.path().join("packed.sotto");
    type Run<'a> = &'a dyn Fn(&CancelToken) -> Option<Arc<Error>>;
    let jobs: [(&str, Run<'_>); 4] = [
        ("load", &|cancel| drain(&engine().load_speech(source(), cancel)).1.err()),
        ("transcribe", &|cancel| drain(&engine().transcribe(recognizer(), clip(), Options::default(), cancel)).1.err()),
        ("voice", &|cancel| drain(&engine().find_speech(Vad::builtin(), clip(), cancel)).1.err()),
        ("pack", &|cancel| {
            let job = engine().quantize(source(), &packed, QuantizeOptions::default(), cancel);
            let (_, end) = drain(&job);
            assert!(job.wait_until_idle(Duration::MAX));
            assert_eq!(packed.exists(), end.is_ok());
            let _ = std::fs::remove_file(&packed);
            end.err().map(|failure| match &*failure {
                QuantizeError::Load(LoadError::Cancelled(cancelled)) => Arc::new((*cancelled).into()),
                QuantizeError::Write(error) => panic!("{error}"),
                other => panic!("{other}"),
            })
        }),
    ];
    for (name, run) in jobs {
        let whole = CancelToken::firing_at_look(usize::MAX);
        assert!(run(&whole).is_none(), "{name} fails");
        assert!(whole.looks() > 3, "{name}");
        for look in (1..whole.looks() * 3 / 4).step_by((whole.looks() / 5).max(1)) {
            let failure = run(&CancelToken::firing_at_look(look));
            let failure = failure.unwrap_or_else(|| panic!("{name}: look {look} of {} was not heard", whole.looks()));
            assert!(matches!(&*failure, Error::Cancelled(_)), "{name}: {failure}");
        }
    }
}

#[test]
fn the_memory_of_a_job_that_is_dropped_comes_back() {
    let engine = Engine::new(LoadOptions { threads: Threads::ONE, ..LoadOptions::default() });
    let cancel = CancelToken::new();
    let recognizer = engine.load_speech(source(), &cancel).wait(&NoProgress).unwrap();
    let model = engine.budget().used();
    let job = engine.transcribe(&recognizer, long(50), Options::default(), &cancel);
    while !matches!(job.next_event(Duration::MAX).unwrap(), Answer::Event(TranscriptionEvent::Segment(_))) {}
    assert!(engine.budget().used() > model);
    drop(job);
    while engine.budget().used() > model {
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_job_that_was_started_keeps_its_model_when_that_is_unloaded() {
    let (engine, cancel) = (engine(), CancelToken::new());
    for _ in 0..20 {
        let recognizer = engine.load_speech(source(), &cancel).wait(&NoProgress).unwrap();
        let file = engine.transcribe(&recognizer, clip(), Options::default(), &cancel);
        let language = engine.detect_language(&recognizer, clip(), &cancel);
        let live = engine.listen(&recognizer, LiveOptions::default(), SessionInput::default(), &cancel).unwrap();
        assert!(recognizer.unload());
        live.finish();
        assert!(matches!(live.next_event(Duration::MAX).unwrap(), Answer::Ended));
        assert_eq!(language.wait(&NoProgress).unwrap().code, "en");
        assert!(!finished(file).text.is_empty());
        let late = engine.transcribe(&recognizer, clip(), Options::default(), &cancel);
        assert!(matches!(&*failure(late), Error::Unloaded(_)));
        assert_eq!(engine.budget().used(), Bytes(0));
    }
}

#[test]
fn a_language_is_detected() {
    let job = engine().detect_language(recognizer(), clip(), &CancelToken::new());
    assert_eq!(job.wait(&NoProgress).unwrap().code, "en");
    let empty = Recording::source(Own(Vec::new()));
    let job = engine().detect_language(recognizer(), empty, &CancelToken::new());
    assert!(matches!(&*failure(job), Error::EmptyAudio));
}

#[test]
fn who_speaks_when_is_found_without_a_model() {
    let silence = vec![0.0; 3 * 16_000];
    let audio = Pcm16k::new([&silence, samples().samples(), &silence, samples().samples(), &silence].concat()).unwrap();
    let vad = Vad::builtin();
    let cancel = CancelToken::new();
    let seconds = |sample: usize| sample as f64 / 16_000.0;
    let expected: Vec<(f64, f64)> = speech_segments(&vad.model, audio.samples(), &vad.options, &cancel)
        .unwrap()
        .into_iter()
        .map(|range| (seconds(range.start), seconds(range.end)))
        .collect();
    let length = audio.seconds();
    let (mut events, end) = drain(&engine().find_speech(vad, audio.into(), &cancel));
    assert!(end.is_ok());
    assert_eq!(events.pop(), Some(VoiceEvent::Finished { duration: length, warnings: Vec::new() }));
    let found: Vec<(f64, f64)> = events
        .into_iter()
        .filter_map(|event| match event {
            VoiceEvent::Speech { start, end } => Some((start, end)),
            _ => None,
        })
        .collect();
    assert!(found.len() >= 2);
    assert_eq!(found, expected);
}

#[test]
fn a_model_is_packed_and_loads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("packed.sotto");
    let (engine, cancel) = (engine(), CancelToken::new());
    let measured = Some(r#"{"word_error_rate": 0.05}"#.to_owned());
    let options = QuantizeOptions { measured, ..QuantizeOptions::default() };
    let packed = engine.quantize(source(), &path, options, &cancel).wait(&NoProgress).unwrap();
    assert_eq!(packed.bytes, Bytes(path.metadata().unwrap().len()));
    let recognizer = engine.load_speech(path.as_path().into(), &cancel).wait(&NoProgress).unwrap();
    let model = recognizer.model().unwrap();
    let quality = model.packed().unwrap().quality.unwrap();
    assert!(quality.contains(r#""measured":{"word_error_rate":0.05}"#), "{quality}");
    let job = engine.transcribe(&recognizer, clip(), Options::default(), &cancel);
    assert_eq!(finished(job).text, finished(transcribe(clip())).text);
    // An existing file is not overwritten; invalid figures are refused before anything is read.
    let again = engine.quantize(source(), &path, QuantizeOptions::default(), &cancel);
    assert!(matches!(&*failure(again), QuantizeError::Write(_)));
    let figures = QuantizeOptions { measured: Some("[1]".into()), ..QuantizeOptions::default() };
    let refused = engine.quantize(ModelSource::Path(Path::new("none").into()), &path, figures, &cancel);
    assert!(matches!(&*failure(refused), QuantizeError::Measured { .. }));
}

#[test]
fn live_speech_is_heard_on_a_thread_with_the_engines_setup() {
    let (sender, threads) = channel();
    let setup = HelperSetup::new(move || drop(sender.send(std::thread::current().name().map(str::to_owned))));
    let options = LoadOptions { threads: Threads::ONE, helper_setup: setup, ..LoadOptions::default() };
    let (engine, cancel) = (Engine::new(options), CancelToken::new());
    let session = engine.listen(recognizer(), LiveOptions::default(), SessionInput::default(), &cancel).unwrap();
    assert_eq!(threads.recv().unwrap().as_deref(), Some("sotto-session"));
    session.push(samples().samples()).unwrap();
    session.finish();
    let mut text = String::new();
    while let Answer::Event(event) = session.next_event(Duration::MAX).unwrap() {
        if let LiveEvent::Final { text: said, .. } = event {
            text += &said.text;
        }
    }
    assert!(text.to_lowercase().contains("turn on the light"), "{text}");
}

#[test]
fn a_panic_of_an_apps_own_source_fails_the_job_alone() {
    struct Broken;
    impl SampleSource for Broken {
        fn next_block(&mut self, _: &mut Vec<f32>) -> Result<bool, AudioError> {
            panic!("as an app's code would");
        }

        fn seconds(&self) -> Option<f64> {
            None
        }
    }
    let failed = failure(transcribe(Recording::source(Broken)));
    assert!(matches!(&*failed, Error::Worker(WorkerError::Panicked)), "{failed}");
    assert!(!finished(transcribe(clip())).text.is_empty());
}
