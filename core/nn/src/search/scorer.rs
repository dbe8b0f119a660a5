//! Which tokens may come next, and which are preferred: the part of a search that a task implements.

use std::fmt::Debug;

use sotto_kernels::log_softmax;

/// Says which tokens may follow a text.
pub trait Scorer: Debug {
    /// The token that ends a text.
    fn end(&self) -> u32;

    /// Turns the logits of the token after `text` into log-probabilities, in place: `-inf` for tokens that are not
    /// allowed.
    fn log_probabilities(&self, logits: &mut [f32], text: &[u32]);

    /// The token of a column of the logits. A shortlist maps its columns to the vocabulary.
    fn token(&self, column: usize) -> u32 {
        column as u32
    }

    /// The column of another way to write what `token` writes. Greedy search, a [`Draft`](super::Draft) included, and
    /// sampling note its probability in the [`Candidate`](super::Candidate).
    fn rival(&self, _token: u32) -> Option<usize> {
        None
    }

    /// A preference that is added to the network's scores, if there is one.
    fn preference(&self) -> Option<&dyn Preference> {
        None
    }
}

/// Adds a bonus to the scores of some tokens, such as words that a user expects. It influences which text wins, not the
/// confidence in a text: sums of log-probabilities do not include it.
pub trait Preference: Debug {
    /// Writes the log-probabilities of the columns, `scores`, to `weighed`, plus the bonus of each token after `text`.
    fn favour(&self, text: &[u32], scores: &[f32], weighed: &mut Vec<f32>);

    /// As [`favour`](Self::favour), for competing hypotheses: a token that breaks off a phrase begun in `text` also
    /// loses the bonus that the phrase had received.
    fn favour_with_refund(&self, text: &[u32], scores: &[f32], weighed: &mut Vec<f32>);

    /// The bonus of `token` after `text`; negative if it takes back an earlier one.
    fn bonus(&self, text: &[u32], token: u32) -> f32;
}

/// Allows every token, with the network's probabilities.
#[derive(Debug, Clone, Copy)]
pub struct Plain {
    /// The token that ends a text.
    pub end: u32,
}

impl Scorer for Plain {
    fn end(&self) -> u32 {
        self.end
    }

    fn log_probabilities(&self, logits: &mut [f32], _text: &[u32]) {
        log_softmax(logits);
    }
}
