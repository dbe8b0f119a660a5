//! What may come next, and what is preferred: the part of a search that a task writes.

use std::fmt::Debug;

use sotto_kernels::log_softmax;

/// Says which tokens may follow a text.
pub trait Scorer: Debug {
    /// The token that ends a text.
    fn end(&self) -> u32;

    /// Turns logits of the token after `text` into log-probabilities, in place: `-inf` for what may not come.
    fn log_probabilities(&self, logits: &mut [f32], text: &[u32]);

    /// The token of a column of the logits; a shortlist maps its columns to the vocabulary.
    fn token(&self, column: usize) -> u32 {
        column as u32
    }

    /// What is preferred over what the network says.
    fn preference(&self) -> Option<&dyn Preference> {
        None
    }
}

/// Adds to the scores of some tokens: words that a user expects. It decides which text wins, and not how far a text can
/// be trusted: sums of log-probabilities stay as they are.
pub trait Preference: Debug {
    /// Writes log-probabilities of the columns to `weighed`, with what each token after `text` brings.
    fn favour(&self, text: &[u32], scores: &[f32], weighed: &mut Vec<f32>);

    /// As [`favour`](Self::favour), for hypotheses that compete: a token that breaks off what `text` had begun also
    /// loses what that had brought.
    fn favour_with_refund(&self, text: &[u32], scores: &[f32], weighed: &mut Vec<f32>);

    /// What `token` brings behind `text`, or takes back.
    fn bonus(&self, text: &[u32], token: u32) -> f32;
}

/// Everything may come, as the network says.
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
