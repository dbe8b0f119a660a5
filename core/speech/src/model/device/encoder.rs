//! The encoder of a model with a device: runs there if that works, else on the CPU.

use sotto_nn::load::Switch;
use sotto_runtime::{CancelToken, Cancelled, Threads};

use super::{network, on_device};
use crate::model::network::Whisper;

#[derive(Debug)]
pub(super) struct Encoder {
    device: network::Encoder,
    switch: Switch,
}

/// Memory that encoding reuses from window to window.
#[derive(Debug)]
pub(crate) struct EncoderScratch<N: Whisper> {
    cpu: N::EncoderScratch,
    states: Vec<f32>,
}

impl<N: Whisper> EncoderScratch<N> {
    /// As [`Whisper::expect_repetition`], for windows that the CPU encodes.
    pub(super) fn expect_repetition(&mut self) {
        N::expect_repetition(&mut self.cpu);
    }
}

impl Encoder {
    pub(super) fn new(device: network::Encoder, switch: Switch) -> Self {
        Self { device, switch }
    }

    pub(super) fn scratch<N: Whisper>(cpu: &N) -> EncoderScratch<N> {
        EncoderScratch { cpu: cpu.encoder_scratch(), states: Vec::new() }
    }

    /// As [`Whisper::encode`]; `cpu` encodes if the device cannot.
    pub(super) fn encode<'s, N: Whisper>(
        &self,
        cpu: &N,
        features: &[f32],
        scratch: &'s mut EncoderScratch<N>,
        threads: Threads,
        cancel: &CancelToken,
    ) -> Result<&'s [f32], Cancelled> {
        match on_device(&self.switch, || self.device.encode(features, cancel))? {
            Some(states) => {
                scratch.states = states;
                Ok(&scratch.states)
            }
            None => cpu.encode(features, &mut scratch.cpu, threads, cancel),
        }
    }
}
