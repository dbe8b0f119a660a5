//! The small models that ship with the repository, so that every task runs offline on a fresh machine.
//!
//! Each model lies under `models/<task>` with its card (`README.md`: what it can do, how it was made, measured error
//! rates, licence) and is embedded as it lies there. This crate only hands out bytes: whoever runs a model parses them
//! as it would parse files from a user's disk. The bytes add about 4 MB to a binary and cost nothing until touched.

#![forbid(unsafe_code)]

/// Which model answers where none is named, and what it can do: the first half of a sentence that goes on with how to get
/// a larger one.
pub const SPEECH_DESCRIPTION: &str =
    "the starter recognizer answers, which knows spoken English digits and command words alone";

/// A larger model of the same task, as `sotto models pull` fetches it.
pub const LARGER_SPEECH_MODEL: &str = "openai/whisper-tiny.en";

/// The files of the starter recognizer, in Hugging Face's form for Whisper.
///
/// It knows the ten digits and about sixty commands in English and sees 10 s at once. In noise without speech it now and
/// then writes a word; a voice activity detector in front prevents that. Trained by `scripts/train/speech`; weights are under CC BY-SA 4.0 (see `models/speech/README.md`).
#[derive(Debug, Clone, Copy)]
pub struct StarterSpeech {
    /// `config.json`: the network's sizes; `max_source_positions` is 500.
    pub config_json: &'static [u8],
    /// `generation_config.json`: suppressed tokens, alignment heads, ids of the special tokens.
    pub generation_config_json: &'static [u8],
    /// `preprocessor_config.json`: the log-mel parameters.
    pub preprocessor_config_json: &'static [u8],
    /// `tokenizer.json`: byte-level BPE in which each known word is one token.
    pub tokenizer_json: &'static [u8],
    /// `model.safetensors`: 4-bit matrices `NAME` with scales per block of 32 `NAME_scale`, 8-bit first convolution and
    /// position tables with scales per row, F16 norms and biases.
    pub model_safetensors: &'static [u8],
}

/// The starter recognizer.
#[must_use]
pub fn speech() -> StarterSpeech {
    StarterSpeech {
        config_json: include_bytes!("../models/speech/config.json"),
        generation_config_json: include_bytes!("../models/speech/generation_config.json"),
        preprocessor_config_json: include_bytes!("../models/speech/preprocessor_config.json"),
        tokenizer_json: include_bytes!("../models/speech/tokenizer.json"),
        model_safetensors: include_bytes!("../models/speech/model.safetensors"),
    }
}

/// `model.safetensors` of the voice activity detector: matrices F16, biases F32, 0.2 MB.
///
/// It tells from 16 kHz mono audio, 32 ms at a time, whether someone speaks, in any language. Trained by
/// `scripts/train/vad`; the card is `models/vad/README.md`.
#[must_use]
pub fn vad() -> &'static [u8] {
    include_bytes!("../models/vad/model.safetensors")
}

/// What is said in [`demo_clip`], phrase by phrase.
pub const DEMO_TEXT: &str = "hello turn on the light call three seven one stop";

/// A synthetic recording made for this project: 16 kHz mono FLAC, shorter than 10 s, saying [`DEMO_TEXT`].
///
/// Spoken by a synthesizer voice that the recognizer was not trained on (`scripts/train/speech/demo_clip.py`).
#[must_use]
pub fn demo_clip() -> &'static [u8] {
    include_bytes!("../audio/demo.flac")
}

/// The recipe of the digit strings that the card's word error rate was measured on (JSON).
///
/// Names recordings of speakers that training never heard and the pauses between them, in samples at 8 kHz, so that a
/// test can rebuild the strings from the public recordings.
#[must_use]
pub fn speech_evaluation() -> &'static [u8] {
    include_bytes!("../models/speech/evaluation.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The header of a safetensors file: its JSON and the number of bytes behind it.
    fn header(file: &[u8]) -> (&str, usize) {
        let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
        (std::str::from_utf8(&file[8..8 + length]).unwrap(), file.len() - 8 - length)
    }

    #[test]
    fn the_recognizer_stays_under_four_megabytes() {
        let files = speech();
        let total = files.config_json.len()
            + files.generation_config_json.len()
            + files.preprocessor_config_json.len()
            + files.tokenizer_json.len()
            + files.model_safetensors.len();
        assert!(total <= 4_000_000, "{total} bytes");
    }

    #[test]
    fn the_weights_are_quantized_and_complete() {
        let (json, data) = header(speech().model_safetensors);
        for (name, values, scales) in
            [("model.encoder.conv1.weight", "I8", "F32"), ("model.decoder.embed_tokens.weight", "U8", "F16")]
        {
            assert!(json.contains(&format!("\"{name}\":{{\"dtype\":\"{values}\"")), "{name}");
            assert!(json.contains(&format!("\"{name}_scale\":{{\"dtype\":\"{scales}\"")), "{name}_scale");
        }
        // The last tensor ends where the file ends: nothing was cut off.
        assert!(json.contains(&format!(",{data}]")), "no tensor ends at byte {data}");
    }

    #[test]
    fn the_voice_activity_detector_stays_under_three_hundred_kilobytes() {
        assert!(vad().len() <= 300_000, "{} bytes", vad().len());
        let (json, data) = header(vad());
        assert!(json.contains("\"format\":\"sotto-vad\"") && json.contains(&format!(",{data}]")), "{json}");
    }

    #[test]
    fn the_demo_clip_is_a_small_flac_file() {
        assert!(demo_clip().starts_with(b"fLaC"));
        assert!(demo_clip().len() <= 150_000);
    }

    #[test]
    fn the_evaluation_recipe_lists_three_hundred_strings() {
        let recipe = std::str::from_utf8(speech_evaluation()).unwrap();
        assert_eq!(recipe.matches("\"speaker\"").count(), 300);
    }
}
