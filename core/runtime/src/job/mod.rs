//! A job: the one kind of long call that an app drives. Loading a model, transcribing a file, listening to a
//! microphone, fetching and packing are jobs.
//!
//! The work runs on a thread of its own. What it reports is pulled, by a thread that waits ([`Job::next_event`]) or by
//! an async task whose waker is kept ([`Job::poll_event`]); no thread of ours ever calls into an app but to wake a
//! task. Results are events: the last one of a job that succeeds. A job is cancelled by its token, by
//! [`cancel`](Job::cancel) and by being dropped, and nobody ever waits for its thread.
//!
//! * `handover`: what worker and readers share, and all that is subtle about it;
//! * `event`: what may be reported, and what of it may be replaced while it waits.
//!
//! Nothing looks at a clock to find out whether it should go on: cancelling wakes whoever sleeps
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

/// What a task's error must be able to say for the task to be a job: that it was cancelled, and that its thread failed.
pub trait Failure: From<Cancelled> + From<WorkerError> + Send + Sync + 'static {}

impl<F: From<Cancelled> + From<WorkerError> + Send + Sync + 'static> Failure for F {}

/// Why the thread of a job did not do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// The system gave it no thread.
    #[error("no thread for the work: {0}; end other work of this app and start it again")]
    NoThread(io::Error),
    /// A bug: the work panicked. The panic's own message went to the standard error stream.
    #[error("the work panicked, which is a bug in Sotto; start it again to go on")]
    Panicked,
}

/// What a pull brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer<E> {
    /// The next event.
    Event(E),
    /// There is none yet: the time is over.
    Waiting,
    /// There will be none: the job has succeeded and all its events were pulled.
    Ended,
}

/// How a job runs.
#[derive(Debug, Clone)]
pub struct JobOptions {
    /// Name of the thread, as debuggers and profilers show it: at most 15 characters.
    pub name: &'static str,
    /// What the thread calls before its work.
    pub setup: HelperSetup,
    /// Events that may wait to be pulled. When so many wait the work does, until one is pulled.
    pub queue: NonZeroUsize,
}

impl Default for JobOptions {
    fn default() -> Self {
        // More than a screen shows, and soon reached by work that nobody watches.
        const QUEUE: NonZeroUsize = NonZeroUsize::new(256).unwrap();
        Self { name: "sotto-job", setup: HelperSetup::default(), queue: QUEUE }
    }
}

/// Work on a thread of its own, whose events `E` are pulled and which may fail with `F`. `Send + Sync`.
///
/// Dropping it cancels it and returns at once: the thread notices within one decoded token, encoder layer or file
/// block, gives back what it holds, and ends. Events may be pulled from several threads and tasks; each gets other
/// ones.
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
    /// Tells `shared` that the token has fired.
    _listener: CancelListener,
}

impl<E: Event, F: Failure> Job<E, F> {
    /// Starts `work` on a thread of its own. It returns its last event, if it has one: what it captured is dropped
    /// before that one can be pulled, and nothing fails after it. `cancel` stops the job as [`cancel`](Self::cancel)
    /// does.
    ///
    /// Never fails: what goes wrong, a missing thread included, is pulled.
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

    /// The next event; waits for it at most `timeout`, for ever with [`Duration::MAX`]. Blocks the calling thread,
    /// which sleeps.
    ///
    /// # Errors
    /// Why the job failed, once the events before the failure were pulled, and again at every later call. A job that
    /// was cancelled says so at once, whatever its thread is doing.
    pub fn next_event(&self, timeout: Duration) -> Result<Answer<E>, Arc<F>> {
        self.shared.next(timeout)
    }

    /// The next event, or `None` after the last one; where there is none yet, the waker of `context` is woken when that
    /// changes. Never blocks.
    ///
    /// Several tasks may poll: all are woken, and none loses an event by another one's being dropped. What was polled
    /// and given up costs a wake-up at most.
    ///
    /// # Errors
    /// As [`next_event`](Self::next_event).
    pub fn poll_event(&self, context: &mut Context<'_>) -> Poll<Result<Option<E>, Arc<F>>> {
        self.shared.poll(context.waker())
    }

    /// The next event, or `None` after the last one. Waits without blocking a thread; dropping what it returns loses
    /// nothing.
    ///
    /// # Errors
    /// As [`next_event`](Self::next_event).
    pub async fn event(&self) -> Result<Option<E>, Arc<F>> {
        poll_fn(|context| self.poll_event(context)).await
    }

    /// Stops the work. Returns at once; a job that has ended is not changed. Events that are out already can still be
    /// pulled, and then the job fails as cancelled.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Why the job has failed, where it has; does not wait, and leaves the events before the failure to be pulled.
    #[must_use]
    pub fn failure(&self) -> Option<Arc<F>> {
        self.shared.failure()
    }

    /// Waits at most `timeout` until the thread has ended its work and given back its memory; whether it has. Needed
    /// only by whoever counts memory: a model that follows may not fit before.
    #[must_use]
    pub fn wait_until_idle(&self, timeout: Duration) -> bool {
        self.shared.wait_until_idle(timeout)
    }
}

impl<T: Send + 'static, F: Failure> Job<Step<T>, F> {
    /// Waits for the result; `on_progress` sees how far the work is, on this thread. Blocks the calling thread, which
    /// sleeps.
    ///
    /// # Errors
    /// As [`next_event`](Self::next_event).
    pub fn wait(self, on_progress: &dyn ProgressSink) -> Result<T, Arc<F>> {
        loop {
            match self.next_event(Duration::MAX)? {
                Answer::Event(Step::Progress(progress)) => on_progress.report(&progress),
                Answer::Event(Step::Done(result)) => return Ok(result),
                // The time has no end, and work of this kind returns a result: only a bug gets here.
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
    /// Hands an event out. Waits while as many events as may wait do, until one is pulled or the job is cancelled.
    ///
    /// # Errors
    /// [`Cancelled`]: the event was thrown away, and the work should end.
    pub fn report(&self, event: E) -> Result<(), Cancelled> {
        self.shared.report(event)
    }

    /// The token of this job, for the work to look at.
    #[must_use]
    pub fn cancel(&self) -> &CancelToken {
        &self.cancel
    }
}

impl<E: Event + From<Progress<'static>>, F: Failure> ProgressSink for Reporter<E, F> {
    fn report(&self, progress: &Progress<'_>) {
        // Work that was cancelled finds out at its next look.
        let _ = self.shared.report(progress.clone().into_owned().into());
    }
}

impl<E: Event, F: Failure> fmt::Debug for Reporter<E, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reporter").finish_non_exhaustive()
    }
}
