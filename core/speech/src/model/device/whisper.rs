//! A CPU network with a device, behind the interfaces of search and transcription.

use std::sync::Arc;

use sotto_nn::load::Switch;
use sotto_nn::search::{self, Pass};
use sotto_runtime::{CancelToken, Cancelled, Threads};

use super::decoder::{CrossLayers, Decoder, DecoderScratch, SelfCache};
use super::encoder::{Encoder, EncoderScratch};
use super::network;
use crate::model::config::Dimensions;
use crate::model::network::Whisper;

/// The CPU's network, and encoder and decoder on the device.
#[derive(Debug)]
pub(super) struct Network<N> {
    cpu: N,
    encoder: Encoder,
    decoder: Decoder,
}

impl<N> Network<N> {
    pub(super) fn new(cpu: N, encoder: network::Encoder, decoder: network::Decoder, switch: &Switch) -> Self {
        let (encoder, decoder) = (Encoder::new(encoder, switch.clone()), Decoder::new(decoder, switch.clone()));
        Self { cpu, encoder, decoder }
    }
}

impl<N: Whisper> search::Network for Network<N> {
    type Memory = SelfCache<N>;
    type Source = Arc<CrossLayers<N>>;
    type Scratch = DecoderScratch<N>;

    // Tensors on a device are not truncated: the remaining tokens would be fed again.
    const CUTS: bool = false;

    fn scratch(&self) -> Self::Scratch {
        Decoder::scratch(&self.cpu)
    }

    fn memory(&self, positions: usize) -> Self::Memory {
        SelfCache::new(positions)
    }

    fn feed(&self, pass: Pass<'_, '_, Self>, scratch: &mut Self::Scratch) -> Result<(), Cancelled> {
        self.decoder.feed(&self.cpu, pass, scratch)
    }

    fn logits<'s>(&self, picked: &[usize], scratch: &'s mut Self::Scratch, threads: Threads) -> &'s mut [f32] {
        self.decoder.logits(&self.cpu, picked, scratch, threads)
    }
}

impl<N: Whisper> Whisper for Network<N> {
    type EncoderScratch = EncoderScratch<N>;

    fn encoder_scratch(&self) -> Self::EncoderScratch {
        Encoder::scratch(&self.cpu)
    }

    fn expect_repetition(scratch: &mut Self::EncoderScratch) {
        scratch.expect_repetition();
    }

    fn encode<'s>(
        &self,
        features: &[f32],
        scratch: &'s mut Self::EncoderScratch,
        threads: Threads,
        cancel: &CancelToken,
    ) -> Result<&'s [f32], Cancelled> {
        self.encoder.encode(&self.cpu, features, scratch, threads, cancel)
    }

    fn listen(
        &self,
        states: &[f32],
        _kept: Option<Self::Source>,
        scratch: &mut Self::Scratch,
        threads: Threads,
        cancel: &CancelToken,
    ) -> Result<Self::Source, Cancelled> {
        Ok(Arc::new(self.decoder.cross_layers(&self.cpu, states, scratch, threads, cancel)?))
    }

    fn bytes_per_token(&self, dimensions: &Dimensions) -> u64 {
        self.decoder.bytes_per_token(&self.cpu, dimensions)
    }
}
