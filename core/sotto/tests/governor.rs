//! What the governor decides on stored traces, and what it promises on any.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

use std::path::Path;

use proptest::prelude::*;
use serde::Deserialize;
use sotto::profile::governor::{
    Capabilities, Decided, Governor, Input, Policy, Setting, Spent, Tier, Trace, Why, replay,
};
use sotto::profile::{PowerSource, ThermalState};

/// A trace and what a reader of the rules would decide, worked out by hand.
#[derive(Deserialize)]
struct Stored {
    about: String,
    trace: Trace,
    /// Of each decision: seconds, threads, tier, seconds of a step, the reason, whether it meets the deadline.
    expected: Vec<(f64, usize, usize, f64, Why, bool)>,
}

#[test]
fn stored_traces_are_decided_as_the_rules_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/governor");
    let mut traces = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stored: Stored = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let line = |Decided { at_s, decision }: Decided| {
            let Setting { threads, tier, step_s } = decision.setting;
            (at_s, threads, tier, step_s, decision.why, decision.meets_deadline)
        };
        let found: Vec<_> = replay(&stored.trace).into_iter().map(line).collect();
        assert_eq!(found, stored.expected, "{}: {}", path.display(), stored.about);
        traces += 1;
    }
    assert_eq!(traces, 5);
}

#[test]
fn a_stored_trace_replays_alike() {
    let device = Device { work: 0.8, serial: 0.4, noise: 0.2, seed: 7, ..Device::default() };
    let (trace, decisions) = device.hour(&Policy::default(), |at| heat_wave(at, 600.0));
    let json = serde_json::to_string(&trace).unwrap();
    let replayed = replay(&serde_json::from_str(&json).unwrap());
    assert_eq!(replayed.len(), decisions.len());
    // Numbers may lose their last bit in a file.
    for (replayed, decided) in replayed.iter().zip(&decisions) {
        assert_eq!(replayed.decision, decided.decision);
        assert!((replayed.at_s - decided.at_s).abs() < 1e-9);
    }
}

#[test]
fn input_without_sense_changes_nothing() {
    let capabilities = Capabilities { threads: 0, tiers: Vec::new() };
    let policy = Policy { steps_s: vec![f64::NAN, -1.0, 0.0], ..Policy::default() };
    let setting = Setting { threads: 0, tier: 99, step_s: 0.0 };
    let mut governor = Governor::new();
    for seconds in [f64::NAN, -1.0, 0.0, f64::INFINITY] {
        let input = Input {
            at_s: seconds,
            deadline_s: seconds,
            headroom: Some(f64::NAN),
            spent: Some(Spent { seconds, setting }),
            ..Input::default()
        };
        let (next, decision) = governor.decide(&capabilities, &policy, &input);
        assert_eq!(decision.setting, Setting { threads: 1, tier: 0, step_s: 1.1 });
        assert!(decision.meets_deadline);
        governor = next;
    }
}

/// A device as it may be, not as the governor thinks that it is.
#[derive(Debug, Clone)]
struct Device {
    /// Seconds of a step on one thread with the best model.
    work: f64,
    /// Part of it that threads do not share.
    serial: f64,
    /// Models, as their real cost.
    costs: Vec<f64>,
    threads: usize,
    /// Steps take up to this much longer.
    noise: f64,
    seed: u64,
}

impl Default for Device {
    fn default() -> Self {
        Self { work: 0.5, serial: 0.25, costs: vec![1.0, 0.45], threads: 4, noise: 0.0, seed: 1 }
    }
}

const DEADLINE: f64 = 1.0;

impl Device {
    fn capabilities(&self) -> Capabilities {
        let tier = |(index, &cost): (usize, &f64)| Tier { name: format!("tier {index}"), cost, word_error_rate: None };
        Capabilities { threads: self.threads, tiers: self.costs.iter().enumerate().map(tier).collect() }
    }

    /// Without noise.
    fn seconds(&self, setting: &Setting) -> f64 {
        let threads = setting.threads as f64;
        self.work * self.costs[setting.tier] * (self.serial + (1.0 - self.serial) / threads)
    }

    fn is_late(setting: &Setting, seconds: f64) -> bool {
        seconds > DEADLINE.min(0.8 * setting.step_s)
    }

    /// An hour of live text under a governor; `about` says what the platform does at a moment.
    fn hour(&self, policy: &Policy, about: impl Fn(f64) -> Input) -> (Trace, Vec<Decided>) {
        let capabilities = self.capabilities();
        let (mut governor, mut at, mut random) = (Governor::new(), 0.0, self.seed);
        let (mut inputs, mut decisions, mut spent) = (Vec::new(), Vec::new(), None);
        while at < 3600.0 {
            let input = Input { at_s: at, spent, ..about(at) };
            let (next, decision) = governor.decide(&capabilities, policy, &input);
            governor = next;
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let noise = 1.0 + self.noise * (random >> 40) as f64 / (1 << 24) as f64;
            let seconds = self.seconds(&decision.setting) * noise;
            spent = Some(Spent { seconds, setting: decision.setting });
            inputs.push(input);
            decisions.push(Decided { at_s: at, decision });
            at += decision.setting.step_s.max(seconds);
        }
        (Trace { capabilities, policy: policy.clone(), inputs }, decisions)
    }
}

fn heat_wave(at: f64, period: f64) -> Input {
    let states = [ThermalState::Nominal, ThermalState::Fair, ThermalState::Serious, ThermalState::Critical];
    let phase = (at / period * 6.0) as usize % 6;
    Input { thermal: Some(states[if phase < 4 { phase } else { 6 - phase }]), ..Input::default() }
}

fn changes(decisions: &[Decided]) -> Vec<Decided> {
    decisions.iter().copied().filter(|decided| !matches!(decided.decision.why, Why::Stay | Why::Start)).collect()
}

fn device() -> impl Strategy<Value = Device> {
    (0.02..4.0, 0.0..0.9, 0.1..0.9, 1usize..=8, 0.0..0.6, any::<u64>()).prop_map(
        |(work, serial, cost, threads, noise, seed)| Device {
            work,
            serial,
            costs: vec![1.0, cost, cost * 0.5],
            threads,
            noise,
            seed,
        },
    )
}

/// What a platform may say at any moment, changing as fast as it can.
fn weather(seed: u64, at: f64) -> Input {
    let random = (seed ^ (at * 7.0) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    let states = [ThermalState::Nominal, ThermalState::Fair, ThermalState::Serious, ThermalState::Critical];
    Input {
        thermal: states.get(random as usize % 5).copied(),
        headroom: random.is_multiple_of(3).then_some((random % 130) as f64 / 100.0),
        battery_level: Some((random % 100) as f64 / 100.0),
        power: [Some(PowerSource::Battery), Some(PowerSource::Charging), None][random as usize % 3],
        low_power: random.is_multiple_of(11),
        ..Input::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_platform_says_changes_keep_their_distance(device in device(), seed in any::<u64>()) {
        let policy = Policy::default();
        let (_, decisions) = device.hour(&policy, |at| weather(seed, at));
        for pair in changes(&decisions).windows(2) {
            let since = pair[1].at_s - pair[0].at_s;
            match pair[1].decision.why {
                Why::Relaxed => prop_assert!(since >= policy.relax_after_s, "{pair:?}"),
                Why::Heat | Why::Battery => prop_assert!(since >= policy.ease_after_s, "{pair:?}"),
                _ => {}
            }
        }
    }

    #[test]
    fn under_steady_conditions_the_setting_comes_to_rest(device in device(), state in 0usize..4) {
        let states = [ThermalState::Nominal, ThermalState::Fair, ThermalState::Serious, ThermalState::Critical];
        let about = |_| Input { thermal: Some(states[state]), ..Input::default() };
        let (_, decisions) = device.hour(&Policy::default(), about);
        let late = changes(&decisions).iter().filter(|decided| decided.at_s > 1800.0).count();
        prop_assert!(late <= 8, "{late} changes in the second half hour: {:?}", changes(&decisions));
    }

    #[test]
    fn no_model_below_the_floor_is_ever_chosen(device in device(), seed in any::<u64>(), floor in 0usize..3) {
        let policy = Policy { worst_tier: Some(floor), ..Policy::default() };
        let (_, decisions) = device.hour(&policy, |at| weather(seed, at));
        prop_assert!(decisions.iter().all(|decided| decided.decision.setting.tier <= floor));
        prop_assert!(decisions.iter().all(|decided| (1..=device.threads).contains(&decided.decision.setting.threads)));
    }

    #[test]
    fn a_deadline_that_can_be_met_is_met_however_hot_it_is(device in device(), seed in any::<u64>()) {
        let (trace, decisions) = device.hour(&Policy::default(), |at| weather(seed, at));
        // The last model on all threads with the longest step.
        let quickest = Setting { threads: device.threads, tier: 2, step_s: 4.0 };
        prop_assume!(!Device::is_late(&quickest, device.seconds(&quickest) * (1.0 + device.noise) * 1.3));
        let spent = trace.inputs.iter().filter_map(|input| input.spent);
        let late = spent.filter(|spent| Device::is_late(&spent.setting, spent.seconds)).count();
        prop_assert!(late * 10 <= decisions.len(), "{late} of {} steps are late", decisions.len());
    }

    #[test]
    fn after_a_late_step_something_quicker_comes_or_nothing_is_quicker(device in device(), seed in any::<u64>()) {
        // A device as the governor expects it: then its choice can be checked from outside.
        let device = Device { serial: 0.25, noise: 0.0, ..device };
        let (trace, decisions) = device.hour(&Policy::default(), |at| weather(seed, at));
        let best = (0..3).map(|tier| device.seconds(&Setting { threads: device.threads, tier, step_s: 4.0 }));
        let best = best.fold(f64::INFINITY, f64::min);
        for (input, decided) in trace.inputs.iter().zip(&decisions) {
            let late = |spent: &Spent| Device::is_late(&spent.setting, spent.seconds);
            let Some(spent) = input.spent.filter(late) else { continue };
            let setting = decided.decision.setting;
            let now = device.seconds(&setting);
            let quicker = now < spent.seconds || setting.step_s > spent.setting.step_s;
            prop_assert!(quicker || (now - best).abs() < 1e-9, "{spent:?} then {setting:?}");
            prop_assert_eq!(decided.decision.meets_deadline, !Device::is_late(&setting, now));
        }
    }
}
