//! Any bytes as a safetensors file: an error, or tensors that lie inside the file and convert to finite values of the
//! shape that was announced, in memory bounded by the file.

#![no_main]

use std::borrow::Cow;

use libfuzzer_sys::fuzz_target;
use sotto_nn::weights::Weights;

fuzz_target!(|data: &[u8]| {
    let Ok(weights) = Weights::from_safetensors_bytes(Cow::Owned(data.to_vec()), "fuzz") else { return };
    assert_eq!(weights.bytes_on_disk(), data.len() as u64);
    for name in weights.names() {
        let shape = weights.shape(name).expect("a listed tensor has a shape");
        if let Ok(values) = weights.tensor(name, shape) {
            assert_eq!(values.len(), shape.iter().product::<usize>());
            assert!(values.len() <= 2 * data.len(), "a byte holds two values at most");
            assert!(values.iter().all(|value| value.is_finite()));
        }
    }
});
