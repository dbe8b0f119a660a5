//! A live transcription on a thread of its own: push samples from anywhere, pull events from anywhere.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sotto_runtime::CancelToken;

use super::backlog::Backlog;
use super::event::StreamEvent;
use super::transcriber::{StreamOptions, StreamTranscriber};
use crate::error::SpeechError;
use crate::recognizer::SpeechRecognizer;

/// Format of the samples that are pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionInput {
    /// Samples per second and channel.
    pub rate: u32,
    /// Interleaved channels.
    pub channels: u16,
}

impl Default for SessionInput {
    fn default() -> Self {
        Self { rate: sotto_audio::SAMPLE_RATE, channels: 1 }
    }
}

/// Why a session did not take samples or has no more events.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The transcription failed; every later call says so again.
    #[error("{0}")]
    Failed(Arc<SpeechError>),
    /// Samples come in faster than this device can decode them. Nothing was taken; wait for events and push again.
    #[error(
        "{seconds:.0} seconds of audio are waiting to be decoded; push more when events have caught up, or use a smaller model"
    )]
    Behind {
        /// Audio that waits.
        seconds: f64,
    },
    /// One push holds more than may wait at all. Nothing was taken.
    #[error("{seconds:.0} seconds of audio in one push are more than the {most:.0} that may wait; push smaller pieces")]
    TooLong {
        /// Audio of this push.
        seconds: f64,
        /// Audio that may wait.
        most: f64,
    },
    /// Samples after [`Session::finish`].
    #[error("the session was finished; start another one for more audio")]
    Finished,
}

/// A live transcription that runs on its own thread. `Send + Sync`; dropping it cancels and waits for the thread, which
/// notices within one decoded token or encoder layer.
#[derive(Debug)]
pub struct Session {
    shared: Arc<Shared>,
    worker: Option<JoinHandle<()>>,
    cancel: CancelToken,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Samples came in or the session was told to stop.
    wake_worker: Condvar,
    /// Events came out or the worker stopped.
    wake_reader: Condvar,
}

#[derive(Debug)]
struct State {
    backlog: Backlog,
    events: VecDeque<StreamEvent>,
    finished: bool,
    done: bool,
    failure: Option<Arc<SpeechError>>,
}

impl Shared {
    fn new(input: SessionInput) -> Self {
        let state = Mutex::new(State::new(input));
        Self { state, wake_worker: Condvar::new(), wake_reader: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs while the lock is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// Starts the thread. `cancel` stops the session as [`cancel`](Self::cancel) does.
    ///
    /// # Errors
    /// [`SpeechError::Option`] when the options contradict the model, [`SpeechError::Audio`] when the format cannot be
    /// resampled, [`SpeechError::NoThread`] when the system has no thread left.
    pub fn start(
        recognizer: &SpeechRecognizer,
        options: StreamOptions,
        input: SessionInput,
        cancel: &CancelToken,
    ) -> Result<Self, SpeechError> {
        let cancel = cancel.child();
        // Options are checked here, where the caller can see the error.
        StreamTranscriber::new(recognizer, &options, input.rate, input.channels, &cancel)?;
        let shared = Arc::new(Shared::new(input));
        let worker = Worker {
            recognizer: recognizer.clone(),
            options,
            input,
            cancel: cancel.clone(),
            shared: Arc::clone(&shared),
        };
        let worker = std::thread::Builder::new()
            .name("sotto-session".into())
            .spawn(move || worker.run())
            .map_err(SpeechError::NoThread)?;
        Ok(Self { shared, worker: Some(worker), cancel })
    }

    /// Hands over interleaved samples. Never blocks on decoding: safe on an audio thread.
    ///
    /// Five minutes may wait to be decoded, or 64 MiB where that is less (16 kHz mono takes 19 MB for five minutes,
    /// 48 kHz stereo 64 MiB for not quite three).
    ///
    /// # Errors
    /// [`SessionError::Behind`] when too much would wait, [`SessionError::TooLong`] when this push alone is more than
    /// may wait (nothing was taken in both cases), [`SessionError::Finished`] after [`finish`](Self::finish),
    /// [`SessionError::Failed`] when the transcription has failed or was cancelled.
    pub fn push(&self, samples: &[f32]) -> Result<(), SessionError> {
        let mut state = self.shared.lock();
        state.check()?;
        if state.finished {
            return Err(SessionError::Finished);
        }
        state.backlog.push(samples)?;
        self.shared.wake_worker.notify_one();
        Ok(())
    }

    /// Says that no more samples come: the rest becomes final. Returns at once; further calls do nothing.
    pub fn finish(&self) {
        self.shared.lock().finished = true;
        self.shared.wake_worker.notify_one();
    }

    /// Stops decoding and throws away what waits. Events that are out already can still be pulled.
    pub fn cancel(&self) {
        self.cancel.cancel();
        self.shared.wake_worker.notify_one();
    }

    /// The next event; waits for it at most `timeout`. Volatile text that was replaced before it was pulled is left
    /// out. `Ok(None)` after the last event of a finished session, or when the time is over
    /// ([`is_done`](Self::is_done) tells which).
    ///
    /// # Errors
    /// [`SessionError::Failed`] once the events before the failure were pulled; a cancelled session fails with
    /// [`SpeechError::Cancelled`].
    pub fn next_event(&self, timeout: Duration) -> Result<Option<StreamEvent>, SessionError> {
        let deadline = Instant::now().checked_add(timeout);
        let mut state = self.shared.lock();
        loop {
            if let Some(event) = state.events.pop_front() {
                return Ok(Some(event));
            }
            state.check()?;
            let left = deadline.map_or(Duration::from_secs(3600), |at| at.saturating_duration_since(Instant::now()));
            if state.done || left.is_zero() {
                return Ok(None);
            }
            state = self.shared.wake_reader.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Whether the session has ended and all its events were pulled.
    #[must_use]
    pub fn is_done(&self) -> bool {
        let state = self.shared.lock();
        state.done && state.events.is_empty()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.cancel();
        if let Some(worker) = self.worker.take() {
            // A panic of the worker was already reported by its thread; dropping must not panic again.
            let _ = worker.join();
        }
    }
}

impl State {
    fn new(input: SessionInput) -> Self {
        let backlog = Backlog::new(input);
        Self { backlog, events: VecDeque::new(), finished: false, done: false, failure: None }
    }

    /// Queues events. Volatile text that nobody pulled yet is replaced by what replaces it: what waits for a reader that
    /// never comes grows with the words that were said, not with the time that passes.
    fn report(&mut self, events: impl Iterator<Item = StreamEvent>) {
        for event in events {
            let replaces = matches!(event, StreamEvent::Volatile { .. });
            if replaces && matches!(self.events.back(), Some(StreamEvent::Volatile { .. })) {
                self.events.pop_back();
            }
            self.events.push_back(event);
        }
    }

    fn check(&self) -> Result<(), SessionError> {
        self.failure.clone().map_or(Ok(()), |failure| Err(SessionError::Failed(failure)))
    }
}

/// Ends the session when it is dropped.
struct EndOfSession<'a>(&'a Shared);

impl Drop for EndOfSession<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.done = true;
        state.backlog.clear();
        if std::thread::panicking() {
            state.failure = Some(Arc::new(SpeechError::Panicked));
        }
        drop(state);
        self.0.wake_reader.notify_all();
    }
}

struct Worker {
    recognizer: SpeechRecognizer,
    options: StreamOptions,
    input: SessionInput,
    cancel: CancelToken,
    shared: Arc<Shared>,
}

impl Worker {
    fn run(self) {
        // Readers must not wait for ever, even where a bug panics: the guard ends the session, the panic goes on.
        let guard = EndOfSession(&self.shared);
        let result = self.transcribe();
        self.shared.lock().failure = result.err().map(Arc::new);
        drop(guard);
    }

    fn transcribe(&self) -> Result<(), SpeechError> {
        let SessionInput { rate, channels } = self.input;
        let mut transcriber = StreamTranscriber::new(&self.recognizer, &self.options, rate, channels, &self.cancel)?;
        let (mut samples, mut events) = (Vec::new(), Vec::new());
        loop {
            let finished = self.wait(&mut samples)?;
            let pushed = transcriber.push(&samples, &mut events);
            // What was said before a failure was said.
            self.report(&mut events);
            pushed?;
            if finished {
                let ended = transcriber.finish(&mut events);
                self.report(&mut events);
                return ended;
            }
        }
    }

    fn report(&self, events: &mut Vec<StreamEvent>) {
        self.shared.lock().report(events.drain(..));
        self.shared.wake_reader.notify_all();
    }

    /// Waits for samples and takes them; `true` when they are the last ones.
    fn wait(&self, samples: &mut Vec<f32>) -> Result<bool, SpeechError> {
        samples.clear();
        let mut state = self.shared.lock();
        loop {
            self.cancel.check()?;
            if !state.backlog.is_empty() || state.finished {
                // A second at most, so that events come out while a backlog is worked off.
                state.backlog.take(samples);
                return Ok(state.finished && state.backlog.is_empty());
            }
            // A parent token can fire without a wake-up: look at it from time to time.
            let patience = Duration::from_millis(50);
            state = self.shared.wake_worker.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::StreamText;

    fn volatile(at: f64) -> StreamEvent {
        StreamEvent::Volatile { at, text: StreamText::default() }
    }

    fn final_at(at: f64) -> StreamEvent {
        StreamEvent::Final { at, text: StreamText::default() }
    }

    #[test]
    fn a_thread_that_panics_ends_its_session_and_says_so() {
        let shared = Arc::new(Shared::new(SessionInput::default()));
        let worker = Arc::clone(&shared);
        let worker = std::thread::spawn(move || {
            let _guard = EndOfSession(&worker);
            panic!("as a bug would");
        });
        assert!(worker.join().is_err());
        let state = shared.lock();
        assert!(state.done);
        let Err(SessionError::Failed(reason)) = state.check() else { panic!("no failure") };
        assert!(matches!(*reason, SpeechError::Panicked), "{reason}");
    }

    #[test]
    fn volatile_text_that_was_not_pulled_is_replaced_and_final_text_kept() {
        let mut state = State::new(SessionInput::default());
        state.report([volatile(1.0), volatile(2.0), final_at(3.0), volatile(3.0)].into_iter());
        state.report([volatile(4.0), final_at(5.0), final_at(6.0)].into_iter());
        assert_eq!(state.events, [volatile(2.0), final_at(3.0), volatile(4.0), final_at(5.0), final_at(6.0)]);
    }
}
