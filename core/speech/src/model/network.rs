//! The interface of all forms of Whisper's network. A [`Session`] hides the form.

use std::fmt::Debug;
use std::sync::Arc;

use sotto_nn::search::{Hypotheses, Inference, Network};
use sotto_runtime::{CancelToken, Cancelled, Threads};

use super::config::Dimensions;

/// A form of the network: an encoder, and the decoder as a [`Network`]. All rows attend to one source, the keys and
/// values of the current window.
pub(crate) trait Whisper: Network {
    /// Memory that encoding reuses from window to window.
    type EncoderScratch: Debug + Send;

    /// Scratch memory for encoding.
    fn encoder_scratch(&self) -> Self::EncoderScratch;

    /// Announces that windows will mostly repeat the frames of the last one, as in a live stream: a form may keep what
    /// it need not compute again. States stay the same.
    fn expect_repetition(_scratch: &mut Self::EncoderScratch) {}

    /// Encodes `[frames, mels]` into `[frames / 2, width]` states, left in `scratch`.
    ///
    /// Polls `cancel` before every block.
    ///
    /// # Panics
    /// When `features` is longer than a full window.
    fn encode<'s>(
        &self,
        features: &[f32],
        scratch: &'s mut Self::EncoderScratch,
        threads: Threads,
        cancel: &CancelToken,
    ) -> Result<&'s [f32], Cancelled>;

    /// Projects encoder states `[states, width]` to the keys and values of every block, reusing the memory of `kept`.
    fn listen(
        &self,
        states: &[f32],
        kept: Option<Self::Source>,
        scratch: &mut Self::Scratch,
        threads: Threads,
        cancel: &CancelToken,
    ) -> Result<Self::Source, Cancelled>;

    /// Bytes that each token reads: of weights, and of keys and values of a full window.
    fn bytes_per_token(&self, dimensions: &Dimensions) -> u64;
}

/// A network of any form. The form is selected once per transcription, when its session begins.
pub(crate) trait AnyWhisper: Debug + Send + Sync {
    /// Begins a session. `threads` is for a form that has no pool of its own.
    fn session(self: Arc<Self>, threads: Threads) -> Box<dyn Session>;

    /// As [`Whisper::bytes_per_token`].
    fn bytes_of_token(&self, dimensions: &Dimensions) -> u64;
}

/// A network with the state of one recording or stream: the last encoded window, and the texts that attend to it.
pub(crate) trait Session: Debug + Send {
    /// As [`Whisper::expect_repetition`].
    fn expect_repetition(&mut self);

    /// Encoder states of `[frames, mels]` features, as [`Whisper::encode`]. The texts' source does not change.
    fn encode(&mut self, features: &[f32], cancel: &CancelToken) -> Result<&[f32], Cancelled>;

    /// Makes these encoder states the source of the texts.
    fn listen(&mut self, states: &[f32], cancel: &CancelToken) -> Result<(), Cancelled>;

    /// Encodes a window and makes it the source of the texts.
    fn hear(&mut self, features: &[f32], cancel: &CancelToken) -> Result<(), Cancelled>;

    /// The texts.
    fn hypotheses(&mut self) -> &mut dyn Hypotheses;
}

#[derive(Debug)]
struct Work<N: Whisper> {
    inference: Inference<N>,
    encoder: N::EncoderScratch,
    threads: Threads,
}

impl<N: Whisper + 'static> AnyWhisper for N {
    fn session(self: Arc<Self>, threads: Threads) -> Box<dyn Session> {
        let encoder = self.encoder_scratch();
        Box::new(Work { inference: Inference::new(self, threads), encoder, threads })
    }

    fn bytes_of_token(&self, dimensions: &Dimensions) -> u64 {
        self.bytes_per_token(dimensions)
    }
}

impl<N: Whisper> Session for Work<N> {
    fn expect_repetition(&mut self) {
        N::expect_repetition(&mut self.encoder);
    }

    fn encode(&mut self, features: &[f32], cancel: &CancelToken) -> Result<&[f32], Cancelled> {
        self.inference.network().encode(features, &mut self.encoder, self.threads, cancel)
    }

    fn listen(&mut self, states: &[f32], cancel: &CancelToken) -> Result<(), Cancelled> {
        let threads = self.threads;
        self.inference.attend_to(|network, scratch, sources| {
            let source = network.listen(states, sources.pop(), scratch, threads, cancel)?;
            sources.push(source);
            Ok(())
        })
    }

    fn hear(&mut self, features: &[f32], cancel: &CancelToken) -> Result<(), Cancelled> {
        let Self { inference, encoder, threads } = self;
        inference.attend_to(|network, scratch, sources| {
            let states = network.encode(features, encoder, *threads, cancel)?;
            let source = network.listen(states, sources.pop(), scratch, *threads, cancel)?;
            sources.push(source);
            Ok(())
        })
    }

    fn hypotheses(&mut self) -> &mut dyn Hypotheses {
        &mut self.inference
    }
}
