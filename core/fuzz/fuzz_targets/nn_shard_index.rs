//! Any bytes as a `model.safetensors.index.json`: an error, or names of files in one folder that hold no more tensors
//! than an index may list.

#![no_main]

use std::path::{Component, Path};

use libfuzzer_sys::fuzz_target;
use sotto_nn::weights::ShardIndex;

fuzz_target!(|data: &[u8]| {
    let Ok(index) = ShardIndex::parse(data, "fuzz.index.json") else { return };
    let mut tensors = 0;
    for (shard, held) in index.shards() {
        let parts: Vec<_> = Path::new(shard).components().collect();
        assert!(matches!(parts[..], [Component::Normal(_)]), "a shard elsewhere");
        assert!(!held.is_empty());
        tensors += held.len();
    }
    assert!(tensors <= 16_384);
});
