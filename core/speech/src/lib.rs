//! Speech-to-text with Whisper models.

#![forbid(unsafe_code)]

mod align;
mod decode;
mod error;
mod features;
mod hotwords;
mod long_form;
mod memory;
mod model;
mod options;
mod pauses;
mod previous;
mod recognizer;
mod source;
mod spoken;
pub mod stream;
pub mod subtitles;
mod transcript;
mod unheard;
pub mod vad;
mod vad_windows;
mod voice_bounds;
mod window;
mod word_places;

// Unit tests and test programs share the starter recognizer, whose code refers to this crate by name.
#[cfg(test)]
extern crate self as sotto_speech;
#[cfg(test)]
#[path = "../tests/support/starter.rs"]
mod starter;

pub use error::{ConfigError, QuantizeError, SpeechError};
pub use hotwords::Hotwords;
pub use memory::Estimate;
#[cfg(feature = "reference")]
pub use model::reference;
pub use model::{
    ClassError, ComputeDevice, DeviceStatus, Dimensions, GenerationConfig, LoadError, LoadOptions, Model, ModelBytes,
    ModelSource, OtherLayout, PACKING_VERSION, PackedInfo, Precision, Provenance, QuantizeOptions, Quantized,
    SlowDevice, WeightTypes, quantize,
};
pub use options::{
    AudioContext, Language, Normalization, PromptCarry, Search, Task, Thresholds, TimestampTokens, Timestamps,
    TranscribeOptions, Vad,
};
pub use recognizer::{DetectedLanguage, SpeechRecognizer, WeakSpeechRecognizer};
pub use sotto_kernels::{Isa, Layout};
pub use sotto_nn::layers::WeightType;
pub use sotto_nn::load::TaskError;
pub use sotto_nn::packed::WriteError;
#[cfg(unix)]
pub use sotto_nn::weights::duplicate_descriptor;
pub use sotto_nn::weights::{FileRange, FileRangeError, FileRangeReader, MemoryBytes, MemoryFile, WeightError};
pub use source::{SampleSource, Samples};
pub use transcript::{Segment, Timing, Transcript, Word};
