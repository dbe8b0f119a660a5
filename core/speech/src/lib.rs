//! Speech-to-text with Whisper models.

#![forbid(unsafe_code)]
