//! The network in f32: the reference that every other form is compared with, token for token.

mod block;
mod decoder;
mod encoder;

use sotto_nn::layers::exact::KeyValues;
use sotto_nn::layers::{KvMemory, TensorSource};
use sotto_nn::search;
use sotto_nn::weights::WeightError;
use sotto_runtime::{CancelToken, Cancelled, Threads};

use super::config::Dimensions;
use super::inventory::{cross_values, token_weights};
use super::network::Whisper;
use decoder::{Decoder, DecoderScratch};
use encoder::{Encoder, EncoderScratch};

/// Encoder and decoder.
#[derive(Debug)]
pub(crate) struct Network {
    encoder: Encoder,
    decoder: Decoder,
}

impl Network {
    pub(super) fn load(source: &impl TensorSource, dimensions: &Dimensions) -> Result<Self, WeightError> {
        Ok(Self { encoder: Encoder::load(source, dimensions)?, decoder: Decoder::load(source, dimensions)? })
    }
}

impl search::Network for Network {
    type Memory = KvMemory;
    type Source = Vec<KeyValues>;
    type Scratch = DecoderScratch;

    const CUTS: bool = true;

    fn scratch(&self) -> DecoderScratch {
        DecoderScratch::default()
    }

    fn memory(&self, positions: usize) -> KvMemory {
        self.decoder.blocks.memory(positions)
    }

    fn feed(&self, pass: search::Pass<'_, '_, Self>, scratch: &mut DecoderScratch) -> Result<(), Cancelled> {
        self.decoder.feed(pass, scratch)
    }

    fn logits<'s>(&self, picked: &[usize], scratch: &'s mut DecoderScratch, threads: Threads) -> &'s mut [f32] {
        self.decoder.logits(picked, scratch, threads)
    }
}

impl Whisper for Network {
    type EncoderScratch = EncoderScratch;

    fn encoder_scratch(&self) -> EncoderScratch {
        EncoderScratch::default()
    }

    fn encode<'s>(
        &self,
        features: &[f32],
        scratch: &'s mut EncoderScratch,
        threads: Threads,
        cancel: &CancelToken,
    ) -> Result<&'s [f32], Cancelled> {
        self.encoder.encode(features, scratch, threads, cancel)
    }

    fn listen(
        &self,
        states: &[f32],
        kept: Option<Vec<KeyValues>>,
        _scratch: &mut DecoderScratch,
        threads: Threads,
        cancel: &CancelToken,
    ) -> Result<Vec<KeyValues>, Cancelled> {
        self.decoder.blocks.project(states, kept, threads, cancel)
    }

    fn bytes_per_token(&self, dimensions: &Dimensions) -> u64 {
        4 * (token_weights(dimensions) + cross_values(dimensions))
    }
}
