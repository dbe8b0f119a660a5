//! A job: the one form of a long call that an app drives. Loading a model, transcribing a file, listening to a
//! microphone, fetching and packing are jobs.
//!
//! The work runs on a thread of its own. Its events are pulled, either by a thread that waits ([`Job::next_event`]) or
//! by an async task whose waker is kept ([`Job::poll_event`]). No thread of Sotto calls into an app, except to wake a
//! task. Results are events: the last event of a job that succeeds. A job is cancelled by its token, by
//! [`cancel`](Job::cancel) and by being dropped; none of these waits for its thread.
//!
//! * `handover`: the state that worker and readers share, and the rules that make it correct;
//! * `event`: which events there are, and which may be replaced while they wait.
//!
//! Nothing polls a clock to find out whether to go on: cancelling wakes every thread that sleeps
//! ([`CancelToken::on_cancel`]). Model tests (`model.rs`, loom) go through the interleavings:
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test -p sotto-runtime --lib job::model --target-dir target/loom
//! ```

mod event;
mod handover;
#[cfg(all(test, loom))]
mod model;
#[cfg(all(test, not(loom)))]
mod tests;

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

pub use self::event::{Event, Passing, Step};
use self::handover::HandOver;
use crate::sync::thread;
use crate::{CancelListener, CancelToken, Cancelled, HelperSetup, Progress, ProgressSink};

/// What the error type of a job must be able to express: that the job was cancelled, and that its thread failed.
pub trait Failure: From<Cancelled> + From<WorkerError> + Send + Sync + 'static {}

impl<F: From<Cancelled> + From<WorkerError> + Send + Sync + 'static> Failure for F {}

/// Why the thread of a job could not do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// The system could not start a thread.
    #[error("no thread for the work: {0}; end other work of this app and start it again")]
    NoThread(io::Error),
    /// A bug: the work panicked. The panic message went to the standard error stream.
    #[error("the work panicked, which is a bug in Sotto; start it again to go on")]
    Panicked,
}

/// The result of a pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer<E> {
    /// The next event.
    Event(E),
    /// No event within the timeout; the job goes on.
    Waiting,
    /// No more events: the job has succeeded and all its events were pulled.
    Ended,
}

/// Options of a job.
#[derive(Debug, Clone)]
pub struct JobOptions {
    /// Name of the thread, as debuggers and profilers show it: at most 15 characters.
    pub name: &'static str,
    /// Called on the thread before its work.
    pub setup: HelperSetup,
    /// How many events may wait to be pulled. At this number the work blocks until one is pulled.
    pub queue: NonZeroUsize,
}

impl Default for JobOptions {
    fn default() -> Self {
        // More events than a screen shows, yet a bound on the memory of a job that nobody reads.
        const QUEUE: NonZeroUsize = NonZeroUsize::new(256).unwrap();
        Self { name: "sotto-job", setup: HelperSetup::default(), queue: QUEUE }
    }
}

/// Work on a thread of its own. Its events `E` are pulled; it may fail with `F`. `Send + Sync`.
///
/// Dropping a job cancels it and returns at once: the thread notices within one decoded token, encoder layer or file
/// block, frees its memory and ends. Several threads and tasks may pull events; each event goes to one of them.
///
/// ```
/// use std::time::Duration;
/// use sotto_runtime::{Answer, CancelToken, Cancelled, Event, Job, JobOptions, WorkerError};
///
/// #[derive(Debug, PartialEq)]
/// struct Square(u32);
/// impl Event for Square {}
///
/// #[derive(Debug, thiserror::Error)]
/// enum Failed {
///     #[error(transparent)]
///     Cancelled(#[from] Cancelled),
///     #[error(transparent)]
///     Worker(#[from] WorkerError),
/// }
///
/// let job: Job<Square, Failed> = Job::start(&JobOptions::default(), &CancelToken::new(), |reporter| {
///     for number in 1..3 {
///         reporter.report(Square(number * number))?;
///     }
///     Ok(Some(Square(9)))
/// });
/// let mut squares = Vec::new();
/// while let Answer::Event(Square(square)) = job.next_event(Duration::MAX)? {
///     squares.push(square);
/// }
/// assert_eq!(squares, [1, 4, 9]);
/// # Ok::<(), std::sync::Arc<Failed>>(())
/// ```
pub struct Job<E: Event, F: Failure> {
    shared: Arc<HandOver<E, F>>,
    cancel: CancelToken,
    /// Reports to `shared` that the token has fired.
    _listener: CancelListener,
}

impl<E: Event, F: Failure> Job<E, F> {
    /// Starts `work` on a thread of its own. `work` may return a last event. Everything that `work` captured is dropped
    /// before that event can be pulled, and the job cannot fail after it. Firing `cancel` stops the job as
    /// [`cancel`](Self::cancel) does.
    ///
    /// Never fails itself: every error, that of starting the thread included, is returned by the pulls.
    pub fn start(
        options: &JobOptions,
        cancel: &CancelToken,
        work: impl FnOnce(&Reporter<E, F>) -> Result<Option<E>, F> + Send + 'static,
    ) -> Self {
        let cancel = cancel.child();
        let shared = Arc::new(HandOver::new(options.queue));
        let told = Arc::clone(&shared);
        let listener = cancel.on_cancel(move || told.cancel());
        let reporter = Reporter { shared: Arc::clone(&shared), cancel: cancel.clone() };
        let setup = options.setup.clone();
        let life = move || {
            let result = catch_unwind(AssertUnwindSafe(|| {
                setup.call();
                work(&reporter)
            }));
            reporter.shared.end(result.unwrap_or_else(|_| Err(WorkerError::Panicked.into())));
        };
        if let Err(error) = thread::Builder::new().name(options.name.into()).spawn(life) {
            shared.end(Err(WorkerError::NoThread(error).into()));
        }
        Self { shared, cancel, _listener: listener }
    }

    /// The next event. Blocks the calling thread, asleep, for at most `timeout`; without limit for [`Duration::MAX`].
    ///
    /// # Errors
    /// The failure of the job, after the events before it were pulled, and again at every later call. A cancelled job
    /// does not wait for its thread: it fails as soon as the waiting events were pulled.
    pub fn next_event(&self, timeout: Duration) -> Result<Answer<E>, Arc<F>> {
        self.shared.next(timeout)
    }

    /// The next event, or `None` after the last one. If there is none yet, the waker of `context` is woken when that
    /// changes. Never blocks.
    ///
    /// Several tasks may poll: all are woken, and no event is lost when one of them is dropped. A task that polls and
    /// then gives up costs at most one spurious wake-up.
    ///
    /// # Errors
    /// As [`next_event`](Self::next_event).
    pub fn poll_event(&self, context: &mut Context<'_>) -> Poll<Result<Option<E>, Arc<F>>> {
        self.shared.poll(context.waker())
    }

    /// The next event, or `None` after the last one. Waits without blocking a thread. Dropping the future loses no
    /// event.
    ///
    /// # Errors
    /// As [`next_event`](Self::next_event).
    pub async fn event(&self) -> Result<Option<E>, Arc<F>> {
        poll_fn(|context| self.poll_event(context)).await
    }

    /// Stops the work and returns at once. A job that has ended is not changed. Events reported before can still be
    /// pulled; after them the job fails as cancelled.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// The failure of the job, if it has failed. Does not wait and takes no events.
    #[must_use]
    pub fn failure(&self) -> Option<Arc<F>> {
        self.shared.failure()
    }

    /// Waits at most `timeout` until the thread has ended its work and freed its memory. Returns whether it has. Needed
    /// only where the next model does not fit beside the memory of this job.
    #[must_use]
    pub fn wait_until_idle(&self, timeout: Duration) -> bool {
        self.shared.wait_until_idle(timeout)
    }
}

impl<T: Send + 'static, F: Failure> Job<Step<T>, F> {
    /// Waits for the result, with the calling thread asleep. Progress is reported to `on_progress` on the calling
    /// thread.
    ///
    /// # Errors
    /// As [`next_event`](Self::next_event).
    pub fn wait(self, on_progress: &dyn ProgressSink) -> Result<T, Arc<F>> {
        loop {
            match self.next_event(Duration::MAX)? {
                Answer::Event(Step::Progress(progress)) => on_progress.report(&progress),
                Answer::Event(Step::Done(result)) => return Ok(result),
                // The wait has no limit, and such work always returns a result: only a bug gets here.
                Answer::Waiting | Answer::Ended => return Err(Arc::new(WorkerError::Panicked.into())),
            }
        }
    }
}

impl<E: Event, F: Failure> Drop for Job<E, F> {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl<E: Event, F: Failure> fmt::Debug for Job<E, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("cancelled", &self.cancel.is_cancelled()).finish_non_exhaustive()
    }
}

/// The worker's side of a job.
pub struct Reporter<E: Event, F: Failure> {
    shared: Arc<HandOver<E, F>>,
    cancel: CancelToken,
}

impl<E: Event, F: Failure> Reporter<E, F> {
    /// Reports an event. Blocks while the queue is full, until an event is pulled or the job is cancelled.
    ///
    /// # Errors
    /// [`Cancelled`]: the event was dropped and the work should end.
    pub fn report(&self, event: E) -> Result<(), Cancelled> {
        self.shared.report(event)
    }

    /// The token of this job, for the work to poll.
    #[must_use]
    pub fn cancel(&self) -> &CancelToken {
        &self.cancel
    }
}

impl<E: Event + From<Progress<'static>>, F: Failure> ProgressSink for Reporter<E, F> {
    fn report(&self, progress: &Progress<'_>) {
        // Cancelled work finds out at its next poll of the token.
        let _ = self.shared.report(progress.clone().into_owned().into());
    }
}

impl<E: Event, F: Failure> fmt::Debug for Reporter<E, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reporter").finish_non_exhaustive()
    }
}
