//! Whether a device without vector kernels is fast enough for a model, before the model is loaded.
//!
//! 32-bit ARM runs portable code (`docs/adr/0020-32-bit-arm.md`). A user who waits half a minute for a sentence would
//! think that the application hangs, so such a model is refused, with the estimated time, unless the application allows
//! it.

use std::sync::OnceLock;

use sotto_kernels::multiply_adds_per_second;
use sotto_kernels::{Isa, KernelSet};
use sotto_nn::load::LoadError;
use sotto_runtime::Threads;

use super::{Dimensions, encoder_weights, weight_count};

// Spoken English has about 2.5 words a second and a third more tokens; timestamps and repeated decoding of some windows
// add to that.
const TOKENS_PER_SECOND: f64 = 4.0;

/// Multiply-adds for a second of speech, in windows of full length.
fn per_second_of_speech(dimensions: &Dimensions) -> f64 {
    let (audio, width) = (dimensions.audio_context as f64, dimensions.width as f64);
    let window_seconds = dimensions.window_frames() as f64 / 100.0;
    let encoder = encoder_weights(dimensions) as f64;
    let decoder = weight_count(dimensions) as f64 - encoder;
    // Each position is multiplied with all weights, and attends to all positions twice: scores and values.
    let window = audio * encoder + 2.0 * audio * audio * width * dimensions.encoder_layers as f64;
    let token = decoder + 2.0 * audio * width * dimensions.decoder_layers as f64;
    window / window_seconds + TOKENS_PER_SECOND * token
}

/// Seconds for a second of speech, if all threads together compute `multiply_adds` per second.
pub(super) fn seconds_per_second(dimensions: &Dimensions, multiply_adds: f64) -> f64 {
    per_second_of_speech(dimensions) / multiply_adds.max(1.0)
}

/// Refuses a model that is too slow, if the kernels are the portable ones and were not requested explicitly.
pub(super) fn check(
    model: &str,
    dimensions: &Dimensions,
    kernels: KernelSet,
    threads: Threads,
    is_asked_for: bool,
) -> Result<(), LoadError> {
    static SPEED: OnceLock<f64> = OnceLock::new();
    if kernels.isa() != Isa::Scalar || is_asked_for {
        return Ok(());
    }
    let speed = *SPEED.get_or_init(|| multiply_adds_per_second(kernels));
    judge(model, dimensions, speed * threads.count() as f64)
}

fn judge(model: &str, dimensions: &Dimensions, multiply_adds: f64) -> Result<(), LoadError> {
    let seconds = seconds_per_second(dimensions, multiply_adds);
    if seconds <= 1.0 {
        Ok(())
    } else {
        Err(LoadError::TooSlow { model: model.to_owned(), unit: "second of speech", seconds })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whisper(layers: usize, width: usize, vocabulary: usize) -> Dimensions {
        let config = serde_json::json!({
            "model_type": "whisper", "num_mel_bins": 80, "max_source_positions": 1500, "max_target_positions": 448,
            "d_model": width, "encoder_layers": layers, "decoder_layers": layers, "encoder_attention_heads": width / 64,
            "decoder_attention_heads": width / 64, "encoder_ffn_dim": 4 * width, "decoder_ffn_dim": 4 * width,
            "vocab_size": vocabulary,
        });
        Dimensions::from_config_json(config.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn larger_models_take_longer_and_are_refused_with_the_figure() {
        let models = [whisper(4, 384, 51_864), whisper(6, 512, 51_865), whisper(12, 768, 51_865)];
        let seconds = models.each_ref().map(|model| seconds_per_second(model, 1e9));
        assert!(seconds.is_sorted(), "{seconds:?}");
        // 0.7 billion for tiny, by hand: 1500 · 8.2 M + 2 · 1500² · 384 · 4 in 30 s, and 4 · 34 M for the tokens.
        assert!((0.5..1.0).contains(&seconds[0]), "{seconds:?}");
        assert!(judge("tiny", &models[0], 1e9).is_ok());
        let refused = judge("small", &models[2], 1e9).unwrap_err();
        let LoadError::TooSlow { seconds, .. } = refused else { panic!("{refused}") };
        assert!(seconds > 3.0);
        let text = judge("small", &models[2], 1e8).unwrap_err().to_string();
        assert!(text.starts_with("small: ") && text.contains("smaller model"), "{text}");
    }

    #[test]
    fn vector_kernels_and_a_wish_are_never_refused() {
        let large = whisper(32, 1280, 51_865);
        for set in KernelSet::all_available() {
            assert!(check("large", &large, set, Threads::ONE, true).is_ok());
            if set.isa() != Isa::Scalar {
                assert!(check("large", &large, set, Threads::ONE, false).is_ok());
            }
        }
        // An unoptimised build of this machine does not reach the sixty billion that this takes.
        let refused = check("large", &large, KernelSet::scalar(), Threads::ONE, false);
        assert!(matches!(refused, Err(LoadError::TooSlow { .. })), "{refused:?}");
    }
}
