//! Progress of long work, reported to a sink that must return at once.

use std::borrow::Cow;

/// The kind of work that a [`Progress`] reports; decides the unit of its counts.
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
    /// Profiling a model; counts are milliseconds of the planned duration.
    Profile,
}

/// How far a piece of work has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress<'a> {
    /// What is being done.
    pub stage: Stage,
    /// How much is done, in the unit of the stage. Never decreases within one stage of one call.
    pub done: u64,
    /// How much there is in total, if known (the end of a pipe is not).
    pub total: Option<u64>,
    /// What the work is about, such as a file name. Never anything that a user said or typed.
    pub subject: Cow<'a, str>,
}

impl Progress<'_> {
    /// A copy that owns its subject, to be kept.
    #[must_use]
    pub fn into_owned(self) -> Progress<'static> {
        let Self { stage, done, total, subject } = self;
        Progress { stage, done, total, subject: Cow::Owned(subject.into_owned()) }
    }
}

/// Receives progress, on the thread that does the work.
///
/// Called often (each audio window, each 64 KiB of a download): store or draw, never block.
pub trait ProgressSink: Sync {
    /// Receives one report; must return at once.
    fn report(&self, progress: &Progress<'_>);
}

/// A sink that ignores progress.
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
