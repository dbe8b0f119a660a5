//! The prompt of a window.

use sotto_text::whisper::SpecialTokens;

/// The tokens before the first sampled token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prompt {
    /// Previous text, start of transcript, language, task, prefix.
    pub(crate) tokens: Vec<u32>,
    /// Index of the start of transcript: the no-speech probability is read after it.
    pub(crate) sot: usize,
}

/// The pieces of a [`Prompt`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct PromptParts<'a> {
    /// Start of transcript with language and task.
    pub(crate) sot_sequence: &'a [u32],
    /// Text before this window; only its end is used if it is too long.
    pub(crate) previous: &'a [u32],
    /// Text that this window must begin with.
    pub(crate) prefix: &'a [u32],
}

impl Prompt {
    /// Builds the prompt (openai/whisper `DecodingTask._get_initial_tokens`).
    ///
    /// Previous text takes at most half of the text context; the prefix may take what `max_tokens` leaves of the other
    /// half.
    pub(crate) fn new(parts: PromptParts<'_>, special: &SpecialTokens, text_context: usize, max_tokens: usize) -> Self {
        let mut tokens = Vec::new();
        if let (Some(sot_prev), false) = (special.sot_prev, parts.previous.is_empty()) {
            tokens.push(sot_prev);
            tokens.extend_from_slice(last(parts.previous, (text_context / 2).saturating_sub(1)));
        }
        let sot = tokens.len();
        tokens.extend_from_slice(parts.sot_sequence);
        let room = text_context.saturating_sub(tokens.len() + 1);
        let prefix_limit = match (text_context / 2).saturating_sub(max_tokens) {
            0 => room,
            limit => limit.min(room),
        };
        tokens.extend_from_slice(last(parts.prefix, prefix_limit));
        Self { tokens, sot }
    }

    /// The part of `prefix` that fitted.
    pub(crate) fn prefix<'p>(&self, prefix: &'p [u32]) -> &'p [u32] {
        let common = self.tokens.iter().rev().zip(prefix.iter().rev()).take_while(|(token, of)| token == of).count();
        &prefix[prefix.len() - common..]
    }
}

fn last(tokens: &[u32], count: usize) -> &[u32] {
    &tokens[tokens.len().saturating_sub(count)..]
}
