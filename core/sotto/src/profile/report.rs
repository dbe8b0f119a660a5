//! The report: measurements and the figures computed from them. Stored as JSON; docs/PROFILING.md explains it.

use serde::{Deserialize, Serialize};

use super::energy::Energy;
use super::figures;
use super::governor::Decided;
use super::reading::{Sample, ThermalState};
use super::statistics::Percentiles;
use super::verdict::Verdict;

/// The value of [`ProfileReport::format`].
pub const FORMAT: &str = "sotto-profile";

/// Version of the report format: increases when a field changes its meaning or is removed, not for new fields.
pub const VERSION: u32 = 1;

/// A whole profile: the measurements, and the figures that [`ProfileReport::of`] computes from them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProfileReport {
    /// [`FORMAT`].
    pub format: String,
    /// [`VERSION`].
    pub version: u32,
    /// Version of the library that measured.
    pub sotto: String,
    /// Whether its figures can be trusted.
    pub verdict: Verdict,
    /// What was measured.
    #[serde(flatten)]
    pub measured: Measured,
    /// Figures of the runs, by phase.
    pub phases: Phases,
    /// Word errors; `None` if no clip has a known text.
    pub quality: Option<Quality>,
    /// Thermal figures.
    pub thermal: Thermal,
    /// Energy of the sustained phase, or of the warm runs where there is none.
    pub energy: Energy,
    /// Decisions of a governor with default settings on these readings; they were not applied.
    pub governor: Vec<Decided>,
}

/// The measurements.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// When the profile started, in seconds of Unix time.
    pub started_unix_s: u64,
    /// Seconds that it took.
    pub duration_s: f64,
    /// Whether it was ended early.
    pub ended_early: bool,
    /// What was profiled.
    pub subject: Subject,
    /// The device.
    pub machine: Machine,
    /// The requested plan.
    pub plan: Plan,
    /// Times of loading.
    pub loads: Loads,
    /// Every run, in order.
    pub runs: Vec<Run>,
    /// Spans of all runs and loads.
    pub spans: Vec<SpanFigures>,
    /// Counters of the profile.
    pub counters: Vec<CounterFigure>,
    /// Memory.
    pub memory: Memory,
    /// Readings of the platform, in order of time.
    pub samples: Vec<Sample>,
}

/// What was profiled.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Which task, such as `speech`.
    pub task: String,
    /// Name of the model; never a path.
    pub model: String,
    /// Precision, such as `int8`.
    pub precision: String,
    /// Name of the kernel set or device.
    pub kernels: String,
    /// Threads.
    pub threads: usize,
    /// Whether the library was built with optimisations.
    pub optimised: bool,
}

/// The device. The platform provides what it knows.
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

/// The requested plan.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Number of loads after the first.
    pub later_loads: usize,
    /// Number of warm runs of each clip.
    pub warm_runs: usize,
    /// Minimum seconds of the sustained phase.
    pub sustained_s: f64,
    /// The clips.
    pub clips: Vec<ClipFigures>,
}

/// Description of a clip.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ClipFigures {
    /// Its name; never a path.
    pub name: String,
    /// Its length in seconds.
    pub seconds: f64,
    /// Whether its text is known.
    pub has_text: bool,
}

/// Times of loading. Later loads find in memory what the first load of a process reads; whether the system had cached
/// the file before is unknown.
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
    /// The first run after the first load: includes the cost of cold pages, caches and clocks.
    Cold,
    /// Some runs after the cold one.
    Warm,
    /// Runs without a pause for the requested time.
    Sustained,
}

/// One run of one clip.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The phase.
    pub phase: Phase,
    /// Index of the clip in the plan.
    pub clip: usize,
    /// When it started, in seconds from the start of the profile.
    pub at_s: f64,
    /// Seconds from the start of the run to its result.
    pub latency_s: f64,
    /// The work.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Resident memory of the process after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resident_bytes: Option<u64>,
    /// Allocations of the calling thread, if they were counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocations: Option<u64>,
    /// Number of helper threads woken from sleep.
    pub wakeups: u64,
}

impl Run {
    /// Real-time factor: seconds of computing per second of audio; `None` without audio.
    #[must_use]
    pub fn real_time_factor(&self) -> Option<f64> {
        (self.outcome.audio_s > 0.0).then(|| self.latency_s / self.outcome.audio_s)
    }
}

/// The work of a run, without the text.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Seconds of processed audio.
    pub audio_s: f64,
    /// Seconds in the encoder.
    pub encode_s: f64,
    /// Seconds in the decoder.
    pub decode_s: f64,
    /// Number of encoded windows.
    pub windows: u64,
    /// Number of sampled tokens.
    pub tokens: u64,
    /// Errors against the known text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors: Option<Errors>,
    /// Whether the result differed from the clip's first run.
    #[serde(default)]
    pub differs: bool,
}

/// Word errors against a known text, both normalised.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errors {
    /// Number of words of the known text.
    pub words: u64,
    /// Substituted words.
    pub substituted: u64,
    /// Missing words.
    pub deleted: u64,
    /// Inserted words.
    pub inserted: u64,
}

impl Errors {
    /// Sum of all errors.
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
    /// Number of spans.
    pub count: u64,
    /// Total seconds.
    pub total_s: f64,
    /// Seconds of the longest span.
    pub longest_s: f64,
}

/// The value of a counter.
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
    /// Peak of the resident memory.
    pub peak_bytes: Option<u64>,
    /// Bytes that the loaded model has reserved from the budget.
    pub reserved_bytes: Option<u64>,
    /// Limit of the budget; `None` if unlimited.
    pub budget_bytes: Option<u64>,
}

/// Figures of each phase; `None` if it had no runs.
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
    /// Number of runs.
    pub runs: usize,
    /// Seconds of processed audio.
    pub audio_s: f64,
    /// Total seconds of the runs.
    pub busy_s: f64,
    /// Real-time factor over all runs: seconds of computing per second of audio; below 1 is faster than real time.
    pub real_time_factor: f64,
    /// Seconds from start to result.
    pub latency_s: Percentiles,
    /// Real-time factors of single runs, which are comparable for clips of different lengths.
    pub real_time_factors: Option<Percentiles>,
    /// Encoder time per window in milliseconds.
    pub encode_ms_per_window: Option<f64>,
    /// Decoder time per token in milliseconds.
    pub decode_ms_per_token: Option<f64>,
    /// Allocations of the calling thread per run.
    pub allocations_per_run: Option<f64>,
    /// Woken helpers per run.
    pub wakeups_per_run: f64,
    /// Slowdown: time of the last third of the runs, divided by that of the first third.
    pub slowdown: Option<f64>,
}

/// Word errors: of each clip with a known text, once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// Errors of all those clips.
    pub errors: Errors,
    /// Word error rate: errors per word of the known texts.
    pub word_error_rate: f64,
    /// Number of runs whose result differed from the first run of their clip.
    pub runs_that_differ: usize,
}

/// Thermal figures.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Thermal {
    /// State when the first run began.
    pub at_start: Option<ThermalState>,
    /// The worst thermal state.
    pub worst: Option<ThermalState>,
    /// Time when it first became worse than at the start, in seconds from the start of the profile.
    pub worse_at_s: Option<f64>,
    /// The highest temperature in the readings.
    pub highest_c: Option<f64>,
    /// Charge of the battery at the first run, 0 to 1.
    pub battery_at_start: Option<f64>,
    /// Charge of the battery at the end.
    pub battery_at_end: Option<f64>,
}

/// Why a report cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// Not a report, or a damaged one.
    #[error("not a profile: {0}; expected the JSON of a report, as a profile is exported")]
    Json(#[from] serde_json::Error),
    /// JSON of something else.
    #[error("not a profile: `format` must be `{FORMAT}`")]
    Format,
    /// Written by a later version of the library.
    #[error("a profile of version {found}; this library reads versions up to {VERSION}: update it")]
    Version {
        /// Its version.
        found: u32,
    },
}

impl ProfileReport {
    /// Computes the report of the measurements.
    #[must_use]
    pub fn of(measured: Measured) -> Self {
        figures::report(measured)
    }

    /// The report as one line of JSON.
    ///
    /// # Errors
    /// Never in practice: all fields can be represented in JSON.
    pub fn to_json(&self) -> Result<String, ReportError> {
        Ok(serde_json::to_string(self)?)
    }

    /// Reads a stored report.
    ///
    /// # Errors
    /// [`ReportError`] for JSON that is not a report, or a report of a later version.
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
