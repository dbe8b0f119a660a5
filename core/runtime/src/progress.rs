//! Progress of long work, pushed to a sink that must return at once.

use std::borrow::Cow;

/// What kind of work a [`Progress`] speaks of; decides the unit of its counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Reading a model; counts are weights.
    Load,
    /// Fetching a model; counts are bytes.
    Download,
    /// Checking a file against its hash; counts are bytes.
    Verify,
    /// Packing a model with fewer bits; counts are weights.
    Quantize,
    /// Writing a model; counts are bytes.
    Write,
    /// Measuring; counts are recordings.
    Measure,
    /// Turning audio into text; counts are milliseconds of audio.
    Transcribe,
    /// Profiling a model; counts are milliseconds of the time that it is to take.
    Profile,
}

/// How far a piece of work has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress<'a> {
    /// What is being done.
    pub stage: Stage,
    /// How much is done, in the unit of the stage; never decreases within a stage of one call.
    pub done: u64,
    /// How much there is, where it is known (a pipe has no known end).
    pub total: Option<u64>,
    /// What the work is about, such as a file name. Never anything said or typed.
    pub subject: Cow<'a, str>,
}

impl Progress<'_> {
    /// The progress with a subject of its own, to be kept.
    #[must_use]
    pub fn into_owned(self) -> Progress<'static> {
        let Self { stage, done, total, subject } = self;
        Progress { stage, done, total, subject: Cow::Owned(subject.into_owned()) }
    }
}

/// Receives progress on the thread that does the work.
///
/// Called often (each audio window, each 64 KiB of a download): store or draw, never block.
pub trait ProgressSink: Sync {
    /// Takes note of the progress.
    fn report(&self, progress: &Progress<'_>);
}

/// A sink for callers that do not watch.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProgress;

impl ProgressSink for NoProgress {
    fn report(&self, _: &Progress<'_>) {}
}

impl<F: Fn(&Progress<'_>) + Sync> ProgressSink for F {
    fn report(&self, progress: &Progress<'_>) {
        self(progress);
    }
}
