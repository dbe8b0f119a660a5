//! The governor: decides how much work live text may do, from heat, battery, deadline and measured speed.
//!
//! A pure function: [`Governor::decide`] takes a state and an input and returns the next state and a decision, without
//! a clock. So a run of an app can be stored as a [`Trace`] and replayed on a desktop with the same decisions.
//!
//! Its priorities, in this order:
//! 1. **The quality floor.** No model below it is ever chosen.
//! 2. **The deadline.** If a step of live text misses it, the fastest allowed setting that is expected to meet it is
//!    chosen at once; heat and battery choose only among settings that meet it. If none does, the fastest is taken, and
//!    the decision says so.
//! 3. **The load allowed by heat and battery**: first longer steps and fewer threads, then a smaller model.
//! 4. **Few changes.** Reducing the load waits some seconds after the last change; increasing it waits longer, until
//!    the device has been cooler for a while. If the deadline reverts such a change, the next ones wait twice as long.

mod choice;
mod trace;

use serde::{Deserialize, Serialize};

use self::choice::Choice;
use super::reading::{PowerSource, ThermalState};
pub use trace::{Trace, changes, replay};

/// Default of the seconds that a step of live text may take.
pub const DEADLINE: f64 = 1.0;

/// A model to choose from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tier {
    /// Its name in the app.
    pub name: String,
    /// Time that it takes, relative to the best tier's: below 1.
    pub cost: f64,
    /// Its word error rate, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub word_error_rate: Option<f64>,
}

/// The capabilities of device and app to choose from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Capabilities {
    /// Maximum number of threads, usually the number of big cores; at most 64 are used.
    pub threads: usize,
    /// Models, the best first. An empty list counts as one model.
    pub tiers: Vec<Tier>,
}

impl Default for Capabilities {
    fn default() -> Self {
        Self { threads: 1, tiers: vec![Tier { name: "model".into(), cost: 1.0, word_error_rate: None }] }
    }
}

impl Capabilities {
    /// The setting with the highest load, chosen while there is no pressure.
    #[must_use]
    pub fn most_generous(&self, policy: &Policy) -> Setting {
        Setting { threads: self.most_threads(), tier: 0, step_s: policy.shortest_step() }
    }

    /// Limit, because all numbers of threads are compared; no device has more cores.
    fn most_threads(&self) -> usize {
        self.threads.clamp(1, 64)
    }
}

/// Options of the governor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    /// The quality floor: the last tier that may be chosen, counted from 0. `None` allows all; the best tier is always
    /// allowed.
    pub worst_tier: Option<usize>,
    /// Tiers with a higher or unknown word error rate may not be chosen either.
    pub worst_word_error_rate: Option<f64>,
    /// Steps of live text in seconds, in any order.
    pub steps_s: Vec<f64>,
    /// Share of the load of the most generous setting that is allowed when the device is fair, serious and critical.
    pub load: [f64; 3],
    /// Margin by which an expectation must be better than needed before the setting is changed.
    pub margin: f64,
    /// Seconds after a change before the load is reduced.
    pub ease_after_s: f64,
    /// Seconds after a change before the load is increased.
    pub relax_after_s: f64,
    /// Seconds for which a device must have been cooler before that counts.
    pub calm_s: f64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            worst_tier: None,
            worst_word_error_rate: None,
            steps_s: vec![1.1, 1.6, 2.4, 4.0],
            load: [0.6, 0.35, 0.2],
            margin: 1.25,
            ease_after_s: 5.0,
            relax_after_s: 20.0,
            calm_s: 30.0,
        }
    }
}

impl Policy {
    fn shortest_step(&self) -> f64 {
        let step = self.steps_s.iter().copied().filter(|step| *step > 0.0).fold(f64::INFINITY, f64::min);
        if step.is_finite() { step } else { 1.1 }
    }
}

/// A setting to choose.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// Threads to compute with.
    pub threads: usize,
    /// Index of the model among the tiers.
    pub tier: usize,
    /// Seconds of new voice after which live text is decoded again.
    pub step_s: f64,
}

/// The measured time of a step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spent {
    /// Seconds of computing.
    pub seconds: f64,
    /// The setting that it was computed with.
    pub setting: Setting,
}

/// The input at one moment: after a step, or when the platform reports something.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Input {
    /// Seconds from any origin; never decreases.
    pub at_s: f64,
    /// Thermal state.
    pub thermal: Option<ThermalState>,
    /// Android's thermal headroom: 1 is where the system begins to slow down severely.
    pub headroom: Option<f64>,
    /// Charge of the battery, 0 to 1.
    pub battery_level: Option<f64>,
    /// Power source: while the battery is being charged there is no battery pressure.
    pub power: Option<PowerSource>,
    /// Whether the system is in a power-saving mode.
    pub low_power: bool,
    /// Seconds that a step may take until its text is there.
    pub deadline_s: f64,
    /// Time of the last step, if there was one since the last input.
    pub spent: Option<Spent>,
}

impl Default for Input {
    fn default() -> Self {
        Self {
            at_s: 0.0,
            thermal: None,
            headroom: None,
            battery_level: None,
            power: None,
            low_power: false,
            deadline_s: DEADLINE,
            spent: None,
        }
    }
}

/// The reason of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The first decision.
    Start,
    /// No reason for a change.
    Stay,
    /// A step missed the deadline, or is expected to.
    Deadline,
    /// The device is hot.
    Heat,
    /// The battery is low, or the system is in a power-saving mode.
    Battery,
    /// The load may be increased again.
    Relaxed,
}

impl Why {
    /// The reason as one word, as in traces.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stay => "stay",
            Self::Deadline => "deadline",
            Self::Heat => "heat",
            Self::Battery => "battery",
            Self::Relaxed => "relaxed",
        }
    }
}

/// A decision.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The setting to use from now on.
    pub setting: Setting,
    /// Why.
    pub why: Why,
    /// Whether the deadline is expected to be met.
    pub meets_deadline: bool,
}

/// A decision and its time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Decided {
    /// Time of its input.
    pub at_s: f64,
    /// The decision.
    #[serde(flatten)]
    pub decision: Decision,
}

/// The state of the governor between decisions.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Governor {
    setting: Option<Setting>,
    changed_at: f64,
    now: f64,
    /// Whether the last change may be reverted by the deadline.
    on_trial: bool,
    /// Estimated seconds of a step on one thread with the best tier.
    work: Option<f64>,
    measured_in: Option<Setting>,
    pressure: Pressure,
    /// Time since when the pressure has been lower, and its maximum since then.
    calm: Option<(f64, Pressure)>,
    /// Number of consecutive changes that the deadline reverted; each doubles the waiting time.
    taken_back: u32,
    taken_back_at: f64,
    /// How much longer than expected a new setting took (ratio minus 1); decays.
    doubt: f64,
    doubted_at: f64,
}

/// The pressure on the device, 0 to 3, and whether it is heat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Pressure {
    level: usize,
    heat: bool,
}

// Weight of a slower measurement, and of a faster one, which is trusted more slowly.
const BELIEVE_SLOWER: f64 = 0.5;
const BELIEVE_QUICKER: f64 = 0.2;
// Maximum number of doublings of the waiting time: 32 times as long.
const MOST_DOUBLINGS: u32 = 5;
// Seconds without a reverted change after which the waiting time is halved.
const FORGIVEN: f64 = 900.0;
// Larger errors of an expectation do not count further.
const MOST_DOUBT: f64 = 3.0;
// Half-life of the doubt in seconds: the cause of a slowdown may have ended.
const DOUBT_HALVES: f64 = 1800.0;

impl Governor {
    /// The initial state.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Decides the setting for now on; returns it with the next state. Costs some hundred multiplications.
    ///
    /// Invalid input (times that are NaN, no tiers, no steps) is ignored.
    #[must_use]
    pub fn decide(&self, capabilities: &Capabilities, policy: &Policy, input: &Input) -> (Self, Decision) {
        let mut next = *self;
        if input.at_s > next.now || self.setting.is_none() {
            next.now = if input.at_s.is_finite() { input.at_s } else { next.now };
        }
        next.feel(input, policy);
        let choice = Choice::new(capabilities, policy, next.pressure.level, input.deadline_s, next.work);
        next.measure(input, &choice);
        let choice = choice.with_work(next.work);
        let why = next.choose(&choice, policy);
        let setting = next.setting.unwrap_or_else(|| choice.most_generous());
        let decision = Decision { setting, why, meets_deadline: choice.meets(&setting, 1.0) };
        (next, decision)
    }

    /// Pressure rises at once, and falls after it has been lower for a while.
    fn feel(&mut self, input: &Input, policy: &Policy) {
        let felt = pressure(input);
        if felt.level >= self.pressure.level {
            (self.pressure, self.calm) = (felt, None);
            return;
        }
        let (since, highest) = self.calm.map_or((self.now, felt), |(since, highest)| (since, highest.max(felt)));
        self.calm = Some((since, highest));
        if self.now - since >= policy.calm_s {
            (self.pressure, self.calm) = (highest, None);
        }
    }

    /// Updates the estimated speed. The first step of another setting replaces its expectation.
    fn measure(&mut self, input: &Input, choice: &Choice<'_>) {
        let Some(spent) = input.spent.filter(|spent| spent.seconds > 0.0 && spent.seconds.is_finite()) else { return };
        let work = spent.seconds / choice.relative_time(&spent.setting);
        let known = self.work.filter(|_| self.measured_in == Some(spent.setting));
        if let Some(expected) = self.work.filter(|_| known.is_none() && self.setting == Some(spent.setting)) {
            let wrong = (work / expected - 1.0).clamp(0.0, MOST_DOUBT);
            if wrong > self.doubt_now() {
                (self.doubt, self.doubted_at) = (wrong, self.now);
            }
        }
        self.work = Some(known.map_or(work, |known| {
            let believe = if work > known { BELIEVE_SLOWER } else { BELIEVE_QUICKER };
            known + (work - known) * believe
        }));
        self.measured_in = Some(spent.setting);
    }

    fn choose(&mut self, choice: &Choice<'_>, policy: &Policy) -> Why {
        let Some(current) = self.setting.filter(|setting| choice.allows(setting)) else {
            self.change(choice.best(1.0), false);
            return Why::Start;
        };
        let since = self.now - self.changed_at;
        if self.now - self.taken_back_at > FORGIVEN {
            (self.taken_back, self.taken_back_at) = (self.taken_back.saturating_sub(1), self.now);
        }
        let patience = f64::from(1u32 << self.taken_back.min(MOST_DOUBLINGS));
        if !choice.meets(&current, 1.0) {
            let best = choice.best(policy.margin);
            if choice.is_nearer_the_deadline(&best, &current) {
                if self.on_trial {
                    self.taken_back += 1;
                    self.taken_back_at = self.now;
                }
                self.change(best, false);
                return Why::Deadline;
            }
            return Why::Stay;
        }
        let margin = policy.margin * (1.0 + self.doubt_now());
        let best = choice.best(margin);
        if !choice.is_light_enough(&current, 1.0) {
            if since >= policy.ease_after_s * patience && choice.load(&best) < choice.load(&current) {
                self.change(best, true);
                return if self.pressure.heat { Why::Heat } else { Why::Battery };
            }
            return Why::Stay;
        }
        if since >= policy.relax_after_s * patience && choice.asks_more(&best, &current, margin) {
            self.change(best, true);
            return Why::Relaxed;
        }
        Why::Stay
    }

    fn doubt_now(&self) -> f64 {
        self.doubt * libm::exp2(-(self.now - self.doubted_at) / DOUBT_HALVES)
    }

    fn change(&mut self, setting: Setting, on_trial: bool) {
        (self.setting, self.changed_at, self.on_trial) = (Some(setting), self.now, on_trial);
    }
}

/// The pressure from the platform's readings.
fn pressure(input: &Input) -> Pressure {
    let thermal = match input.thermal {
        None | Some(ThermalState::Nominal) => 0,
        Some(ThermalState::Fair) => 1,
        Some(ThermalState::Serious) => 2,
        Some(ThermalState::Critical) => 3,
    };
    // Android's headroom: 1 is severe; lower thresholds leave time to act.
    let headroom = match input.headroom {
        Some(headroom) if headroom >= 1.15 => 3,
        Some(headroom) if headroom >= 1.0 => 2,
        Some(headroom) if headroom >= 0.85 => 1,
        _ => 0,
    };
    let level = input.battery_level.filter(|_| !matches!(input.power, Some(power) if power != PowerSource::Battery));
    let battery = match level {
        Some(level) if level < 0.1 => 2,
        Some(level) if level < 0.2 => 1,
        _ => usize::from(input.low_power),
    };
    let heat = thermal.max(headroom);
    Pressure { level: heat.max(battery).max(usize::from(input.low_power)), heat: heat >= battery && heat > 0 }
}
