//! Several threads do what apps do (start, push, wait, close, cancel, let go, unload, trim) with one job at random
//! moments. Whatever the order, every call returns, an error is one of those that say so, nothing panics, and all
//! memory is given back.
//!
//! `SOTTO_ROUNDS` says how often (300; 10,000 before a release), `SOTTO_SEED` repeats a run: the same steps, at moments
//! that are the machine's. `scripts/test.sh races` runs it under ThreadSanitizer.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

use std::pin::pin;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Barrier, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use sotto::packing::{QuantizeOptions, quantize};
use sotto::{CancelToken, NoProgress};
use sotto_ffi::engine::{Engine, EngineSettings, TrimLevel};
use sotto_ffi::error::SpeechFailure;
use sotto_ffi::source::{AudioInput, ModelLocation, PcmFormat, SampleEncoding};
use sotto_ffi::speech::{
    LiveSettings, LoadEvent, SpeechLoad, SpeechModel, SpeechSession, SpeechSettings, SpeechTask, Transcription,
};
use sotto_testkit::{block_on, commands};

const PCM: PcmFormat = PcmFormat { encoding: SampleEncoding::Signed16, rate: 16_000, channels: 1 };
/// Threads that hold the job of a round.
const THREADS: usize = 3;
/// Far beyond what a round takes, under a sanitizer too: who waits longer waits for ever.
const HANG: Duration = Duration::from_secs(120);

/// Numbers that a seed decides (xorshift64*, Vigna 2016).
#[derive(Clone)]
struct Chance(u64);

impl Chance {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % limit
    }

    /// Nothing, a few hundred microseconds, or some milliseconds: shorter than a step of the work, and longer.
    fn pause(&mut self) {
        let longest = [0, 0, 300, 300, 5_000][self.below(5) as usize];
        if longest > 0 {
            thread::sleep(Duration::from_micros(self.below(longest)));
        }
    }
}

#[derive(Clone)]
enum Job {
    Load(Arc<SpeechLoad>),
    Transcription(Arc<Transcription>),
    Session(Arc<SpeechSession>),
}

impl Job {
    fn start(kind: u64, place: &Place) -> Result<Self, SpeechFailure> {
        Ok(match kind {
            0 => Self::Load(place.engine.load_speech(place.model())?),
            1 => {
                let input = AudioInput::Samples { pcm: place.samples.clone(), format: PCM };
                Self::Transcription(place.loaded()?.transcribe(input, None, settings())?)
            }
            _ => Self::Session(place.loaded()?.start_session(PCM, live())?),
        })
    }

    /// Whether there was another event.
    async fn next_event(&self) -> Result<bool, SpeechFailure> {
        Ok(match self {
            Self::Load(job) => job.next_event().await?.is_some(),
            Self::Transcription(job) => job.next_event().await?.is_some(),
            Self::Session(job) => job.next_event().await?.is_some(),
        })
    }

    fn drain(&self) -> Result<(), SpeechFailure> {
        while block_on(self.next_event())? {}
        Ok(())
    }

    fn cancel(&self) {
        match self {
            Self::Load(job) => job.cancel(),
            Self::Transcription(job) => job.cancel(),
            Self::Session(job) => job.cancel(),
        }
    }

    /// A second or so of audio, and now and then the end of it; other jobs have all they need.
    fn feed(&self, samples: &[u8], chance: &mut Chance) -> Result<(), SpeechFailure> {
        let Self::Session(session) = self else { return Ok(()) };
        if chance.below(8) == 0 {
            session.finish();
            return Ok(());
        }
        let length = chance.below(32_000) as usize & !1;
        let start = chance.below((samples.len() - length) as u64 + 1) as usize & !1;
        session.push_pcm(&samples[start..start + length])
    }
}

struct Place {
    engine: Arc<Engine>,
    packed: Vec<u8>,
    samples: Vec<u8>,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile();
        let packed = folder.join("commands.sotto");
        commands::write(&folder).unwrap();
        let options = QuantizeOptions::default();
        quantize(&folder.clone().into(), &packed, &options, &NoProgress, &CancelToken::new()).unwrap();
        let packed = std::fs::read(packed).unwrap();
        std::fs::remove_dir_all(folder).unwrap();
        let audio = sotto::audio::decode_bytes(commands::clip()).unwrap();
        let samples = audio.samples().iter().flat_map(|sample| ((sample * 32_767.0) as i16).to_le_bytes()).collect();
        let settings = EngineSettings { threads: 2, ..EngineSettings::default() };
        Self { engine: Engine::new(settings).unwrap(), packed, samples }
    }

    fn model(&self) -> ModelLocation {
        ModelLocation::Bytes { name: "commands".into(), bytes: self.packed.clone() }
    }

    fn loaded(&self) -> Result<Arc<SpeechModel>, SpeechFailure> {
        let load = self.engine.load_speech(self.model())?;
        loop {
            match block_on(load.next_event())? {
                Some(LoadEvent::Loaded { model }) => return Ok(model),
                Some(LoadEvent::Progress { .. }) => {}
                None => panic!("a load without a model"),
            }
        }
    }

    /// One thread's part of a round. It lets go of the job where it likes.
    fn act(&self, job: Job, chance: &mut Chance) -> Result<(), SpeechFailure> {
        for _ in 0..chance.below(6) {
            chance.pause();
            match chance.below(9) {
                0 => job.cancel(),
                1 => drop(self.engine.trim(TrimLevel::Idle)),
                2 => drop(self.engine.trim(TrimLevel::Pages)),
                3 => self.engine.loaded_models().iter().for_each(|model| {
                    self.engine.unload_model(model.id);
                }),
                4 if chance.below(2) == 0 => return Ok(()),
                // Perhaps nothing will come: whoever waits gives up after a while, and the event stays for others.
                4 | 5 => drop(with_patience(Duration::from_micros(chance.below(2_000)), job.next_event())?),
                _ => job.feed(&self.samples, chance)?,
            }
        }
        match chance.below(3) {
            0 => Ok(()),
            1 => {
                job.cancel();
                job.drain()
            }
            // A reader to the end; a session needs somebody to say that there is one.
            _ => {
                if let Job::Session(session) = &job {
                    session.finish();
                }
                job.drain()
            }
        }
    }

    fn round(&self, seed: u64) -> Result<(), SpeechFailure> {
        let mut chance = Chance::new(seed);
        let job = match Job::start(chance.below(3), self) {
            Ok(job) => job,
            Err(failure) => return expected(failure),
        };
        let together = Barrier::new(THREADS);
        thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS as u64)
                .map(|thread| {
                    let (job, mut chance, together) = (job.clone(), Chance::new(seed ^ (thread + 1) << 48), &together);
                    scope.spawn(move || {
                        together.wait();
                        self.act(job, &mut chance).or_else(expected)
                    })
                })
                .collect();
            drop(job);
            threads.into_iter().try_for_each(|thread| thread.join().unwrap())
        })
    }
}

/// The future's value, or `None` after a while: then it is dropped as it is.
fn with_patience<T>(
    patience: Duration,
    future: impl Future<Output = Result<T, SpeechFailure>>,
) -> Result<Option<T>, SpeechFailure> {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let (mut context, mut future, start) = (Context::from_waker(&waker), pin!(future), Instant::now());
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value.map(Some);
        }
        match patience.checked_sub(start.elapsed()) {
            Some(left) => thread::park_timeout(left),
            None => return Ok(None),
        }
    }
}

/// What may be answered in a race; anything else is a fault of ours.
fn expected(failure: SpeechFailure) -> Result<(), SpeechFailure> {
    match failure {
        SpeechFailure::Cancelled
        | SpeechFailure::Unloaded { .. }
        | SpeechFailure::Ended { .. }
        | SpeechFailure::Behind { .. } => Ok(()),
        other => Err(other),
    }
}

fn settings() -> SpeechSettings {
    SpeechSettings { language: "en".into(), task: Some(SpeechTask::Transcribe), ..SpeechSettings::default() }
}

fn live() -> LiveSettings {
    let speech = Some(settings());
    LiveSettings { speech, without_voice_activity: true, adaptive: true, ..LiveSettings::default() }
}

fn tempfile() -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("sotto-races-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().map_or(otherwise, |value| value.parse().unwrap())
}

/// Waits until nothing is held any more: threads of jobs that nobody waits for end a little later.
fn all_is_given_back(place: &Place) -> bool {
    let start = Instant::now();
    while place.engine.memory().used != 0 {
        if start.elapsed() > HANG {
            return false;
        }
        thread::sleep(Duration::from_millis(1));
    }
    true
}

#[test]
fn any_steps_at_any_moments_end_and_leave_nothing_behind() {
    static PLACE: OnceLock<Place> = OnceLock::new();
    let (rounds, first) = (number("SOTTO_ROUNDS", 300), number("SOTTO_SEED", 1));
    let place = PLACE.get_or_init(Place::new);
    let (done, rounds_done) = channel();
    // On a thread of its own, which is left where it hangs: then the test says in which round, instead of hanging too.
    thread::spawn(move || {
        for seed in first..first + rounds {
            if done.send((seed, place.round(seed))).is_err() {
                return;
            }
        }
    });
    let start = Instant::now();
    for seed in first..first + rounds {
        match rounds_done.recv_timeout(HANG) {
            Ok((_, Ok(()))) => {}
            Ok((seed, Err(failure))) => panic!("seed {seed}: {failure:?}"),
            Err(RecvTimeoutError::Timeout) => panic!("seed {seed}: hangs"),
            Err(RecvTimeoutError::Disconnected) => panic!("seed {seed}: a panic, which is above"),
        }
    }
    assert!(all_is_given_back(place), "{} bytes are still held", place.engine.memory().used);
    println!("{rounds} rounds in {:.1} s", start.elapsed().as_secs_f64());
}
