//! Any bytes as weights of the voice activity detector: an error, or a detector whose probabilities are probabilities.

#![no_main]

use std::borrow::Cow;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use sotto_speech::vad::{STEP, SileroVad, VadStream};

fuzz_target!(|data: &[u8]| {
    let Ok(vad) = SileroVad::from_bytes(Cow::Owned(data.to_vec()), "fuzz") else { return };
    let mut stream = VadStream::new(&Arc::new(vad));
    stream.push(&[0.1; 3 * STEP], |probability| assert!((0.0..=1.0).contains(&probability)));
});
