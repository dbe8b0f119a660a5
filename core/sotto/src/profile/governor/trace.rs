//! Stored inputs of the governor, and their replay.

use serde::{Deserialize, Serialize};

use super::{Capabilities, Decided, Governor, Input, Policy, Why};

/// Everything that determines decisions: stored by an app, replayed on a desktop.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Trace {
    /// The capabilities.
    pub capabilities: Capabilities,
    /// The options.
    pub policy: Policy,
    /// The inputs, in order of time.
    pub inputs: Vec<Input>,
}

/// The decision on every input of a trace. The same trace gives the same decisions on every machine.
///
/// Steps were measured with the settings of that time; if a replay decides differently, their times are converted by
/// the governor's model.
#[must_use]
pub fn replay(trace: &Trace) -> Vec<Decided> {
    decisions(&trace.capabilities, &trace.policy, trace.inputs.iter().cloned()).collect()
}

/// As [`replay`], without decisions that change nothing.
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
