//! Any bytes as weights of either voice activity detector: an error, or a detector whose probabilities are
//! probabilities.

#![no_main]

use std::borrow::Cow;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use sotto_speech::vad::{Detector, STEP, SileroVad, SottoVad, VadStream};

fuzz_target!(|data: &[u8]| {
    let bytes = || Cow::Owned(data.to_vec());
    let of_either: [Option<Arc<dyn Detector>>; 2] = [
        SileroVad::from_bytes(bytes(), "fuzz").ok().map(|vad| Arc::new(vad) as Arc<dyn Detector>),
        SottoVad::from_bytes(bytes(), "fuzz").ok().map(|vad| Arc::new(vad) as Arc<dyn Detector>),
    ];
    for vad in of_either.into_iter().flatten() {
        let mut stream = VadStream::new(&vad);
        stream.push(&[0.1; 3 * STEP], |probability| assert!((0.0..=1.0).contains(&probability)));
    }
});
