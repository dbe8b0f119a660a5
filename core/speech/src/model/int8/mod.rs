//! The network with quantized weights on the kernels of the CPU's best instruction set: the fast form.
//!
//! Everything linear is int8 activations times int8 or 4-bit weights, with exact sums. With
//! [`Int8`](QuantizedPrecision::Int8) so is attention to the audio; with [`Mixed`](QuantizedPrecision::Mixed) it has
//! f32 scores in the encoder and half-precision keys and values in the decoder. The decoder's own caches are in half
//! precision. All instruction sets give the same bits, hence the same text.

mod block;
mod convolved;
mod decoder;
mod encoder;

use sotto_nn::layers::quantized::KeyValues;
use sotto_nn::layers::quantized::QuantizedPrecision;
use sotto_nn::layers::{Backend, HalfMemory, TensorSource};
use sotto_nn::search;
use sotto_nn::weights::WeightError;
use sotto_runtime::{CancelToken, Cancelled, Threads};

use super::config::Dimensions;
use super::network::Whisper;
use decoder::{Decoder, DecoderScratch};
use encoder::{Encoder, EncoderScratch};

/// Encoder and decoder. Both compute on the pool of their backend and ignore the number of threads of a call.
#[derive(Debug)]
pub(crate) struct Network {
    encoder: Encoder,
    decoder: Decoder,
}

impl Network {
    pub(super) fn load(
        source: &impl TensorSource,
        backend: &Backend,
        dimensions: &Dimensions,
        precision: QuantizedPrecision,
    ) -> Result<Self, WeightError> {
        Ok(Self {
            encoder: Encoder::load(source, backend, dimensions, precision)?,
            decoder: Decoder::load(source, backend, dimensions, precision)?,
        })
    }
}

impl search::Network for Network {
    type Memory = HalfMemory;
    type Source = Vec<KeyValues>;
    type Scratch = DecoderScratch;

    const CUTS: bool = true;

    fn scratch(&self) -> DecoderScratch {
        self.decoder.scratch()
    }

    fn memory(&self, positions: usize) -> HalfMemory {
        self.decoder.blocks.memory(positions)
    }

    fn feed(&self, pass: search::Pass<'_, '_, Self>, scratch: &mut DecoderScratch) -> Result<(), Cancelled> {
        self.decoder.feed(pass, scratch)
    }

    fn logits<'s>(&self, picked: &[usize], scratch: &'s mut DecoderScratch, _: Threads) -> &'s mut [f32] {
        self.decoder.logits(picked, scratch)
    }
}

impl Whisper for Network {
    type EncoderScratch = EncoderScratch;

    fn encoder_scratch(&self) -> EncoderScratch {
        self.encoder.scratch()
    }

    fn expect_repetition(scratch: &mut EncoderScratch) {
        scratch.expect_repetition();
    }

    fn encode<'s>(
        &self,
        features: &[f32],
        scratch: &'s mut EncoderScratch,
        _threads: Threads,
        cancel: &CancelToken,
    ) -> Result<&'s [f32], Cancelled> {
        self.encoder.encode(features, scratch, cancel)
    }

    fn listen(
        &self,
        states: &[f32],
        kept: Option<Vec<KeyValues>>,
        scratch: &mut DecoderScratch,
        _threads: Threads,
        cancel: &CancelToken,
    ) -> Result<Vec<KeyValues>, Cancelled> {
        self.decoder.blocks.project(states, kept, &scratch.blocks, cancel)
    }

    fn bytes_per_token(&self, dimensions: &Dimensions) -> u64 {
        self.decoder.bytes_per_token(dimensions)
    }
}
