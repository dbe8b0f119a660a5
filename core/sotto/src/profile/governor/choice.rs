//! The settings that there are, what each is expected to take, and which is the best.

use super::{Capabilities, DEADLINE, Policy, Setting};

// Part of a step that more threads do not make shorter. Only a first guess: what the chosen setting takes is measured.
const SERIAL: f64 = 0.25;
// Part of a step's time that may be spent on it: the rest is for what else the app does.
const KEEP_UP: f64 = 0.8;

/// All that a decision compares settings by.
pub(super) struct Choice<'a> {
    capabilities: &'a Capabilities,
    policy: &'a Policy,
    pressure: usize,
    deadline: f64,
    work: Option<f64>,
}

impl<'a> Choice<'a> {
    pub(super) fn new(
        capabilities: &'a Capabilities,
        policy: &'a Policy,
        pressure: usize,
        deadline: f64,
        work: Option<f64>,
    ) -> Self {
        let deadline = if deadline > 0.0 { deadline } else { DEADLINE };
        Self { capabilities, policy, pressure, deadline, work }
    }

    pub(super) fn with_work(self, work: Option<f64>) -> Self {
        Self { work, ..self }
    }

    pub(super) fn most_generous(&self) -> Setting {
        self.capabilities.most_generous(self.policy)
    }

    /// Time of a setting, relative to one thread and the best tier.
    pub(super) fn relative_time(&self, setting: &Setting) -> f64 {
        let threads = setting.threads.max(1) as f64;
        let cost = self.capabilities.tiers.get(setting.tier).map_or(1.0, |tier| tier.cost);
        let cost = if cost > 0.0 && cost.is_finite() { cost } else { 1.0 };
        cost * (1.0 + SERIAL * (threads - 1.0)) / threads
    }

    /// Whether it is above the quality floor, and the device has it.
    pub(super) fn allows(&self, setting: &Setting) -> bool {
        let Policy { worst_tier, worst_word_error_rate, .. } = self.policy;
        let good_enough = || {
            let Some(tier) = self.capabilities.tiers.get(setting.tier) else { return false };
            let rate = |limit: &f64| tier.word_error_rate.is_some_and(|rate| rate <= *limit);
            worst_tier.is_none_or(|worst| setting.tier <= worst) && worst_word_error_rate.as_ref().is_none_or(rate)
        };
        (1..=self.capabilities.most_threads()).contains(&setting.threads) && (setting.tier == 0 || good_enough())
    }

    /// Time of a step against what it may take: above 1 it comes too late. Where nothing was measured, in time.
    fn lateness(&self, setting: &Setting) -> f64 {
        let expected = self.work.map_or(0.0, |work| work * self.relative_time(setting));
        expected / self.deadline.min(KEEP_UP * setting.step_s)
    }

    /// Whether a step is expected to be in time, even if it took `margin` times as long.
    pub(super) fn meets(&self, setting: &Setting, margin: f64) -> bool {
        self.lateness(setting) * margin <= 1.0
    }

    pub(super) fn is_nearer_the_deadline(&self, setting: &Setting, current: &Setting) -> bool {
        // What is no nearer by a hundredth is no reason to change anything.
        self.lateness(setting) < 0.99 * self.lateness(current)
    }

    /// Processors that are busy, in the mean; relative where nothing was measured.
    pub(super) fn load(&self, setting: &Setting) -> f64 {
        let busy = self.work.unwrap_or(1.0) * self.relative_time(setting) / setting.step_s;
        setting.threads as f64 * busy
    }

    /// Whether the pressure allows its load, even if it were `margin` times as much.
    pub(super) fn is_light_enough(&self, setting: &Setting, margin: f64) -> bool {
        let share = match self.pressure {
            0 => return true,
            level => self.policy.load[level.min(3) - 1],
        };
        self.load(setting) * margin <= share * self.load(&self.most_generous())
    }

    /// The best setting that is in time and light enough, with a margin; else the lightest in time; else the earliest.
    pub(super) fn best(&self, margin: f64) -> Setting {
        let all = self.all();
        let in_time: Vec<Setting> = all.iter().copied().filter(|setting| self.meets(setting, margin)).collect();
        let light = in_time.iter().copied().filter(|setting| self.is_light_enough(setting, margin));
        let best = light.reduce(|best, other| if self.is_better(&other, &best) { other } else { best });
        let lowest = |of: &[Setting], by: &dyn Fn(&Setting) -> f64| {
            of.iter().copied().min_by(|a, b| by(a).total_cmp(&by(b)).then(a.tier.cmp(&b.tier)))
        };
        best.or_else(|| lowest(&in_time, &|setting| self.load(setting)))
            .or_else(|| lowest(&all, &|setting| self.lateness(setting)))
            .unwrap_or_else(|| self.most_generous())
    }

    /// Whether its text is better, or fresher: the model first, then the step. While nothing holds the device back more
    /// threads are better, else fewer.
    pub(super) fn is_better(&self, setting: &Setting, than: &Setting) -> bool {
        if setting.tier != than.tier {
            return setting.tier < than.tier;
        }
        if setting.step_s != than.step_s {
            return setting.step_s < than.step_s;
        }
        if self.pressure == 0 { setting.threads > than.threads } else { setting.threads < than.threads }
    }

    /// Whether it is better in what people notice, or while nothing holds the device back at least quicker; and in time
    /// and light enough with a margin.
    pub(super) fn asks_more(&self, setting: &Setting, than: &Setting, margin: f64) -> bool {
        let alike = setting.tier == than.tier && setting.step_s == than.step_s;
        self.is_better(setting, than)
            && !(alike && self.pressure > 0)
            && self.meets(setting, margin)
            && self.is_light_enough(setting, margin)
    }

    /// All settings above the quality floor.
    fn all(&self) -> Vec<Setting> {
        let mut steps: Vec<f64> =
            self.policy.steps_s.iter().copied().filter(|step| *step > 0.0 && step.is_finite()).collect();
        if steps.is_empty() {
            steps.push(self.policy.shortest_step());
        }
        let mut all = Vec::new();
        for tier in 0..self.capabilities.tiers.len().max(1) {
            for threads in 1..=self.capabilities.most_threads() {
                all.extend(steps.iter().map(|&step_s| Setting { threads, tier, step_s }));
            }
        }
        all.retain(|setting| self.allows(setting));
        all
    }
}
