//! Any bytes as a `config.json` and as a `generation_config.json`: an error, or sizes that a network can have and settings
//! that can be written and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sotto_speech::{Dimensions, GenerationConfig};

fuzz_target!(|data: &[u8]| {
    if let Ok(dimensions) = Dimensions::from_config_json(data) {
        assert!(dimensions.width.is_multiple_of(dimensions.encoder_heads));
        assert!(dimensions.width.is_multiple_of(dimensions.decoder_heads));
        // No product of two sizes may overflow what 32-bit phones count with.
        assert!(
            dimensions.window_frames() <= 1 << 16 && dimensions.vocabulary * dimensions.width <= u32::MAX as usize + 1
        );
    }
    if let Ok(config) = GenerationConfig::from_json(data) {
        let text = serde_json::to_vec(&config).expect("settings are plain data");
        assert_eq!(GenerationConfig::from_json(&text).ok(), Some(config));
    }
});
