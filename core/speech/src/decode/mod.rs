//! From an encoded window to its tokens: the prompt, the rules for the next token, and the temperature fallback.
//!
//! The search itself is `sotto_nn::search`.

mod compression;
mod fallback;
mod memory;
mod prompt;
mod rules;
mod scorer;

pub(crate) use fallback::{Attempt, Window, decode_with_fallback, judge};
pub(crate) use memory::{DecodingMemory, probability};
pub(crate) use prompt::{Prompt, PromptParts};
pub(crate) use rules::{Rules, TimestampRules};
pub(crate) use scorer::WindowScorer;
