//! Audio in: decode files, resample, streaming log-mel.

#![forbid(unsafe_code)]
