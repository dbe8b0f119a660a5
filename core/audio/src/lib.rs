//! Audio input: decoding files, resampling, streaming log-mel.
//!
//! Everything downstream of this crate works on 16 kHz mono samples ([`Pcm16k`]). They come from files ([`AudioFile`]),
//! from raw PCM on a pipe ([`RawPcm`]) or from a microphone through a [`Resampler`], always in blocks of bounded size,
//! so that a recording of hours needs no more memory than a short one. [`LogMel`] turns them into the log-mel frames
//! that Whisper reads.

#![forbid(unsafe_code)]

mod error;
mod file;
mod mel;
mod mix;
mod pcm;
mod raw;
mod raw_bytes;
mod resample;
mod sample;
mod warning;

pub use error::AudioError;
pub use file::{AudioFile, AudioInfo, Codec, decode_file};
pub use mel::{
    CHUNK_SAMPLES, Features, HOP, LogMel, WINDOW, frame_count, log_mel_spectrogram, mel_filterbank, normalize,
    transpose, whisper_features,
};
pub use mix::Channel;
pub use pcm::{Pcm16k, SAMPLE_RATE};
pub use raw::{RawFormat, RawPcm};
pub use raw_bytes::RawBytes;
pub use resample::{MAX_CHANNELS, MAX_RATE, MIN_RATE, Resampler};
pub use sample::SampleFormat;
pub use warning::{AudioProblem, AudioWarning};
