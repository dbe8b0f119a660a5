//! The governor: how hard live text may work, from heat, battery, deadline and measured speed.
//!
//! A pure function: [`Governor::decide`] takes a state and an input and gives the next state and a decision, without a
//! clock, so that every run of an app can be stored as a [`Trace`] and replayed on a desk with the same decisions.
//!
//! What it promises, in this order:
//! 1. **The quality floor.** No model below it is ever chosen.
//! 2. **The deadline.** While a step of live text misses it, the fastest allowed setting that is expected to meet it
//!    comes at once; heat and battery choose only among settings that meet it. Where none does, the fastest is taken,
//!    and the decision says so.
//! 3. **The load that heat and battery allow**: first steps become longer and threads fewer, then the model smaller.
//! 4. **Calm.** Easing off waits some seconds after the last change, working harder waits longer, and until the device
//!    has been cooler for a while. When the deadline takes back such a change, the next ones wait twice as long.

mod choice;
mod trace;

use serde::{Deserialize, Serialize};

use self::choice::Choice;
use super::reading::{PowerSource, ThermalState};
pub use trace::{Trace, changes, replay};

/// Seconds that a step of live text may take, where an app has no wish of its own.
pub const DEADLINE: f64 = 1.0;

/// A model that may be chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tier {
    /// Its name in the app.
    pub name: String,
    /// Time that it takes, relative to the best tier's: below 1.
    pub cost: f64,
    /// Its word error rate, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub word_error_rate: Option<f64>,
}

/// What a device and an app have to choose from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Capabilities {
    /// Most threads, usually the big cores; beyond 64 they do not count.
    pub threads: usize,
    /// Models, the best first. None stands for one.
    pub tiers: Vec<Tier>,
}

impl Default for Capabilities {
    fn default() -> Self {
        Self { threads: 1, tiers: vec![Tier { name: "model".into(), cost: 1.0, word_error_rate: None }] }
    }
}

impl Capabilities {
    /// The setting that asks most of a device: what is chosen while nothing holds it back.
    #[must_use]
    pub fn most_generous(&self, policy: &Policy) -> Setting {
        Setting { threads: self.most_threads(), tier: 0, step_s: policy.shortest_step() }
    }

    /// All numbers of threads are weighed, and no device has more cores than this.
    fn most_threads(&self) -> usize {
        self.threads.clamp(1, 64)
    }
}

/// How the governor weighs things.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    /// The last tier that may be chosen, counted from 0: the quality floor. The best tier always may; `None`: all may.
    pub worst_tier: Option<usize>,
    /// Tiers with more word errors than this, or unknown ones, may not be chosen either.
    pub worst_word_error_rate: Option<f64>,
    /// Steps of live text in seconds, in any order.
    pub steps_s: Vec<f64>,
    /// Share of the load of the most generous setting that is allowed when the device is fair, serious and critical.
    pub load: [f64; 3],
    /// How much better than needed an expectation must be before the setting changes for it.
    pub margin: f64,
    /// Seconds after a change before the load is cut.
    pub ease_after_s: f64,
    /// Seconds after a change before more is asked of the device.
    pub relax_after_s: f64,
    /// Seconds that a device must have been cooler for before that counts.
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

/// What is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// Threads to compute with.
    pub threads: usize,
    /// Index of the model among the tiers.
    pub tier: usize,
    /// Seconds of new voice after which live text is decoded again.
    pub step_s: f64,
}

/// What a step took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spent {
    /// Seconds of computing.
    pub seconds: f64,
    /// The setting that it was computed with.
    pub setting: Setting,
}

/// What is known at one moment: after a step, or when the platform says something.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Input {
    /// Seconds from any origin; never falls.
    pub at_s: f64,
    /// Thermal state.
    pub thermal: Option<ThermalState>,
    /// Android's thermal headroom: 1 is where the system begins to slow down severely.
    pub headroom: Option<f64>,
    /// Charge of the battery, 0 to 1.
    pub battery_level: Option<f64>,
    /// Power source: a battery that is charged holds nothing back.
    pub power: Option<PowerSource>,
    /// Whether the system saves power.
    pub low_power: bool,
    /// Seconds that a step may take until its text is there.
    pub deadline_s: f64,
    /// What the last step took, if there was one since the last input.
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

/// Why a setting is what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The first decision.
    Start,
    /// Nothing calls for a change.
    Stay,
    /// A step missed the deadline, or would soon.
    Deadline,
    /// The device is hot.
    Heat,
    /// The battery is low, or the system saves power.
    Battery,
    /// More may be asked of the device again.
    Relaxed,
}

impl Why {
    /// In a word, as in traces.
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
    /// What to compute with from now on.
    pub setting: Setting,
    /// Why.
    pub why: Why,
    /// Whether the deadline is expected to be met.
    pub meets_deadline: bool,
}

/// A decision and when it was made.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Decided {
    /// Time of its input.
    pub at_s: f64,
    /// The decision.
    #[serde(flatten)]
    pub decision: Decision,
}

/// What the governor remembers from one decision to the next.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Governor {
    setting: Option<Setting>,
    changed_at: f64,
    now: f64,
    /// Whether the last change was one that the deadline may take back.
    on_trial: bool,
    /// Seconds of a step on one thread with the best tier.
    work: Option<f64>,
    measured_in: Option<Setting>,
    pressure: Pressure,
    /// Since when the pressure has been lower, and its highest since.
    calm: Option<(f64, Pressure)>,
    /// How often in a row the deadline took changes back: each doubles the waiting.
    taken_back: u32,
    taken_back_at: f64,
    /// How many times as long as expected a new setting took, beyond 1; fades.
    doubt: f64,
    doubted_at: f64,
}

/// How much holds the device back, 0 to 3, and whether it is heat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Pressure {
    level: usize,
    heat: bool,
}

// Share of a slower measurement that is believed at once, and of a quicker one: hope takes longer.
const BELIEVE_SLOWER: f64 = 0.5;
const BELIEVE_QUICKER: f64 = 0.2;
// Times that waiting is doubled at most: 32 times as long.
const MOST_DOUBLINGS: u32 = 5;
// Seconds without a change taken back after which the waiting is halved.
const FORGIVEN: f64 = 900.0;
// Expectations that were wrong by more say nothing of the next ones.
const MOST_DOUBT: f64 = 3.0;
// Seconds after which half of a doubt is left: what slowed the device down may have ended.
const DOUBT_HALVES: f64 = 1800.0;

impl Governor {
    /// Knows nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What to compute with from now on, and what to decide with next time. Costs some hundred multiplications.
    ///
    /// Input that makes no sense (times that are no numbers, no tiers, no steps) is taken as if it were not there.
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

    /// Pressure rises at once, and falls when it has been lower for a while.
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

    /// Takes note of the speed. The first step of another setting replaces what was expected of it.
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

/// What the platform says, as one number.
fn pressure(input: &Input) -> Pressure {
    let thermal = match input.thermal {
        None | Some(ThermalState::Nominal) => 0,
        Some(ThermalState::Fair) => 1,
        Some(ThermalState::Serious) => 2,
        Some(ThermalState::Critical) => 3,
    };
    // Of Android's headroom: 1 is severe; what is said before it leaves time to act.
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
