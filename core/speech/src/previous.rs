//! The text context of each window of a recording, or utterance of a stream.

use crate::options::PromptCarry;
use crate::window::WindowDecoder;

/// The prompt, followed by the text of earlier windows or utterances if the options want it.
#[derive(Debug, Default)]
pub(crate) struct Previous {
    /// The prompt's tokens, then those of earlier text.
    tokens: Vec<u32>,
    /// Number of tokens of the prompt, which are kept.
    prompt: usize,
    /// Whether the prompt applies only to the first text.
    first_only: bool,
    /// Maximum number of tokens that a decoder uses.
    room: usize,
    /// Whether final text is added.
    conditioned: bool,
    /// Whether the current text was decoded at too high a temperature to be used as context.
    pub(crate) doubted: bool,
}

impl Previous {
    pub(crate) fn new(decoder: &WindowDecoder<'_>) -> Self {
        let tokens = decoder.tokens_of(decoder.options.prompt.as_deref());
        // Half of the text context with the token that begins it, as `Prompt` cuts it.
        let room = (decoder.model.dimensions().text_context / 2).saturating_sub(1);
        let (prompt, conditioned) = (tokens.len(), decoder.options.condition_on_previous);
        let first_only = decoder.options.prompt_carry == PromptCarry::First;
        Self { tokens, prompt, first_only, room, conditioned, doubted: false }
    }

    pub(crate) fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Adds final text with the tokens `said`. Text that is not trusted also removes the text before it (openai/whisper
    /// `transcribe.py`, `prompt_reset_since`).
    pub(crate) fn remember(&mut self, said: &[u32]) {
        if self.first_only && !said.is_empty() {
            if !self.conditioned {
                self.tokens.clear();
            }
            // From now on the prompt is treated like other text.
            self.prompt = 0;
        }
        if std::mem::take(&mut self.doubted) {
            self.tokens.truncate(self.prompt);
        } else if self.conditioned {
            self.tokens.extend_from_slice(said);
            let surplus = self.tokens.len().saturating_sub(self.room.max(self.prompt));
            self.tokens.drain(self.prompt..self.prompt + surplus);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn previous(conditioned: bool) -> Previous {
        Previous { tokens: vec![1, 2], prompt: 2, first_only: false, room: 6, conditioned, doubted: false }
    }

    #[test]
    fn a_prompt_for_the_first_text_goes_with_it() {
        let mut alone = Previous { first_only: true, ..previous(false) };
        alone.remember(&[]);
        assert_eq!(alone.tokens(), [1, 2]);
        alone.remember(&[3]);
        assert!(alone.tokens().is_empty());
        let mut conditioned = Previous { first_only: true, ..previous(true) };
        conditioned.remember(&[3, 4, 5, 6, 7]);
        assert_eq!(conditioned.tokens(), [2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn the_prompt_stays_and_the_latest_text_follows_it() {
        let mut previous = previous(true);
        previous.remember(&[3, 4, 5]);
        assert_eq!(previous.tokens(), [1, 2, 3, 4, 5]);
        previous.remember(&[6, 7]);
        assert_eq!(previous.tokens(), [1, 2, 4, 5, 6, 7]);
        previous.remember(&[8; 10]);
        assert_eq!(previous.tokens(), [1, 2, 8, 8, 8, 8]);
    }

    #[test]
    fn text_is_forgotten_where_it_is_not_wanted_or_not_trusted() {
        let mut alone = previous(false);
        alone.remember(&[3]);
        assert_eq!(alone.tokens(), [1, 2]);
        let mut doubted = previous(true);
        doubted.remember(&[3]);
        doubted.doubted = true;
        doubted.remember(&[4]);
        assert_eq!(doubted.tokens(), [1, 2]);
        doubted.remember(&[5]);
        assert_eq!(doubted.tokens(), [1, 2, 5]);
    }
}
