//! The report: what was measured, and the figures that follow from it. Stored as JSON; docs/PROFILING.md explains it.

use serde::{Deserialize, Serialize};

use super::energy::Energy;
use super::figures;
use super::governor::Decided;
use super::reading::{Sample, ThermalState};
use super::statistics::Percentiles;
use super::verdict::Verdict;

/// What stands in [`ProfileReport::format`].
pub const FORMAT: &str = "sotto-profile";

/// Version of the form of reports: rises when a field changes its meaning or goes. New fields do not raise it.
pub const VERSION: u32 = 1;

/// A whole profile. Everything but the figures was measured; [`ProfileReport::of`] makes the figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProfileReport {
    /// [`FORMAT`].
    pub format: String,
    /// [`VERSION`].
    pub version: u32,
    /// Version of the library that measured.
    pub sotto: String,
    /// What may be concluded from it.
    pub verdict: Verdict,
    /// What was measured.
    #[serde(flatten)]
    pub measured: Measured,
    /// Figures of the runs, by phase.
    pub phases: Phases,
    /// Errors beside the speed; `None` where no clip has a text.
    pub quality: Option<Quality>,
    /// Heat, and what it did.
    pub thermal: Thermal,
    /// Energy of the sustained phase, or of the warm runs where there is none.
    pub energy: Energy,
    /// What a governor with default settings decides on these readings: proposals, nothing followed them.
    pub governor: Vec<Decided>,
}

/// What was measured, as it was.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// When the profile started, in seconds of Unix time.
    pub started_unix_s: u64,
    /// Seconds that it took.
    pub duration_s: f64,
    /// Whether it was ended before its time.
    pub ended_early: bool,
    /// What was profiled.
    pub subject: Subject,
    /// On what.
    pub machine: Machine,
    /// What was asked for.
    pub plan: Plan,
    /// Times of loading.
    pub loads: Loads,
    /// Every run, in order.
    pub runs: Vec<Run>,
    /// Where the time of all runs and loads went.
    pub spans: Vec<SpanFigures>,
    /// What was counted meanwhile.
    pub counters: Vec<CounterFigure>,
    /// Memory.
    pub memory: Memory,
    /// What the platform said, in order of time.
    pub samples: Vec<Sample>,
}

/// What was profiled.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Which task, such as `speech`.
    pub task: String,
    /// Name of the model; never a path.
    pub model: String,
    /// How it computes, such as `int8`.
    pub precision: String,
    /// What computes: the name of the kernel set, or of a device.
    pub kernels: String,
    /// Threads.
    pub threads: usize,
    /// Whether the library was built with optimisations.
    pub optimised: bool,
}

/// The machine. What the platform knows of it is handed in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Machine {
    /// Model of the device or name of the processor.
    pub name: String,
    /// Operating system and its version.
    pub system: String,
    /// Instruction set architecture, such as `aarch64`.
    pub architecture: String,
    /// Processors that the process may use.
    pub processors: usize,
    /// Whether it is an emulator or a simulator.
    pub emulated: bool,
}

/// What was asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Loads after the first.
    pub later_loads: usize,
    /// Warm runs of each clip.
    pub warm_runs: usize,
    /// Least seconds of the sustained phase.
    pub sustained_s: f64,
    /// The clips.
    pub clips: Vec<ClipFigures>,
}

/// What is known of a clip.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ClipFigures {
    /// Its name; never a path.
    pub name: String,
    /// Its length in seconds.
    pub seconds: f64,
    /// Whether its text is known.
    pub has_text: bool,
}

/// Times of loading. The first load of a process reads what later ones find in memory; whether the system had the file
/// in its cache before is not known.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Loads {
    /// Seconds of the first load.
    pub first_s: f64,
    /// Seconds of each later load.
    pub later_s: Vec<f64>,
    /// Bytes of the model's files that a load reads or maps.
    pub bytes: u64,
}

/// The phases of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The first run after the first load: pays for pages, caches and clocks that are not warm yet.
    Cold,
    /// Some runs after it.
    Warm,
    /// Runs without a pause for as long as was asked for.
    Sustained,
}

/// One clip, once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// In which phase.
    pub phase: Phase,
    /// Index of the clip in the plan.
    pub clip: usize,
    /// When it started, in seconds from the start of the profile.
    pub at_s: f64,
    /// Seconds from the start of the run to its result.
    pub latency_s: f64,
    /// What was done.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Resident memory of the process after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resident_bytes: Option<u64>,
    /// Allocations of the calling thread, where something counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocations: Option<u64>,
    /// Helper threads that were woken from sleep.
    pub wakeups: u64,
}

impl Run {
    /// Seconds of computing for a second of audio; `None` of no audio.
    #[must_use]
    pub fn real_time_factor(&self) -> Option<f64> {
        (self.outcome.audio_s > 0.0).then(|| self.latency_s / self.outcome.audio_s)
    }
}

/// What a run did. What was said stays out of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Seconds of audio that were worked on.
    pub audio_s: f64,
    /// Seconds in the encoder.
    pub encode_s: f64,
    /// Seconds in the decoder.
    pub decode_s: f64,
    /// Windows that were encoded.
    pub windows: u64,
    /// Tokens that were sampled.
    pub tokens: u64,
    /// Errors against the known text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors: Option<Errors>,
    /// Whether the clip gave another result than the first time.
    #[serde(default)]
    pub differs: bool,
}

/// Word errors against a known text, both normalised.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errors {
    /// Words of the known text.
    pub words: u64,
    /// Words that are others.
    pub substituted: u64,
    /// Words that are missing.
    pub deleted: u64,
    /// Words that nobody said.
    pub inserted: u64,
}

impl Errors {
    /// All errors together.
    #[must_use]
    pub fn wrong(&self) -> u64 {
        self.substituted.saturating_add(self.deleted).saturating_add(self.inserted)
    }
}

/// All spans of one name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SpanFigures {
    /// Stable name, such as `sotto.encode`.
    pub name: String,
    /// How many there were.
    pub count: u64,
    /// Seconds of all together.
    pub total_s: f64,
    /// Seconds of the longest.
    pub longest_s: f64,
}

/// What a counter has come to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CounterFigure {
    /// Stable name, such as `sotto.bytes.loaded`.
    pub name: String,
    /// Its value.
    pub value: u64,
}

/// Memory of the process, and of the budget that models count against.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Resident memory before the first load.
    pub before_bytes: Option<u64>,
    /// Resident memory after the first load.
    pub loaded_bytes: Option<u64>,
    /// Highest resident memory that was seen.
    pub peak_bytes: Option<u64>,
    /// Taken out of the budget by the loaded model.
    pub reserved_bytes: Option<u64>,
    /// Most that the budget lends; `None` without a limit.
    pub budget_bytes: Option<u64>,
}

/// Figures of each phase; `None` where nothing ran.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Phases {
    /// The first run.
    pub cold: Option<PhaseFigures>,
    /// The warm runs.
    pub warm: Option<PhaseFigures>,
    /// The sustained runs.
    pub sustained: Option<PhaseFigures>,
}

/// Figures of some runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhaseFigures {
    /// How many runs.
    pub runs: usize,
    /// Seconds of audio that they worked on.
    pub audio_s: f64,
    /// Seconds that they took.
    pub busy_s: f64,
    /// Seconds of computing for a second of audio, over all runs: below 1 is faster than speech.
    pub real_time_factor: f64,
    /// Seconds from start to result.
    pub latency_s: Percentiles,
    /// Real-time factors of single runs: comparable where clips differ in length.
    pub real_time_factors: Option<Percentiles>,
    /// Milliseconds of the encoder for a window.
    pub encode_ms_per_window: Option<f64>,
    /// Milliseconds of the decoder for a token.
    pub decode_ms_per_token: Option<f64>,
    /// Allocations of the calling thread for a run.
    pub allocations_per_run: Option<f64>,
    /// Helpers woken for a run.
    pub wakeups_per_run: f64,
    /// How many times as long the last third of the runs took as the first.
    pub slowdown: Option<f64>,
}

/// Errors beside the speed: of each clip that has a text, once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// Errors of all those clips.
    pub errors: Errors,
    /// Errors for each word of the known texts.
    pub word_error_rate: f64,
    /// Runs that gave another result than the first run of their clip.
    pub runs_that_differ: usize,
}

/// Heat, and what it did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Thermal {
    /// State when the first run began.
    pub at_start: Option<ThermalState>,
    /// The worst state until the end.
    pub worst: Option<ThermalState>,
    /// When it first became worse than at the start, in seconds from the start of the profile.
    pub worse_at_s: Option<f64>,
    /// The highest temperature that was read.
    pub highest_c: Option<f64>,
    /// Charge of the battery at the first run, 0 to 1.
    pub battery_at_start: Option<f64>,
    /// Charge of the battery at the end.
    pub battery_at_end: Option<f64>,
}

/// A report that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// No report, or a damaged one.
    #[error("not a profile: {0}; expected the JSON of a report, as a profile is exported")]
    Json(#[from] serde_json::Error),
    /// JSON of something else.
    #[error("not a profile: `format` must be `{FORMAT}`")]
    Format,
    /// Made by a later library.
    #[error("a profile of version {found}; this library reads versions up to {VERSION}: update it")]
    Version {
        /// Its version.
        found: u32,
    },
}

impl ProfileReport {
    /// The report of what was measured.
    #[must_use]
    pub fn of(measured: Measured) -> Self {
        figures::report(measured)
    }

    /// The report as one line of JSON.
    ///
    /// # Errors
    /// None that can happen: all fields are what JSON knows.
    pub fn to_json(&self) -> Result<String, ReportError> {
        Ok(serde_json::to_string(self)?)
    }

    /// Reads a report that was stored.
    ///
    /// # Errors
    /// [`ReportError`] for what is no report, or one of a later version.
    pub fn from_json(json: &str) -> Result<Self, ReportError> {
        #[derive(Deserialize)]
        struct Head {
            #[serde(default)]
            format: String,
            #[serde(default)]
            version: u32,
        }
        let Head { format, version } = serde_json::from_str(json)?;
        if format != FORMAT {
            return Err(ReportError::Format);
        }
        if version > VERSION {
            return Err(ReportError::Version { found: version });
        }
        Ok(serde_json::from_str(json)?)
    }
}
