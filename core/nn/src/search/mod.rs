//! Search: from a network that predicts one token to whole texts. Greedy, beam and sampled search, shared by all tasks.
//!
//! A task provides a [`Network`], which is fed tokens and returns logits, and a [`Scorer`], which says which tokens may
//! come next. An [`Inference`] holds the network's memories; a [`Search`] decodes texts with it. The search knows
//! neither the network's types nor the meaning of its tokens.

mod beam;
mod candidate;
mod draft;
mod inference;
mod network;
mod recording;
mod repetition;
mod sampling;
mod scorer;
mod sequences;
#[cfg(test)]
mod toy;

pub use candidate::{Candidate, LengthNorm};
pub use draft::Draft;
pub use inference::{Hypotheses, Inference};
pub use network::{Memory, Network, Pass, Row};
pub use recording::Recording;
pub use repetition::{penalize, repeats, stutters};
pub use sampling::{Rng, Sampling, argmax, sample};
pub use scorer::{Plain, Preference, Scorer};

use beam::BeamMemory;
use sotto_runtime::CancelToken;

/// Settings of a search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SearchSettings {
    /// Number of hypotheses of a beam search.
    pub beam: usize,
    /// A beam search ends once `beam × patience` texts are complete (Kasai et al. 2022).
    pub patience: f32,
    /// Length normalisation, for ranking texts of different lengths.
    pub length: LengthNorm,
    /// Maximum number of sampled tokens, the end-of-text token included.
    pub max_tokens: usize,
    /// Whether decoding stops when a text loops; the loop is then cut to its first round.
    pub stop_loops: bool,
}

/// Buffers of a search, reused from search to search, so that the steady state allocates nothing.
#[derive(Debug, Default)]
pub struct SearchMemory {
    beam: BeamMemory,
    /// Logits of the first token, copied for every hypothesis.
    first: Vec<f32>,
    /// A row of log-probabilities with the bonus of a [`Preference`].
    weighed: Vec<f32>,
    /// Number of tokens sampled so far, over all attempts and hypotheses.
    sampled: usize,
}

impl SearchMemory {
    /// Number of tokens sampled so far, over all attempts and hypotheses. A draft counts one per product with the
    /// vocabulary.
    #[must_use]
    pub fn sampled(&self) -> usize {
        self.sampled
    }
}

/// A search: see [`greedy`](Self::greedy), [`drawn`](Self::drawn), [`beam`](Self::beam) and [`Draft`].
#[derive(Debug)]
pub struct Search<'a> {
    /// The network and its texts.
    pub hypotheses: &'a mut dyn Hypotheses,
    /// Buffers that are reused from search to search.
    pub memory: &'a mut SearchMemory,
    /// Which tokens may come next.
    pub scorer: &'a dyn Scorer,
    /// Settings of the search.
    pub settings: SearchSettings,
    /// Polled at least once per token.
    pub cancel: &'a CancelToken,
}
