//! Sotto: speech-to-text on the device. Nothing a user says leaves it.
//!
//! An [`Engine`] owns what all tasks of an application share: a memory budget and the number of threads. It loads
//! models; each task then works on its own:
//!
//! ```
//! use sotto::{CancelToken, Engine, NoProgress, TranscribeOptions, audio, starter};
//!
//! let engine = Engine::default();
//! let cancel = CancelToken::new();
//! let speech = engine.speech(&starter::speech(), &NoProgress, &cancel)?;
//! let clip = audio::decode_bytes(starter::demo_clip())?;
//! let transcript = speech.transcribe(&clip, &TranscribeOptions::default(), &NoProgress, &cancel)?;
//! assert!(!transcript.text.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Everything here blocks the calling thread until it is done or cancelled, starts no threads but those of
//! [`stream::Session`] and the helpers that share a network's work ([`EngineOptions::helper_setup`]; those of f32
//! networks are `gemm`'s), and is `Send + Sync`.

#![forbid(unsafe_code)]

pub mod audio;
pub mod cache;
mod engine;
pub mod job;
pub mod packing;
pub mod profile;
mod recording;
pub mod speech;
pub mod starter;
pub mod store;

/// Comparing texts: Whisper's English normaliser and error rates. Where sentences end.
pub mod text {
    pub use sotto_text::metrics::{ErrorCounts, character_errors, contains_phrase, word_errors};
    pub use sotto_text::normalize::{BasicOptions, basic, english};
    pub use sotto_text::sentences::{sentence_ends, sentences};
    pub use sotto_text::whisper::language;
}

/// Speed of the kernels alone on this machine, beside what its processor and its memory allow.
pub mod kernels {
    pub use sotto_kernels::measure::{Case, Figure, peak, read_bandwidth};
    pub use sotto_kernels::{Isa, IsaNotice, KernelSet};
}

/// Live transcription.
pub use sotto_speech::stream;
/// Cues of subtitles, as SubRip or WebVTT.
pub use sotto_speech::subtitles;
/// Voice activity detection.
pub use sotto_speech::vad;

pub use cache::PackedCache;
pub use engine::{Engine, EngineOptions, LoadedModel, ModelId, ModelTask, TrimLevel, Trimmed};
pub use sotto_runtime::{
    Bytes, CancelListener, CancelToken, Cancelled, HelperSetup, Lease, MemoryBudget, NoProgress, OutOfBudget, Progress,
    ProgressSink, Stage, Threads, Unloaded,
};
pub use sotto_speech::{
    AudioContext, ComputeDevice, ConfigError, DetectedLanguage, DeviceStatus, Dimensions, Estimate, FileRange,
    FileRangeError, FileRangeReader, Hotwords, Language, LoadError, LoadOptions, MemoryBytes, MemoryFile, Model,
    ModelBytes, ModelSource, Normalization, OtherLayout, PackedInfo, Precision, PromptCarry, SampleSource, Samples,
    Search, Segment, SpeechError, SpeechRecognizer, Task, Thresholds, TimestampTokens, Timestamps, Timing,
    TranscribeOptions, Transcript, Vad, WeightError, Word,
};
pub use sotto_text::TextError;

/// What an app shares between its threads: the build fails where a part of it cannot be.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<Engine>();
    shared::<CancelToken>();
    shared::<speech::Recognizer>();
    shared::<speech::Session>();
    shared::<speech::LoadJob>();
    shared::<speech::TranscriptionJob>();
    shared::<speech::LanguageJob>();
    shared::<speech::VoiceJob>();
    shared::<packing::QuantizeJob>();
    shared::<speech::Error>();
    const fn sent<T: Send>() {}
    sent::<audio::Recording>();
    sent::<speech::LiveEvent>();
    sent::<speech::TranscriptionEvent>();
};
