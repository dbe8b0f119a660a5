//! Drives a workload through the phases of a profile.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sotto_runtime::spans::{Counter, Recorder, SpanName, attach};
use sotto_runtime::{CancelToken, MemoryBudget, Progress, ProgressSink, Stage};

use super::error::ProfileError;
use super::memory;
use super::reading::{Readings, known_at};
use super::report::{
    ClipFigures, CounterFigure, Loads, Machine, Measured, Memory, Outcome, Phase, Plan, ProfileReport, Run,
    SpanFigures, Subject,
};

/// The subject of a profile: a model of some task, and its clips.
///
/// Every method blocks until it is done or `cancel` fires.
pub trait Workload {
    /// Its description; called while a model is loaded.
    fn subject(&self) -> Subject;

    /// The clips, none of them empty.
    fn clips(&self) -> Vec<ClipFigures>;

    /// The budget of the model's memory.
    fn budget(&self) -> MemoryBudget;

    /// Loads the model; loads it again if it is loaded.
    ///
    /// # Errors
    /// When it cannot be loaded, or `cancel` fires.
    fn load(&mut self, cancel: &CancelToken) -> Result<(), ProfileError>;

    /// Frees the model, so that the next load really loads it.
    fn unload(&mut self);

    /// Processes one clip.
    ///
    /// # Errors
    /// When that fails, or `cancel` fires.
    fn run(&mut self, clip: usize, cancel: &CancelToken) -> Result<Outcome, ProfileError>;
}

/// Runs a piece of work and counts its allocations on the calling thread, by means of a counting allocator.
pub type AllocationCounter = fn(&mut dyn FnMut()) -> u64;

/// Options of a profile.
#[derive(Debug, Clone)]
pub struct ProfileOptions {
    /// Number of loads after the first.
    pub later_loads: usize,
    /// Number of warm runs of each clip; a valid profile needs at least three in all.
    pub warm_runs: usize,
    /// Length of the sustained phase: at least five minutes for a valid profile; thirty show a phone's curve.
    pub sustained: Duration,
    /// The platform's description of its device.
    pub machine: Machine,
    /// Counts allocations, if possible.
    pub allocations: Option<AllocationCounter>,
}

impl Default for ProfileOptions {
    fn default() -> Self {
        Self {
            later_loads: 3,
            warm_runs: 5,
            sustained: Duration::from_secs(300),
            machine: Machine::this(),
            allocations: None,
        }
    }
}

impl Machine {
    /// What the library knows of its device; a platform knows more.
    #[must_use]
    pub fn this() -> Self {
        Self {
            name: String::new(),
            system: std::env::consts::OS.to_owned(),
            architecture: std::env::consts::ARCH.to_owned(),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            emulated: false,
        }
    }
}

/// How to watch and stop a profile.
#[derive(Clone, Copy)]
pub struct Controls<'a> {
    /// Receives progress ([`Stage::Profile`]) on the calling thread.
    pub progress: &'a dyn ProgressSink,
    /// Ends the sustained phase early; the report has the measurements up to then.
    pub end: &'a CancelToken,
    /// Stops everything without a report.
    pub cancel: &'a CancelToken,
}

/// Profiles a workload: loads it, runs its first clip cold, loads it again some times, runs all clips warm, then all
/// clips in turn for the length of the sustained phase.
///
/// Blocks the calling thread; `cancel` is polled by the workload. Push readings meanwhile on other threads. Nothing
/// else should run in the process, because spans and counters are per process.
///
/// # Errors
/// [`ProfileError::NoClips`] without clips, [`ProfileError::Cancelled`] when `cancel` fires, and the errors of the
/// workload.
pub fn run(
    workload: &mut dyn Workload,
    options: &ProfileOptions,
    readings: &Readings,
    controls: Controls<'_>,
) -> Result<ProfileReport, ProfileError> {
    let clips = workload.clips();
    if clips.is_empty() {
        return Err(ProfileError::NoClips);
    }
    let recorder = Arc::new(Recorder::new(0));
    let listening = attach(recorder.clone());
    let runner = Runner {
        clips: clips.len(),
        options,
        readings,
        controls,
        recorder: &recorder,
        started: Instant::now(),
        measured: Measured {
            started_unix_s: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            machine: options.machine.clone(),
            plan: Plan {
                later_loads: options.later_loads,
                warm_runs: options.warm_runs,
                sustained_s: options.sustained.as_secs_f64(),
                clips,
            },
            ..Measured::default()
        },
    };
    let measured = runner.measure(workload)?;
    drop(listening);
    Ok(ProfileReport::of(measured))
}

struct Runner<'a> {
    clips: usize,
    options: &'a ProfileOptions,
    readings: &'a Readings,
    controls: Controls<'a>,
    recorder: &'a Recorder,
    started: Instant,
    measured: Measured,
}

impl Runner<'_> {
    fn measure(mut self, workload: &mut dyn Workload) -> Result<Measured, ProfileError> {
        self.measured.memory.before_bytes = memory::resident();
        self.load(workload)?;
        self.run(workload, Phase::Cold, 0)?;
        for _ in 0..self.options.later_loads {
            workload.unload();
            let seconds = self.timed_load(workload)?;
            self.measured.loads.later_s.push(seconds);
            self.report(0.0);
        }
        for _ in 0..self.options.warm_runs {
            for clip in 0..self.clips {
                self.run(workload, Phase::Warm, clip)?;
                self.report(0.0);
            }
        }
        self.sustain(workload)?;
        Ok(self.finish(workload))
    }

    /// The first load, with its time and memory.
    fn load(&mut self, workload: &mut dyn Workload) -> Result<(), ProfileError> {
        self.report(0.0);
        let first_s = self.timed_load(workload)?;
        let bytes = self.recorder.count_of(Counter::LoadedBytes);
        self.measured.loads = Loads { first_s, later_s: Vec::new(), bytes };
        self.measured.subject = workload.subject();
        let budget = workload.budget();
        let before = self.measured.memory.before_bytes;
        self.measured.memory = Memory {
            before_bytes: before,
            loaded_bytes: self.resident(),
            peak_bytes: None,
            reserved_bytes: Some(budget.used().0),
            budget_bytes: Some(budget.used().0.saturating_add(budget.available().0)).filter(|&limit| limit != u64::MAX),
        };
        Ok(())
    }

    fn timed_load(&self, workload: &mut dyn Workload) -> Result<f64, ProfileError> {
        let start = Instant::now();
        workload.load(self.controls.cancel)?;
        Ok(start.elapsed().as_secs_f64())
    }

    fn sustain(&mut self, workload: &mut dyn Workload) -> Result<(), ProfileError> {
        let start = Instant::now();
        for clip in (0..self.clips).cycle() {
            if start.elapsed() >= self.options.sustained {
                break;
            }
            if self.controls.end.is_cancelled() {
                self.measured.ended_early = true;
                break;
            }
            self.run(workload, Phase::Sustained, clip)?;
            self.report(start.elapsed().as_secs_f64());
        }
        Ok(())
    }

    fn run(&mut self, workload: &mut dyn Workload, phase: Phase, clip: usize) -> Result<(), ProfileError> {
        self.controls.cancel.check()?;
        let woken = self.recorder.count_of(Counter::HelperWakeups);
        let at_s = self.started.elapsed().as_secs_f64();
        let start = Instant::now();
        let mut latency = Duration::ZERO;
        let mut outcome = None;
        let cancel = self.controls.cancel;
        let mut work = || {
            outcome = Some(workload.run(clip, cancel));
            latency = start.elapsed();
        };
        let allocations = match self.options.allocations {
            Some(counter) => Some(counter(&mut work)),
            None => {
                work();
                None
            }
        };
        let outcome = outcome.ok_or(ProfileError::NotRun)??;
        self.measured.runs.push(Run {
            phase,
            clip,
            at_s,
            latency_s: latency.as_secs_f64(),
            outcome,
            resident_bytes: self.resident(),
            allocations,
            wakeups: self.recorder.count_of(Counter::HelperWakeups).saturating_sub(woken),
        });
        Ok(())
    }

    /// From the system, else the last reading of the platform.
    fn resident(&self) -> Option<u64> {
        memory::resident().or_else(|| {
            let samples = self.readings.samples(self.started);
            known_at(&samples, f64::INFINITY).resident_bytes
        })
    }

    fn report(&self, sustained_s: f64) {
        let milliseconds = |seconds: f64| (seconds * 1000.0) as u64;
        let total = milliseconds(self.options.sustained.as_secs_f64());
        self.controls.progress.report(&Progress {
            stage: Stage::Profile,
            done: milliseconds(sustained_s).min(total),
            total: Some(total),
            subject: self.measured.subject.model.as_str().into(),
        });
    }

    fn finish(self, workload: &mut dyn Workload) -> Measured {
        let Self { recorder, readings, started, mut measured, .. } = self;
        workload.unload();
        measured.duration_s = started.elapsed().as_secs_f64();
        measured.samples = readings.samples(started);
        let seen = measured.runs.iter().filter_map(|run| run.resident_bytes);
        let said = measured.samples.iter().filter_map(|sample| sample.reading.resident_bytes);
        measured.memory.peak_bytes = seen.chain(said).chain(memory::peak()).max();
        let span = |name: SpanName| {
            let total = recorder.total(name);
            SpanFigures {
                name: name.name().to_owned(),
                count: total.count,
                total_s: total.total.as_secs_f64(),
                longest_s: total.longest.as_secs_f64(),
            }
        };
        measured.spans = SpanName::ALL.into_iter().map(span).collect();
        let counter =
            |counter: Counter| CounterFigure { name: counter.name().to_owned(), value: recorder.count_of(counter) };
        measured.counters = Counter::ALL.into_iter().map(counter).collect();
        measured
    }
}
