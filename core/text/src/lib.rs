//! Text in and out: tokenizers, normalisation, error rates.
//!
//! * [`Tokenizer`]: the interface of all tokenizers; [`IncrementalDecoder`]: decodes tokens one by one.
//! * [`bytepair`]: byte-pair encoding of GPT-2, Llama 3, Qwen and similar models, from a `tokenizer.json`.
//! * [`whisper`]: Whisper's vocabulary on top of it (Hugging Face, whisper.cpp and OpenAI files), words, languages,
//!   timestamps.
//! * [`normalize`]: Whisper's English and basic text normalisers, for comparing transcripts.
//! * [`sentences`]: finds the ends of sentences, with abbreviations and in several scripts.
//! * [`metrics`]: word and character error rates with alignment counts.
//!
//! Nothing here knows audio, models or files other than vocabularies. Every type is `Send + Sync`. Functions block only
//! to read a file.

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
