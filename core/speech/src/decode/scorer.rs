//! The scorer of Whisper: the rules of a window, and hotwords.

use sotto_nn::search::{Preference, Scorer};

use super::rules::Rules;
use crate::hotwords::Hotwords;

/// The rules of one window, with the hotwords of the transcription.
#[derive(Debug)]
pub(crate) struct WindowScorer<'a> {
    pub(crate) rules: Rules,
    pub(crate) hotwords: Option<&'a Hotwords>,
    /// The token that ends a text.
    pub(crate) end: u32,
}

impl Scorer for WindowScorer<'_> {
    fn end(&self) -> u32 {
        self.end
    }

    fn log_probabilities(&self, logits: &mut [f32], text: &[u32]) {
        self.rules.log_probabilities(logits, text);
    }

    fn preference(&self) -> Option<&dyn Preference> {
        self.hotwords.map(|hotwords| hotwords as &dyn Preference)
    }
}
