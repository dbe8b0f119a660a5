//! Applies the governor's decisions to the adaptive sessions of an engine.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sotto_runtime::Pool;
use sotto_speech::stream::Tempo;

use crate::profile::Reading;
use crate::profile::governor::{Capabilities, Decision, Governor, Input, Policy, Spent};

/// The governor of an engine.
#[derive(Debug)]
pub(crate) struct Adaptation {
    pool: Arc<Pool>,
    capabilities: Capabilities,
    policy: Policy,
    origin: Instant,
    /// The decided step in seconds, as f64 bits.
    step: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    sessions: usize,
    governor: Governor,
    reading: Reading,
    decision: Option<Decision>,
}

impl Adaptation {
    pub(crate) fn new(pool: Arc<Pool>) -> Self {
        let capabilities = Capabilities { threads: pool.threads().count(), ..Capabilities::default() };
        let (policy, step) = (Policy::default(), AtomicU64::new(0.0_f64.to_bits()));
        Self { pool, capabilities, policy, origin: Instant::now(), step, state: Mutex::default() }
    }

    fn begin(&self) {
        let mut state = self.lock();
        state.sessions += 1;
        self.decide(&mut state, None);
    }

    fn end(&self) {
        let mut state = self.lock();
        state.sessions -= 1;
        if state.sessions == 0 {
            // The next session may come an hour later, on a cool device.
            (state.governor, state.decision) = (Governor::new(), None);
            self.pool.allow(usize::MAX);
        }
    }

    /// Updates the state of the device.
    pub(crate) fn feel(&self, reading: Reading) {
        let mut state = self.lock();
        state.reading = reading;
        if state.sessions > 0 {
            self.decide(&mut state, None);
        }
    }

    fn measured(&self, time: Duration) {
        let mut state = self.lock();
        let spent = state.decision.map(|decision| Spent { seconds: time.as_secs_f64(), setting: decision.setting });
        self.decide(&mut state, spent);
    }

    fn decide(&self, state: &mut State, spent: Option<Spent>) {
        let Reading { thermal, headroom, battery_level, power, low_power, .. } = state.reading;
        let input = Input {
            at_s: self.origin.elapsed().as_secs_f64(),
            thermal,
            headroom,
            battery_level,
            power,
            low_power: low_power.unwrap_or(false),
            spent,
            ..Input::default()
        };
        let (governor, mut decision) = state.governor.decide(&self.capabilities, &self.policy, &input);
        // Keeps the original reason of an unchanged setting.
        if let Some(last) = state.decision.filter(|last| last.setting == decision.setting) {
            decision.why = last.why;
        }
        (state.governor, state.decision) = (governor, Some(decision));
        self.step.store(decision.setting.step_s.to_bits(), Relaxed);
        self.pool.allow(decision.setting.threads);
    }

    /// The current decision, if there are sessions.
    pub(crate) fn decision(&self) -> Option<Decision> {
        self.lock().decision
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One session that follows the decisions.
#[derive(Debug)]
pub(crate) struct Follower {
    adaptation: Arc<Adaptation>,
    shortest: f64,
}

impl Follower {
    pub(crate) fn new(adaptation: &Arc<Adaptation>, shortest: f64) -> Self {
        adaptation.begin();
        Self { adaptation: Arc::clone(adaptation), shortest }
    }
}

impl Tempo for Follower {
    fn step(&self) -> f64 {
        f64::from_bits(self.adaptation.step.load(Relaxed)).max(self.shortest)
    }

    fn spent(&self, time: Duration) {
        self.adaptation.measured(time);
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.adaptation.end();
    }
}
