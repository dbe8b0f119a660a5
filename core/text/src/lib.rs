//! Text in and out: tokenizers, normalisation, error rates.

#![forbid(unsafe_code)]
