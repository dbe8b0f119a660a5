//! The possible settings, their expected times, and the choice of the best.

use super::{Capabilities, DEADLINE, Policy, Setting};

// Fraction of a step that more threads do not speed up. Only a first guess: the time of the chosen setting is measured.
const SERIAL: f64 = 0.25;
// Fraction of a step's length that may be used to compute it; the rest is for the app.
const KEEP_UP: f64 = 0.8;

/// Everything that settings are compared by.
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

    /// Expected time of a setting, relative to one thread and the best tier.
    pub(super) fn relative_time(&self, setting: &Setting) -> f64 {
        let threads = setting.threads.max(1) as f64;
        let cost = self.capabilities.tiers.get(setting.tier).map_or(1.0, |tier| tier.cost);
        let cost = if cost > 0.0 && cost.is_finite() { cost } else { 1.0 };
        cost * (1.0 + SERIAL * (threads - 1.0)) / threads
    }

    /// Whether the setting is above the quality floor and available on the device.
    pub(super) fn allows(&self, setting: &Setting) -> bool {
        let Policy { worst_tier, worst_word_error_rate, .. } = self.policy;
        let good_enough = || {
            let Some(tier) = self.capabilities.tiers.get(setting.tier) else { return false };
            let rate = |limit: &f64| tier.word_error_rate.is_some_and(|rate| rate <= *limit);
            worst_tier.is_none_or(|worst| setting.tier <= worst) && worst_word_error_rate.as_ref().is_none_or(rate)
        };
        (1..=self.capabilities.most_threads()).contains(&setting.threads) && (setting.tier == 0 || good_enough())
    }

    /// Expected time of a step, relative to the allowed time: above 1 it is late. Without measurements it counts as in
    /// time.
    fn lateness(&self, setting: &Setting) -> f64 {
        let expected = self.work.map_or(0.0, |work| work * self.relative_time(setting));
        expected / self.deadline.min(KEEP_UP * setting.step_s)
    }

    /// Whether a step is expected to be in time even if it takes `margin` times as long.
    pub(super) fn meets(&self, setting: &Setting, margin: f64) -> bool {
        self.lateness(setting) * margin <= 1.0
    }

    pub(super) fn is_nearer_the_deadline(&self, setting: &Setting, current: &Setting) -> bool {
        // An improvement below one percent is no reason to change.
        self.lateness(setting) < 0.99 * self.lateness(current)
    }

    /// Mean number of busy processors; relative if nothing was measured.
    pub(super) fn load(&self, setting: &Setting) -> f64 {
        let busy = self.work.unwrap_or(1.0) * self.relative_time(setting) / setting.step_s;
        setting.threads as f64 * busy
    }

    /// Whether the pressure allows its load, even if that is `margin` times as high.
    pub(super) fn is_light_enough(&self, setting: &Setting, margin: f64) -> bool {
        let share = match self.pressure {
            0 => return true,
            level => self.policy.load[level.min(3) - 1],
        };
        self.load(setting) * margin <= share * self.load(&self.most_generous())
    }

    /// The best setting that is in time and light enough, with a margin; else the lightest in time; else the fastest.
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

    /// Whether its text is better or more recent: compares the model, then the step. More threads are better without
    /// pressure, fewer under pressure.
    pub(super) fn is_better(&self, setting: &Setting, than: &Setting) -> bool {
        if setting.tier != than.tier {
            return setting.tier < than.tier;
        }
        if setting.step_s != than.step_s {
            return setting.step_s < than.step_s;
        }
        if self.pressure == 0 { setting.threads > than.threads } else { setting.threads < than.threads }
    }

    /// Whether it is noticeably better, or at least faster while there is no pressure; and in time and light enough
    /// with a margin.
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
