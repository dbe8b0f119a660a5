//! Text in and out: tokenizers, normalisation, error rates.
//!
//! * [`Tokenizer`]: what a task needs of any tokenizer, and [`IncrementalDecoder`], text of tokens one by one.
//! * [`bytepair`]: byte-pair encoding as GPT-2, Llama 3, Qwen and their like have it, from a `tokenizer.json`.
//! * [`whisper`]: Whisper's vocabulary on top of it (Hugging Face, whisper.cpp and OpenAI files), word splitting,
//!   languages, timestamps.
//! * [`normalize`]: Whisper's English and basic text normalisers, for comparing transcripts.
//! * [`sentences`]: where sentences end, abbreviations and other scripts considered.
//! * [`metrics`]: word and character error rates with alignment counts.
//!
//! Nothing here knows audio, models or files other than vocabularies; every type is `Send + Sync`, no function blocks
//! except where it reads the file that it was given.

#![forbid(unsafe_code)]

pub mod bytepair;
mod error;
pub mod metrics;
pub mod normalize;
pub mod sentences;
mod source;
mod tokenizer;
pub mod whisper;

pub use error::TextError;
pub use tokenizer::{IncrementalDecoder, Tokenizer};
