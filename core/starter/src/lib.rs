//! The small models that ship with the repository, so that every task runs offline on a fresh machine.
//!
//! Each model lies under `models/<task>` with its card (`README.md`: what it can do, how it was made, measured error
//! rates, licence) and is embedded as it lies there. This crate only hands out bytes: whoever runs a model parses them
//! as it would parse files from a user's disk. The bytes add about 20 MB to a binary and cost nothing until touched.

#![forbid(unsafe_code)]

/// Which model answers where none is named, and what it can do: the first half of a sentence that goes on with how to
/// get a larger one.
pub const SPEECH_DESCRIPTION: &str = "the starter recognizer answers (small, English)";

/// A larger model of the same task that knows other languages as well, as `sotto models pull` fetches it.
pub const LARGER_SPEECH_MODEL: &str = "openai/whisper-base";

/// Bytes that start on a cache line, so that a packed model in them is used where it lies.
#[repr(C, align(64))]
struct Aligned<T: ?Sized>(T);

static SPEECH: &Aligned<[u8]> = &Aligned(*include_bytes!("../models/speech/starter.en.sotto"));

/// The starter recognizer: a packed Whisper for English, made from OpenAI's tiny.en (MIT) by `scripts/train/speech`.
///
/// Laid out for the kernels of most ARM phones, which read it in place; other CPUs copy the weights into their order
/// when it is loaded.
#[must_use]
pub fn speech() -> &'static [u8] {
    &SPEECH.0
}

/// `model.safetensors` of the voice activity detector: matrices F16, biases F32, 0.2 MB.
///
/// It tells from 16 kHz mono audio, 32 ms at a time, whether someone speaks, in any language. Trained by
/// `scripts/train/vad`; the card is `models/vad/README.md`.
#[must_use]
pub fn vad() -> &'static [u8] {
    include_bytes!("../models/vad/model.safetensors")
}

/// What is said in [`demo_clip`].
pub const DEMO_TEXT: &str =
    "Good morning. The train to the airport leaves at a quarter past nine. Please don't forget your umbrella.";

/// A synthetic recording made for this project: 16 kHz mono FLAC, shorter than 10 s, saying [`DEMO_TEXT`]
/// (`scripts/train/speech/demo_clip.py`).
#[must_use]
pub fn demo_clip() -> &'static [u8] {
    include_bytes!("../audio/demo.flac")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recognizer_stays_under_twenty_megabytes_and_starts_on_a_cache_line() {
        assert!(speech().len() <= 20_000_000, "{} bytes", speech().len());
        assert_eq!(speech().as_ptr().align_offset(64), 0);
    }

    #[test]
    fn the_recognizer_is_a_packed_model_with_its_licence() {
        let length = u64::from_le_bytes(speech()[..8].try_into().unwrap()) as usize;
        let header = std::str::from_utf8(&speech()[8..8 + length]).unwrap();
        for part in ["\"sotto.task\":\"whisper\"", "\"sotto.licence\":\"mit\"", "Copyright (c) 2022 OpenAI"] {
            assert!(header.contains(part), "{part}");
        }
    }

    #[test]
    fn the_voice_activity_detector_stays_under_three_hundred_kilobytes() {
        assert!(vad().len() <= 300_000, "{} bytes", vad().len());
        let length = u64::from_le_bytes(vad()[..8].try_into().unwrap()) as usize;
        let json = std::str::from_utf8(&vad()[8..8 + length]).unwrap();
        // The last tensor ends where the file ends: nothing was cut off.
        let data = vad().len() - 8 - length;
        assert!(json.contains("\"format\":\"sotto-vad\"") && json.contains(&format!(",{data}]")), "{json}");
    }

    #[test]
    fn the_demo_clip_is_a_small_flac_file() {
        assert!(demo_clip().starts_with(b"fLaC"));
        assert!(demo_clip().len() <= 200_000);
    }
}
