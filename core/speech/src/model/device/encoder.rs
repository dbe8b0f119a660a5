//! The encoder of a model that has a device: there if it works, else on the CPU.

use sotto_runtime::{CancelToken, Cancelled, Threads};

use super::{Switch, network, on_device};
use crate::model;

#[derive(Debug)]
pub(crate) struct Encoder {
    cpu: Box<model::Encoder>,
    device: network::Encoder,
    switch: Switch,
}

/// Memory that encoding reuses from window to window.
#[derive(Debug)]
pub(crate) struct EncoderScratch {
    cpu: Box<model::EncoderScratch>,
    states: Vec<f32>,
}

impl Encoder {
    pub(super) fn new(cpu: model::Encoder, device: network::Encoder, switch: Switch) -> Self {
        Self { cpu: Box::new(cpu), device, switch }
    }

    pub(crate) fn scratch(&self) -> EncoderScratch {
        EncoderScratch { cpu: Box::new(self.cpu.scratch()), states: Vec::new() }
    }

    /// As [`model::Encoder::encode`].
    pub(crate) fn encode<'s>(
        &self,
        features: &[f32],
        scratch: &'s mut EncoderScratch,
        threads: Threads,
        cancel: &CancelToken,
    ) -> Result<&'s [f32], Cancelled> {
        match on_device(&self.switch, || self.device.encode(features, cancel))? {
            Some(states) => {
                scratch.states = states;
                Ok(&scratch.states)
            }
            None => self.cpu.encode(features, &mut scratch.cpu, threads, cancel),
        }
    }
}
