//! Whether a profile can be compared with others, and if not, why.

use serde::{Deserialize, Serialize};

use super::reading::{PowerSource, ThermalState};
use super::report::{Measured, Phase, Thermal};

/// Validity of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Validity {
    /// Its figures may be compared with those of others.
    Valid,
    /// Some condition was not ideal: compare its figures with care.
    Semivalid,
    /// Its figures are not meaningful for this device and model.
    Invalid,
}

/// A condition that was not ideal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReasonCode {
    /// The battery was being charged, which heats it.
    Charging,
    /// The device had external power.
    Plugged,
    /// The device was hot before anything ran.
    HotAtStart,
    /// Too little was measured.
    TooShort,
    /// The app was in the background, where systems restrict its processor time.
    Background,
    /// The system was in a power-saving mode.
    LowPower,
    /// The battery was nearly empty.
    LowBattery,
    /// There was no reading of the thermal state.
    ThermalUnknown,
    /// An emulator or a simulator.
    Emulated,
    /// The library was built without optimisations.
    NotOptimised,
    /// The same clip gave different results.
    ResultsDiffer,
    /// It was ended early.
    EndedEarly,
    /// A reason unknown to this version.
    #[serde(other)]
    Other,
}

/// A reason and its consequence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The validity that follows from it.
    pub validity: Validity,
    /// The condition, for programs.
    pub code: ReasonCode,
    /// The condition for people, with what to do.
    pub text: String,
}

/// The verdict: the worst of its reasons; valid without reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The validity.
    pub validity: Validity,
    /// The reasons, the worst first.
    pub reasons: Vec<Reason>,
}

// Minimum number of runs for a median.
const LEAST_WARM_RUNS: usize = 3;
// In seconds: long enough for a short boost of the clock to end.
const LEAST_SUSTAINED: f64 = 10.0;
// Seconds until a phone's case is warm; before that all phones look alike.
const WARMED_UP: f64 = 300.0;
// Fraction of such a phase that must be runs; the rest is for readings between them.
const RUNNING: f64 = 0.98;
// Most systems throttle below this charge.
const LOW_BATTERY: f64 = 0.2;

/// The verdict on what was measured.
#[must_use]
pub fn verdict(measured: &Measured, thermal: &Thermal) -> Verdict {
    let mut reasons = Vec::new();
    let mut add = |validity, code, text: String| reasons.push(Reason { validity, code, text });
    conditions(measured, &mut add);
    heat(thermal, &mut add);
    length(measured, &mut add);
    subject(measured, &mut add);
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.validity));
    let validity = reasons.first().map_or(Validity::Valid, |reason| reason.validity);
    Verdict { validity, reasons }
}

use ReasonCode as Code;
use Validity::{Invalid, Semivalid};

type Add<'a> = dyn FnMut(Validity, ReasonCode, String) + 'a;

/// Checks power and foreground between the first run and the last.
fn conditions(measured: &Measured, add: &mut Add<'_>) {
    let (from, to) = measured_time(measured);
    let before = super::reading::known_at(&measured.samples, from);
    let during = measured.samples.iter().filter(|sample| sample.at_s > from && sample.at_s <= to);
    let known: Vec<_> = std::iter::once(&before).chain(during.map(|sample| &sample.reading)).collect();
    let power = |wanted| known.iter().any(|reading| reading.power == Some(wanted));
    if power(PowerSource::Charging) {
        add(Invalid, Code::Charging, "the battery was charged, which heats the device: unplug it".into());
    } else if power(PowerSource::Plugged) {
        let text = "the device was fed from outside: on its battery it may be slower, and uses other energy; unplug it";
        add(Semivalid, Code::Plugged, text.into());
    }
    if known.iter().any(|reading| reading.background == Some(true)) {
        let text = "the app was in the background, where the system takes processors away: keep it on the screen";
        add(Invalid, Code::Background, text.into());
    }
    if known.iter().any(|reading| reading.low_power == Some(true)) {
        add(Semivalid, Code::LowPower, "the system saved power: turn that off, or compare with its like alone".into());
    }
    let level = known.iter().filter_map(|reading| reading.battery_level).fold(f64::INFINITY, f64::min);
    if level < LOW_BATTERY {
        let text = format!("the battery was down to {:.0} %: many systems slow down; charge it before", level * 100.0);
        add(Semivalid, Code::LowBattery, text);
    }
}

fn heat(thermal: &Thermal, add: &mut Add<'_>) {
    match thermal.at_start {
        None => {
            let text = "nobody said how hot the device was: whether it was slowed down is not known";
            add(Semivalid, Code::ThermalUnknown, text.into());
        }
        Some(ThermalState::Nominal) => {}
        Some(ThermalState::Fair) => {
            let text = "the device was warm before anything ran: let it cool down";
            add(Semivalid, Code::HotAtStart, text.into());
        }
        Some(state) => {
            let text = format!("the device was hot ({state}) and slowed down before anything ran: let it cool down");
            add(Invalid, Code::HotAtStart, text);
        }
    }
}

fn length(measured: &Measured, add: &mut Add<'_>) {
    let of = |phase| measured.runs.iter().filter(move |run| run.phase == phase);
    let warm = of(Phase::Warm).count();
    if warm < LEAST_WARM_RUNS {
        let text = format!("{warm} warm runs; medians need {LEAST_WARM_RUNS} at least");
        add(Invalid, Code::TooShort, text);
    }
    let seconds: f64 = of(Phase::Sustained).map(|run| run.latency_s).sum();
    if seconds < LEAST_SUSTAINED {
        let text = format!("{seconds:.0} s of lasting work; {LEAST_SUSTAINED} s are the least that say anything");
        add(Invalid, Code::TooShort, text);
    } else if seconds < RUNNING * WARMED_UP {
        let text = format!(
            "{seconds:.0} s of lasting work: how a device slows down shows after {:.0} minutes, better 30",
            WARMED_UP / 60.0
        );
        add(Semivalid, Code::TooShort, text);
    }
    if measured.ended_early {
        add(Semivalid, Code::EndedEarly, "it was ended before its time".into());
    }
}

fn subject(measured: &Measured, add: &mut Add<'_>) {
    if measured.machine.emulated {
        add(Invalid, Code::Emulated, "an emulator or a simulator: measure a device".into());
    }
    if !measured.subject.optimised {
        let text = "the library was built without optimisations: build it for release";
        add(Semivalid, Code::NotOptimised, text.into());
    }
    let differ = measured.runs.iter().filter(|run| run.outcome.differs).count();
    if differ > 0 {
        let text = format!("{differ} runs gave another text than the first run of their clip");
        add(Semivalid, Code::ResultsDiffer, text);
    }
}

/// From the first run to the end of the last.
pub(super) fn measured_time(measured: &Measured) -> (f64, f64) {
    let from = measured.runs.first().map_or(0.0, |run| run.at_s);
    let to = measured.runs.last().map_or(measured.duration_s, |run| run.at_s + run.latency_s);
    (from, to)
}
