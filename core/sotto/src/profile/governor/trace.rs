//! Stored inputs, and what the governor makes of them.

use serde::{Deserialize, Serialize};

use super::{Capabilities, Decided, Governor, Input, Policy, Why};

/// All that decisions follow from: stored by an app, replayed on a desk.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Trace {
    /// What there was to choose from.
    pub capabilities: Capabilities,
    /// How it was weighed.
    pub policy: Policy,
    /// What was known, in order of time.
    pub inputs: Vec<Input>,
}

/// The decision on every input of a trace. The same trace gives the same decisions on every machine.
///
/// Steps were measured with the settings of then; where a replay decides otherwise, they are converted as the governor
/// expects it.
#[must_use]
pub fn replay(trace: &Trace) -> Vec<Decided> {
    decisions(&trace.capabilities, &trace.policy, trace.inputs.iter().cloned()).collect()
}

/// As [`replay`], without the decisions to stay.
#[must_use]
pub fn changes(capabilities: &Capabilities, policy: &Policy, inputs: impl IntoIterator<Item = Input>) -> Vec<Decided> {
    decisions(capabilities, policy, inputs).filter(|decided| decided.decision.why != Why::Stay).collect()
}

fn decisions(
    capabilities: &Capabilities,
    policy: &Policy,
    inputs: impl IntoIterator<Item = Input>,
) -> impl Iterator<Item = Decided> {
    inputs.into_iter().scan(Governor::new(), move |governor, input| {
        let (next, decision) = governor.decide(capabilities, policy, &input);
        *governor = next;
        Some(Decided { at_s: input.at_s, decision })
    })
}
