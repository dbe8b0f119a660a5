//! Profiles of workloads that are not there, and of the starter recognizer.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sotto::job::{Answer, Step};
use sotto::kernels::KernelSet;
use sotto::profile::{
    self, ClipFigures, Controls, EnergyMethod, Errors, Machine, Measured, Outcome, Phase, PowerSource, ProfileError,
    ProfileOptions, ProfileReport, Reading, Readings, ReasonCode, ReportError, Run, Sample, SpeechClip, SpeechWorkload,
    Subject, ThermalState, Validity, Workload,
};
use sotto::speech::Options;
use sotto::{Bytes, CancelToken, Cancelled, Engine, LoadOptions, MemoryBudget, NoProgress, Progress, starter};

/// Spans and counters are those of the process: one profile at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes a millisecond for any call and records the calls.
#[derive(Default)]
struct Diary {
    clips: usize,
    lines: Vec<String>,
    /// Ends the sustained phase, or everything, in this run.
    end_in: Option<(usize, CancelToken)>,
    runs: usize,
}

impl Workload for Diary {
    fn subject(&self) -> Subject {
        Subject { task: "sleep".into(), model: "bed".into(), threads: 2, optimised: true, ..Subject::default() }
    }

    fn clips(&self) -> Vec<ClipFigures> {
        let clip = |index| ClipFigures { name: format!("clip {index}"), seconds: 2.0, has_text: index == 0 };
        (0..self.clips).map(clip).collect()
    }

    fn budget(&self) -> MemoryBudget {
        MemoryBudget::limited(Bytes(1000))
    }

    fn load(&mut self, cancel: &CancelToken) -> Result<(), ProfileError> {
        cancel.check()?;
        self.lines.push("load".into());
        Ok(())
    }

    fn unload(&mut self) {
        self.lines.push("unload".into());
    }

    fn run(&mut self, clip: usize, cancel: &CancelToken) -> Result<Outcome, ProfileError> {
        self.runs += 1;
        if let Some((run, token)) = &self.end_in
            && *run == self.runs
        {
            token.cancel();
        }
        cancel.check()?;
        std::thread::sleep(Duration::from_millis(1));
        self.lines.push(format!("run {clip}"));
        let errors = (clip == 0).then_some(Errors { words: 10, substituted: 1, deleted: 0, inserted: 1 });
        Ok(Outcome { audio_s: 2.0, windows: 1, tokens: 4, errors, differs: self.runs == 3, ..Outcome::default() })
    }
}

fn options(sustained: Duration) -> ProfileOptions {
    ProfileOptions { later_loads: 2, warm_runs: 2, sustained, ..ProfileOptions::default() }
}

fn profile(workload: &mut dyn Workload, options: &ProfileOptions) -> Result<ProfileReport, ProfileError> {
    let (end, cancel) = (CancelToken::new(), CancelToken::new());
    let controls = Controls { progress: &NoProgress, end: &end, cancel: &cancel };
    profile::run(workload, options, &Readings::new(), controls)
}

#[test]
fn a_profile_loads_runs_cold_loads_again_runs_warm_and_goes_on() {
    let _alone = alone();
    let mut diary = Diary { clips: 2, ..Diary::default() };
    let report = profile(&mut diary, &options(Duration::from_millis(10))).unwrap();
    let expected = "load, run 0, unload, load, unload, load, run 0, run 1, run 0, run 1, run 0, run 1";
    assert!(diary.lines.join(", ").starts_with(expected), "{:?}", diary.lines);
    assert_eq!(diary.lines.last().unwrap(), "unload");
    let phases: Vec<Phase> = report.measured.runs.iter().map(|run| run.phase).collect();
    assert_eq!(phases[..5], [Phase::Cold, Phase::Warm, Phase::Warm, Phase::Warm, Phase::Warm]);
    let sustained = report.phases.sustained.as_ref().unwrap();
    assert_eq!(sustained.runs, phases.len() - 5);
    assert!((sustained.audio_s - 2.0 * sustained.runs as f64).abs() < 1e-9);
    assert!(sustained.latency_s.min >= 0.001 && sustained.busy_s <= report.measured.duration_s);
    assert_eq!(report.measured.loads.later_s.len(), 2);
    let quality = report.quality.unwrap();
    assert_eq!((quality.word_error_rate, quality.runs_that_differ), (0.2, 1));
    assert_eq!(report.measured.memory.budget_bytes, Some(1000));
    assert_eq!(report.measured.subject.model, "bed");
}

#[test]
fn ending_early_gives_a_report_and_cancelling_gives_none() {
    let _alone = alone();
    let (end, cancel) = (CancelToken::new(), CancelToken::new());
    let controls = Controls { progress: &NoProgress, end: &end, cancel: &cancel };
    let long = options(Duration::from_secs(3600));
    let mut diary = Diary { clips: 1, end_in: Some((6, end.clone())), ..Diary::default() };
    let report = profile::run(&mut diary, &long, &Readings::new(), controls).unwrap();
    assert!(report.measured.ended_early);
    assert_eq!((diary.runs, report.measured.runs.len()), (6, 6));
    assert!(report.verdict.reasons.iter().any(|reason| reason.code == ReasonCode::EndedEarly));
    let mut diary = Diary { clips: 1, end_in: Some((2, cancel.clone())), ..Diary::default() };
    let cancelled = profile::run(&mut diary, &long, &Readings::new(), controls);
    assert!(matches!(cancelled, Err(ProfileError::Cancelled(Cancelled))));
    assert!(matches!(profile(&mut Diary::default(), &long), Err(ProfileError::NoClips)));
}

#[test]
fn the_kernels_of_a_report_are_those_of_the_model_and_not_the_best_of_the_machine() {
    let _alone = alone();
    for set in KernelSet::all_available() {
        let engine = Engine::new(LoadOptions { isa: Some(set.isa()), ..LoadOptions::default() });
        let clips = vec![SpeechClip::builtin().unwrap()];
        let mut workload = SpeechWorkload::new(&engine, starter::speech(), "starter", clips, Options::default());
        workload.load(&CancelToken::new()).unwrap();
        let subject = workload.subject();
        assert_eq!((subject.kernels.as_str(), subject.precision.as_str()), (set.isa().name(), "int8"));
    }
}

#[test]
fn progress_is_in_milliseconds_of_the_sustained_phase() {
    let _alone = alone();
    let seen = Mutex::new(Vec::new());
    let sink = |progress: &Progress<'_>| seen.lock().unwrap().push((progress.done, progress.total));
    let (end, cancel) = (CancelToken::new(), CancelToken::new());
    let controls = Controls { progress: &sink, end: &end, cancel: &cancel };
    let mut diary = Diary { clips: 1, ..Diary::default() };
    profile::run(&mut diary, &options(Duration::from_millis(20)), &Readings::new(), controls).unwrap();
    let seen = seen.into_inner().unwrap();
    assert!(seen.is_sorted() && seen.iter().all(|&(_, total)| total == Some(20)), "{seen:?}");
    assert_eq!(seen.last().unwrap().0, 20);
}

#[test]
fn allocations_are_those_that_the_counter_counts() {
    let _alone = alone();
    let counted = ProfileOptions {
        allocations: Some(|work| {
            work();
            42
        }),
        ..options(Duration::ZERO)
    };
    let report = profile(&mut Diary { clips: 1, ..Diary::default() }, &counted).unwrap();
    assert_eq!(report.phases.warm.unwrap().allocations_per_run, Some(42.0));
    let lazy = ProfileOptions { allocations: Some(|_| 0), ..counted };
    let refused = profile(&mut Diary { clips: 1, ..Diary::default() }, &lazy);
    assert!(matches!(refused, Err(ProfileError::NotRun)));
}

#[test]
fn the_starter_recognizer_has_a_profile_without_a_word_of_what_was_said() {
    let _alone = alone();
    let engine = Engine::default();
    let clips = vec![SpeechClip::builtin().unwrap()];
    let mut workload = SpeechWorkload::new(&engine, starter::speech(), "starter", clips, Options::default());
    let report = profile(&mut workload, &ProfileOptions { later_loads: 1, ..options(Duration::ZERO) }).unwrap();
    let quality = report.quality.as_ref().unwrap();
    assert_eq!((quality.word_error_rate, quality.runs_that_differ), (0.0, 0));
    let cold = report.phases.cold.as_ref().unwrap();
    assert!(cold.real_time_factor > 0.0 && cold.encode_ms_per_window.unwrap() > 0.0);
    let span = |name: &str| report.measured.spans.iter().find(|span| span.name == name).unwrap().clone();
    assert_eq!(span("sotto.load").count, 2);
    assert_eq!((span("sotto.encode").count, span("sotto.decode").count), (3, 3));
    assert!(span("sotto.mel").total_s > 0.0 && span("sotto.align").count >= 3);
    let counter = |name: &str| report.measured.counters.iter().find(|counter| counter.name == name).unwrap().value;
    assert!(counter("sotto.bytes.loaded") > 20_000_000 && counter("sotto.bytes.decoder") > 0);
    assert!(counter("sotto.bytes.reserved") > 0);
    assert!(report.measured.memory.reserved_bytes.unwrap() > 0);
    let json = report.to_json().unwrap();
    for word in ["umbrella", "airport", "morning"] {
        assert!(!json.contains(word));
    }
    assert!(!json.contains('\n'));
}

#[test]
fn as_a_job_a_profile_reports_progress_and_its_report_last() {
    let _alone = alone();
    let engine = Engine::default();
    let (end, cancel) = (CancelToken::new(), CancelToken::new());
    let diary = Diary { clips: 1, ..Diary::default() };
    let job = engine.profile(|| Ok(diary), options(Duration::from_millis(5)), Readings::new(), &end, &cancel);
    let (mut progress, mut report) = (0, None);
    while let Answer::Event(event) = job.next_event(Duration::MAX).unwrap() {
        match event {
            Step::Progress(_) => progress += 1,
            Step::Done(done) => report = Some(done),
            _ => {}
        }
    }
    assert!(progress > 0);
    assert_eq!(report.unwrap().measured.subject.model, "bed");
    let diary = Diary { clips: 1, ..Diary::default() };
    let job = engine.profile(|| Ok(diary), options(Duration::from_secs(3600)), Readings::new(), &end, &cancel);
    cancel.cancel();
    let answer = loop {
        match job.next_event(Duration::MAX) {
            Ok(Answer::Event(_)) => {}
            other => break other,
        }
    };
    assert!(matches!(answer.as_ref().map_err(AsRef::as_ref), Err(ProfileError::Cancelled(_))), "{answer:?}");
}

/// A profile of a phone on its battery that finds nothing wrong.
fn sound() -> Measured {
    let run = |phase, at_s| Run {
        phase,
        clip: 0,
        at_s,
        latency_s: 1.0,
        outcome: Outcome { audio_s: 8.0, windows: 1, tokens: 20, ..Outcome::default() },
        resident_bytes: Some(1 << 20),
        allocations: None,
        wakeups: 0,
    };
    let phases = [(Phase::Cold, 1), (Phase::Warm, 3), (Phase::Sustained, 300)];
    let order = phases.into_iter().flat_map(|(phase, count)| std::iter::repeat_n(phase, count));
    let runs: Vec<Run> = order.enumerate().map(|(at, phase)| run(phase, at as f64)).collect();
    let reading = Reading {
        thermal: Some(ThermalState::Nominal),
        power: Some(PowerSource::Battery),
        battery_level: Some(0.9),
        ..Reading::default()
    };
    Measured {
        duration_s: 304.0,
        subject: Subject { task: "speech".into(), threads: 4, optimised: true, ..Subject::default() },
        machine: Machine::default(),
        runs,
        samples: vec![Sample { at_s: -1.0, reading }],
        ..Measured::default()
    }
}

#[test]
fn a_profile_without_fault_is_valid_and_each_fault_has_its_reason() {
    type Fault = fn(&mut Measured);
    fn say(measured: &mut Measured, at_s: f64, reading: Reading) {
        measured.samples.push(Sample { at_s, reading });
    }
    let valid = ProfileReport::of(sound()).verdict;
    assert_eq!((valid.validity, valid.reasons.len()), (Validity::Valid, 0));
    // Five minutes are five minutes although readings take a part of them.
    let mut with_readings = sound();
    with_readings.runs.truncate(4 + 296);
    assert_eq!(ProfileReport::of(with_readings).verdict, valid);
    let faults: [(&str, Fault, Validity, ReasonCode); 15] = [
        (
            "charged for a moment",
            |m| say(m, 100.0, Reading { power: Some(PowerSource::Charging), ..Reading::default() }),
            Validity::Invalid,
            ReasonCode::Charging,
        ),
        (
            "plugged from the start",
            |m| m.samples[0].reading.power = Some(PowerSource::Plugged),
            Validity::Semivalid,
            ReasonCode::Plugged,
        ),
        (
            "hot at the start",
            |m| m.samples[0].reading.thermal = Some(ThermalState::Serious),
            Validity::Invalid,
            ReasonCode::HotAtStart,
        ),
        (
            "warm at the start",
            |m| m.samples[0].reading.thermal = Some(ThermalState::Fair),
            Validity::Semivalid,
            ReasonCode::HotAtStart,
        ),
        ("no state", |m| m.samples[0].reading.thermal = None, Validity::Semivalid, ReasonCode::ThermalUnknown),
        (
            "two warm runs",
            |m| m.runs.retain(|run| run.phase != Phase::Warm || run.at_s > 1.0),
            Validity::Invalid,
            ReasonCode::TooShort,
        ),
        ("nine seconds", |m| m.runs.truncate(13), Validity::Invalid, ReasonCode::TooShort),
        ("a minute", |m| m.runs.truncate(64), Validity::Semivalid, ReasonCode::TooShort),
        (
            "in the background for a moment",
            |m| say(m, 50.0, Reading { background: Some(true), ..Reading::default() }),
            Validity::Invalid,
            ReasonCode::Background,
        ),
        (
            "power saved",
            |m| say(m, 0.0, Reading { low_power: Some(true), ..Reading::default() }),
            Validity::Semivalid,
            ReasonCode::LowPower,
        ),
        (
            "battery low at the end",
            |m| say(m, 290.0, Reading { battery_level: Some(0.1), ..Reading::default() }),
            Validity::Semivalid,
            ReasonCode::LowBattery,
        ),
        ("emulator", |m| m.machine.emulated = true, Validity::Invalid, ReasonCode::Emulated),
        ("debug build", |m| m.subject.optimised = false, Validity::Semivalid, ReasonCode::NotOptimised),
        ("other text", |m| m.runs[9].outcome.differs = true, Validity::Semivalid, ReasonCode::ResultsDiffer),
        ("ended early", |m| m.ended_early = true, Validity::Semivalid, ReasonCode::EndedEarly),
    ];
    for (name, fault, validity, code) in faults {
        let mut measured = sound();
        fault(&mut measured);
        let verdict = ProfileReport::of(measured).verdict;
        assert_eq!(verdict.validity, validity, "{name}: {verdict:?}");
        assert!(verdict.reasons.iter().any(|reason| reason.code == code), "{name}: {verdict:?}");
        assert_eq!(verdict.reasons.len(), 1, "{name}: {verdict:?}");
    }
}

#[test]
fn what_comes_after_the_last_run_spoils_nothing_and_heat_meanwhile_is_a_result() {
    let mut measured = sound();
    let plugged = Reading { power: Some(PowerSource::Charging), background: Some(true), ..Reading::default() };
    measured.samples.push(Sample { at_s: 400.0, reading: plugged });
    let hot = Reading { thermal: Some(ThermalState::Critical), temperature_c: Some(43.5), ..Reading::default() };
    measured.samples.insert(1, Sample { at_s: 120.0, reading: hot });
    // Windows of a quarter of a second: quick enough that there is something to ease off from. Slower by half from then
    // on.
    measured.runs.iter_mut().for_each(|run| run.outcome.windows = 4);
    measured.runs[150..].iter_mut().for_each(|run| run.latency_s = 1.5);
    let report = ProfileReport::of(measured);
    assert_eq!(report.verdict.validity, Validity::Valid);
    assert_eq!((report.thermal.worst, report.thermal.worse_at_s), (Some(ThermalState::Critical), Some(120.0)));
    assert_eq!(report.thermal.highest_c, Some(43.5));
    assert_eq!(report.phases.sustained.unwrap().slowdown, Some(1.5));
    let eased = report.governor.iter().find(|decided| decided.at_s >= 120.0).unwrap();
    assert!(eased.decision.setting.threads < 4 || eased.decision.setting.step_s > 1.1, "{eased:?}");
}

#[test]
fn energy_is_that_of_the_sustained_phase() {
    let mut measured = sound();
    for at in 0..=310 {
        let reading = Reading { current_ua: Some(-500_000), voltage_mv: Some(4000), ..Reading::default() };
        measured.samples.push(Sample { at_s: f64::from(at), reading });
    }
    let energy = ProfileReport::of(measured).energy;
    assert_eq!((energy.method, energy.from_s, energy.to_s), (EnergyMethod::CurrentVoltage, 4.0, 304.0));
    assert!((energy.joules.unwrap() - 600.0).abs() < 1e-6);
    // 300 runs of 8 s.
    assert!((energy.joules_per_audio_minute.unwrap() - 15.0).abs() < 1e-9);
    assert_eq!(ProfileReport::of(sound()).energy.method, EnergyMethod::NotMeasured);
}

#[test]
fn a_report_reads_back_and_others_are_refused() {
    let report = ProfileReport::of(sound());
    let json = report.to_json().unwrap();
    assert_eq!(ProfileReport::from_json(&json).unwrap(), report);
    let later = json.replacen("\"version\":1", "\"version\":2", 1);
    assert!(matches!(ProfileReport::from_json(&later), Err(ReportError::Version { found: 2 })));
    let unknown = json.replacen("{", "{\"field_of_tomorrow\":1,", 1);
    assert_eq!(ProfileReport::from_json(&unknown).unwrap(), report);
    for other in ["{}", "{\"format\":\"else\",\"version\":1}"] {
        assert!(matches!(ProfileReport::from_json(other), Err(ReportError::Format)), "{other}");
    }
    for broken in ["", "[", "{\"format\":\"sotto-profile\",\"version\":1}", &json[..json.len() / 2]] {
        assert!(matches!(ProfileReport::from_json(broken), Err(ReportError::Json(_))), "{broken}");
    }
}

#[test]
fn a_profile_of_nothing_has_no_figures_and_does_not_fail() {
    let report = ProfileReport::of(Measured::default());
    assert_eq!((report.phases.cold, report.quality), (None, None));
    assert_eq!(report.verdict.validity, Validity::Invalid);
}
