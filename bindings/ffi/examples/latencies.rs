//! Latencies of the surface, without the languages on top: handing over samples, getting an event, cancelling.
//!
//! ```text
//! cargo run --release -p sotto-ffi --example latencies -- MODEL RECORDING
//! ```
//!
//! A job is idle when its thread has given its memory back.
#![allow(clippy::unwrap_used, reason = "a measurement fails where it panics")]

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use sotto_ffi::engine::{Engine, EngineSettings};
use sotto_ffi::source::{AudioInput, ModelLocation, PcmFormat, SampleEncoding};
use sotto_ffi::speech::{LiveSettings, LoadEvent, SpeechModel, SpeechSettings, TranscriptionEvent};
use sotto_testkit::block_on as wait;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (Some(model), Some(recording)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: latencies MODEL RECORDING");
        std::process::exit(2);
    };
    let source = || ModelLocation::Path { path: model.clone() };
    let engine = engine();
    let loaded = load(&engine, source());
    push(&loaded);
    event(&loaded);
    cancel_load(&source);
    for after in [1, 20, 60, 150, 400] {
        cancel_transcription(&engine, &loaded, &recording, Duration::from_millis(after));
    }
}

fn engine() -> Arc<Engine> {
    Engine::new(EngineSettings::default()).unwrap()
}

fn load(engine: &Engine, source: ModelLocation) -> Arc<SpeechModel> {
    let job = engine.load_speech(source).unwrap();
    loop {
        if let Some(LoadEvent::Loaded { model }) = wait(job.next_event()).unwrap() {
            return model;
        }
    }
}

/// 20 ms of 16-bit samples at a time, faster than they are heard, so that the worker is busy meanwhile.
fn push(model: &SpeechModel) {
    let format = PcmFormat { encoding: SampleEncoding::Signed16, rate: 16_000, channels: 1 };
    let mut times = Vec::new();
    for _ in 0..10 {
        let session = model.start_session(format, LiveSettings::default()).unwrap();
        let chunk = [3_u8; 640];
        for _ in 0..1000 {
            let start = Instant::now();
            session.push_pcm(&chunk).unwrap();
            times.push(start.elapsed());
        }
        session.cancel();
    }
    say("push of 20 ms", &mut times);
}

/// From the call that brings a session's end about to the reader that waits for it on another thread.
fn event(model: &SpeechModel) {
    let format = PcmFormat { encoding: SampleEncoding::Signed16, rate: 16_000, channels: 1 };
    let mut times = Vec::new();
    for _ in 0..200 {
        let session = model.start_session(format, LiveSettings::default()).unwrap();
        let reader = Arc::clone(&session);
        let reader = thread::spawn(move || {
            let _ = wait(reader.next_event());
            Instant::now()
        });
        // The reader waits by then.
        thread::sleep(Duration::from_millis(3));
        let start = Instant::now();
        session.finish();
        times.push(reader.join().unwrap().saturating_duration_since(start));
    }
    say("event to a waiting reader", &mut times);
}

fn cancel_load(source: &dyn Fn() -> ModelLocation) {
    let mut times = Vec::new();
    for after in 0..20 {
        let engine = engine();
        let job = engine.load_speech(source()).unwrap();
        thread::sleep(Duration::from_millis(after));
        times.push(idle_after(&engine, 0, || drop(job)));
    }
    say("cancel while loading, to idle", &mut times);
}

fn cancel_transcription(engine: &Engine, model: &SpeechModel, recording: &str, after: Duration) {
    let mut times = Vec::new();
    let before = engine.memory().used;
    for _ in 0..10 {
        let input = AudioInput::Path { path: recording.to_owned() };
        let job = model.transcribe(input, None, settings()).unwrap();
        thread::sleep(after);
        // Already ended, where the recording is short.
        if matches!(wait_ready(&job), Some(TranscriptionEvent::Finished { .. })) {
            continue;
        }
        times.push(idle_after(engine, before, || job.cancel()));
    }
    say(&format!("cancel {} ms into a transcription, to idle", after.as_millis()), &mut times);
}

/// The next event, where there is one already.
fn wait_ready(job: &sotto_ffi::speech::Transcription) -> Option<TranscriptionEvent> {
    let mut future = pin!(job.next_event());
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(event) => event.ok().flatten(),
        Poll::Pending => None,
    }
}

fn idle_after(engine: &Engine, memory: u64, cancel: impl FnOnce()) -> Duration {
    let start = Instant::now();
    cancel();
    while engine.memory().used > memory {
        thread::sleep(Duration::from_micros(100));
    }
    start.elapsed()
}

fn settings() -> SpeechSettings {
    SpeechSettings { language: "en".into(), ..SpeechSettings::default() }
}

fn say(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let Some(last) = times.len().checked_sub(1) else {
        println!("{what}: nothing to measure");
        return;
    };
    let (median, late) = (times[last / 2], times[last * 99 / 100]);
    println!("{what}: median {median:.1?}, p99 {late:.1?}, {} times", times.len());
}
