//! Any bytes as a `config.json` and as a `generation_config.json`: an error, or sizes that a network can have and
//! settings that can be written and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sotto_speech::{Dimensions, GenerationConfig};

fuzz_target!(|data: &[u8]| {
    if let Ok(dimensions) = Dimensions::from_config_json(data) {
        assert!(dimensions.width.is_multiple_of(dimensions.encoder_heads));
        assert!(dimensions.width.is_multiple_of(dimensions.decoder_heads));
        // At most 2^20 tokens of 2^12 numbers, 2^32 weights: sums of a few such products are far from overflow in 64
        // bits.
        let embedding = dimensions.vocabulary as u64 * dimensions.width as u64;
        assert!(dimensions.window_frames() <= 1 << 16 && embedding <= 1 << 32);
    }
    if let Ok(config) = GenerationConfig::from_json(data) {
        let text = serde_json::to_vec(&config).expect("settings are plain data");
        assert_eq!(GenerationConfig::from_json(&text).ok(), Some(config));
    }
});
