//! Text in and out: tokenizers, normalisation, error rates.
//!
//! * [`whisper`]: Whisper's byte-level vocabulary (Hugging Face, whisper.cpp and OpenAI files), encoding, decoding,
//!   word splitting, languages.
//! * [`normalize`]: Whisper's English and basic text normalisers, for comparing transcripts.
//! * [`sentences`]: where sentences end, abbreviations and other scripts considered.
//! * [`metrics`]: word and character error rates with alignment counts.
//!
//! Nothing here knows audio, models or files other than vocabularies; every type is `Send + Sync`, no function blocks
//! except where it reads the file that it was given.

#![forbid(unsafe_code)]

mod error;
pub mod metrics;
pub mod normalize;
pub mod sentences;
pub mod whisper;

pub use error::TextError;
