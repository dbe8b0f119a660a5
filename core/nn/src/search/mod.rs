//! From a network that predicts one token to whole texts: greedy, beam and sampled search, the same for every task.
//!
//! A task brings a [`Network`], which is fed tokens and gives logits, and a [`Scorer`], which says what may come next.
//! An [`Inference`] keeps the network's memories; a [`Search`] follows texts in it. The search knows neither the
//! network's types nor what its tokens mean.

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

/// What a search looks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SearchSettings {
    /// Hypotheses that a beam search follows at once.
    pub beam: usize,
    /// A beam search ends once `beam × patience` texts are complete (Kasai et al. 2022).
    pub patience: f32,
    /// How texts of different lengths compare.
    pub length: LengthNorm,
    /// Most tokens to sample, the end of the text included.
    pub max_tokens: usize,
    /// Whether a text that loops is given up, and cut to the loop's first round.
    pub stop_loops: bool,
}

/// What a search fills again at every step, kept from search to search: the steady state allocates nothing.
#[derive(Debug, Default)]
pub struct SearchMemory {
    beam: BeamMemory,
    /// Logits of the first token, for every hypothesis.
    first: Vec<f32>,
    /// A row of log-probabilities with what a [`Preference`] brings.
    weighed: Vec<f32>,
    /// Tokens sampled so far, all attempts and hypotheses.
    sampled: usize,
}

impl SearchMemory {
    /// Tokens sampled since it was made, all attempts and hypotheses; a draft counts one per pass over the vocabulary.
    #[must_use]
    pub fn sampled(&self) -> usize {
        self.sampled
    }
}

/// A search at work: see [`greedy`](Self::greedy), [`drawn`](Self::drawn), [`beam`](Self::beam) and [`Draft`].
#[derive(Debug)]
pub struct Search<'a> {
    /// The network and the texts that it was fed.
    pub hypotheses: &'a mut dyn Hypotheses,
    /// What is kept from search to search.
    pub memory: &'a mut SearchMemory,
    /// What may come next.
    pub scorer: &'a dyn Scorer,
    /// What is looked for.
    pub settings: SearchSettings,
    /// Observed at least once per token.
    pub cancel: &'a CancelToken,
}
