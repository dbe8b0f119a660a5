//! From an encoded window to its tokens.

mod beam;
mod compression;
mod draft;
mod fallback;
mod inference;
mod memory;
mod prompt;
mod repetition;
mod rules;
mod search;

pub(crate) use draft::follow_draft;
pub(crate) use fallback::{Attempt, decode_with_fallback, judge};
pub(crate) use inference::Inference;
pub(crate) use memory::DecodingMemory;
pub(crate) use prompt::{Prompt, PromptParts};
pub(crate) use repetition::repeats;
pub(crate) use rules::{Rules, TimestampRules};
pub(crate) use search::SearchContext;
