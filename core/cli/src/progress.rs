//! Progress bars on stderr, for people only: nothing is drawn where stderr is not a terminal.

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use sotto::{Progress, ProgressSink, Stage};

/// Draws the stage that was reported last.
#[derive(Debug)]
pub(crate) struct Bars {
    quiet: bool,
    current: Mutex<Option<(Stage, ProgressBar)>>,
}

impl Bars {
    pub(crate) fn new(quiet: bool) -> Self {
        Self { quiet, current: Mutex::new(None) }
    }

    /// Whether nothing is to be shown.
    pub(crate) fn are_quiet(&self) -> bool {
        self.quiet
    }

    /// Shows that recording `done` of `total` is being measured.
    pub(crate) fn measuring(&self, done: usize, total: usize, file: &Path) {
        self.counting(done, total, &file.file_name().unwrap_or_default().to_string_lossy());
    }

    /// Shows that measurement `done` of `total` is that of `subject`.
    pub(crate) fn counting(&self, done: usize, total: usize, subject: &str) {
        let subject = subject.into();
        self.report(&Progress { stage: Stage::Measure, done: done as u64, total: Some(total as u64), subject });
    }

    /// Takes the bar away before something else is printed.
    pub(crate) fn clear(&self) {
        if let Ok(mut current) = self.current.lock()
            && let Some((_, bar)) = current.take()
        {
            bar.finish_and_clear();
        }
    }
}

impl ProgressSink for Bars {
    fn report(&self, progress: &Progress<'_>) {
        if self.quiet {
            return;
        }
        let Ok(mut current) = self.current.lock() else { return };
        if current.as_ref().is_none_or(|(stage, _)| *stage != progress.stage) {
            if let Some((_, old)) = current.take() {
                old.finish_and_clear();
            }
            *current = Some((progress.stage, bar(progress)));
        }
        if let Some((_, bar)) = current.as_ref() {
            if let Some(total) = progress.total {
                bar.set_length(position(progress.stage, total));
            }
            bar.set_message(progress.subject.clone().into_owned());
            bar.set_position(position(progress.stage, progress.done));
        }
    }
}

fn bar(progress: &Progress<'_>) -> ProgressBar {
    let total = progress.total.map(|total| position(progress.stage, total));
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
    let (verb, unit) = match progress.stage {
        Stage::Load => ("loading", "{percent} %"),
        Stage::Download => ("fetching", "{bytes}/{total_bytes} {bytes_per_sec} {eta}"),
        Stage::Verify => ("checking", "{bytes}/{total_bytes}"),
        Stage::Quantize => ("quantizing", "{percent} % {eta}"),
        Stage::Write => ("writing", "{bytes}/{total_bytes} {bytes_per_sec}"),
        Stage::Profile => ("profiling", "{pos} s of {len} s, {eta} left"),
        Stage::Measure => ("measuring", "{pos}/{len} {eta}"),
        _ => ("transcribing", "{pos} s of {len} s, {eta} left"),
    };
    let template = format!("{verb} {{msg}} {{wide_bar}} {unit}");
    bar.set_style(ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_message(progress.subject.clone().into_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Milliseconds are shown as seconds.
fn position(stage: Stage, count: u64) -> u64 {
    if matches!(stage, Stage::Transcribe | Stage::Profile) { count / 1000 } else { count }
}
