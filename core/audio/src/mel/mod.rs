//! Log-mel spectrogram as Whisper expects it (Radford et al. 2022, §2.2; reference: openai/whisper `audio.py`).
//!
//! 16 kHz mono samples → frames of `n_mels` log10 energies, one frame per 10 ms (hop 160, window 400, periodic Hann).

mod features;
mod filters;
mod stream;

pub use features::{Features, frame_count, log_mel_spectrogram, normalize, transpose, whisper_features};
pub use filters::mel_filterbank;
pub use stream::LogMel;

/// Distance between frames in samples: 10 ms.
pub const HOP: usize = 160;
/// Samples per frame (window length): 25 ms.
pub const WINDOW: usize = 400;
/// Samples of the longest input of a Whisper model, 30 s; its features have `CHUNK_SAMPLES / HOP` frames.
pub const CHUNK_SAMPLES: usize = 480_000;

// log10 of the smallest energy that the reference distinguishes (`audio.py`: clamp at 1e-10). A frame of digital
// silence has this value in every bin.
const SILENCE: f32 = -10.0;
