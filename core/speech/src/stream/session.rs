//! A live transcription as a job: samples may be pushed, and events pulled, on any thread.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use sotto_audio::{AudioError, SampleFormat};
use sotto_runtime::{Answer, CancelToken, Event, Job, JobOptions, Passing, Reporter};

use super::event::StreamEvent;
use super::input::{Input, Reading};
use super::transcriber::{StreamOptions, StreamTranscriber};
use crate::error::SpeechError;
use crate::recognizer::SpeechRecognizer;

/// Format of pushed samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionInput {
    /// Samples per second and channel.
    pub rate: u32,
    /// Interleaved channels.
    pub channels: u16,
    /// Format of samples that are pushed as bytes.
    pub format: SampleFormat,
}

impl Default for SessionInput {
    /// 16 kHz mono, 16 bit.
    fn default() -> Self {
        Self { rate: sotto_audio::SAMPLE_RATE, channels: 1, format: SampleFormat::S16Le }
    }
}

/// Why a session refused samples or has no more events.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The transcription failed; every later call returns this error again.
    #[error("{0}")]
    Failed(Arc<SpeechError>),
    /// Samples arrive faster than this device can decode them. Nothing was taken; wait for events and push again.
    #[error(
        "{seconds:.0} seconds of audio are waiting to be decoded; push more when events have caught up, \
         or use a smaller model"
    )]
    Behind {
        /// Seconds of waiting audio.
        seconds: f64,
    },
    /// One push has more than may ever wait. Nothing was taken.
    #[error("{seconds:.0} seconds of audio in one push are more than the {most:.0} that may wait; push smaller pieces")]
    TooLong {
        /// Seconds of audio in this push.
        seconds: f64,
        /// Maximum seconds of audio that may wait.
        most: f64,
    },
    /// The bytes are not raw samples but a file with a header. Nothing was taken.
    #[error("{0}")]
    Audio(Arc<AudioError>),
    /// The last pushed bytes ended inside a sample, so samples cannot be pushed. Nothing was taken.
    #[error("the bytes pushed before end inside of a sample; push the rest of it as bytes first")]
    InsideSample,
    /// Samples after [`Session::finish`].
    #[error("the session was finished; start another one for more audio")]
    Finished,
}

/// A live transcription that runs on its own thread. `Send + Sync`. Dropping it cancels it and returns at once; the
/// thread notices within one decoded token or encoder layer.
#[derive(Debug)]
pub struct Session {
    job: Job<StreamEvent, SpeechError>,
    input: Arc<Input>,
}

impl Event for StreamEvent {
    fn passing(&self) -> Option<Passing> {
        matches!(self, Self::Volatile { .. }).then_some(Passing::Volatile)
    }
}

// Half an hour of final texts with a volatile one after each. A session whose events are not pulled waits when the
// queue is full, and soon refuses samples.
const QUEUE: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

impl Session {
    /// Starts the thread. `cancel` stops the session as [`cancel`](Self::cancel) does. Returns at once: later errors,
    /// such as too small a budget or a thread that cannot be started, are returned by the pulls.
    ///
    /// # Errors
    /// [`SpeechError::Option`] when the options contradict the model, [`SpeechError::Audio`] when the format cannot be
    /// resampled, [`SpeechError::Unloaded`] when the model was unloaded.
    pub fn start(
        recognizer: &SpeechRecognizer,
        options: StreamOptions,
        input: SessionInput,
        cancel: &CancelToken,
    ) -> Result<Self, SpeechError> {
        Self::start_as(&JobOptions::default(), recognizer, options, input, cancel)
    }

    /// As [`start`](Self::start), with a set-up function for the thread; other job options are fixed.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_as(
        job: &JobOptions,
        recognizer: &SpeechRecognizer,
        options: StreamOptions,
        input: SessionInput,
        cancel: &CancelToken,
    ) -> Result<Self, SpeechError> {
        // Options are checked here, so that the caller gets the error.
        StreamTranscriber::check(recognizer, &options, input.rate, input.channels)?;
        let waiting = Input::new(input);
        // In use from now on, so that the model cannot be unloaded before the thread uses it.
        let recognizer = recognizer.in_use()?;
        let worker = Worker { recognizer, options, format: input, input: Reading::of(&waiting) };
        let job = JobOptions { name: "sotto-session", queue: QUEUE, ..job.clone() };
        let job = Job::start(&job, cancel, move |reporter| worker.run(reporter));
        Ok(Self { job, input: waiting })
    }

    /// Pushes interleaved samples. Never waits for decoding: may be called on an audio thread.
    ///
    /// Five minutes may wait to be decoded, or 64 MiB where that is less (16 kHz mono takes 19 MB for five minutes,
    /// 48 kHz stereo 64 MiB for not quite three).
    ///
    /// # Errors
    /// [`SessionError::Behind`] when too much would wait, [`SessionError::TooLong`] when this push alone is more than
    /// may wait, [`SessionError::InsideSample`] after bytes that end inside a sample (in all three cases nothing was
    /// taken), [`SessionError::Finished`] after [`finish`](Self::finish), [`SessionError::Failed`] when the
    /// transcription has failed or was cancelled.
    pub fn push(&self, samples: &[f32]) -> Result<(), SessionError> {
        self.check()?;
        self.input.push(samples)
    }

    /// As [`push`](Self::push), for interleaved samples as bytes in [`SessionInput::format`], in pieces of any size:
    /// the beginning of a sample is kept until the rest arrives. An incomplete sample at the end is dropped.
    ///
    /// # Errors
    /// As [`push`](Self::push), and [`SessionError::Audio`] when the stream begins like a file.
    pub fn push_bytes(&self, bytes: &[u8]) -> Result<(), SessionError> {
        self.check()?;
        self.input.push_bytes(bytes)
    }

    /// As [`push`](Self::push), but first waits, asleep, while more than two seconds of audio are waiting to be
    /// decoded. For recordings, which can be read faster than real time.
    ///
    /// # Errors
    /// As [`push`](Self::push); `Behind` never.
    pub fn feed(&self, samples: &[f32]) -> Result<(), SessionError> {
        self.input.wait_for_room();
        self.push(samples)
    }

    /// Finishes the input: the rest of the text becomes final. Returns at once; further calls do nothing.
    pub fn finish(&self) {
        self.input.finish();
    }

    /// Stops decoding and drops waiting samples. Events reported before can still be pulled. Returns at once.
    pub fn cancel(&self) {
        self.job.cancel();
    }

    /// The next event. Waits at most `timeout`; without limit for [`Duration::MAX`]. Skips volatile text that was
    /// replaced before it was pulled.
    ///
    /// # Errors
    /// [`SessionError::Failed`] once the events before the failure were pulled; a cancelled session fails with
    /// [`SpeechError::Cancelled`].
    pub fn next_event(&self, timeout: Duration) -> Result<Answer<StreamEvent>, SessionError> {
        self.job.next_event(timeout).map_err(SessionError::Failed)
    }

    /// The next event, or `None` after the last one of a finished session. If there is none yet, the waker of `context`
    /// is woken when that changes. Never blocks. Several tasks may poll; a dropped task loses no event.
    ///
    /// # Errors
    /// As [`next_event`](Self::next_event).
    pub fn poll_event(&self, context: &mut Context<'_>) -> Poll<Result<Option<StreamEvent>, SessionError>> {
        self.job.poll_event(context).map_err(SessionError::Failed)
    }

    /// The next event, or `None` after the last one of a finished session. Waits without blocking a thread. Dropping
    /// the future loses no event.
    ///
    /// # Errors
    /// As [`next_event`](Self::next_event).
    pub async fn event(&self) -> Result<Option<StreamEvent>, SessionError> {
        self.job.event().await.map_err(SessionError::Failed)
    }

    /// Waits at most `timeout` until the thread has ended its work and freed its memory. Returns whether it has.
    #[must_use]
    pub fn wait_until_idle(&self, timeout: Duration) -> bool {
        self.job.wait_until_idle(timeout)
    }

    fn check(&self) -> Result<(), SessionError> {
        self.job.failure().map_or(Ok(()), |failure| Err(SessionError::Failed(failure)))
    }
}

/// The work of the thread.
struct Worker {
    recognizer: SpeechRecognizer,
    options: StreamOptions,
    format: SessionInput,
    input: Reading,
}

impl Worker {
    fn run(self, reporter: &Reporter<StreamEvent, SpeechError>) -> Result<Option<StreamEvent>, SpeechError> {
        let _listener = self.input.until(reporter.cancel());
        let SessionInput { rate, channels, .. } = self.format;
        let Self { recognizer, options, input, .. } = &self;
        let mut transcriber = StreamTranscriber::new(recognizer, options, rate, channels, reporter.cancel())?;
        let report = |events: &mut Vec<StreamEvent>| events.drain(..).try_for_each(|event| reporter.report(event));
        let (mut samples, mut events) = (Vec::new(), Vec::new());
        loop {
            reporter.cancel().check()?;
            let last = input.take(&mut samples)?;
            for beat in samples.chunks(self.beat()) {
                let pushed = transcriber.push(beat, &mut events);
                // Events before a failure are still reported.
                report(&mut events)?;
                pushed?;
            }
            if last {
                let ended = transcriber.finish(&mut events);
                report(&mut events)?;
                return ended.map(|()| None);
            }
        }
    }

    /// Samples per check for events: 50 ms, the clock of the transcriber.
    fn beat(&self) -> usize {
        (self.format.rate as usize / 20).max(1) * usize::from(self.format.channels)
    }
}
