//! Text in and out: tokenizers, normalisation, error rates.
//!
//! * [`whisper`]: Whisper's byte-level vocabulary (Hugging Face, whisper.cpp and OpenAI files), encoding, decoding,
//!   word splitting, languages.
//!
//! Nothing here knows audio, models or files other than vocabularies; every type is `Send + Sync`, no function blocks
//! except where it reads the file that it was given.

#![forbid(unsafe_code)]

mod error;
pub mod whisper;

pub use error::TextError;
