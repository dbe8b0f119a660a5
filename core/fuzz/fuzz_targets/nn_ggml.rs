//! Any bytes as a whisper.cpp file, of Whisper and of Silero VAD: an error, or a header and tensors that lie inside the
//! file and convert to finite values of the shape that was announced, in memory bounded by the file.

#![no_main]

use std::borrow::Cow;

use libfuzzer_sys::fuzz_target;
use sotto_nn::weights::Weights;

fuzz_target!(|data: &[u8]| {
    if let Ok((model, weights)) = Weights::from_ggml_bytes(Cow::Owned(data.to_vec()), "fuzz") {
        assert_eq!(model.mel_filters.len(), model.header.n_mels * model.mel_filter_bins);
        assert!(model.vocabulary.len() <= model.header.n_vocab);
        assert!(model.vocabulary.iter().map(Vec::len).sum::<usize>() <= data.len());
        read_all(&weights, data.len());
    }
    if let Ok((_, weights)) = Weights::from_silero_ggml_bytes(Cow::Owned(data.to_vec()), "fuzz") {
        read_all(&weights, data.len());
    }
});

fn read_all(weights: &Weights, length: usize) {
    for name in weights.names() {
        let shape = weights.shape(name).expect("a listed tensor has a shape");
        if let Ok(values) = weights.tensor(name, shape) {
            assert_eq!(values.len(), shape.iter().product::<usize>());
            assert!(values.len() <= 2 * length, "18 bytes hold 32 values at most");
            assert!(values.iter().all(|value| value.is_finite()));
        }
    }
}
