//! On-device speech-to-text, translation, typing and text: the public Rust API.

#![forbid(unsafe_code)]
